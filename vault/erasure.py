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

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, or_, select, update

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
from vault._erasable import held_keys, verified_rows
from vault._keyring import keyring_of
from vault._resealing import keys_left, reseal, shared_moves
from vault._rows import SealedRow
from vault.blind_index import MOBILE
from vault.certificates import Certificate, Destruction, certify
from vault.field_erasure import FieldEraser
from vault.keystore import KeyStore, destroy_subject_keys, destroyed_keys
from vault.leftovers import ERASED, sweep_erased
from vault.pseudonyms import forget_pseudonyms
from vault.scrubbing import flush_log, scrub
from vault.subjects import forget_subject
from vault.tables import erasure, sealed_record
from vault.tombstones import bury, naming_keys

__all__ = ["Certificate", "Eraser", "ErasureOutcome"]

_LOGGER: Final = logging.getLogger("consentry.vault")


@dataclass(frozen=True, slots=True)
class ErasureOutcome:
    """How an erasure ended.

    Attributes:
        certificate: when nothing is left.
        restricted_until: when the last legal hold on what is left ends; exactly one of the two is given.
        counts: keys destroyed, rows deleted, rows held.
    """

    erasure_id: str
    certificate: Certificate | None
    restricted_until: datetime | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Work:
    """One erasure under way; what is held is judged as of its start, in every step alike."""

    erasure_id: str
    subject: SubjectId
    asking: Asking
    started_at: datetime
    started_entry: str


class Eraser:
    """Erases subjects of one deployment.

    Attributes:
        fields: erases chosen fields of a subject that stays.
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
        wake: WakePlanner | None = None,
    ) -> None:
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._log = log
        self._signer = signer
        self._clock = clock
        self._deployment = deployment
        self._forget = forget
        self._wake = wake
        self.fields = FieldEraser(data, keystore, log, clock, deployment=deployment)
        self._steps: Sequence[Callable[[_Work], None]] = (
            self._verify,
            self._forget_derived,
            self._make_keys,
            self._reseal,
            self._destroy,
            self._conclude,
        )

    def erase(self, subject: SubjectId, *, asking: Asking, reason: str) -> ErasureOutcome:
        """Erase all of a subject's data that no law holds; the subject of an erasure that is done gets its outcome.

        Args:
            subject: whose data.
            asking: who asks.
            reason: in words; sealed beside the entries.

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
                erasure_id = self._begin(connection, subject, replace(asking, reason=reason))
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

    def scrub(self) -> None:
        """Rewrite both SQLite stores, so that no page keeps a stale copy of what was erased; see ``vault.scrubbing``.

        For quiet hours: each store is locked meanwhile. The end of an epoch does it in any case.
        """
        for database in (self._data, self._keystore.database):
            scrub(database)

    def _latest(self, connection: Connection, subject: SubjectId) -> str | None:
        query = select(erasure.c.erasure_id).where(erasure.c.subject_id == subject, erasure.c.fields.is_(None))
        return connection.scalar(query.order_by(erasure.c.started_at.desc()).limit(1))

    def _begin(self, connection: Connection, subject: SubjectId, asking: Asking) -> str:
        """Mark the subject, so that the gate and the vault take nothing more of it; it decides for nobody any more."""
        erasure_id = new_id("era")
        now = now_in_log(connection, self._log, self._clock)
        set_standing(connection, subject, Standing.ERASING, now=now)
        event = replace(event_of(asking, Act.ERASURE_STARTED), subject=subject, refs={"erasure": erasure_id})
        entry_id = self._log.record(connection, event)
        mark_begun(connection, Begun(erasure_id, subject, asking, now, entry_id), counts={})
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
        return _Work(row.erasure_id, SubjectId(row.subject_id), asking, row.started_at, row.started_entry)

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

    def _make_keys(self, work: _Work) -> None:
        """Make new keys durable for held values that share a key with others."""
        with self._data.read() as connection:
            moves = shared_moves(connection, work.subject, held_after=work.started_at)
        if moves:
            with self._keystore.database.write() as connection:
                self._keyring.make_successors(connection, keys_left(moves))

    def _reseal(self, work: _Work) -> None:
        """Seal held values under the new keys."""
        with self._data.write() as connection:
            lock_subjects(connection, [work.subject], exclusive=True)
            moves = shared_moves(connection, work.subject, held_after=work.started_at)
            compartments = {compartment for _, compartment in keys_left(moves)}
            with self._keyring.unlocked([work.subject], compartments) as keys:
                reseal(connection, moves, keys, deployment=self._deployment)

    def _destroy(self, work: _Work) -> None:
        """Destroy every key that no held value needs, with what finds the subject; tombstones stay."""
        needed = held_keys(self._verified(work), held_after=work.started_at)
        with self._keystore.database.write() as connection:
            destroy_subject_keys(connection, work.subject, needed=needed, erasure=work.erasure_id, clock=self._clock)
            forget_subject(connection, work.subject, fields=[MOBILE] if needed else None)
            forget_pseudonyms(connection, work.subject)

    def _conclude(self, work: _Work) -> None:
        """Delete the rows, leave tombstones, set the standing and write the last entries, all in one transaction."""
        with self._keystore.database.read() as connection:
            key_ids = destroyed_keys(connection, work.erasure_id)
        with self._data.write() as connection:
            lock_subjects(connection, [work.subject], exclusive=True)
            if connection.execute(_state_of(work)).scalar_one() != STARTED:
                return  # another process was faster
            deleted = connection.execute(delete(sealed_record).where(*_free(work))).rowcount
            until, held = connection.execute(
                select(func.max(sealed_record.c.held_until), func.count()).where(*_held(work))
            ).one()
            bury(connection, key_ids, erasure_id=work.erasure_id, at=self._clock.now())
            counts = {"keys": len(key_ids), "rows": deleted, "held_rows": held}
            if held:
                values = self._conclude_restricted(connection, work, key_ids, counts, until)
            else:
                values = self._conclude_erased(connection, work, key_ids, counts)
            values |= {"finished_at": self._clock.now(), "counts": counts}
            connection.execute(update(erasure).where(erasure.c.erasure_id == work.erasure_id).values(**values))

    def _conclude_restricted(
        self, connection: Connection, work: _Work, key_ids: Sequence[bytes], counts: Mapping[str, int], until: datetime
    ) -> dict[str, Any]:
        set_standing(connection, work.subject, Standing.RESTRICTED, now=now_in_log(connection, self._log, self._clock))
        if key_ids:
            self._log.record(connection, naming_keys(_event(work, Act.KEYS_DESTROYED), key_ids))
        event = _event(work, Act.SUBJECT_RESTRICTED)
        self._log.record(connection, replace(event, reason="LEGAL_HOLD", counts=counts))
        return {"state": "restricted", "restricted_until": until}

    def _conclude_erased(
        self, connection: Connection, work: _Work, key_ids: Sequence[bytes], counts: Mapping[str, int]
    ) -> dict[str, Any]:
        set_standing(connection, work.subject, Standing.ERASED, now=now_in_log(connection, self._log, self._clock))
        destroyed = self._log.record(connection, naming_keys(_event(work, Act.KEYS_DESTROYED), key_ids))
        completed = self._log.record(connection, replace(_event(work, Act.ERASURE_COMPLETED), counts=counts))
        destruction = Destruction(
            erasure_id=work.erasure_id,
            deployment=self._deployment,
            started_at=work.started_at,
            finished_at=self._clock.now(),
            key_ids=key_ids,
            counts=counts,
            entries={"started": work.started_entry, "keys_destroyed": destroyed, "completed": completed},
        )
        certificate = certify(destruction, self._signer)
        return {"state": ERASED, "certificate": certificate.content, "signature": certificate.signature}

    def _verified(self, work: _Work) -> list[SealedRow]:
        return verified_rows(self._data, self._keyring, work.subject, deployment=self._deployment)


def _held(work: _Work) -> tuple[ColumnElement[bool], ...]:
    return sealed_record.c.subject_id == work.subject, sealed_record.c.held_until > work.started_at


def _free(work: _Work) -> tuple[ColumnElement[bool], ...]:
    over = or_(sealed_record.c.held_until.is_(None), sealed_record.c.held_until <= work.started_at)
    return sealed_record.c.subject_id == work.subject, over


def _state_of(work: _Work) -> Select[str]:
    return select(erasure.c.state).where(erasure.c.erasure_id == work.erasure_id)


def _event(work: _Work, act: Act) -> Event:
    return replace(event_of(work.asking, act), subject=work.subject, refs={"erasure": work.erasure_id})
