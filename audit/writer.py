"""Writing together: those who wait at the same time share one commit, and one signature after it.

There is no thread of its own. One of those who wait leads: it commits for all, lets the next one lead the next commit,
and has the head signed meanwhile; then it wakes those whom its commit served. Each sleeps and wakes once.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.checkpoints import Checkpointer
from audit.entries import NewEntry
from audit.events import Event
from audit.journal import Journal
from audit.sequencer import BATCH_SIZE, Appended, Sequencer
from audit.verifier import Checkpoint
from kernel.database import Database
from kernel.errors import BadInput, Unavailable
from kernel.ids import EntryId

_TOGETHER: Final = 1_024
"""Callers in one commit."""


@dataclass(frozen=True, slots=True)
class Written:
    """An entry under a signed checkpoint.

    Attributes:
        index: its place in the tree of the checkpoint's origin.
    """

    entry_id: EntryId
    index: int
    checkpoint: Checkpoint


@dataclass(slots=True, eq=False)
class _Waiting:
    """One caller: what it wants to be written, if anything, and what became of it."""

    event: Event | None
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False)
    leads: bool = False
    entry_id: str | None = None
    index: int = -1
    checkpoint: Checkpoint | None = None
    error: Exception | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Close the turn: whoever waits for it sleeps until it is opened."""
        self.turn.acquire()


class GroupWriter:
    """Appends entries and has them signed, for all who wait; safe for many threads, beside other processes.

    Attributes:
        newest: the checkpoint that this process was given last; None before the first.
    """

    def __init__(self, database: Database, journal: Journal, sequencer: Sequencer, checkpointer: Checkpointer) -> None:
        self._database = database
        self._journal = journal
        self._sequencer = sequencer
        self._checkpointer = checkpointer
        self._mutex = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._is_led = False
        self._unsigned: list[Appended] = []
        self._signing = threading.Lock()
        self.newest: Checkpoint | None = None

    def write(self, event: Event) -> Written:
        """Write one entry; see ``AuditLog.write``."""
        served = self._wait(_Waiting(event))
        if served.entry_id is None or served.checkpoint is None:
            raise Unavailable("The entry's fate is unknown", hint="Nothing was opened; try again.")
        return Written(EntryId(served.entry_id), served.index, served.checkpoint)

    def settle(self) -> Checkpoint:
        """Sequence what waits and have the head signed; see ``AuditLog.settle``."""
        served = self._wait(_Waiting(None))
        if served.checkpoint is None:
            raise Unavailable("The log's head is not known to be signed", hint="Nothing was opened; try again.")
        return served.checkpoint

    def _wait(self, waiting: _Waiting) -> _Waiting:
        with self._mutex:
            self._queue.append(waiting)
            waiting.leads = not self._is_led
            self._is_led = True
        if not waiting.leads:
            waiting.turn.acquire()
        if waiting.leads:
            self._lead()
        if waiting.error is not None:
            raise waiting.error
        return waiting

    def _lead(self) -> None:
        """Commit for all who wait now, let the next one lead, and have the head signed; the leader is the first."""
        with self._mutex:
            served = [self._queue.popleft() for _ in range(min(_TOGETHER, len(self._queue)))]
        try:
            self._commit(served)
        finally:
            self._pass_on()
            self._finish(served)

    def _finish(self, served: Sequence[_Waiting]) -> None:
        """Have the head signed, and wake those whom it covers."""
        try:
            signed = self._sign()
        except Exception as err:  # noqa: BLE001 - each caller gets it
            for one in served:
                one.error = one.error or err
        else:
            for one in served:
                one.checkpoint = signed
        finally:
            for one in served[1:]:
                one.turn.release()

    def _pass_on(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].turn.release()
            else:
                self._is_led = False

    def _commit(self, served: Sequence[_Waiting]) -> None:
        writing = [one for one in served if one.event is not None]
        try:
            is_drained = self._write_all(writing) if writing else False
            while not is_drained:
                appended = self._sequencer.advance(also=self._checkpointer.store_signed)
                self._keep(appended)
                is_drained = appended is None or len(appended.hashes) < BATCH_SIZE
        except Exception as err:  # noqa: BLE001 - each caller gets it
            for one in served:
                one.error = one.error or err

    def _write_all(self, writing: Sequence[_Waiting]) -> bool:
        """Write them in one transaction; where one of them is bad, each in its own, so that it fails alone.

        Returns whether nothing waits in the inbox any more.
        """
        try:
            return self._write_batch(writing)
        except BadInput as err:
            if len(writing) == 1:
                writing[0].error = err
                return False
            drained = [self._write_all([one]) for one in writing]
            return drained[-1]

    def _write_batch(self, writing: Sequence[_Waiting]) -> bool:
        made: list[NewEntry] = []

        def encode(connection: Connection, latest: datetime | None) -> list[NewEntry]:
            events = [one.event for one in writing if one.event is not None]
            made.extend(self._journal.encode(connection, events, latest=latest))
            return made

        with self._database.write() as connection:
            appended = self._sequencer.append(connection, encode)
            if appended is not None:
                self._checkpointer.store_signed(connection, appended.origin)
        self._keep(appended)
        first = 0 if appended is None else appended.size - len(made)
        for place, (one, entry) in enumerate(zip(writing, made, strict=True), start=first):
            one.entry_id, one.index = entry.entry_id, place
        return appended is not None and len(appended.hashes) - len(made) < BATCH_SIZE

    def _keep(self, appended: Appended | None) -> None:
        if appended is not None:
            with self._mutex:
                self._unsigned.append(appended)

    def _sign(self) -> Checkpoint:
        """Have signed all that this process has committed by now; one at a time, in the order of the commits."""
        with self._signing:
            with self._mutex:
                appended, self._unsigned = self._unsigned, []
            self.newest = self._checkpointer.sign_head(appended)
            return self.newest
