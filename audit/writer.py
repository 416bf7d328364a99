"""Writing together: those who wait at the same time share one commit, and one signature after it.

There is no thread of its own. One of those who wait leads a round: it waits a moment for those whom the round before
has just served, commits for all, has the head signed, and lets the next one lead. Those who were served wake one after
the other, each by the one before: all at once they would only fight for the interpreter.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection

from audit.checkpoints import Checkpointer
from audit.entries import NewEntry
from audit.events import Event
from audit.journal import Journal
from audit.proving import Claim, prove_claims
from audit.sequencer import BATCH_SIZE, Appended, Sequencer
from audit.together import JointPiece, gather_all
from audit.verifier import Checkpoint
from audit.works import Works
from kernel.database import Database
from kernel.errors import BadInput, Unavailable
from kernel.ids import EntryId
from kernel.shared_writes import Piece

_TOGETHER: Final = 1_024
"""Callers in one commit."""

_WORKS: Final = 64
"""Works among them: each takes most of a millisecond, and they hold a lock together."""

_PATIENCE_MAX: Final = 0.05
"""Seconds that a leader waits at the most: a round may have taken long because of a lock or of the signer."""

_PATIENCE: Final = 0.5
"""How long a leader waits for others, in parts of the round before: a round that serves all of them is worth it."""


@dataclass(frozen=True, slots=True)
class Written:
    """An entry under a signed checkpoint.

    Attributes:
        index: its place in the tree of the checkpoint's origin.
    """

    entry_id: EntryId
    index: int
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Proven:
    """What a round has done for a piece of work.

    Attributes:
        index: of the entry that its claim names, in the tree of the checkpoint's origin; -1 without a claim.
    """

    checkpoint: Checkpoint
    index: int


@dataclass(slots=True, eq=False)
class _Waiting:
    """One caller: what it wants to be written or run, if anything, and what became of it.

    Attributes:
        following: whom to wake next.
    """

    event: Event | None
    piece: Piece | None = field(default=None, repr=False)
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False)
    leads: bool = False
    is_called: bool = False
    following: "_Waiting | None" = field(default=None, repr=False)
    entry_id: str | None = None
    index: int = -1
    checkpoint: Checkpoint | None = None
    error: BaseException | None = field(default=None, repr=False)

    @property
    def claim(self) -> Claim | None:
        """What is to be proven for a receipt; None for nothing."""
        claim = self.piece.result[1] if self.piece is not None and self.piece.result is not None else None
        return claim if isinstance(claim, Claim) else None

    def __post_init__(self) -> None:
        """Close the turn: whoever waits for it sleeps until it is opened."""
        self.turn.acquire()

    def call(self) -> None:
        """Open the turn."""
        self.is_called = True
        self.turn.release()


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
        self._works = Works(database, journal, sequencer, checkpointer)
        self._mutex = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._is_led = False
        self._gathering: _Waiting | None = None
        self._expected = 1
        self._patience_seconds = 0.0
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

    def perform(self, piece: Piece) -> Proven:
        """Run work, with its entries appended, signed for and proven in one round; see ``AuditLog.perform``.

        On PostgreSQL a ``JointPiece`` only, which may come back as left.
        """
        served = self._wait(_Waiting(None, piece))
        if served.checkpoint is None or (served.claim is not None and served.index < 0):
            raise Unavailable("The entry is not known to be signed for", hint="Nothing was opened; try again.")
        return Proven(served.checkpoint, served.index)

    def _wait(self, waiting: _Waiting) -> _Waiting:
        with self._mutex:
            self._queue.append(waiting)
            waiting.leads = not self._is_led
            self._is_led = True
            self._end_gathering(self._expected)
        if not waiting.leads:
            self._sleep(waiting)
        if waiting.leads:
            self._lead(waiting)
        elif waiting.following is not None:
            waiting.following.call()
        if waiting.error is not None:
            raise waiting.error
        return waiting

    def _sleep(self, waiting: _Waiting) -> None:
        """Sleep until the turn comes; whoever is interrupted meanwhile leaves nobody asleep."""
        try:
            waiting.turn.acquire()
        except BaseException:
            self._leave(waiting)
            raise

    def _leave(self, waiting: _Waiting) -> None:
        with self._mutex:
            if waiting in self._queue:
                self._queue.remove(waiting)
                if waiting.leads:
                    self._pass_on()
                return
        if not waiting.is_called:
            waiting.turn.acquire()
        if waiting.following is not None:
            waiting.following.call()

    def _lead(self, leader: _Waiting) -> None:
        """Commit for all who wait, have the head signed, let the next one lead, and wake those who were served."""
        served: list[_Waiting] = []
        patience = 0.0
        try:
            served = self._gather(leader)
            started = time.perf_counter()
            if self._serve(served):
                patience = min(_PATIENCE_MAX, _PATIENCE * (time.perf_counter() - started))
        finally:
            with self._mutex:
                self._patience_seconds = patience
                self._gathering = None
                if leader in self._queue:
                    self._queue.remove(leader)
                self._expected = len(served) + len(self._queue)
                self._pass_on()
            try:
                self._prove(served)
            finally:
                self._wake([one for one in served if one is not leader])

    def _gather(self, leader: _Waiting) -> list[_Waiting]:
        """Return those who wait, once as many have come as the round before left behind, or after a moment."""
        with self._mutex:
            is_short = len(self._queue) < self._expected
            self._gathering = leader if is_short else None
        if is_short:
            leader.turn.acquire(timeout=self._patience_seconds)
        with self._mutex:
            self._gathering = None
            return self._take()

    def _take(self) -> list[_Waiting]:
        """Take those out of the queue who are served now; call it under the mutex."""
        taken: list[_Waiting] = []
        works = 0
        while self._queue and len(taken) < _TOGETHER and works < _WORKS:
            taken.append(self._queue.popleft())
            works += taken[-1].piece is not None
        return taken

    def _end_gathering(self, expected: int) -> None:
        """Let the leader go on when as many wait as it expects; call it under the mutex."""
        if self._gathering is not None and len(self._queue) >= expected:
            self._gathering.turn.release()
            self._gathering = None

    def _pass_on(self) -> None:
        """Let the first of those who wait lead, if there is one; call it under the mutex."""
        self._is_led = bool(self._queue)
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].call()

    def _wake(self, served: Sequence[_Waiting]) -> None:
        """Wake the first one, who wakes the next."""
        for one, following in pairwise(served):
            one.following = following
        if served:
            served[0].call()

    def _serve(self, served: Sequence[_Waiting]) -> bool:
        """Commit, and have the head signed; what went wrong reaches everybody whom it concerns.

        Returns whether all went well.
        """
        appended: list[Appended] = []
        is_well = True
        try:
            self._commit(served, appended)
        except Exception as err:  # noqa: BLE001 - each caller gets it
            is_well = _fail(served, err)
        try:
            self.newest = self._checkpointer.sign_head(appended)
        except Exception as err:  # noqa: BLE001 - each caller gets it
            is_well = _fail(served, err)
        else:
            for one in served:
                one.checkpoint = self.newest
        return is_well

    def _prove(self, served: Sequence[_Waiting]) -> None:
        """Prove the entries that receipts are wanted for, in one snapshot; the next round is on its way meanwhile."""
        signed = served[0].checkpoint if served else None  # one for all of a round
        wanting = [one for one in served if one.error is None and one.claim is not None]
        if signed is None or not wanting:
            return
        try:
            with self._database.read() as connection:
                self._prove_in(connection, wanting, signed)
        except Exception as err:  # noqa: BLE001 - each caller gets it
            _fail(wanting, err)

    def _prove_in(self, connection: Connection, wanting: Sequence[_Waiting], signed: Checkpoint) -> None:
        claims = [one.claim for one in wanting if one.claim is not None]
        for one, said in zip(wanting, prove_claims(connection, claims, signed, self._journal), strict=True):
            if isinstance(said, int):
                one.index = said
            else:
                one.error = said
        pieces = [one.piece for one in wanting if one.error is None]
        gather_all(connection, [piece for piece in pieces if isinstance(piece, JointPiece)])

    def _commit(self, served: Sequence[_Waiting], appended: list[Appended]) -> None:
        writing = [one for one in served if one.event is not None]
        working = [one for one in served if one.piece is not None]
        is_drained = self._work_all(working, appended) if working else False
        if writing:
            is_drained = self._write_all(writing, appended)
        while not is_drained:
            batch = self._sequencer.advance(also=self._checkpointer.store_signed)
            is_drained = batch is None or len(batch.hashes) < BATCH_SIZE
            appended += [] if batch is None else [batch]

    def _work_all(self, working: Sequence[_Waiting], appended: list[Appended]) -> bool:
        is_drained = self._works.run([one.piece for one in working if one.piece is not None], appended)
        for one in working:
            one.error = None if one.piece is None else one.piece.error
        return is_drained

    def _write_all(self, writing: Sequence[_Waiting], appended: list[Appended]) -> bool:
        """Write them in one transaction; where one of them is bad, each in its own, so that it fails alone.

        Returns whether nothing waits in the inbox any more.
        """
        try:
            return self._write_batch(writing, appended)
        except BadInput as err:
            if len(writing) == 1:
                writing[0].error = err
                return False
            drained = [self._write_all([one], appended) for one in writing]
            return drained[-1]

    def _write_batch(self, writing: Sequence[_Waiting], appended: list[Appended]) -> bool:
        made: list[NewEntry] = []

        def encode(connection: Connection, latest: datetime | None) -> list[NewEntry]:
            events = [one.event for one in writing if one.event is not None]
            made.extend(self._journal.encode(connection, events, latest=latest))
            return made

        with self._database.write() as connection:
            batch = self._sequencer.append(connection, encode)
            if batch is not None:
                self._checkpointer.store_signed(connection, batch.origin)
        if batch is None:
            return False
        appended.append(batch)
        for place, (one, entry) in enumerate(zip(writing, made, strict=True), start=batch.size - len(made)):
            one.entry_id, one.index = entry.entry_id, place
        return len(batch.hashes) - len(made) < BATCH_SIZE


def _fail(served: Sequence[_Waiting], error: Exception) -> bool:
    for one in served:
        one.error = one.error or error
    return False
