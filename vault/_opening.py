"""From sealed rows to opened records. For the modules of this package alone: what it returns is plaintext."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, or_, select

from kernel.clock import from_micros
from kernel.encoding import JsonValue
from kernel.ids import RecordId, SubjectId
from vault._keyring import Keyring
from vault._keys import UnlockedKeys
from vault._rows import COLUMNS, SealedRow, binding_of, header_of, lost_keys
from vault.batches import BatchState
from vault.envelope import Holder, Item, of_row, open_many
from vault.payload import unpack
from vault.setwise import among
from vault.tables import batch, sealed_record


@dataclass(frozen=True, slots=True, repr=False)
class OpenedRecord:
    """One record in clear, with the fields that the permit covers.

    Attributes:
        record_id: of its newest version.
        values: field value by field code; where a source sent the record again, the newest value of each field.
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


def visible_rows(
    connection: Connection,
    subjects: Collection[SubjectId],
    *,
    compartments: Collection[str],
    kinds: Collection[str] | None,
    now: datetime,
) -> dict[SubjectId, list[SealedRow]]:
    """Return each subject's rows of complete batches that are still to be kept, in the order of storing."""
    table = sealed_record
    complete = select(batch.c.batch_id).where(batch.c.state == BatchState.COMPLETE)
    query = select(*COLUMNS).where(
        among(connection, table.c.subject_id, subjects),
        table.c.compartment.in_(sorted(compartments)),
        table.c.batch_id.in_(complete),
        or_(table.c.expires_at.is_(None), table.c.expires_at > now),
    )
    if kinds is not None:
        query = query.where(table.c.kind.in_(sorted(kinds)))
    found: dict[SubjectId, list[SealedRow]] = {}
    for row in connection.execute(query.order_by(table.c.row_no)):
        found.setdefault(row.subject_id, []).append(row)
    return found


def readable_rows(
    rows: Mapping[SubjectId, Sequence[SealedRow]], keys: UnlockedKeys, keyring: Keyring
) -> dict[SubjectId, list[SealedRow]]:
    """Leave out rows whose key an erasure has destroyed.

    Raises:
        IntegrityFailed: a row names the key of another subject or compartment.
        KeyUnavailable: a key is missing that no erasure has destroyed.
    """
    destroyed = lost_keys((row for own in rows.values() for row in own), keys, keyring)
    return {subject: [row for row in own if row.key_id not in destroyed] for subject, own in rows.items()}


def open_rows(
    rows: Sequence[SealedRow], *, fields: Collection[str], keys: UnlockedKeys, deployment: str
) -> list[OpenedRecord]:
    """Open one subject's rows, oldest observation first; nothing comes back unless all of it verifies.

    Raises:
        IntegrityFailed: a stored byte or a column of a row's header was changed, or moved to another row.
    """
    records = _newest_values(rows, fields)
    items = [item for versions in records for item in _items(versions, keys, deployment)]
    values = iter(open_many(items))
    opened = [_opened(versions, values) for versions in records]
    return sorted(opened, key=lambda record: record.observed_at)


def _newest_values(rows: Sequence[SealedRow], fields: Collection[str]) -> list[_Versions]:
    by_source: dict[str, _Versions] = {}
    for row in rows:
        wanted = {code: (row, sealed) for code, sealed in unpack(row.payload) if code in fields}
        if not wanted:
            continue
        versions = by_source.setdefault(row.record_key, _Versions(row))
        versions.newest = row
        versions.sealed.update(wanted)
    return list(by_source.values())


def _items(versions: _Versions, keys: UnlockedKeys, deployment: str) -> Iterable[Item]:
    holders: dict[int, Holder] = {}
    for code, (row, sealed) in versions.sealed.items():
        holder = holders.get(row.row_no) or holders.setdefault(row.row_no, of_row(deployment, header_of(row)))
        yield keys.opening(row.key_id), binding_of(row, holder, code), sealed


def _opened(versions: _Versions, plaintexts: Iterable[bytes]) -> OpenedRecord:
    row = versions.newest
    values = {code: json.loads(plaintext) for code, plaintext in zip(versions.sealed, plaintexts, strict=False)}
    return OpenedRecord(RecordId(row.record_id), row.kind, row.source, from_micros(row.observed_at), values)
