"""Whose records were once whose: what a source sends again is found under its former subject's name, too.

For the modules of this package alone. The digest that tells source records apart begins with the subject whom they were
about when they first came. Records keep it when they move, so that for somebody with moved records every former
subject's digest is looked for as well.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Connection, and_, select

from kernel.ids import SubjectId
from vault._sealing import Encoded, Encoder, PlainRecord
from vault.setwise import among, pairs_table
from vault.tables import record_change, sealed_record


def encode_known(connection: Connection, encoder: Encoder, records: Sequence[PlainRecord]) -> list[Encoded]:
    """Return records with their digests; one that a former subject's digest finds has that one."""
    former = former_subjects(connection, {record.subject for record in records})
    if not former:
        return [encoder.encode(record) for record in records]
    tried = [(record, _under_each(encoder, record, former.get(record.subject, ()))) for record in records]
    stored = _stored_keys(connection, [(one.subject, one.record_key) for _, each in tried for one in each[1:]])
    return [next((one for one in each if (one.subject, one.record_key) in stored), each[0]) for _, each in tried]


def former_subjects(connection: Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, list[SubjectId]]:
    """Return for those of the subjects to whom records have moved, whose these were, over any number of moves."""
    found: dict[SubjectId, list[SubjectId]] = {}
    columns = record_change.c
    asked: dict[SubjectId, set[SubjectId]] = {subject: {subject} for subject in subjects}
    while asked:
        query = select(columns.subject_id, columns.from_subject).where(
            among(connection, columns.subject_id, asked), columns.from_subject.is_not(None)
        )
        further: dict[SubjectId, set[SubjectId]] = {}
        for row in connection.execute(query):
            for owner in asked[SubjectId(row.subject_id)]:
                earlier, known = SubjectId(row.from_subject), found.setdefault(owner, [])
                if earlier != owner and earlier not in known:
                    known.append(earlier)
                    further.setdefault(earlier, set()).add(owner)
        asked = further
    return {owner: earlier for owner, earlier in found.items() if earlier}


def _under_each(encoder: Encoder, record: PlainRecord, former: Sequence[SubjectId]) -> list[Encoded]:
    """Return a record under its own subject's digest, then under each former one's."""
    others = [replace(encoder.encode(replace(record, subject=one)), subject=record.subject) for one in former]
    return [encoder.encode(record), *others]


def _stored_keys(connection: Connection, wanted: Collection[tuple[SubjectId, str]]) -> set[tuple[str, str]]:
    pairs = pairs_table(connection, wanted)
    columns = sealed_record.c
    query = select(columns.subject_id, columns.record_key).join(
        pairs, and_(pairs.c.a == columns.subject_id, pairs.c.b == columns.record_key)
    )
    return {(row.subject_id, row.record_key) for row in connection.execute(query)}
