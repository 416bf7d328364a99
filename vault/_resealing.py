"""Moves values that stay to newer keys before the old ones are destroyed. For the modules of this package alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, update

from kernel.catalogue import Compartment
from kernel.ids import SubjectId
from vault._erasable import rows_of
from vault._holding import Holding
from vault._keys import KeyUnavailable, Pair, UnlockedKeys
from vault._rows import SealedRow, binding_of, header_of, table_of
from vault.envelope import of_row, open_many, seal_many
from vault.payload import pack, unpack
from vault.tables import SEALED_TABLES


@dataclass(frozen=True, slots=True)
class Move:
    """A row that leaves its key.

    Attributes:
        without: the codes of the values that it loses on the way.
    """

    row: SealedRow
    without: frozenset[str] = frozenset()

    @property
    def pair(self) -> Pair:
        """Whose keys seal it."""
        return SubjectId(self.row.subject_id), Compartment(self.row.compartment)


class Resealed(NamedTuple):
    """What a row becomes under another key; ``number`` says which one."""

    number: int
    key_id_now: bytes
    payload_now: bytes


def shared_moves(connection: Connection, subject: SubjectId, holding: Holding) -> list[Move]:
    """Return the held rows of those of the subject's keys that also seal rows which nothing holds."""
    by_key: dict[bytes, list[SealedRow]] = {}
    for row in rows_of(connection, subject):
        by_key.setdefault(row.key_id, []).append(row)
    moves = []
    for own in by_key.values():
        held = [Move(row) for row in own if holding.is_held(row)]
        if len(held) < len(own):
            moves += held
    return moves


def keys_left(moves: Sequence[Move]) -> dict[Pair, set[bytes]]:
    """Return the ids of the keys that these rows leave."""
    left: dict[Pair, set[bytes]] = {}
    for move in moves:
        left.setdefault(move.pair, set()).add(move.row.key_id)
    return left


def reseal(connection: Connection, moves: Sequence[Move], keys: UnlockedKeys, *, deployment: str) -> None:
    """Seal what stays of the rows under the newest keys of their compartments, in the caller's transaction.

    Raises:
        KeyUnavailable: an old key is missing, or a new one was not made.
        IntegrityFailed: a stored byte or a column of a row's header was changed; nothing was resealed.
    """
    left = keys_left(moves)
    changes = []
    for move in moves:
        new = keys.sealing(move.pair)
        if new.key_id in left[move.pair]:
            raise KeyUnavailable(f"Record {move.row.record_id} has no new key to move to", hint="Resume the erasure.")
        changes.append(Resealed(move.row.row_no, new.key_id, _resealed(move, keys, deployment)))
    put_resealed(connection, changes)


def put_resealed(connection: Connection, changes: Sequence[Resealed], **others: str) -> None:
    """Write rows' new keys and payloads, with the same new value in other columns of all of them."""
    for table in SEALED_TABLES:
        own = [change._asdict() for change in changes if table_of(change.number) is table]
        if own:
            changed = update(table).where(table.c.row_no == bindparam("number"))
            changed = changed.values(key_id=bindparam("key_id_now"), payload=bindparam("payload_now"), **others)
            connection.execute(changed, own)


def open_values(row: SealedRow, keys: UnlockedKeys, deployment: str) -> Mapping[str, bytes]:
    """Return every value of a row in clear, by field code.

    Raises:
        KeyUnavailable: its key is missing.
        IntegrityFailed: a stored byte or a column of the row's header was changed.
    """
    sealed = dict(unpack(row.payload))
    key, holder = keys.opening(row.key_id), of_row(deployment, header_of(row))
    opened = open_many([(key, binding_of(row, holder, code), value) for code, value in sealed.items()])
    return dict(zip(sealed, opened, strict=True))


def _resealed(move: Move, keys: UnlockedKeys, deployment: str) -> bytes:
    row, new = move.row, keys.sealing(move.pair)
    staying = _staying(open_values(row, keys, deployment), move.without)
    holder = of_row(deployment, header_of(row))
    moved = seal_many([(new, binding_of(row, holder, code), plaintext) for code, plaintext in staying.items()])
    return pack(dict(zip(staying, moved, strict=True)))


def _staying(values: Mapping[str, bytes], without: Collection[str]) -> dict[str, bytes]:
    return {code: plaintext for code, plaintext in values.items() if code not in without}
