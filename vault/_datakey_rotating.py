"""The steps of a rotation of data keys; ``vault.data_rotation`` says why. For the modules of this package alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, String, Table, and_, literal, select, tuple_

from consent.standing import Standing, find_standings, lock_subjects
from kernel.catalogue import Compartment
from kernel.clock import from_micros
from kernel.database import Database
from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from vault._identifiers import carry_identifiers
from vault._keyring import Keyring, keep_epoch
from vault._keys import KeyUnavailable, Pair, UnlockedKeys
from vault._resealing import Move, reseal
from vault._rotation_rows import RotationRow, advance, finish
from vault._rows import SealedRow, columns_of
from vault.keystore import destroy_keys
from vault.setwise import among
from vault.tables import SEALED_TABLES, data_key
from vault.tombstones import bury

_PAIRS: Final = 200
"""Subjects and compartments whose keys are in memory together."""

_ROWS: Final = 300
"""Rows sealed anew in one transaction: well below 250 ms of lock."""


@dataclass(frozen=True, slots=True)
class DataRotation:
    """How a rotation of data keys ended.

    Attributes:
        keys: destroyed.
        rows: sealed under successors.
        left: keys that stay, because a row under them was changed or its subject is being erased.
    """

    keys: int
    rows: int
    left: int


class Leaving(NamedTuple):
    """Keys of one chunk that are to go."""

    by_pair: dict[Pair, set[bytes]]
    last: Pair

    @property
    def subjects(self) -> list[SubjectId]:
        """Whose they are."""
        return sorted({subject for subject, _ in self.by_pair})

    @property
    def key_ids(self) -> set[bytes]:
        """Their ids."""
        return set[bytes]().union(*self.by_pair.values())


@dataclass(slots=True)
class Chunk:
    """What came of one chunk: keys that must stay, and rows that moved."""

    staying: set[bytes] = field(default_factory=set)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class DataRotating:
    """One rotation under way.

    Attributes:
        told: hears how many more keys were looked after.
        at: called at each point where a crash leaves another state, with its name.
    """

    keyring: Keyring
    data: Database
    deployment: str
    row: RotationRow
    told: Callable[[int], None]
    at: Callable[[str], None]

    def run(self) -> DataRotation:
        """Go through all keys of the scope, from where the rotation stands."""
        position = self.row.position
        while (leaving := self._after(position)) is not None:
            position = _written(leaving.last)
            self._make_successors(leaving)
            self.at("keys.made")
            chunk = self._move(leaving)
            self.at("keys.moved")
            self._destroy(leaving, chunk, position)
            self.at("keys.chunk")
            self.told(len(leaving.key_ids))
        with self.keyring.database.write() as connection:
            counts = finish(connection, self.row.rotation_id, now=self.keyring.clock.now()).counts
        self.at("keys.done")
        return DataRotation(counts.get("keys", 0), counts.get("rows", 0), counts.get("left", 0))

    def _after(self, position: str) -> Leaving | None:
        with self.keyring.database.read() as connection:
            rows = connection.execute(self._query(position)).all()
        found: dict[Pair, set[bytes]] = {}
        for row in rows:
            found.setdefault((SubjectId(row.subject_id), Compartment(row.compartment)), set()).add(row.key_id)
        if len(rows) == _PAIRS and len(found) > 1:
            found.popitem()  # there may be more keys of the last one
        return Leaving(found, list(found)[-1]) if found else None  # by the store's own order

    def _query(self, position: str) -> Select[*tuple[Any, ...]]:
        columns, scope = data_key.c, self.row.scope
        conditions = [columns.created_at <= from_micros(scope["until"])]
        if scope["subject"] is not None:
            conditions.append(columns.subject_id == scope["subject"])
        if scope["compartment"] is not None:
            conditions.append(columns.compartment == scope["compartment"])
        if scope["suite"] is not None:
            conditions.append(columns.suite != scope["suite"])
        subject, _, compartment = position.partition(":")
        after = tuple_(literal(subject, String), literal(compartment, String))
        return (
            select(columns.key_id, columns.subject_id, columns.compartment)
            .where(and_(*conditions), tuple_(columns.subject_id, columns.compartment) > after)
            .order_by(columns.subject_id, columns.compartment)
            .limit(_PAIRS)
        )

    def _make_successors(self, leaving: Leaving) -> None:
        """Make the keys durable that everything moves to; from this commit on new rows are sealed under them."""
        with self.keyring.database.read() as connection:
            self.keyring.open_epoch(connection)  # so that nobody waits for a custodian while others wait for the lock
        with self.keyring.database.write() as connection:
            self.keyring.make_successors(connection, leaving.by_pair)

    # moving

    def _move(self, leaving: Leaving) -> Chunk:
        """Seal rows anew, some at a time; when this returns, keys that are not to stay seal no row any more."""
        chunk = Chunk()
        for table in SEALED_TABLES:
            after: int | None = None
            while (after := self._move_some(table, leaving, after, chunk)) is not None:
                self.at("keys.rows")
        return chunk

    def _move_some(self, table: Table, leaving: Leaving, after: int | None, chunk: Chunk) -> int | None:
        """Seal some rows anew, and return the number of the last one; None when there is no more."""
        with self.data.write() as connection:
            lock_subjects(connection, leaving.subjects, exclusive=True)
            erasing = self._erasing(connection, leaving, chunk)
            rows = _rows_under(connection, table, leaving, after)
            moves = [Move(row) for row in rows if row.subject_id not in erasing]
            compartments = {compartment for _, compartment in leaving.by_pair}
            with self.keyring.unlocked({move.pair[0] for move in moves}, compartments) as keys:
                chunk.rows += self._reseal(connection, moves, keys, chunk)
        return rows[-1].row_no if rows else None

    def _erasing(self, connection: Connection, leaving: Leaving, chunk: Chunk) -> set[str]:
        """Return who is being erased: those keys are the erasure's, and none may appear or go beside it."""
        standings = find_standings(connection, leaving.subjects)
        erasing = {subject for subject, standing in standings.items() if standing.state is Standing.ERASING}
        for (subject, _), key_ids in leaving.by_pair.items():
            if subject in erasing:
                chunk.staying |= key_ids
        return set(erasing)

    def _reseal(self, connection: Connection, moves: Sequence[Move], keys: UnlockedKeys, chunk: Chunk) -> int:
        """Seal rows anew; one that does not verify stays as it is, and its key with it."""
        try:
            reseal(connection, moves, keys, deployment=self.deployment)
        except (IntegrityFailed, KeyUnavailable):
            return sum(self._reseal_one(connection, move, keys, chunk) for move in moves)
        return len(moves)

    def _reseal_one(self, connection: Connection, move: Move, keys: UnlockedKeys, chunk: Chunk) -> int:
        try:
            reseal(connection, [move], keys, deployment=self.deployment)
        except (IntegrityFailed, KeyUnavailable):
            chunk.staying.add(move.row.key_id)
            return 0
        return 1

    # the end of the old keys

    def _destroy(self, leaving: Leaving, chunk: Chunk, position: str) -> None:
        """Destroy the keys that seal nothing any more, with tombstones in both stores."""
        free = {pair: key_ids - chunk.staying for pair, key_ids in leaving.by_pair.items()}
        gone = sorted(set[bytes]().union(*free.values()))
        with self.keyring.database.write() as connection:
            keep_epoch(connection)
            for subject in leaving.subjects:
                own = set[bytes]().union(*(key_ids for pair, key_ids in free.items() if pair[0] == subject))
                carry_identifiers(connection, self.keyring, subject, leaving=own)
            destroy_keys(connection, gone, erasure=self.row.rotation_id, clock=self.keyring.clock)
            counts = {"keys": len(gone), "rows": chunk.rows, "left": len(leaving.key_ids) - len(gone)}
            advance(connection, self.row.rotation_id, position=position, counts=counts)
        self.at("keys.destroyed")
        with self.data.write() as connection:
            bury(connection, gone, erasure_id=self.row.rotation_id, at=self.keyring.clock.now())


def _rows_under(connection: Connection, table: Table, leaving: Leaving, after: int | None) -> list[SealedRow]:
    """Return some rows under the leaving keys, in the order of their numbers."""
    query = select(*columns_of(table)).where(
        among(connection, table.c.subject_id, leaving.subjects), table.c.payload.is_not(None)
    )
    if after is not None:
        query = query.where(table.c.row_no > after)
    under = query.where(table.c.key_id.in_(sorted(leaving.key_ids)))
    return list(connection.execute(under.order_by(table.c.row_no).limit(_ROWS)))


def _written(pair: Pair) -> str:
    return f"{pair[0]}:{pair[1].value}"
