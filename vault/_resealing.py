"""Moves held values to keys of their own before the old ones are destroyed. For the modules of this package alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from kernel.catalogue import Compartment
from kernel.clock import to_micros
from kernel.ids import SubjectId
from vault._keys import KeyUnavailable, Pair, UnlockedKeys
from vault._rows import COLUMNS, SealedRow, binding_of, header_of
from vault.envelope import of_row, open_many, seal_many
from vault.payload import pack, unpack
from vault.tables import sealed_record


@dataclass(frozen=True, slots=True)
class Shared:
    """A key under which both held and free values of a subject are sealed, with the rows that must leave it."""

    pair: Pair
    key_id: bytes
    held: Sequence[SealedRow]


def shared_keys(connection: Connection, subject: SubjectId, *, held_after: datetime) -> list[Shared]:
    """Return the subject's keys that seal both rows held beyond this instant and others."""
    rows = connection.execute(select(*COLUMNS).where(sealed_record.c.subject_id == subject)).all()
    after = to_micros(held_after)
    by_key: dict[tuple[str, bytes], list[SealedRow]] = {}
    for row in rows:
        by_key.setdefault((row.compartment, row.key_id), []).append(row)
    shared = []
    for (compartment, key_id), own in by_key.items():
        held = [row for row in own if row.held_until is not None and row.held_until > after]
        if 0 < len(held) < len(own):
            shared.append(Shared((subject, Compartment(compartment)), key_id, held))
    return shared


def reseal_shared(connection: Connection, shared: Sequence[Shared], keys: UnlockedKeys, *, deployment: str) -> None:
    """Seal the held rows under the newest keys of their compartments, in the caller's transaction.

    Raises:
        KeyUnavailable: an old key is missing, or a new one was not made.
        IntegrityFailed: a stored byte or a column of a row's header was changed; nothing was resealed.
    """
    changes = [
        {"moved": row.row_no, "under": keys.sealing(key.pair).key_id, "sealed": _resealed(row, key, keys, deployment)}
        for key in shared
        for row in key.held
    ]
    if changes:
        connection.execute(
            update(sealed_record)
            .where(sealed_record.c.row_no == bindparam("moved"))
            .values(key_id=bindparam("under"), payload=bindparam("sealed")),
            changes,
        )


def _resealed(row: SealedRow, key: Shared, keys: UnlockedKeys, deployment: str) -> bytes:
    old, new = keys.opening(key.key_id), keys.sealing(key.pair)
    if new is old:
        raise KeyUnavailable(f"Record {row.record_id} has no new key to move to", hint="Resume the erasure.")
    sealed = dict(unpack(row.payload))
    holder = of_row(deployment, header_of(row))
    bindings = [binding_of(row, holder, code) for code in sealed]
    plaintexts = open_many([(old, binding, value) for binding, value in zip(bindings, sealed.values(), strict=True)])
    moved = seal_many([(new, binding, plaintext) for binding, plaintext in zip(bindings, plaintexts, strict=True)])
    return pack(dict(zip(sealed, moved, strict=True)))
