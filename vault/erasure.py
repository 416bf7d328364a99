"""Erasure: destroys a subject's keys, then the rows, then says so; what the law still holds stays restricted.

There is no atomic commit across both stores, so that the order is the promise: the mark in the data store, new keys for
what is held, the destruction in the key store, the rows and the certificate. Each step can be repeated, and
``Eraser.resume`` goes on where a crash stopped. What a row says of its legal hold is believed only once its header
verifies, in the snapshot that decides which keys go.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Table, delete, func, select, update

from audit.events import Act, Event
from consent.asking import Asking
from consent.entries import EntryLog, event_of, now_in_log
from consent.guardians import end_relations
from consent.representatives import read_live_relations, wards_with
from consent.standing import Standing, get_standing, lock_subjects, set_standing
from consent.wake import Closing, WakePlanner
from kernel.database import Database
from kernel.errors import IntegrityFailed
from kernel.ids import RequestId, SubjectId, new_id
from kernel.ports import Clock, Signer
from vault._begun import STARTED, Begun, mark_begun
from vault._erasable import rows_of, verified_rows
from vault._field_plan import stored_fields
from vault._holding import Holding, holding_of
from vault._identifiers import carry_identifiers, sealing_keys, untouched_keys
from vault._keyring import keep_epoch, keyring_of
from vault._resealing import keys_left, reseal, shared_moves
from vault._rows import SealedRow, delete_rows, lost_keys, table_of
from vault.blind_index import FACTS, ID_NUMBER, MOBILE, SOURCE_ID, indexes_of
from vault.certificates import Certificate, Destruction, Held, certify
from vault.field_erasure import FieldEraser
from vault.finality import Finality, Keeping, confirm_final, foresee
from vault.keystore import KeyStore, destroy_subject_keys, destroyed_keys, subject_keys
from vault.leftovers import ERASED, sweep_erased
from vault.pseudonyms import forget_pseudonyms
from vault.returning import find_cut_off
from vault.scopes import WHOLE, Why
from vault.scrubbing import flush_log, scrub
from vault.subjects import forget_subject, forget_unheld
from vault.tables import (
    attachment,
    blind_index,
    doubtful_identity,
    erasure,
    identity_fact,
    pseudonym,
    sealed_record,
)
from vault.tombstones import bury, naming_keys

__all__ = ["Certificate", "Eraser", "ErasureOutcome"]

_LOGGER: Final = logging.getLogger("consentry.vault")


@dataclass(frozen=True, slots=True)
class ErasureOutcome:
    """How an erasure ended.

    Attributes:
        certificate: of what was destroyed; None where that was nothing, and for what an older version did.
        restricted_until: when the last hold on what is left ends; None where nothing is left.
        counts: keys destroyed, rows deleted, rows held.
    """

    erasure_id: str
    certificate: Certificate | None
    restricted_until: datetime | None
    counts: Mapping[str, int]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left of the subject."""
        return self.restricted_until is None


@dataclass(frozen=True, slots=True)
class _Work:
    """One erasure under way; what is held is judged as of its start, in every step alike."""

    erasure_id: str
    subject: SubjectId
    asking: Asking
    started_at: datetime
    started_entry: str
    why: Why


@dataclass(frozen=True, slots=True)
class _Ending:
    """What the last step found and did."""

    key_ids: Sequence[bytes]
    counts: Mapping[str, int]
    tables: Mapping[str, int]
    final: Finality
    until: datetime | None


class Eraser:
    """Erases subjects of one deployment.

    Attributes:
        fields: erases parts of a subject that stays.
    """

    def __init__(
        self,
        data: Database,
        keystore: KeyStore,
        log: EntryLog,
        signer: Signer,
        clock: Clock,
        *,
        deployment: str,
        forget: Callable[[SubjectId, Asking], None] = lambda _subject, _asking: None,
        forget_part: Callable[[SubjectId, Asking], None] = lambda _subject, _asking: None,
        wake: WakePlanner | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        """Take the parts.

        Args:
            data: the data store.
            keystore: the key store.
            log: of the data store.
            signer: of certificates.
            clock: for their times.
            deployment: that the certificates name.
            forget: takes a subject out of all that was derived; while its pseudonyms can still be told.
            forget_part: likewise, of a subject that stays.
            wake: plans what follows from an erasure.
            keeping: of key epochs and archives; see ``vault.finality``.
        """
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._log = log
        self._signer = signer
        self._clock = clock
        self._deployment = deployment
        self._forget = forget
        self._wake = wake
        self._keeping = keeping or Keeping()
        self.fields = FieldEraser(
            data, keystore, log, signer, clock, deployment=deployment, keeping=keeping, forget=forget_part
        )
        self._steps: Sequence[Callable[[_Work], None]] = (
            self._verify,
            self._forget_derived,
            self._count,
            self._make_keys,
            self._reseal,
            self._destroy,
            self._conclude,
        )

    def erase(self, subject: SubjectId, *, asking: Asking, reason: str, why: Why = Why.REQUEST) -> ErasureOutcome:
        """Erase all of a subject's data that nothing holds; the subject of an erasure that is done gets its outcome.

        Args:
            subject: whose data.
            asking: who asks.
            reason: in words; sealed beside the entries.
            why: for the certificate.

        Raises:
            NotFound: the subject is not registered.
            IntegrityFailed: a row's header does not verify; nothing was destroyed, and the subject stays blocked until
                the row is restored and the erasure asked for again.
        """
        with self._data.write() as connection:
            lock_subjects(connection, wards_with(connection, subject), exclusive=True)
            state = get_standing(connection, subject).state
            erasure_id = self._latest(connection, subject) if state in (Standing.ERASING, Standing.ERASED) else None
            if erasure_id is None:
                erasure_id = self._begin(connection, subject, replace(asking, reason=reason), why)
        return self._finish(erasure_id)

    def resume(self) -> list[ErasureOutcome]:
        """Finish the erasures that a crash interrupted, and remove what came after one, at start-up.

        Erasures of chosen fields are finished as well; what comes back are those of whole subjects. One whose rows do
        not verify stays open, with a warning: one changed row must not stop everybody's work.
        """
        self.fields.resume()
        with self._data.read() as connection:
            query = select(erasure.c.erasure_id).where(erasure.c.state == STARTED, erasure.c.fields.is_(None))
            begun = connection.execute(query.order_by(erasure.c.started_at)).scalars().all()
        outcomes = []
        for erasure_id in begun:
            try:
                outcomes.append(self._finish(erasure_id))
            except IntegrityFailed as err:
                _LOGGER.warning("Erasure %s stays open: %s", erasure_id, err.diagnostics())
        sweep_erased(self._data, self._keystore)
        return outcomes

    def confirm_final(self, *, asking: Asking) -> list[str]:
        """Say of each erasure that has become final that it has; see ``vault.finality``."""
        return confirm_final(
            self._data, self._keystore, self._log, asking=asking, keeping=self._keeping, clock=self._clock
        )

    def scrub(self) -> list[str]:
        """Rewrite both SQLite stores, or vacuum what erasures touch on PostgreSQL; see ``vault.scrubbing``.

        For quiet hours: each SQLite store is locked meanwhile. The end of an epoch does it in any case.

        Returns:
            Statements that somebody with more rights must run, because this role may not.
        """
        return [statement for database in (self._data, self._keystore.database) for statement in scrub(database)]

    def _latest(self, connection: Connection, subject: SubjectId) -> str | None:
        query = select(erasure.c.erasure_id).where(erasure.c.subject_id == subject, erasure.c.fields.is_(None))
        return connection.scalar(query.order_by(erasure.c.started_at.desc()).limit(1))

    def _begin(self, connection: Connection, subject: SubjectId, asking: Asking, why: Why = Why.REQUEST) -> str:
        """Mark the subject, so that the gate and the vault take nothing more of it; it decides for nobody any more."""
        erasure_id = new_id("era")
        now = now_in_log(connection, self._log, self._clock)
        set_standing(connection, subject, Standing.ERASING, now=now)
        event = replace(event_of(asking, Act.ERASURE_STARTED), subject=subject, refs={"erasure": erasure_id})
        entry_id = self._log.record(connection, event)
        mark_begun(connection, Begun(erasure_id, subject, asking, now, entry_id, WHOLE, why), counts={})
        ended = read_live_relations(connection, subject)
        end_relations(connection, ended, reason="ERASED", now=now, asking=asking, log=self._log)
        if self._wake is not None:
            self._wake.plan(connection, [Closing(subject, "erase", "", "", None, entry_id, now)])
        return erasure_id

    def _finish(self, erasure_id: str) -> ErasureOutcome:
        row = self._row(erasure_id)
        if row.state == STARTED:
            work = self._work(row)
            for step in self._steps:
                step(work)
            row = self._row(erasure_id)
        for database in (self._data, self._keystore.database):
            flush_log(database)
        certificate = None if row.certificate is None else Certificate(row.certificate, row.signature)
        return ErasureOutcome(erasure_id, certificate, row.restricted_until, row.counts)

    def _work(self, row: Row[Any]) -> _Work:
        asking = Asking(row.actor, row.role, RequestId(row.request_id))
        why = Why.REQUEST if row.why is None else Why(row.why)
        return _Work(row.erasure_id, SubjectId(row.subject_id), asking, row.started_at, row.started_entry, why)

    def _row(self, erasure_id: str) -> Row[Any]:
        with self._data.read() as connection:
            return connection.execute(select(erasure).where(erasure.c.erasure_id == erasure_id)).one()

    # the steps, each of which may be repeated

    def _verify(self, work: _Work) -> None:
        """Stop before anything is lost if a row does not verify."""
        self._verified(work)

    def _forget_derived(self, work: _Work) -> None:
        """Let the parts above forget what they derived, while the subject's pseudonyms can still be told."""
        self._forget(work.subject, work.asking)

    def _count(self, work: _Work) -> None:
        """Note once what the key store will lose, while it is there: a repeated destruction would find nothing."""
        if self._row(work.erasure_id).counts:
            return
        with self._keystore.database.read() as connection:
            found = {table.name: _count_of(connection, table, work.subject) for table in _OF_SUBJECT}
            doubts = doubtful_identity.c.candidates.contains(work.subject)
            found[doubtful_identity.name] = (
                connection.scalar(select(func.count()).select_from(doubtful_identity).where(doubts)) or 0
            )
        with self._data.write() as connection:
            mine = erasure.c.erasure_id == work.erasure_id
            connection.execute(update(erasure).where(mine).values(counts=found))

    def _make_keys(self, work: _Work) -> None:
        """Make new keys durable for held values that share a key with others."""
        with self._data.read() as connection:
            moves = shared_moves(connection, work.subject, _holding(connection, work))
        if moves:
            with self._keystore.database.write() as connection:
                self._keyring.make_successors(connection, keys_left(moves))

    def _reseal(self, work: _Work) -> None:
        """Seal held values under the new keys."""
        with self._data.write() as connection:
            lock_subjects(connection, [work.subject], exclusive=True)
            moves = shared_moves(connection, work.subject, _holding(connection, work))
            compartments = {compartment for _, compartment in keys_left(moves)}
            with self._keyring.unlocked([work.subject], compartments) as keys:
                lost = lost_keys([move.row for move in moves], keys, self._keyring)
                readable = [move for move in moves if move.row.key_id not in lost]
                reseal(connection, readable, keys, deployment=self._deployment)

    def _destroy(self, work: _Work) -> None:
        """Destroy every key that no held value needs, with what finds the subject; tombstones stay."""
        rows = self._verified(work)
        with self._data.read() as connection:
            needed = _holding(connection, work).keys(rows)
        held = [row for row in rows if row.key_id in needed]
        kept = stored_fields(held) - {MOBILE}
        lost = {MOBILE, ID_NUMBER, *FACTS} - kept
        cut_off = [] if held else find_cut_off(self._data, self._keystore, work.subject)
        with self._keystore.database.write() as connection:
            keep_epoch(connection)
            staying = {SOURCE_ID, *indexes_of(kept)}
            untouched = untouched_keys(connection, work.subject, staying=staying) if held else set()
            needed |= untouched - {row.key_id for row in rows}
            if held:
                forget_unheld(connection, work.subject, kept)
            else:
                for subject in (work.subject, *cut_off):
                    forget_subject(connection, subject)
            leaving = subject_keys(connection, work.subject) - needed
            carry_identifiers(connection, self._keyring, work.subject, leaving=leaving, without=lost)
            needed |= sealing_keys(connection, [work.subject])
            destroy_subject_keys(connection, work.subject, needed=needed, erasure=work.erasure_id, clock=self._clock)
            for subject in cut_off:  # a registration that was interrupted has left this person's identifiers there
                destroy_subject_keys(connection, subject, needed=(), erasure=work.erasure_id, clock=self._clock)
            forget_pseudonyms(connection, work.subject)

    def _conclude(self, work: _Work) -> None:
        """Delete the rows, leave tombstones, set the standing and write the last entries, all in one transaction."""
        with self._keystore.database.read() as connection:
            key_ids = destroyed_keys(connection, work.erasure_id)
        final = foresee(self._keystore.database, self._keeping, now=self._clock.now())
        with self._data.write() as connection:
            lock_subjects(connection, [work.subject], exclusive=True)
            state, before = connection.execute(_state_of(work)).one()
            if state != STARTED:
                return  # another process was faster
            ending = _delete_free(connection, work, key_ids, before, final)
            bury(connection, key_ids, erasure_id=work.erasure_id, at=self._clock.now())
            values = self._said(connection, work, ending)
            values |= {"finished_at": self._clock.now(), "counts": ending.counts}
            values |= {"epoch_id": final.epoch_id, "final_at": final.at}
            connection.execute(update(erasure).where(erasure.c.erasure_id == work.erasure_id).values(**values))

    def _said(self, connection: Connection, work: _Work, ending: _Ending) -> dict[str, Any]:
        """Set the standing, write the last entries and sign the certificate; return what the erasure's row says."""
        now = now_in_log(connection, self._log, self._clock)
        state = Standing.ERASED if ending.until is None else Standing.RESTRICTED
        set_standing(connection, work.subject, state, now=now)
        entries = {"started": work.started_entry}
        if ending.key_ids or ending.until is None:
            event = naming_keys(_event(work, Act.KEYS_DESTROYED), ending.key_ids)
            entries["keys_destroyed"] = self._log.record(connection, event)
        if ending.until is None:
            event = replace(_event(work, Act.ERASURE_COMPLETED), counts=ending.counts)
            entries["completed"] = self._log.record(connection, event)
            certificate = self._certified(work, ending, entries)
            return {"state": ERASED, "certificate": certificate.content, "signature": certificate.signature}
        event = replace(_event(work, Act.SUBJECT_RESTRICTED), reason="LEGAL_HOLD", counts=ending.counts)
        entries["restricted"] = self._log.record(connection, event)
        said: dict[str, Any] = {"state": "restricted", "restricted_until": ending.until}
        if ending.key_ids:
            certificate = self._certified(work, ending, entries)
            said |= {"certificate": certificate.content, "signature": certificate.signature}
        return said

    def _certified(self, work: _Work, ending: _Ending, entries: Mapping[str, str]) -> Certificate:
        held = None if ending.until is None else Held(ending.counts["held_rows"], ending.until)
        destruction = Destruction(
            erasure_id=work.erasure_id,
            deployment=self._deployment,
            scope=WHOLE,
            why=work.why,
            started_at=work.started_at,
            finished_at=self._clock.now(),
            final=ending.final,
            key_ids=ending.key_ids,
            counts=ending.counts,
            tables=ending.tables,
            entries=entries,
            held=held,
        )
        return certify(destruction, self._signer)

    def _verified(self, work: _Work) -> list[SealedRow]:
        return verified_rows(self._data, self._keyring, work.subject, deployment=self._deployment)


_OF_SUBJECT: Final = (blind_index, identity_fact, pseudonym)
"""Tables of the key store that an erasure empties of a subject, beside its keys."""


def _delete_free(
    connection: Connection, work: _Work, key_ids: Sequence[bytes], before: Mapping[str, int], final: Finality
) -> _Ending:
    """Delete what nothing holds, and files that were still coming; return what was deleted and what is left."""
    holding = _holding(connection, work)
    rows = rows_of(connection, work.subject)
    free = [row.row_no for row in rows if not holding.is_held(row)]
    ends = [until for row in rows if (until := holding.until(row)) is not None]
    deleted = delete_rows(connection, free)
    coming = (attachment.c.subject_id == work.subject, attachment.c.payload.is_(None))
    deleted += connection.execute(delete(attachment).where(*coming)).rowcount
    counts = {"keys": len(key_ids), "rows": deleted, "held_rows": len(ends)}
    files = sum(table_of(number) is attachment for number in free)
    tables = {
        "data_key": len(key_ids),
        sealed_record.name: len(free) - files,
        attachment.name: deleted - len(free) + files,
    }
    if ends:  # the ID number and the source's ids still find what is held
        return _Ending(key_ids, counts, tables, final, max(ends))
    return _Ending(key_ids, counts, tables | dict(before), final, None)


def _holding(connection: Connection, work: _Work) -> Holding:
    return holding_of(connection, work.subject, after=work.started_at)


def _count_of(connection: Connection, table: Table, subject: SubjectId) -> int:
    return connection.scalar(select(func.count()).select_from(table).where(table.c.subject_id == subject)) or 0


def _state_of(work: _Work) -> Select[str, Mapping[str, int]]:
    return select(erasure.c.state, erasure.c.counts).where(erasure.c.erasure_id == work.erasure_id)


def _event(work: _Work, act: Act) -> Event:
    return replace(event_of(work.asking, act), subject=work.subject, refs={"erasure": work.erasure_id})
