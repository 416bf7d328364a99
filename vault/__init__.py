"""The vault: sealed records, their keys, who they are about, and their end.

Modules whose name begins with an underscore hold data keys or plaintext in memory, or write what those stand for; they
are for this package alone. Where what is:

How a value is sealed
    suites, envelope, payload: algorithms, one value, one row; docs/reference/ciphertext-format.md
    tables, setwise, _rows: both stores' tables, statements over sets, rows as they are read back
Keys
    keystore, _keyring, _keys: made, unwrapped, destroyed; nothing else sees a key in clear
    custodian, custodians, root: who wraps the keys of epochs, and its change
    _blinding: keys by which digests of contents are stored, one a subject
    epoch_rotation, _rewrapping: an epoch's end
    data_rotation, index_rotation, _datakey_rotating, _reindexing, _rotation_rows: rotations that resume
    key_report: what is still under an old key
    details, digests, pseudonyms: what service keys are for: words beside entries, marks, names in views
    passing_words: what a person wrote and somebody is to read once, under that person's own key
Records in
    records: ``Vault``, the door in and out
    batches, _sealing, _storing, _former: a chunk of plain records becomes rows, told apart from what is there
    bulk_columns, bulk_sealers: the same by columns, in processes that seal
    _processes: that hold keys, and how they are asked
    attachments, uploads, _incoming, _content, _attached: files
    corrections, _history, _versions: what counts of several versions
Records out
    gathering: what several readers open, read at once and still sealed
    _reading, _opening, _whole_rows, masking: from rows to values, for a permit and its receipt
    _cohorts, _opened_columns, cohort_openers: the same for many people, by column, in processes where there are many
Who a record is about
    subjects, identity, doubts: resolving, its rule, and what a person settles
    blind_index, _linking, _identifiers: digests that find people, and what they are made of anew
    moving, _moves, _identity_moves: merging and splitting people
    returning: who registers again after an erasure that left what the law holds
The end
    erasure, field_erasure, scopes, erasures, _begun, _erasable, _field_plan: of a subject, and of a part of it
    retention, _cycle, _expired, _retiring: sweeps of what has expired
    holds, _holding: what stays nevertheless
    _resealing: what stays moves to newer keys; every end goes by it, and the rotation of data keys
    tombstones, certificates, sweep_certificates, finality: what is told of it
    leftovers, replaying, _forgetting, scrubbing: what came back, came late, or lies in free pages
Copies
    backups, backup_keys, sampling: sealed copies of both stores, and a look at a restored one
"""
