"""Writers who wait at the same time share one transaction, and one commit with its flushes.

SQLite has one writer at a time, and a commit costs several flushes of the disk: of many short writers who each wait for
their own, most of the time goes into flushing. Their work runs in one transaction, each in a savepoint of its own. Who
waits for whom is the caller's affair: see ``audit.writer``.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from kernel.errors import ConsentryError


@dataclass(slots=True, eq=False)
class Piece:
    """One caller's work, and what became of it."""

    work: Callable[[Connection], Any] = field(repr=False)
    result: Any = field(default=None, repr=False)
    error: BaseException | None = field(default=None, repr=False)


def run_shared(
    write: Callable[[], AbstractContextManager[Connection]],
    pieces: Sequence[Piece],
    last: Callable[[Connection], None] | None = None,
    first: Callable[[Connection], Sequence[Piece]] | None = None,
) -> None:
    """Run pieces of work in one transaction, each in a savepoint; what went wrong stands in each piece.

    Args:
        write: opens a transaction.
        pieces: of those who wait; where one of them fails by another error than a refusal, each of the others runs
            again in a transaction of its own.
        last: what else belongs into the transaction, after all of them.
        first: does the work of some of them together, and returns those that are left; where it fails, nothing of it
            stands and all of them run without it, unless it is the store that cannot be used.
    """
    at_fault: Piece | None = None
    is_together = False
    try:
        with write() as connection:
            is_together = first is not None
            try:
                left = pieces if first is None else first(connection)
            except OperationalError:
                is_together = False  # the store's own failure is told, and not tried again for each
                raise
            is_together = False
            for one in left:
                at_fault = one
                _run_inside(one, connection)
            at_fault = None
            if last is not None:
                last(connection)
    except BaseException as err:  # noqa: BLE001 - each caller is told
        if is_together and isinstance(err, Exception):
            run_shared(write, pieces, last)
            return
        if len(pieces) > 1 and at_fault is not None:
            at_fault.error = err
            for one in pieces:
                if one is not at_fault:
                    run_shared(write, [one], last)
            return
        for one in pieces:
            one.error = err


def _run_inside(one: Piece, connection: Connection) -> None:
    one.error = None
    try:
        with connection.begin_nested():
            one.result = one.work(connection)
    except ConsentryError as err:
        one.error = err
