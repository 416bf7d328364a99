"""Writers who wait at the same time share one transaction, and one commit with its flushes.

SQLite has one writer at a time, and a commit costs several flushes of the disk: of many short writers who each wait for
their own, most of the time goes into flushing. One of those who wait leads: it runs the work of all in one transaction,
each in a savepoint of its own, commits once, and lets the next one lead.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from kernel.errors import ConsentryError

_T = TypeVar("_T")

_AT_ONCE: Final = 64
"""Pieces of work in one transaction; they hold the write lock together."""


@dataclass(slots=True, eq=False)
class Piece:
    """One caller's work, and what became of it."""

    work: Callable[[Connection], Any] = field(repr=False)
    result: Any = field(default=None, repr=False)
    error: BaseException | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class _Waiting(Piece):
    """One caller who waits for its turn."""

    turn: threading.Event = field(default_factory=threading.Event, repr=False)
    leads: bool = False


class SharedWrites:
    """Runs pieces of work in transactions that their callers share; safe for many threads."""

    def __init__(self, write: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._write = write
        self._mutex = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._is_led = False

    def run(self, work: Callable[[Connection], _T]) -> _T:
        """Return what the work returns, once the transaction that it ran in is committed.

        Work that raises a ``ConsentryError`` leaves nothing behind, and the others stand. After any other error nothing
        of the transaction stands, and each piece of work but the one at fault runs again in a transaction of its own.
        """
        own = _Waiting(work)
        with self._mutex:
            self._queue.append(own)
            own.leads, self._is_led = not self._is_led, True
        if not own.leads:
            own.turn.wait()
        if own.leads:
            self._lead()
        if own.error is not None:
            raise own.error
        result: _T = own.result
        return result

    def _lead(self) -> None:
        """Serve all who wait, this caller among them, and hand over."""
        with self._mutex:
            served = [self._queue.popleft() for _ in range(min(_AT_ONCE, len(self._queue)))]
        try:
            self._serve(served)
        finally:
            with self._mutex:
                self._is_led = bool(self._queue)
                if self._queue:
                    self._queue[0].leads = True
                    self._queue[0].turn.set()
            for one in served:
                one.turn.set()

    def _serve(self, served: Sequence[Piece]) -> None:
        run_shared(self._write, served)


def run_shared(
    write: Callable[[], AbstractContextManager[Connection]],
    pieces: Sequence[Piece],
    last: Callable[[Connection], None] | None = None,
) -> None:
    """Run pieces of work in one transaction, each in a savepoint; what went wrong stands in each piece.

    Args:
        write: opens a transaction.
        pieces: of those who wait; where one of them fails by another error than a refusal, each of the others runs
            again in a transaction of its own.
        last: what else belongs into the transaction, after all of them.
    """
    at_fault: Piece | None = None
    try:
        with write() as connection:
            for one in pieces:
                at_fault = one
                _run_inside(one, connection)
            at_fault = None
            if last is not None:
                last(connection)
    except BaseException as err:  # noqa: BLE001 - each caller is told
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
