"""Identifiers sealed beside their digests, so that they can be digested anew. For the modules of this package alone.

Each is sealed under a data key of the subject itself, of the compartment in which its field lies: what destroys the
field's key makes the copy unreadable as well, also one in an older copy of the key store.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, select, update

from kernel.catalogue import Compartment
from kernel.ids import SubjectId
from vault._keyring import WRAPPED_IN, Keyring
from vault._keys import Pair, UnlockedKeys, data_key_context
from vault.blind_index import FACTS, ID_NUMBER, MOBILE, SOURCE_ID
from vault.envelope import Binding, DataKey, alone, open_value, read_key_id, seal_value
from vault.setwise import chunks
from vault.suites import suite_of
from vault.tables import blind_index, data_key, epoch, identity_fact

SEALED_IN: Final[Mapping[str, Compartment]] = {
    ID_NUMBER: Compartment.IDENTITY,
    SOURCE_ID: Compartment.IDENTITY,
    MOBILE: Compartment.CONTACT,
    **dict.fromkeys(FACTS, Compartment.DEMOGRAPHIC),
}
"""The compartment of each identifier that resolves people; other indexed fields are sealed in their own."""

_SCHEMA_VERSION: Final = 1


def binding_of(table: Table, subject: str, name: str) -> Binding:
    """Return what a sealed identifier is bound to: whose it is, in which table, under which name."""
    return Binding(alone("", subject, table.name), name, _SCHEMA_VERSION)


def seal_identifier(content: bytes, *, key: DataKey, table: Table, subject: str, name: str) -> bytes:
    """Seal what is digested of an identifier."""
    return seal_value(content, data_key=key, binding=binding_of(table, subject, name))


def open_identifier(row: Row[Any], *, keys: UnlockedKeys, table: Table) -> bytes:
    """Return what is digested of a row's identifier; the row has ``subject_id``, ``name`` and ``sealed``.

    Raises:
        KeyUnavailable: its key is not held.
        IntegrityFailed: the row was changed, or the copy moved.
    """
    key = keys.opening(read_key_id(row.sealed))
    return open_value(row.sealed, data_key=key, binding=binding_of(table, row.subject_id, row.name))


@contextmanager
def keys_of_identifiers(keyring: Keyring, connection: Connection, sealed: Collection[bytes]) -> Iterator[UnlockedKeys]:
    """Hold the data keys by which these are sealed, as far as they are there, while the block runs."""
    query = (
        select(data_key.c.key_id, data_key.c.subject_id, data_key.c.compartment, data_key.c.wrapped, data_key.c.suite)
        .add_columns(*WRAPPED_IN)
        .join(epoch, epoch.c.epoch_id == data_key.c.epoch_id)
    )
    keys, unwrap = UnlockedKeys(), keyring.unwrapper()
    try:
        for some in chunks({read_key_id(each) for each in sealed}):
            for row in connection.execute(query.where(data_key.c.key_id.in_(some))):
                key = unwrap(row, data_key_context(row.key_id, row.subject_id, row.compartment, row.suite))
                pair = (SubjectId(row.subject_id), Compartment(row.compartment))
                keys.add(pair, DataKey(row.key_id, key, suite_of(row.suite)))
        yield keys
    finally:
        keys.drop()


def carry_identifiers(
    connection: Connection,
    keyring: Keyring,
    subject: SubjectId,
    *,
    leaving: Collection[bytes],
    without: Collection[str] = (),
) -> None:
    """Move a subject's sealed identifiers away from keys that are to be destroyed, in the caller's transaction.

    They go under the newest key of their compartment, which is made where there is none.

    Args:
        connection: on the key store.
        keyring: of that store.
        subject: whose identifiers.
        leaving: ids of the keys.
        without: names whose copies go with the keys, because the fields were erased.
    """
    for table, name in _TABLES:
        query = select(table, name.label("name")).where(table.c.subject_id == subject, table.c.sealed.is_not(None))
        rows = [row for row in connection.execute(query) if read_key_id(row.sealed) in leaving]
        lost = [row for row in rows if row.name in without]
        _put(connection, table, [{**_key_of(table, row), "copy": None} for row in lost])
        _carry(connection, keyring, table, [row for row in rows if row.name not in without])


def untouched_keys(connection: Connection, subject: SubjectId, *, staying: Collection[str]) -> set[bytes]:
    """Return the ids of keys that seal identifiers of a subject which stay, and no other."""
    sealed: dict[bytes, set[str]] = {}
    for table, name in _TABLES:
        query = select(name, table.c.sealed).where(table.c.subject_id == subject, table.c.sealed.is_not(None))
        for what, copy in connection.execute(query):
            sealed.setdefault(read_key_id(copy), set()).add(what)
    return {key_id for key_id, names in sealed.items() if names <= set(staying)}


def sealing_keys(connection: Connection, subjects: Collection[str]) -> set[bytes]:
    """Return the ids of the keys by which identifiers of these subjects are sealed."""
    found: set[bytes] = set()
    for table, _ in _TABLES:
        for some in chunks(subjects):
            query = select(table.c.sealed).where(table.c.subject_id.in_(some), table.c.sealed.is_not(None))
            found.update(read_key_id(sealed) for sealed in connection.scalars(query))
    return found


def names_under(connection: Connection, subject: SubjectId, key_ids: Collection[bytes]) -> set[str]:
    """Return the names of a subject's identifiers and facts that are sealed by one of these keys."""
    found: set[str] = set()
    for table, name in _TABLES:
        query = select(name, table.c.sealed).where(table.c.subject_id == subject, table.c.sealed.is_not(None))
        found.update(what for what, copy in connection.execute(query) if read_key_id(copy) in key_ids)
    return found


def _carry(connection: Connection, keyring: Keyring, table: Table, rows: Collection[Row[Any]]) -> None:
    pairs = _pairs_of(connection, {read_key_id(row.sealed) for row in rows})
    leaving: dict[Pair, set[bytes]] = {}
    for key_id, pair in pairs.items():
        leaving.setdefault(pair, set()).add(key_id)
    keyring.make_successors(connection, leaving)
    changes = []
    with (
        keys_of_identifiers(keyring, connection, [row.sealed for row in rows]) as old,
        keyring.unlocked_in(connection, list(leaving), batch=None) as new,
    ):
        for row in rows:
            key_id = read_key_id(row.sealed)
            if key_id in pairs:  # else the copy is dead already
                content = open_identifier(row, keys=old, table=table)
                key, subject, name = new.sealing(pairs[key_id]), row.subject_id, row.name
                sealed = seal_identifier(content, key=key, table=table, subject=subject, name=name)
                changes.append({**_key_of(table, row), "copy": sealed})
    _put(connection, table, changes)


def _pairs_of(connection: Connection, key_ids: Collection[bytes]) -> dict[bytes, Pair]:
    query = select(data_key.c.key_id, data_key.c.subject_id, data_key.c.compartment)
    rows = (row for some in chunks(key_ids) for row in connection.execute(query.where(data_key.c.key_id.in_(some))))
    return {key_id: (SubjectId(subject), Compartment(compartment)) for key_id, subject, compartment in rows}


def _key_of(table: Table, row: Row[Any]) -> dict[str, Any]:
    return {f"b_{column.name}": row._mapping[column.name] for column in table.primary_key}  # noqa: SLF001 - its public name


def _put(connection: Connection, table: Table, changes: list[dict[str, Any]]) -> None:
    if changes:
        same = [column == bindparam(f"b_{column.name}") for column in table.primary_key]
        connection.execute(update(table).where(*same).values(sealed=bindparam("copy")), changes)


_TABLES: Final[tuple[tuple[Table, ColumnElement[str]], ...]] = (
    (blind_index, blind_index.c.field),
    (identity_fact, identity_fact.c.fact),
)
"""Where identifiers lie sealed, with the column that names what they are."""
