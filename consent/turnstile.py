"""Fairness of locks on PostgreSQL: whoever is about to close something is not overtaken for ever.

A row that is locked FOR SHARE lets further sharers in past a waiting FOR UPDATE (PostgreSQL's README.tuplock), so that
a steady stream of checks could hold off a withdrawal without end. Advisory locks queue: both sides take them first,
shared or exclusive, and keep them until the transaction ends. Order and correctness rest on the row locks; a false
conflict here costs a moment and nothing else. SQLite has one writer at a time and needs none of it.
"""

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any, Final
from zlib import crc32

from sqlalchemy import ARRAY, Connection, Integer, Select, bindparam, func, select

NOTICES: Final = "notices"
"""Stands for the editions of all notices."""

_SPACE: Final = 0x636F6E73
"""Keeps our keys apart from other users of advisory locks: "cons" in ASCII."""

_GATES: Final = 256
"""Of subjects; bounds the locks of one transaction, since PostgreSQL's shared table holds some thousands for all."""


def queue(connection: Connection, names: Collection[str], *, exclusive: bool) -> None:
    """Wait for everybody who came before and is in the way, in one order for all: subjects first, then the notices."""
    if names:
        _pass(connection, sorted({_gate(name) for name in names}), exclusive=exclusive)


def queue_for_everybody(connection: Connection, *, exclusive: bool) -> None:
    """Wait as ``queue`` does for every subject there is and for the notices."""
    _pass(connection, range(_GATES + 1), exclusive=exclusive)


def _gate(name: str) -> int:
    return _GATES if name == NOTICES else crc32(name.encode()) % _GATES


def _pass(connection: Connection, gates: Iterable[int], *, exclusive: bool) -> None:
    if connection.dialect.name != "sqlite":
        connection.execute(_statement(exclusive=exclusive), {"gates": list(gates)}).all()


@cache
def _statement(*, exclusive: bool) -> Select[*tuple[Any, ...]]:
    gate = func.unnest(bindparam("gates", type_=ARRAY(Integer))).column_valued("gate")
    lock = func.pg_advisory_xact_lock if exclusive else func.pg_advisory_xact_lock_shared
    return select(lock(_SPACE, gate))
