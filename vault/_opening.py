"""From sealed rows to opened records. For the modules of this package alone: what it returns is plaintext."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam, literal_column, or_, select

from kernel.catalogue import Catalogue
from kernel.clock import from_micros, to_micros
from kernel.encoding import JsonValue
from kernel.ids import RecordId, SubjectId
from kernel.plaintext import Plaintext
from kernel.prepared import Prepared
from vault._keyring import Keyring
from vault._keys import UnlockedKeys, WrappedKeys
from vault._rows import COLUMNS, SealedRow, header_of, lost_keys, stored_rows
from vault._versions import MARK, PROFILE, Mark, Told, choose, marks_of, weight
from vault._whole_rows import open_whole
from vault.batches import BatchState
from vault.envelope import Item, decode_plaintext, of_row, open_many
from vault.payload import unpack
from vault.setwise import among, among_bound, bound_texts
from vault.tables import batch, sealed_record


@dataclass(frozen=True, slots=True, repr=False)
class OpenedRecord(Plaintext):
    """One record in clear, with the fields that the permit covers.

    Attributes:
        record_id: of its newest version.
        values: field value by field code; where a source sent the record again, or a value was corrected, the version
            of each field that stands.
    """

    record_id: RecordId
    kind: str
    source: str
    observed_at: datetime
    values: Mapping[str, JsonValue]

    def __repr__(self) -> str:
        return f"OpenedRecord(record_id={self.record_id}, kind={self.kind!r}, redacted)"


@dataclass(slots=True)
class _Versions:
    """The rows of one source record, in the order in which they were stored."""

    newest: SealedRow
    sealed: dict[str, tuple[SealedRow, bytes]] = field(default_factory=dict)


COLUMNS_AND_BATCH: Final[tuple[ColumnElement[Any], ...]] = (
    *COLUMNS,
    sealed_record.c.permit_id,
    sealed_record.c.batch_id,
    batch.c.actor,
    batch.c.closed_at,
)
"""With what the batch says of who stored a row and since when it is visible; no key vouches for that."""


_SUBJECT: Final = list(COLUMNS).index(sealed_record.c.subject_id)
_row_no: Final = itemgetter(0)

_IS_COMPLETE: Final = sealed_record.c.batch_id.concat(literal_column("''")).in_(
    select(batch.c.batch_id).where(batch.c.state == literal_column(f"'{BatchState.COMPLETE.value}'"))
)
"""An expression, since by the index of batches SQLite would look at every row there is."""


def visible_rows(
    connection: Connection,
    subjects: Collection[SubjectId],
    *,
    compartments: Collection[str],
    kinds: Collection[str] | None,
    now: datetime,
    with_batch: bool = False,
) -> dict[SubjectId, list[SealedRow]]:
    """Return each subject's rows of complete batches that are still to be kept, in the order of storing."""
    if with_batch:
        rows: Iterable[SealedRow] = connection.execute(_with_batch(connection, subjects, compartments, kinds, now))
    elif len(subjects) == 1 and kinds is None:
        (subject,) = subjects
        values = {"subject": subject, "compartments": sorted(compartments), "now": now}
        rows = connection.execute(_OF_ONE, values)
    else:
        rows = _of_many_subjects(connection, subjects, compartments, kinds, now)
    found: dict[SubjectId, list[SealedRow]] = {}
    for row in sorted(rows, key=_row_no):
        found.setdefault(row[_SUBJECT], []).append(row)
    return found


def _with_batch(
    connection: Connection,
    subjects: Collection[SubjectId],
    compartments: Collection[str],
    kinds: Collection[str] | None,
    now: datetime,
) -> Select[*tuple[Any, ...]]:
    table = sealed_record.c
    query = select(*COLUMNS_AND_BATCH).where(
        table.batch_id == batch.c.batch_id,
        among(connection, table.subject_id, subjects),
        table.compartment.in_(sorted(compartments)),
        _IS_COMPLETE,
        or_(table.expires_at.is_(None), table.expires_at > now),
    )
    return query if kinds is None else query.where(table.kind.in_(sorted(kinds)))


def _of_many_subjects(
    connection: Connection,
    subjects: Collection[SubjectId],
    compartments: Collection[str],
    kinds: Collection[str] | None,
    now: datetime,
) -> Iterable[SealedRow]:
    values = {"subjects": subjects, "compartments": compartments} | ({} if kinds is None else {"kinds": kinds})
    told = bound_texts(connection, **{name: sorted(texts) for name, texts in values.items()})
    statement = _of_many(connection.dialect.name, of_kinds=kinds is not None)
    return stored_rows(statement.rows(connection, now=to_micros(now), **told))


@cache
def _of_many(dialect: str, *, of_kinds: bool) -> Prepared:
    """Return the statement for many people, whose rows come in any order: sorting them here costs less."""
    table = sealed_record.c
    query = select(*COLUMNS).where(
        among_bound(dialect, table.subject_id, "subjects"),
        among_bound(dialect, table.compartment, "compartments"),
        _IS_COMPLETE,
        or_(table.expires_at.is_(None), table.expires_at > bindparam("now", type_=BigInteger)),
    )
    return Prepared(query.where(among_bound(dialect, table.kind, "kinds")) if of_kinds else query)


def readable_rows(
    rows: dict[SubjectId, list[SealedRow]], keys: UnlockedKeys | WrappedKeys, keyring: Keyring
) -> dict[SubjectId, list[SealedRow]]:
    """Leave out rows whose key an erasure has destroyed.

    Raises:
        IntegrityFailed: a row names the key of another subject or compartment.
        KeyUnavailable: a key is missing that no erasure has destroyed.
    """
    destroyed = lost_keys(chain.from_iterable(rows.values()), keys, keyring)
    if not destroyed:
        return rows
    return {subject: [row for row in own if row.key_id not in destroyed] for subject, own in rows.items()}


@dataclass(frozen=True, slots=True)
class Settling:
    """Of the values of a profile only those that count are wanted, judged by what was observed before an instant."""

    catalogue: Catalogue
    until: datetime


def open_rows(
    rows: Sequence[SealedRow], *, fields: Collection[str], keys: UnlockedKeys, deployment: str
) -> list[OpenedRecord]:
    """Open one subject's rows, oldest observation first; nothing comes back unless all of it verifies.

    Raises:
        IntegrityFailed: a stored byte or a column of a row's header was changed, or moved to another row.
    """
    found = open_plaintexts(rows, fields=fields, keys=keys, deployment=deployment)
    return sorted([_opened(row, plaintexts) for row, plaintexts in found], key=lambda record: record.observed_at)


def open_plaintexts(
    rows: Sequence[SealedRow],
    *,
    fields: Collection[str],
    keys: UnlockedKeys,
    deployment: str,
    settling: Settling | None = None,
) -> list[tuple[SealedRow, dict[str, bytes]]]:
    """Return the newest row of each source record with the values that stand, as canonical JSON by field code.

    Raises:
        IntegrityFailed: as ``open_rows``.
    """
    if settling is None or not _are_several_profiles(rows):
        whole = open_whole(rows, frozenset(fields), keys, deployment)
        if whole is not None:
            return whole
    records = _standing_values(rows, fields, marks_of(rows, keys, deployment))
    if settling is not None:
        records = _settled(records, settling)
    opened = iter(open_many([item for versions in records for item in _items(versions, keys, deployment)]))
    return [
        (versions.newest, dict(zip(versions.sealed, islice(opened, len(versions.sealed)), strict=True)))
        for versions in records
    ]


def _are_several_profiles(rows: Sequence[SealedRow]) -> bool:
    return len({row.record_key for row in rows if row.kind == PROFILE}) > 1


def _standing_values(rows: Sequence[SealedRow], fields: Collection[str], marks: Mapping[int, Mark]) -> list[_Versions]:
    by_source: dict[str, _Versions] = {}
    corrected: set[tuple[str, str]] = set()
    for row in rows:
        wanted = {code: (row, sealed) for code, sealed in unpack(row.payload) if code in fields}
        if not wanted:
            continue
        versions = by_source.setdefault(row.record_key, _Versions(row))
        versions.newest = row
        versions.sealed.update(wanted)
        if row.row_no in marks:
            corrected.update((row.record_key, code) for code in wanted)
    for (key, code), told in told_of(rows, marks, corrected).items():
        standing = choose(told)
        by_source[key].sealed[code] = standing.row, standing.sealed
    return list(by_source.values())


def _settled(records: list[_Versions], settling: Settling) -> list[_Versions]:
    """Leave out what loses against another source's word on the same field of the profile."""
    profile = [versions for versions in records if versions.newest.kind == PROFILE]
    until = to_micros(settling.until)
    for code in {code for versions in profile for code in versions.sealed} if len(profile) > 1 else ():
        said = [one for one in profile if code in one.sealed and one.sealed[code][0].observed_at < until]
        for one in sorted(said, key=lambda one: weight(settling.catalogue, code, one.sealed[code][0]))[:-1]:
            del one.sealed[code]
    return [versions for versions in records if versions.sealed]


def told_of(
    rows: Sequence[SealedRow], marks: Mapping[int, Mark], wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[Told]]:
    """Return every version of the wanted values, by source record and field, in the order of storing."""
    found: dict[tuple[str, str], list[Told]] = {}
    for row in rows if wanted else ():
        for code, sealed in unpack(row.payload):
            if (row.record_key, code) in wanted and code != MARK:
                found.setdefault((row.record_key, code), []).append(Told(row, sealed, marks.get(row.row_no)))
    return found


def _items(versions: _Versions, keys: UnlockedKeys, deployment: str) -> Iterable[Item]:
    last: SealedRow | None = None
    for code, (row, sealed) in versions.sealed.items():
        if row is not last:  # the values of a row come together, but for what was corrected
            key, holder, schema_version = (
                keys.opening(row.key_id),
                of_row(deployment, header_of(row)),
                row.schema_version,
            )
            last = row
        yield key, (holder, code, schema_version), sealed


def _opened(row: SealedRow, plaintexts: Mapping[str, bytes]) -> OpenedRecord:
    values = {code: decode_plaintext(plaintext) for code, plaintext in plaintexts.items()}
    return OpenedRecord(RecordId(row.record_id), row.kind, row.source, from_micros(row.observed_at), values)


_OF_ONE: Final = (
    select(*COLUMNS)
    .where(
        sealed_record.c.subject_id == bindparam("subject"),
        sealed_record.c.compartment.in_(bindparam("compartments", expanding=True)),
        sealed_record.c.batch_id.in_(select(batch.c.batch_id).where(batch.c.state == BatchState.COMPLETE)),
        or_(
            sealed_record.c.expires_at.is_(None),
            sealed_record.c.expires_at > bindparam("now", type_=sealed_record.c.expires_at.type),
        ),
    )
    .order_by(sealed_record.c.row_no)
)
"""The same for one person and all kinds, made once: building the statement costs more than running it."""
