"""Moves wrapped keys from a closing epoch to the open one, a chunk at a time. For the modules of this package alone.

A chunk is read and wrapped anew without a lock; only its update holds one, and it takes no key that an erasure has
destroyed meanwhile. Rows are taken in the order in which they lie on disk, so that each page is written once: by the
order of their random ids a chunk of a thousand keys would touch a thousand pages.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, literal_column, select, text, update

from kernel.errors import IntegrityFailed
from vault._keyring import Keyring, keep_epoch
from vault._keys import WrappingKey, blinding_key_context, data_key_context, named_key_context
from vault.tables import blinding_key, data_key, epoch, named_key

_FIRST: Final = 1_000
_LARGEST: Final = 20_000
_HELD_SECONDS: Final = 0.06
"""How long an update should hold the lock; 0.25 seconds are promised."""

_PG_PAGE_BYTES: Final = 8192


@dataclass(slots=True)
class Chunking:
    """How many rows to take at once, from how long the last ones held the lock."""

    rows: int = field(default_factory=lambda: _FIRST)

    def took(self, seconds: float) -> None:
        """Take more or fewer from now on; never more than twice as many."""
        wanted = self.rows * _HELD_SECONDS / max(seconds, _HELD_SECONDS / 2)
        self.rows = max(1, min(_LARGEST, int(wanted)))


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves the keys of one closing epoch.

    Attributes:
        told: hears how many more keys have moved.
        at: called at each point where a crash leaves another state, with its name.
    """

    keyring: Keyring
    epoch_id: str
    told: Callable[[int], None]
    at: Callable[[str], None]

    def run(self) -> int:
        """Move every key to the open epoch, and return how many are left.

        Keys that were changed cannot be moved and are left; all others move.

        Raises:
            KeyStoreEmpty: there is no open epoch.
            RootKeyWrong: the custodian holds another root key.
        """
        for table in _BOUND_TO:
            while self._pass(_walk(self.keyring, table)):
                pass  # once more, for keys that lay where the pass had been
        return sum(self._left(table) for table in _BOUND_TO)

    def _left(self, table: Table) -> int:
        """Return how many keys hang on the epoch; since it is closing there are never more afterwards."""
        with self.keyring.database.read() as connection:
            query = select(func.count()).select_from(table).where(table.c.epoch_id == self.epoch_id)
            return connection.execute(query).scalar_one()

    def _pass(self, walk: "_Walk") -> int:
        moved = 0
        for rows in walk.chunks(self.epoch_id):
            number = self._move(walk, rows)
            moved += number
            self.told(number)
            self.at(f"epoch.moved.{walk.table.name}")
        return moved

    def _move(self, walk: "_Walk", rows: Sequence[Row[*tuple[Any, ...]]]) -> int:
        """Wrap some keys anew and store them, unless another process has ended or closed one of the epochs since."""
        with self.keyring.database.read() as connection:
            old, new = self.keyring.find_epoch(connection, self.epoch_id), self.keyring.open_epoch(connection)
        wrapped = [] if old is None else list(_rewrapped(rows, old, new, _BOUND_TO[walk.table][0]))
        if not wrapped:
            return 0
        with self.keyring.database.write() as connection:
            started = time.perf_counter()
            if keep_epoch(connection) != new.epoch_id:
                return 0
            moved = walk.store(connection, wrapped, old=self.epoch_id, new=new.epoch_id)
            count = func.coalesce(epoch.c.rewrapped, 0) + moved
            connection.execute(update(epoch).where(epoch.c.epoch_id == self.epoch_id).values(rewrapped=count))
        walk.chunking.took(time.perf_counter() - started)
        return moved


def _rewrapped(
    rows: Sequence[Row[*tuple[Any, ...]]], old: WrappingKey, new: WrappingKey, context_of: Callable[..., bytes]
) -> Iterator[tuple[Any, bytes, bytes]]:
    """Yield place, id and wrapped key of those that can be moved; the columns of ``_Walk`` come in its order."""
    for row in rows:
        context = context_of(row[1], *row[3:])
        try:
            key = old.unwrap(row[2], context)
        except IntegrityFailed:
            continue  # it is counted among those that are left, which keep the epoch alive
        yield row[0], row[1], new.wrap(key, context)


class _Walk(ABC):
    """Goes through a table in the order of its pages."""

    def __init__(self, keyring: Keyring, table: Table) -> None:
        self.table = table
        self.chunking = Chunking()
        self._database = keyring.database

    def _query(self, place: ColumnElement[Any], epoch_id: str) -> Select[*tuple[Any, ...]]:
        columns = self.table.c
        return select(place, columns.key_id, columns.wrapped, *_BOUND_TO[self.table][1]).where(
            columns.epoch_id == epoch_id
        )

    @abstractmethod
    def chunks(self, epoch_id: str) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
        """Yield the epoch's keys, each with its ``place``."""

    @abstractmethod
    def store(self, connection: Connection, wrapped: Sequence[tuple[Any, bytes, bytes]], *, old: str, new: str) -> int:
        """Store wrapped keys under another epoch where they are still there, and return how many."""


class _SqliteWalk(_Walk):
    """By row number, which is the order of the pages; a VACUUM may give other ones, so that ids are compared, too."""

    def chunks(self, epoch_id: str) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
        place: Any = literal_column("rowid").label("place")
        query = self._query(place, epoch_id).order_by(place)
        after = -1
        while True:
            with self._database.read() as connection:
                rows = connection.execute(query.where(place > after).limit(self.chunking.rows)).all()
            if not rows:
                return
            after = rows[-1].place
            yield rows

    def store(self, connection: Connection, wrapped: Sequence[tuple[Any, bytes, bytes]], *, old: str, new: str) -> int:
        statement = (
            f"UPDATE {self.table.name} SET wrapped = ?, epoch_id = ? WHERE rowid = ? AND key_id = ? AND epoch_id = ?"
        )
        rows = [(blob, new, place, key_id, old) for place, key_id, blob in wrapped]
        return connection.exec_driver_sql(statement, rows).rowcount


class _PostgresWalk(_Walk):
    """By ranges of pages, of those that were there at the beginning: newer ones hold what has moved or is new."""

    def chunks(self, epoch_id: str) -> Iterator[Sequence[Row[*tuple[Any, ...]]]]:
        name = self.table.name
        place: Any = literal_column("ctid::text").label("place")
        query = self._query(place, epoch_id).where(text(_IN_PAGES))
        with self._database.read() as connection:
            pages = connection.execute(select(func.pg_relation_size(name))).scalar_one() // _PG_PAGE_BYTES
            rows = connection.execute(select(func.count()).select_from(self.table)).scalar_one()
        rows_in_page = max(1, rows // max(1, pages))
        first = 0
        while first < pages:
            end = first + max(1, self.chunking.rows // rows_in_page)
            with self._database.read() as connection:
                found = connection.execute(query, _pages(first, end)).all()
            if found:
                yield found
            first = end

    def store(self, connection: Connection, wrapped: Sequence[tuple[Any, bytes, bytes]], *, old: str, new: str) -> int:
        pages = [int(place[1:].split(",")[0]) for place, _, _ in wrapped]
        statement = text(
            f"UPDATE {self.table.name} AS t SET wrapped = v.wrapped, epoch_id = :new "
            "FROM unnest(CAST(:key_ids AS bytea[]), CAST(:blobs AS bytea[])) AS v (key_id, wrapped) "
            f"WHERE t.key_id = v.key_id AND t.epoch_id = :old AND {_IN_PAGES}"
        )
        values = {"new": new, "old": old, "key_ids": [key_id for _, key_id, _ in wrapped]}
        values["blobs"] = [blob for _, _, blob in wrapped]
        return connection.execute(statement, values | _pages(min(pages), max(pages) + 1)).rowcount


_IN_PAGES: Final = "ctid >= CAST(:first_page AS tid) AND ctid < CAST(:end_page AS tid)"


def _pages(first: int, end: int) -> dict[str, str]:
    return {"first_page": f"({first},0)", "end_page": f"({end},0)"}


def _walk(keyring: Keyring, table: Table) -> _Walk:
    return (_SqliteWalk if keyring.database.is_sqlite else _PostgresWalk)(keyring, table)


_BOUND_TO: Final[Mapping[Table, tuple[Callable[..., bytes], Sequence[ColumnElement[Any]]]]] = {
    named_key: (named_key_context, (named_key.c.kind, named_key.c.name, named_key.c.version, named_key.c.suite)),
    blinding_key: (blinding_key_context, (blinding_key.c.subject_id, blinding_key.c.generation, blinding_key.c.suite)),
    data_key: (data_key_context, (data_key.c.subject_id, data_key.c.compartment, data_key.c.suite)),
}
"""What a wrapped key is bound to besides its id, in the order in which its context takes it."""
