"""The audit log as the other parts use it: record, settle, receipt, export."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from audit.checkpoints import Checkpointer
from audit.entries import cohort_digest, decode_entry
from audit.events import Act, Event, Outcome
from audit.export import ExportSummary, export_log
from audit.journal import Journal
from audit.lag import Lag, LagWatch, read_lag
from audit.origins import current_origin
from audit.receipts import _MINT, Binding, Receipt
from audit.sequencer import Sequencer
from audit.tables import cohort, leaf
from audit.tree import StoredTree
from audit.verifier import Checkpoint, VerificationError, check_inclusion, leaf_hash
from audit.writer import GroupWriter, Written
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import ConsentryError, IntegrityFailed, Unavailable
from kernel.ids import EntryId, SubjectId, is_id


class LogUnavailable(Unavailable):
    """An access cannot be shown to be logged; nothing is opened."""


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
        binding = Binding(actor, purpose, frozenset(subjects), frozenset(fields))
        try:
            signed = self.settle()
            with self._database.read() as connection:
                index = _check_entry(connection, entry_id, signed, binding, self._journal)
        except LogUnavailable:
            raise
        except (ConsentryError, SQLAlchemyError, VerificationError, OSError, ValueError) as err:
            cause = err.message if isinstance(err, ConsentryError) else type(err).__name__
            raise LogUnavailable(
                f"Entry {entry_id} is not proven to be logged: {cause}", hint="Nothing was opened."
            ) from err
        return Receipt(_MINT, binding, entry_id=entry_id, index=index, tree_size=signed.size)

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


def _check_entry(
    connection: Connection, entry_id: EntryId, signed: Checkpoint, binding: Binding, journal: Journal
) -> int:
    """Return the entry's index, after proving its stored bytes under the signed root and comparing what they say."""
    query = select(leaf.c.leaf_index, leaf.c.body).where(leaf.c.entry_id == entry_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise LogUnavailable(
            f"Entry {entry_id} is not in the log", hint="Commit the permit before asking for its receipt."
        )
    origin = current_origin(connection)
    index, body = int(row.leaf_index) - origin.base, row.body
    proof = StoredTree(connection, origin).inclusion_proof(index, signed.size)
    check_inclusion(index, signed.size, leaf_hash(body), proof, signed.root)
    _check_permit(connection, entry_id, decode_entry(body), binding, journal)
    return index


def _check_permit(
    connection: Connection, entry_id: EntryId, entry: Mapping[str, JsonValue], binding: Binding, journal: Journal
) -> None:
    fields = entry.get("fields", ())
    differing = {
        "entry": entry.get("id") != entry_id,
        "act": (entry.get("act"), entry.get("outcome")) != (Act.PERMIT.value, Outcome.ALLOWED.value),
        "actor": not _is_actor(connection, entry.get("actor"), binding.actor, journal),
        "purpose": entry.get("purpose") != binding.purpose,
        "fields": not isinstance(fields, Sequence) or not binding.fields.issubset(set(fields)),
        "subjects": _entry_subjects(connection, entry_id, entry, journal) != binding.subjects,
    }
    parts = ", ".join(part for part, differs in differing.items() if differs)
    if parts:
        raise LogUnavailable(
            f"Entry {entry_id} does not permit this access: {parts} differ", hint="Nothing was opened."
        )


def _is_actor(connection: Connection, logged: JsonValue, actor: str, journal: Journal) -> bool:
    if is_id(actor, "sub"):
        return isinstance(logged, str) and journal.find_subject(connection, logged) == actor
    return logged == actor


def _entry_subjects(
    connection: Connection, entry_id: EntryId, entry: Mapping[str, JsonValue], journal: Journal
) -> frozenset[SubjectId] | None:
    """Return the subjects that the entry's alias or cohort digest stands for; None when they cannot be told."""
    alias, members = entry.get("subject"), entry.get("cohort")
    subjects: set[SubjectId] = set()
    if isinstance(alias, str):
        subject = journal.find_subject(connection, alias)
        subjects.update(() if subject is None else (subject,))
    if isinstance(members, Mapping):
        found = journal.cohort_subjects(connection, entry_id)
        salt = connection.scalar(select(cohort.c.salt).where(cohort.c.entry_id == entry_id))
        if salt is None or members != {"size": len(found), "digest": cohort_digest(salt, found.values())}:
            return None
        subjects.update(found)
    return frozenset(subjects) or None
