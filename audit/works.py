"""Runs the works of a round, and appends what they enter by the same commit."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import Connection, text

from audit.checkpoints import Checkpointer
from audit.entries import NewEntry
from audit.journal import Journal
from audit.sequencer import BATCH_SIZE, Appended, Sequencer
from audit.together import JointPiece, draft_all
from kernel.database import Database
from kernel.errors import ConsentryError
from kernel.ids import EntryId
from kernel.shared_writes import Piece, run_shared

_PATIENCE: Final = text("SET LOCAL lock_timeout = '250ms'")
"""How long a round waits for a lock of PostgreSQL's; a closing act holds its own for a fraction of that."""


class Works:
    """The works of those who wait together."""

    def __init__(self, database: Database, journal: Journal, sequencer: Sequencer, checkpointer: Checkpointer) -> None:
        self._database = database
        self._journal = journal
        self._sequencer = sequencer
        self._checkpointer = checkpointer

    def run(self, pieces: Sequence[Piece], appended: list[Appended]) -> bool:
        """Run the work of all in one transaction, and append what it left in the inbox by the same commit.

        Where the log cannot be appended to, the work and its entries stand all the same: they tell of the try.

        Args:
            pieces: of those who wait; on PostgreSQL each is a ``JointPiece``.
            appended: gets what the commit appends.

        Returns:
            whether nothing waits in the inbox any more.
        """
        made: list[Appended] = []
        is_drained = True

        @contextmanager
        def write() -> Iterator[Connection]:
            made.clear()
            with self._database.write() as connection:
                yield connection
            appended.extend(made)  # committed from here on: before, nobody may have it signed

        def append(connection: Connection) -> None:
            nonlocal is_drained
            if not left:
                return  # all were entered behind what waited: nothing can have come since
            try:
                with connection.begin_nested():
                    batch = self._append(connection)
            except ConsentryError:
                is_drained = False  # the round meets the error again by itself, and tells everybody
                return
            if batch is not None:
                made.append(batch)
                is_drained = len(batch.hashes) < BATCH_SIZE

        joint, left = [one for one in pieces if isinstance(one, JointPiece)], list(pieces)

        def enter_joint(connection: Connection) -> list[Piece]:
            nonlocal left
            entered = self._enter_joint(connection, joint, made)
            left = [one for one in pieces if one not in entered]
            return left

        if self._database.is_sqlite:
            run_shared(write, pieces, append, enter_joint if joint else None)
        else:
            is_drained = self._run_joint(write, joint, made)
        return is_drained

    def _run_joint(
        self, write: Callable[[], AbstractContextManager[Connection]], joint: list[JointPiece], made: list[Appended]
    ) -> bool:
        """Enter all that can be entered together in one transaction, and leave the others to their callers.

        Their own works lock in an order of their own: of several in one transaction the locks could cross. And where
        somebody holds a lock for long, only who needs it shall wait: then all are left, each to a transaction of its
        own.

        Returns whether nothing waits in the inbox any more.
        """
        entered: list[JointPiece] | None = None
        try:
            with write() as connection:
                connection.execute(_PATIENCE)
                entered = self._enter_joint(connection, joint, made)
        except Exception as err:  # noqa: BLE001 - each caller gets it
            for one in entered or ():
                one.error = err
        for one in joint:
            if entered is None or one not in entered:
                one.is_left, one.result = True, None
        return bool(entered)

    def _enter_joint(self, connection: Connection, joint: list[JointPiece], made: list[Appended]) -> list[JointPiece]:
        """Enter together what can be, after all that waits in the inbox; returns whose work is done."""
        drafts = draft_all(connection, joint)
        if not drafts:
            return []
        entries: list[NewEntry] = []

        def encode(connection: Connection, latest: datetime | None) -> list[NewEntry]:
            events = [event for _, draft in drafts for event in draft.events]
            entries.extend(self._journal.encode(connection, events, latest=latest))
            return entries

        batch = self._sequencer.append(connection, encode, behind_all=True)
        if batch is None:
            raise AssertionError("every draft has an event")
        self._checkpointer.store_signed(connection, batch.origin)
        made.append(batch)
        ids = iter(entries)
        for one, draft in drafts:
            one.result = draft.finish([EntryId(entry.entry_id) for entry in islice(ids, len(draft.events))])
        return [one for one, _ in drafts]

    def _append(self, connection: Connection) -> Appended | None:
        batch = self._sequencer.append(connection)
        if batch is not None:
            self._checkpointer.store_signed(connection, batch.origin)
        return batch
