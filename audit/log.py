"""The audit log as the other parts use it: record, settle, receipt, export."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from audit.checkpoints import Checkpointer
from audit.events import Event
from audit.export import ExportSummary, export_log
from audit.journal import Journal
from audit.lag import Lag, LagWatch, read_lag
from audit.proving import NOT_PROVEN, Claim, LogUnavailable, not_proven, prove_claims
from audit.receipts import _MINT, Binding, Receipt
from audit.sequencer import Sequencer
from audit.together import Joint, JointPiece, Performed
from audit.verifier import Checkpoint
from audit.writer import GroupWriter, Written
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import IntegrityFailed
from kernel.ids import EntryId, SubjectId
from kernel.shared_writes import Piece

__all__ = ["AuditLog", "Claim", "LogUnavailable"]

_T = TypeVar("_T")


class AuditLog:
    """The log of one data store.

    Call ``write``, ``settle``, ``receipt`` and ``export`` outside any transaction: they open their own.
    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        sequencer: Sequencer,
        checkpointer: Checkpointer,
        *,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._lag_watch = LagWatch(elapsed)
        self._journal = journal
        self._checkpointer = checkpointer
        self._writer = GroupWriter(database, journal, sequencer, checkpointer)

    @property
    def journal(self) -> Journal:
        """Writes events into the inbox."""
        return self._journal

    @property
    def newest(self) -> Checkpoint | None:
        """The checkpoint that this process was given last, without asking anybody; None before the first."""
        return self._writer.newest

    @property
    def checkpointer(self) -> Checkpointer:
        """Has the heads signed."""
        return self._checkpointer

    def now(self, connection: Connection) -> datetime:
        """Return the time to decide by: the clock's, never before the latest entry's."""
        return self._journal.now(connection)

    def record(self, connection: Connection, event: Event) -> EntryId:
        """Write one entry in the caller's transaction; see ``Journal.record``."""
        return self._journal.record(connection, event)

    def record_many(self, connection: Connection, events: Sequence[Event]) -> list[EntryId]:
        """Write entries in order in the caller's transaction; see ``Journal.record_many``."""
        return self._journal.record_many(connection, events)

    def record_known(
        self, connection: Connection, event: Event, *, at: datetime, aliases: Mapping[SubjectId, str]
    ) -> EntryId:
        """Write one entry whose time and aliases the caller has read; see ``Journal.record_known``."""
        return self._journal.record_known(connection, event, at=at, aliases=aliases)

    def write(self, event: Event) -> Written:
        """Write one entry that stands for itself, and return when it is under a signed checkpoint on the disk.

        Callers who wait at the same time share one commit and one signature.

        Raises:
            BadInput: the event cannot stand in the log; see ``Journal.record``.
            IntegrityFailed: the stored log is not the one that was signed.
            Unavailable: store or signer cannot be used; the entry may stand all the same, but what it
                tells of must not be done.
        """
        return self._writer.write(event)

    def settle(self) -> Checkpoint:
        """Bring every committed entry under a signed checkpoint that has reached the disk.

        Raises:
            IntegrityFailed: the stored log is not the one that was signed.
            Unavailable: store or signer cannot be used.
        """
        return self._writer.settle()

    def lag(self) -> Lag:
        """Return what is committed and not yet under a signed checkpoint; a step of the clock makes and hides no lag.

        Raises:
            Unavailable: store or signer cannot be used.
        """
        with self._database.read() as connection:
            lag = read_lag(connection, self._checkpointer.last_signed(), self._journal.now(connection))
        return self._lag_watch.bounded(lag)

    def receipt(
        self,
        entry_id: EntryId,
        *,
        actor: str,
        purpose: str,
        subjects: Collection[SubjectId],
        fields: Collection[str],
    ) -> Receipt:
        """Mint the receipt for a permit, once its entry is under a signed checkpoint and says what is asked.

        Args:
            entry_id: a committed ``gate.permit`` entry with outcome allowed.
            actor: as in the entry.
            purpose: as in the entry.
            subjects: exactly those of the entry.
            fields: none beyond those of the entry.
        Raises:
            LogUnavailable: anything else than a whole proof; nothing was minted.
        """
        return self._mint(Claim(entry_id, Binding(actor, purpose, frozenset(subjects), frozenset(fields))))

    def perform(self, work: Callable[[Connection], tuple[_T, Claim | None]]) -> tuple[_T, Receipt | None]:
        """Run work that enters an access, and return what it returns, with the receipt for what it claims.

        On SQLite callers who wait at the same time share one commit, which appends their entries as well, one signature
        and one snapshot for the proofs. On PostgreSQL each commits: there the locks of several could cross.

        Args:
            work: gets a transaction that may write; where it raises, nothing of it stands.

        Raises:
            LogUnavailable: the work stands, and the entry that it claims is not proven to be logged; nothing was
                minted.
            Unavailable: the store cannot be used; nothing stands.
        """
        if not self._database.is_sqlite:
            with self._database.write() as connection:
                result, claim = work(connection)
            return result, None if claim is None else self._mint(claim)
        return self._performed(Piece(work))

    def perform_jointly(
        self, work: Callable[[Connection], tuple[_T, Claim | None]], *, joint: Joint, asked: object
    ) -> Performed:
        """Do the same as ``perform`` in one go with those of its kind who wait; on both engines they share a commit.

        Args:
            work: does it alone, where anything is out of the ordinary.
            joint: does it for several.
            asked: what it does it for.

        Raises:
            LogUnavailable, Unavailable: as ``perform``.
        """
        piece = JointPiece(work, joint=joint, asked=asked)
        try:
            result, receipt = self._performed(piece)
        except NOT_PROVEN:
            if not piece.is_left:
                raise
        if piece.is_left:
            return Performed(*self.perform(work))
        return Performed(result, receipt, piece.gathered)

    def _performed(self, piece: Piece) -> tuple[Any, Receipt | None]:
        try:
            proven = self._writer.perform(piece)
        except NOT_PROVEN as err:
            if piece.error is not None or piece.result is None:
                raise
            result, claim = piece.result
            if claim is None:
                return result, None  # a refusal, which needs no proof
            raise not_proven(claim.entry_id, err) from err
        result, claim = piece.result or (None, None)
        return result, None if claim is None else _receipt(claim, proven.index, proven.checkpoint)

    def _mint(self, claim: Claim) -> Receipt:
        try:
            signed = self.settle()
            with self._database.read() as connection:
                (proven,) = prove_claims(connection, [claim], signed, self._journal)
        except NOT_PROVEN as err:
            raise not_proven(claim.entry_id, err) from err
        if isinstance(proven, LogUnavailable):
            raise proven
        return _receipt(claim, proven, signed)

    def export(self, folder: Path, *, under: Checkpoint | None = None) -> ExportSummary:
        """Settle, and write the whole log for offline verification; see ``audit.export``.

        A log that is not the one that was signed is exported under its last checkpoint, with the alarm in the summary.

        Args:
            folder: a new one.
            under: a checkpoint of the current origin, one that was cosigned for example; None signs the head as it is.
        Raises:
            BadInput: the folder holds something already.
            IntegrityFailed: the log cannot be settled, and no checkpoint was signed before.
            Unavailable: store or signer cannot be used, or the folder not be written.
        """
        alarm = None
        try:
            signed = under or self.settle()
        except IntegrityFailed as err:
            last = self._checkpointer.last_signed()
            if last is None:
                raise
            signed, alarm = last, err.message
        summary = export_log(self._database, signed, self._checkpointer.verifier_key, folder)
        return replace(summary, alarm=alarm)

    def alias(self, connection: Connection, subject: SubjectId) -> str | None:
        """Return the newest alias of a subject, or None when the subject never stood in the log."""
        return next(reversed(self.aliases_of(connection, subject)), None)

    def aliases_of(self, connection: Connection, subject: SubjectId) -> tuple[str, ...]:
        """Return every alias of a subject, oldest year first; see ``Journal.aliases_of``."""
        return self._journal.aliases_of(connection, subject)

    def find_subject(self, connection: Connection, alias: str) -> SubjectId | None:
        """Return the subject behind an alias, or None when the mapping is gone; see ``Journal.find_subject``."""
        return self._journal.find_subject(connection, alias)

    def read_details(self, connection: Connection, entry_id: EntryId) -> Mapping[str, JsonValue] | None:
        """Open the sealed details of an entry, for the officer; see ``Journal.read_details``."""
        return self._journal.read_details(connection, entry_id)

    def get_details(self, connection: Connection, entry_id: EntryId) -> Mapping[str, JsonValue]:
        """Open the sealed details of an entry that always has some; see ``Journal.get_details``."""
        return self._journal.get_details(connection, entry_id)


def _receipt(claim: Claim, index: int, signed: Checkpoint) -> Receipt:
    return Receipt(_MINT, claim.binding, entry_id=claim.entry_id, index=index, tree_size=signed.size)
