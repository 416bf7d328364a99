"""What is still under an old epoch, generation, suite or index version, in counts; names no person and no key."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, exists, func, select

from kernel.clock import format_instant
from kernel.encoding import JsonValue
from vault._keyring import KeyKind
from vault._rotation_rows import RotationKind, started
from vault.custodian import wrapped_by
from vault.keystore import KeyStore
from vault.suites import suite_of
from vault.tables import blind_index, blinding_key, data_key, epoch, identity_fact, named_key

ROTATED_BY: Final[Mapping[KeyKind, str]] = {
    KeyKind.INDEX: "keys rotate-index",
    KeyKind.DETAILS: "by themselves, each year",
    KeyKind.SERVICE: "never: what they digest is stored nowhere in clear",
    KeyKind.SCOPE: "never: a new view or export has a key of its own",
}
"""How keys that belong to no subject are rotated; why stands in docs/explanation/vault.md."""

_BLINDING: Final = "blinding"
_BLINDING_ROTATED_BY: Final = "by an erasure of a part or a split of their subject"


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch that lives.

    Attributes:
        custodian: the kind that has wrapped its key, as the key says of itself.
        named_keys: all that are no data keys, those that blind digests among them.
    """

    epoch_id: str
    suite: str
    custodian: str
    opened_at: datetime
    closing_at: datetime | None
    data_keys: int
    named_keys: int


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """Data keys of one suite.

    Attributes:
        superseded: those that seal no new value, because their compartment has a newer key.
        oldest: when the oldest of them was made.
    """

    suite: str
    data_keys: int
    superseded: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class IndexReport:
    """One version of one index.

    Attributes:
        state: ``live``, or ``retired`` while its rows are being deleted.
        rows: links and facts.
        unsealed: those without a sealed identifier, which cannot be digested anew.
    """

    index: str
    version: int
    suite: str
    state: str
    rows: int
    unsealed: int


@dataclass(frozen=True, slots=True)
class NamedReport:
    """Keys of one kind that belong to no subject, or that blind the digests of subjects."""

    kind: str
    suite: str
    keys: int
    oldest: datetime
    rotated: str


@dataclass(frozen=True, slots=True)
class UnfinishedReport:
    """A rotation that has begun and not ended."""

    rotation_id: str
    kind: str
    scope: Mapping[str, str]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class KeyReport:
    """Everything of one key store."""

    epochs: Sequence[EpochReport]
    data_keys: Sequence[SuiteReport]
    indexes: Sequence[IndexReport]
    named_keys: Sequence[NamedReport]
    unfinished: Sequence[UnfinishedReport]

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        return {name: [_json(each) for each in getattr(self, name)] for name in KeyReport.__slots__}


def report_keys(keystore: KeyStore) -> KeyReport:
    """Count the keys of a store, in one snapshot; takes about a second for each million."""
    with keystore.database.read() as connection:
        return KeyReport(
            epochs=_epochs(connection),
            data_keys=_data_keys(connection),
            indexes=_indexes(connection),
            named_keys=_named_keys(connection),
            unfinished=_unfinished(connection),
        )


def _epochs(connection: Connection) -> list[EpochReport]:
    tables = (data_key, named_key, blinding_key)
    under = {table: _counts(connection, table, table.c.epoch_id) for table in tables}
    query = select(epoch).where(epoch.c.wrapped.is_not(None)).order_by(epoch.c.opened_at)
    return [
        EpochReport(
            row.epoch_id,
            suite_of(row.suite).name,
            wrapped_by(row.wrapped),
            row.opened_at,
            row.closing_at,
            under[data_key].get(row.epoch_id, 0),
            under[named_key].get(row.epoch_id, 0) + under[blinding_key].get(row.epoch_id, 0),
        )
        for row in connection.execute(query)
    ]


def _data_keys(connection: Connection) -> list[SuiteReport]:
    columns, newer = data_key.c, data_key.alias()
    is_newer = exists().where(
        newer.c.subject_id == columns.subject_id,
        newer.c.compartment == columns.compartment,
        newer.c.generation > columns.generation,
    )
    query = select(columns.suite, func.count(), func.min(columns.created_at)).group_by(columns.suite)
    superseded = dict(
        _pairs(connection.execute(select(columns.suite, func.count()).where(is_newer).group_by(columns.suite)))
    )
    return [
        SuiteReport(suite_of(suite).name, count, superseded.get(suite, 0), oldest)
        for suite, count, oldest in connection.execute(query.order_by(columns.suite))
    ]


def _indexes(connection: Connection) -> list[IndexReport]:
    rows, unsealed = _links(connection), _links(connection, is_unsealed=True)
    columns = named_key.c
    query = select(columns.name, columns.version, columns.suite, columns.retired_at).where(
        columns.kind == KeyKind.INDEX
    )
    return [
        IndexReport(
            name,
            version,
            suite_of(suite).name,
            "live" if retired_at is None else "retired",
            rows.get((name, version), 0),
            unsealed.get((name, version), 0),
        )
        for name, version, suite, retired_at in connection.execute(query.order_by(columns.name, columns.version))
    ]


def _links(connection: Connection, *, is_unsealed: bool = False) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    for table, name in ((blind_index, blind_index.c.field), (identity_fact, identity_fact.c.fact)):
        query = select(name, table.c.version, func.count()).group_by(name, table.c.version)
        for index, version, count in connection.execute(
            query.where(table.c.sealed.is_(None)) if is_unsealed else query
        ):
            found[index, version] = found.get((index, version), 0) + count
    return found


def _named_keys(connection: Connection) -> list[NamedReport]:
    columns = named_key.c
    query = select(columns.kind, columns.suite, func.count(), func.min(columns.created_at))
    rows = connection.execute(query.group_by(columns.kind, columns.suite).order_by(columns.kind, columns.suite))
    named = [
        NamedReport(kind, suite_of(suite).name, count, oldest, ROTATED_BY[KeyKind(kind)])
        for kind, suite, count, oldest in rows
    ]
    blinds = blinding_key.c
    query = select(blinds.suite, func.count(), func.min(blinds.created_at)).group_by(blinds.suite)
    blinding = [
        NamedReport(_BLINDING, suite_of(suite).name, count, oldest, _BLINDING_ROTATED_BY)
        for suite, count, oldest in connection.execute(query.order_by(blinds.suite))
    ]
    return named + blinding


def _unfinished(connection: Connection) -> list[UnfinishedReport]:
    return [
        UnfinishedReport(
            row.rotation_id,
            row.kind.value,
            {name: str(value) for name, value in row.scope.items() if value is not None and name != "until"},
            row.counts,
        )
        for kind in RotationKind
        for row in started(connection, kind)
    ]


def _counts(connection: Connection, table: Table, column: ColumnElement[str]) -> dict[str, int]:
    return dict(_pairs(connection.execute(select(column, func.count()).select_from(table).group_by(column))))


def _pairs(rows: Any) -> list[tuple[Any, int]]:  # noqa: ANN401 - rows of two columns
    return [(row[0], row[1]) for row in rows]


def _json(report: Any) -> dict[str, JsonValue]:  # noqa: ANN401 - one of the dataclasses above
    return {
        name: format_instant(value) if isinstance(value, datetime) else value for name, value in asdict(report).items()
    }
