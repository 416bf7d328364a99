"""Writing together: those who wait at the same time share one commit, and one signature after it.

The commit of the next round runs while the signature of this one is flushed: each has rounds of its own.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from audit.checkpoints import Checkpointer
from audit.events import Event
from audit.journal import Journal
from audit.rounds import SharedRounds
from audit.sequencer import BATCH_SIZE, Appended, NewEntry, Sequencer
from audit.verifier import Checkpoint
from kernel.database import Database
from kernel.errors import BadInput, Unavailable
from kernel.ids import EntryId

_TOGETHER: Final = 1_024
"""Entries of callers in one commit."""


@dataclass(frozen=True, slots=True)
class Written:
    """An entry under a signed checkpoint.

    Attributes:
        index: its place in the tree of the checkpoint's origin.
    """

    entry_id: EntryId
    index: int
    checkpoint: Checkpoint


@dataclass(slots=True)
class _Waiting:
    """One caller's event, and what became of it."""

    event: Event
    entry_id: str | None = None
    index: int = -1
    error: Exception | None = field(default=None, repr=False)

    def is_served(self) -> bool:
        """Say whether it stands, or failed."""
        return self.entry_id is not None or self.error is not None


class GroupWriter:
    """Appends entries and has them signed, for all who wait; safe for many threads, beside other processes."""

    def __init__(self, database: Database, journal: Journal, sequencer: Sequencer, checkpointer: Checkpointer) -> None:
        self._database = database
        self._journal = journal
        self._sequencer = sequencer
        self._checkpointer = checkpointer
        self._mutex = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._unsigned: list[Appended] = []
        self._commits = SharedRounds(self._commit)
        self._signatures = SharedRounds(self._sign)

    def write(self, event: Event) -> Written:
        """Write one entry; see ``AuditLog.write``."""
        waiting = _Waiting(event)
        with self._mutex:
            self._waiting.append(waiting)
        self._commits.run(waiting.is_served)
        if waiting.error is not None:
            raise waiting.error
        if waiting.entry_id is None:
            raise Unavailable("The entry's fate is unknown", hint="Nothing was opened; try again.")
        return Written(EntryId(waiting.entry_id), waiting.index, self._signatures.run())

    def settle(self) -> Checkpoint:
        """Sequence what waits and have the head signed; see ``AuditLog.settle``."""
        self._commits.run()
        return self._signatures.run()

    def _commit(self) -> None:
        with self._mutex:
            taken, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
        if taken:
            self._write_all(taken)
        while (appended := self._sequencer.advance(also=self._checkpointer.store_signed)) is not None:
            self._keep(appended)
            if len(appended.hashes) < BATCH_SIZE:
                break
        if self._waiting:
            self._commit()

    def _write_all(self, taken: Sequence[_Waiting]) -> None:
        """Write them in one transaction; where one of them is bad, each in its own, so that it fails alone."""
        try:
            self._write_batch(taken)
        except BadInput as err:
            if len(taken) == 1:
                taken[0].error = err
                return
            for one in taken:
                self._write_all([one])

    def _write_batch(self, taken: Sequence[_Waiting]) -> None:
        made: list[NewEntry] = []

        def encode(connection: Connection) -> list[NewEntry]:
            made.extend(self._journal.encode(connection, [one.event for one in taken]))
            return made

        try:
            with self._database.write() as connection:
                appended = self._sequencer.append(connection, encode)
                self._checkpointer.store_signed(connection)
        except BadInput:
            raise
        except Exception as err:  # noqa: BLE001 - each caller gets it
            for one in taken:
                one.error = err
            return
        if appended is None:
            raise AssertionError("entries were appended")
        self._keep(appended)
        first = appended.size - len(made)
        for place, (one, entry) in enumerate(zip(taken, made, strict=True), start=first):
            one.entry_id, one.index = entry.entry_id, place

    def _keep(self, appended: Appended) -> None:
        with self._mutex:
            self._unsigned.append(appended)

    def _sign(self) -> Checkpoint:
        with self._mutex:
            appended, self._unsigned = self._unsigned, []
        return self._checkpointer.sign_head(appended)
