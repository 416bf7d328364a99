"""Tables of the two stores; no column holds a field value, an identifier or a key in clear."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from kernel.database import Instant, new_metadata

keystore_metadata: Final[MetaData] = new_metadata()
data_metadata: Final[MetaData] = new_metadata()

_Position: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only for INTEGER PRIMARY KEY."""

# --- key store -------------------------------------------------------------------------------------------------------

epoch: Final = Table(
    "epoch",
    keystore_metadata,
    Column("epoch_id", String(40), primary_key=True),
    Column("wrapped", LargeBinary, nullable=True, comment="by the custodian; null once destroyed"),
    Column("opened_at", Instant, nullable=False),
    Column("destroyed_at", Instant, nullable=True),
    Column("rewrapped", Integer, nullable=True, comment="keys that moved to the next epoch, so far"),
    Column("entry_id", String(40), nullable=True, comment="audit entry of its end; null while open or not yet logged"),
    Column("suite", SmallInteger, nullable=False, server_default="1", comment="of what wraps its keys"),
    Column("closing_at", Instant, nullable=True, comment="since when its keys move to a newer one; null while open"),
    Column("closing_entry", String(40), nullable=True, comment="audit entry of that; null until it is logged"),
    CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="destroyed"),
)
"""Key-encryption keys: one is open, and while its predecessor is closing both live."""

data_key: Final = Table(
    "data_key",
    keystore_metadata,
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("subject_id", String(40), nullable=False),
    Column("compartment", String(16), nullable=False),
    Column("generation", Integer, nullable=False, comment="the highest seals, every one opens"),
    Column("epoch_id", ForeignKey(epoch.c.epoch_id), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("batch_id", String(40), nullable=True, comment="the batch that first needed it"),
    Column("created_at", Instant, nullable=False),
    Column("suite", SmallInteger, nullable=False, server_default="1", comment="of what the key seals"),
    UniqueConstraint("subject_id", "compartment", "generation"),
    Index(None, "batch_id"),
    postgresql_with={"fillfactor": 50},
)
"""One data key for each subject and compartment.

PostgreSQL leaves half of each page free, so that the end of an epoch writes each key beside where it lay and leaves the
indexes alone (heap-only tuples): ten times as fast.
"""

blinding_key: Final = Table(
    "blinding_key",
    keystore_metadata,
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("subject_id", String(40), nullable=False),
    Column("generation", Integer, nullable=False, comment="the highest blinds"),
    Column("epoch_id", ForeignKey(epoch.c.epoch_id), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("suite", SmallInteger, nullable=False, comment="of the block cipher that blinds"),
    UniqueConstraint("subject_id", "generation"),
    postgresql_with={"fillfactor": 50},
)
"""One key for each subject, by which the digests of its contents are stored; it ends with what it stands for.

Half of each page is free, as of ``data_key``.
"""

named_key: Final = Table(
    "named_key",
    keystore_metadata,
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("epoch_id", ForeignKey(epoch.c.epoch_id), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("suite", SmallInteger, nullable=False, server_default="1", comment="of what the key seals or digests"),
    Column("retired_at", Instant, nullable=True, comment="of an index key: since when nobody asks it any more"),
    UniqueConstraint("kind", "name", "version"),
)
"""Keys that belong to no subject: blind indexes, deduplication, details, pseudonym scopes."""

key_tombstone: Final = Table(
    "key_tombstone",
    keystore_metadata,
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("erasure_id", String(40), nullable=False, index=True),
    Column("destroyed_at", Instant, nullable=False),
    Column(
        "whole", Boolean, nullable=False, server_default=false(), comment="went with the erasure of a whole subject"
    ),
)
"""Random ids of destroyed data keys; a restored key is destroyed again by them."""

blind_index: Final = Table(
    "blind_index",
    keystore_metadata,
    Column("field", String(32), primary_key=True),
    Column("version", Integer, primary_key=True, comment="of the index key"),
    Column("digest", LargeBinary(16), primary_key=True),
    Column("subject_id", String(40), primary_key=True),
    Column("batch_id", String(40), nullable=True, comment="the only batch that vouches for it; null for more than one"),
    Column("linked_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=True, comment="the identifier, under the subject's own key; null: unknown"),
    Index(None, "subject_id"),
    Index(None, "batch_id"),
    Index(
        "uq_blind_index_one_person",
        "field",
        "version",
        "digest",
        unique=True,
        sqlite_where=text("field IN ('id_number', 'source_subject')"),
        postgresql_where=text("field IN ('id_number', 'source_subject')"),
    ),
)
"""Keyed digests of identifiers, one for each live version of the field's key, with the identifier sealed beside it."""

identity_fact: Final = Table(
    "identity_fact",
    keystore_metadata,
    Column("subject_id", String(40), primary_key=True),
    Column("fact", String(16), primary_key=True),
    Column("digest", LargeBinary(16), nullable=False, comment="bound to the subject, so that equal values differ"),
    Column("batch_id", String(40), nullable=True),
    Column("version", Integer, nullable=False, server_default="1", comment="of the index key"),
    Column("sealed", LargeBinary, nullable=True, comment="the fact, under the subject's own key; null: unknown"),
    Index(None, "batch_id"),
)
"""Keyed digests of birth date and sex, compared when a source id joins."""

doubtful_identity: Final = Table(
    "doubtful_identity",
    keystore_metadata,
    Column("doubt_id", String(40), primary_key=True),
    Column("source", String(64), nullable=False),
    Column(
        "digest", LargeBinary(16), nullable=False, comment="keyed digest of source and source id, or of the ID number"
    ),
    Column("rule", String(32), nullable=False),
    Column("candidates", Text, nullable=False, comment="subject ids, separated by spaces"),
    Column("batch_id", String(40), nullable=True),
    Column("noted_at", Instant, nullable=False),
    UniqueConstraint("source", "digest", "rule"),
    Index(None, "batch_id"),
)
"""Records that could be about several people, for a person to decide."""

rotation: Final = Table(
    "rotation",
    keystore_metadata,
    Column("rotation_id", String(40), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("scope", JSON, nullable=False, comment="which keys; ids and names only"),
    Column("position", Text, nullable=False, comment="where its pass goes on"),
    Column("counts", JSON, nullable=False, comment="what is done so far"),
    Column("actor", String(256), nullable=False),
    Column("role", String(256), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=True),
    Column("started_entry", String(40), nullable=True, comment="audit entry; null until it is logged"),
    Column("finished_entry", String(40), nullable=True, comment="audit entry; null until it is logged"),
    CheckConstraint("kind IN ('data', 'index')", name="kind"),
    CheckConstraint("state IN ('started', 'done')", name="state"),
)
"""Rotations of data keys and of index keys: what is ``started`` goes on at the next start."""

pseudonym: Final = Table(
    "pseudonym",
    keystore_metadata,
    Column("scope", String(128), primary_key=True),
    Column("pseudonym", String(32), primary_key=True),
    Column("subject_id", String(40), nullable=False),
    UniqueConstraint("subject_id", "scope"),
)
"""The way back from pseudonyms, scope by scope."""

returned: Final = Table(
    "returned",
    keystore_metadata,
    Column("subject_id", String(40), primary_key=True, comment="the fresh subject"),
    Column("from_subject", String(40), nullable=False, comment="what the erasure left"),
    Column("erasure_id", String(40), nullable=False, comment="in the data store"),
    Column("returned_at", Instant, nullable=False),
    Index(None, "from_subject"),
)
"""People who were erased while the law held something, and came back: whose identifiers lead to a fresh subject now.

It stands beside the links that it tells of, so that both are written at once; it goes with either of the two subjects.
"""

# --- data store ------------------------------------------------------------------------------------------------------

batch: Final = Table(
    "batch",
    data_metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("input_digest", String(64), nullable=False, comment="keyed, in hexadecimal"),
    Column("state", String(16), nullable=False),
    Column("position", BigInteger, nullable=False, comment="units of the input that are done"),
    Column("counts", JSON, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant, nullable=True),
    CheckConstraint("state IN ('open', 'complete', 'discarding', 'discarded')", name="state"),
    Index(
        "uq_batch_open_input",
        "kind",
        "input_digest",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)
"""Units of ingestion; rows of a batch that is not complete are invisible."""

sealed_record: Final = Table(
    "sealed_record",
    data_metadata,
    Column("row_no", _Position, primary_key=True, autoincrement=True),
    Column("record_id", String(40), nullable=False),
    Column("subject_id", String(40), nullable=False),
    Column(
        "record_key",
        String(22),
        nullable=False,
        comment="base64; keyed digest of whose record of which source",
    ),
    Column("content_key", LargeBinary(16), nullable=False, comment="keyed digest of the whole record's content"),
    Column("part", SmallInteger, nullable=False, comment="rows of one record count from 0"),
    Column("kind", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("compartment", String(16), nullable=False),
    Column("purpose", String(32), nullable=False, comment="of collection"),
    Column("permit_id", String(40), nullable=False),
    Column("batch_id", ForeignKey(batch.c.batch_id), nullable=False),
    Column("observed_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=True, comment="null: with the account"),
    Column("held_until", Instant, nullable=True, comment="end of the legal hold; null: none"),
    Column("schema_version", SmallInteger, nullable=False),
    Column("key_id", LargeBinary(8), nullable=False),
    Column("payload", LargeBinary, nullable=False, comment="see docs/reference/ciphertext-format.md"),
    Column("blinding_id", LargeBinary(8), nullable=True, comment="key that blinds content_key; null: older, or random"),
    Index("uq_sealed_record_content", "subject_id", "record_key", "content_key", "part", unique=True),
    Index(None, "batch_id"),
    Index(None, "expires_at"),
)
"""Sealed fields, one row for each record, compartment, purpose of collection and end of keeping.

The unique index begins with the subject, so that it also finds a subject's rows and a batch, which comes sorted by
subject in most sources, touches few of its pages.
"""

erasure: Final = Table(
    "erasure",
    data_metadata,
    Column("erasure_id", String(40), primary_key=True),
    Column("subject_id", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("role", String(256), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("started_entry", String(40), nullable=False),
    Column("finished_at", Instant, nullable=True),
    Column("restricted_until", Instant, nullable=True, comment="of what a legal hold keeps"),
    Column("counts", JSON, nullable=False),
    Column("certificate", LargeBinary, nullable=True, comment="canonical JSON"),
    Column("signature", LargeBinary(64), nullable=True),
    Column("fields", Text, nullable=True, comment="JSON list; null for the whole subject"),
    Column("key_ids", Text, nullable=True, comment="JSON list in hexadecimal; of the keys that go with chosen fields"),
    Column("scope", Text, nullable=True, comment="JSON object: what was asked for; null: older, see fields"),
    Column("why", String(16), nullable=True, comment="vault.scopes.Why; null: older"),
    Column("epoch_id", String(40), nullable=True, comment="key epoch whose end makes it final"),
    Column("final_at", Instant, nullable=True, comment="when it is final at the latest"),
    Column("final_entry", String(40), nullable=True, comment="audit entry that says so"),
    CheckConstraint("state IN ('started', 'restricted', 'erased')", name="state"),
    Index(None, "subject_id"),
    Index(
        "ix_erasure_started",
        "state",
        sqlite_where=text("state = 'started'"),
        postgresql_where=text("state = 'started'"),
    ),
)
"""The outbox of erasures: what is ``started`` is finished at the next start."""

tombstone: Final = Table(
    "tombstone",
    data_metadata,
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("erasure_id", String(40), nullable=False, comment="its row may be newer than a restored store"),
    Column("destroyed_at", Instant, nullable=False),
)
"""The data store's copy of the destroyed keys' ids."""

record_change: Final = Table(
    "record_change",
    data_metadata,
    Column("change_id", String(40), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("subject_id", String(40), nullable=False, comment="whose records they are from then on"),
    Column("from_subject", String(40), nullable=True, comment="whose they were; null for a correction"),
    Column("actor", String(256), nullable=False),
    Column("role", String(256), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=True),
    Column("selection", Text, nullable=True, comment="JSON; which records of a subject that is split"),
    Column("links", Text, nullable=True, comment="JSON list in hexadecimal; digests of source ids that move"),
    Column("key_ids", Text, nullable=True, comment="JSON list in hexadecimal; of the keys that the records left"),
    Column("counts", JSON, nullable=False),
    CheckConstraint("kind IN ('correction', 'merge', 'split')", name="kind"),
    CheckConstraint("state IN ('started', 'moved', 'done')", name="state"),
    Index(None, "subject_id"),
    Index(None, "from_subject"),
    Index(
        "ix_record_change_open",
        "state",
        sqlite_where=text("state <> 'done'"),
        postgresql_where=text("state <> 'done'"),
    ),
)
"""The outbox of corrected identifiers, merges and splits: what is not ``done`` is finished at the next start."""

attachment: Final = Table(
    "attachment",
    data_metadata,
    Column("record_id", String(40), primary_key=True, comment="of the attachment"),
    Column("row_no", BigInteger, nullable=False, comment="negative and random: no record's number"),
    Column("subject_id", String(40), nullable=False),
    Column("field", String(64), nullable=False, comment="code; the payload names it, too"),
    Column("record_key", String(22), nullable=False, comment="as of a record"),
    Column("content_key", LargeBinary(16), nullable=True, comment="keyed digest of the content; null while it comes"),
    Column("kind", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("compartment", String(16), nullable=False),
    Column("purpose", String(32), nullable=False, comment="of collection"),
    Column("permit_id", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("observed_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=True, comment="null: with the account"),
    Column("held_until", Instant, nullable=True, comment="end of the legal hold; null: none"),
    Column("schema_version", SmallInteger, nullable=False),
    Column("key_id", LargeBinary(8), nullable=True, comment="null while it comes"),
    Column("payload", LargeBinary, nullable=True, comment="its content key, sealed like a field; null while it comes"),
    Column("details", LargeBinary, nullable=True, comment="name, media type, size and digest, under the content key"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("stored_at", Instant, nullable=True),
    Column("blinding_id", LargeBinary(8), nullable=True, comment="key that blinds content_key; null: older, or random"),
    UniqueConstraint("row_no"),
    CheckConstraint("row_no < 0", name="row_no"),
    CheckConstraint("state IN ('open', 'complete')", name="state"),
    CheckConstraint(
        "state = 'open' OR (key_id IS NOT NULL AND payload IS NOT NULL AND details IS NOT NULL)", name="complete"
    ),
    Index("uq_attachment_content", "subject_id", "content_key", unique=True),
    Index(None, "expires_at"),
    Index(
        "ix_attachment_open",
        "opened_at",
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)
"""Files of a subject, each under a content key of its own; invisible until complete.

Columns that both have mean what they mean in ``sealed_record``: whatever moves or erases sealed rows does so here.
"""

attachment_chunk: Final = Table(
    "attachment_chunk",
    data_metadata,
    Column("record_id", ForeignKey(attachment.c.record_id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="from 0"),
    Column("sealed", LargeBinary, nullable=False, comment="see docs/reference/ciphertext-format.md"),
)
"""The sealed pieces of a file; they go with it."""

SEALED_TABLES: Final = (sealed_record, attachment)
"""Every table whose rows hold a ``payload`` under a subject's data key, in columns of the same names."""

legal_hold: Final = Table(
    "legal_hold",
    data_metadata,
    Column("hold_id", String(40), primary_key=True),
    Column("subject_id", String(40), nullable=False, index=True),
    Column("compartment", String(16), nullable=True, comment="null: all"),
    Column("field", String(64), nullable=True, comment="null: all"),
    Column("reference", String(64), nullable=False, comment="the matter's number where it is kept"),
    Column("set_by", String(256), nullable=False),
    Column("set_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=True, comment="null: until it is released"),
    Column("entry_id", String(40), nullable=False),
    Column("released_by", String(256), nullable=True),
    Column("released_at", Instant, nullable=True),
    Column("release_entry", String(40), nullable=True),
    CheckConstraint("(released_at IS NULL) = (release_entry IS NULL)", name="released"),
)
"""What an officer keeps from erasure and expiry, for a dispute or a duty; why is sealed beside the entry."""

sweep: Final = Table(
    "sweep",
    data_metadata,
    Column("sweep_id", String(40), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("role", String(256), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("started_entry", String(40), nullable=False),
    Column("finished_at", Instant, nullable=True),
    Column("counts", JSON, nullable=False, comment="what went so far: in all, by field and by kind"),
    Column("certificate", LargeBinary, nullable=True, comment="canonical JSON"),
    Column("signature", LargeBinary(64), nullable=True),
    CheckConstraint("state IN ('started', 'finished')", name="state"),
    Index(
        "uq_sweep_started",
        "state",
        unique=True,
        sqlite_where=text("state = 'started'"),
        postgresql_where=text("state = 'started'"),
    ),
)
"""Cycles of deleting what has expired; the one that is ``started`` is gone on with."""

retiring_key: Final = Table(
    "retiring_key",
    data_metadata,
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("sweep_id", ForeignKey(sweep.c.sweep_id), nullable=False),
    Column("subject_id", String(40), nullable=False),
    Column("compartment", String(16), nullable=False),
    Column("fields", Text, nullable=False, comment="JSON list; of the subject's, those that had values that went"),
)
"""The outbox of a sweep: keys that sealed what has expired, to be destroyed once nothing living needs them."""
