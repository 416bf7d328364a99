"""Erasure of a part of a subject that stays: what is kept moves to new keys, then the old keys are destroyed.

The part is a list of fields, a compartment, or what was collected for a purpose.

The order is the promise. New keys are durable before anything changes. Then one transaction of the data store, under
the subject's lock, decides what goes, seals what stays under the new keys, deletes the rest and remembers which keys
must go. From its commit on nothing but old copies is sealed under them; ``FieldEraser.resume`` destroys them where a
crash came between. Ingestion seals under the subject's lock as well, so that no value can slip under an old key.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of, now_in_log
from consent.standing import Standing, get_standing, lock_subjects
from kernel.catalogue import Compartment
from kernel.database import Database
from kernel.encoding import canonical_json
from kernel.errors import Conflict, Unavailable
from kernel.ids import EntryId, RequestId, SubjectId, new_id
from kernel.ports import Clock, Signer
from vault._begun import STARTED, Begun, mark_begun
from vault._blinding import (
    blinding_in_use,
    destroy_former_blinding,
    reblind,
    renew_blinding_key,
    unlocked_blinding,
)
from vault._erasable import rows_of, verify_rows
from vault._field_plan import FieldPlan, plan_losses, stored_fields
from vault._holding import holding_of
from vault._identifiers import carry_identifiers
from vault._keyring import keyring_of
from vault._keys import UnlockedKeys
from vault._resealing import open_values, reseal
from vault._rows import SealedRow, delete_rows, stored_by, table_of
from vault.certificates import Certificate, Destruction, Held, certify
from vault.finality import Finality, Keeping, foresee
from vault.holds import WaitingPart
from vault.keystore import KeyStore, destroy_keys
from vault.leftovers import ERASED
from vault.payload import unpack
from vault.scopes import Losses, Scope, ScopeKind, Select, Why, scope_of
from vault.scrubbing import flush_log
from vault.subjects import forget_fields
from vault.tables import attachment, erasure, sealed_record
from vault.tombstones import bury, naming_keys

__all__ = ["Choose", "FieldEraser", "FieldErasure"]

_RESTRICTED: Final = "restricted"
_ATTEMPTS: Final = 40
"""A stream of records of the same person may need a new key between our two looks, again and again."""

_CONTENT_KEY_BYTES: Final = 16

Choose = Callable[[Connection, frozenset[str]], Collection[str]]
"""Says which of the stored fields go; asked twice, the second time under the subject's lock, which then counts."""


@dataclass(frozen=True, slots=True)
class FieldErasure:
    """What became of chosen fields.

    Attributes:
        erasure_id: None when there was nothing to erase; of what is held for now, that of the erasure which waits.
        fields: of which something was erased.
        counts: values erased, rows deleted, keys destroyed, held_values.
        held_until: when the last legal hold on the chosen fields ends; None where no law holds any of them.
        certificate: of what was destroyed; None when there was nothing to erase.
    """

    erasure_id: str | None = None
    fields: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    held_until: datetime | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    """Who wants which part erased, and why; without a scope it is the fields that are chosen in the end."""

    select: Select
    asking: Asking
    why: Why
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """One erasure whose keys must still be destroyed."""

    erasure_id: str
    subject: SubjectId
    asking: Asking
    fields: tuple[str, ...]
    key_ids: tuple[bytes, ...]
    scope: Scope
    why: Why
    started_at: datetime
    started_entry: str


class _Ending(NamedTuple):
    """How an erasure ends; ``until`` is the end of what is held, None where nothing is."""

    counts: Mapping[str, int]
    until: datetime | None
    final: Finality
    at: datetime


class FieldEraser:
    """Erases parts of subjects of one deployment."""

    def __init__(
        self,
        data: Database,
        keystore: KeyStore,
        log: EntryLog,
        signer: Signer,
        clock: Clock,
        *,
        deployment: str,
        keeping: Keeping | None = None,
        forget: Callable[[SubjectId, Asking], None] = lambda _subject, _asking: None,
    ) -> None:
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._log = log
        self._signer = signer
        self._clock = clock
        self._deployment = deployment
        self._keeping = keeping or Keeping()
        self._forget = forget
        self._steps: Sequence[Callable[[_Work], None]] = (self._forget_derived, self._destroy, self._conclude)

    def erase(self, subject: SubjectId, choose: Choose, *, asking: Asking, reason: str) -> FieldErasure:
        """Erase what ``choose`` says of all of a subject's records, but for what is held.

        What a crash interrupted is finished first, and is the outcome where nothing else is to be erased.

        Args:
            subject: whose data.
            choose: which of the stored fields; may read, must not write.
            asking: who asks.
            reason: in words; sealed beside the entries.

        Raises:
            NotFound: the subject is not registered.
            Conflict: the subject is restricted, which keeps its data as it is (PIPL 47 paragraph 2), or is erased.
            IntegrityFailed: a row does not verify; nothing was erased.
            Unavailable: the subject's data changed again and again meanwhile; nothing was erased.
        """
        return self._erase(subject, _by_choice(choose, replace(asking, reason=reason)))

    def erase_scope(
        self, subject: SubjectId, scope: Scope, *, asking: Asking, reason: str, why: Why = Why.REQUEST
    ) -> FieldErasure:
        """Erase a compartment, what was collected for a purpose, or fields, but for what is held; see ``erase``."""

        def all_of_it(_connection: Connection, rows: Sequence[SealedRow]) -> Losses:
            return scope.losses(rows)

        with self._data.read() as connection:
            get_standing(connection, subject)
        return self._erase(subject, _Request(all_of_it, replace(asking, reason=reason), why, scope))

    def go_on(self, part: WaitingPart, *, asking: Asking, reason: str) -> FieldErasure:
        """Erase what an earlier erasure of a part had to leave and nothing holds any more; what came since stays.

        Raises:
            Conflict, IntegrityFailed, NotFound, Unavailable: as ``erase``.
        """

        def left_of_it(connection: Connection, rows: Sequence[SealedRow]) -> Losses:
            there = stored_by(connection, rows, part.asked_at)
            return part.scope.losses([row for row in rows if row.row_no in there])

        asked = replace(asking, reason=reason)
        return self._erase(part.subject, _Request(left_of_it, asked, Why.HOLD_ENDED, part.scope))

    def _erase(self, subject: SubjectId, request: _Request) -> FieldErasure:
        interrupted = [self._finish(erasure_id) for erasure_id in self._begun(subject)]
        for _ in range(_ATTEMPTS):
            self._make_keys(subject, request)
            begun = self._begin(subject, request)
            if isinstance(begun, str):
                return self._finish(begun)
            if begun is not None:
                return interrupted[-1] if interrupted else begun
        raise Unavailable(f"The data of subject {subject} is being changed", hint="Try again.")

    def resume(self) -> int:
        """Destroy the keys that a crash left, at start-up; returns of how many erasures."""
        begun = self._begun()
        for erasure_id in begun:
            self._finish(erasure_id)
        return len(begun)

    def _begun(self, subject: SubjectId | None = None) -> Sequence[str]:
        query = select(erasure.c.erasure_id).where(erasure.c.state == STARTED, erasure.c.fields.is_not(None))
        if subject is not None:
            query = query.where(erasure.c.subject_id == subject)
        with self._data.read() as connection:
            return connection.execute(query.order_by(erasure.c.started_at)).scalars().all()

    def _make_keys(self, subject: SubjectId, request: _Request) -> None:
        """Make new keys durable for all that will have to move; each compartment keeps a key for what comes next."""
        with self._data.read() as connection:
            rows = rows_of(connection, subject)
            now = now_in_log(connection, self._log, self._clock)
            holding = holding_of(connection, subject, after=now)
            plan = plan_losses(rows, request.select(connection, rows), holding)
            in_use = blinding_in_use(connection, subject)
        if plan.losing:
            with self._keystore.database.write() as connection:
                self._keyring.make_successors(connection, plan.keys)
                renew_blinding_key(connection, self._keyring, subject, in_use=in_use)

    def _begin(self, subject: SubjectId, request: _Request) -> str | FieldErasure | None:
        """Decide, seal anew and delete, in one transaction; returns the erasure's id.

        Returns:
            Instead of the id the outcome when there is nothing to erase, and None when a new key is missing.
        """
        with self._data.write() as connection:
            lock_subjects(connection, [subject], exclusive=True)
            now = now_in_log(connection, self._log, self._clock)
            rows = rows_of(connection, subject)
            losses = request.select(connection, rows)
            with self._keyring.unlocked([subject], list(Compartment)) as keys:
                readable = self._verified(rows, keys, subject) if any(losses.values()) else []
                plan = plan_losses(readable, losses, holding_of(connection, subject, after=now))
                if not plan.losing:
                    is_new = request.scope is not None and request.why is not Why.HOLD_ENDED
                    waits = plan.held_until is not None and is_new
                    waiting = self._mark_waiting(connection, subject, plan, request, now) if waits else None
                    return FieldErasure(waiting, counts=_counts(plan), held_until=plan.held_until)
                _check_active(connection, subject)
                if any(keys.sealing(pair).key_id in leaving for pair, leaving in plan.keys.items()):
                    return None
                with unlocked_blinding(self._keyring, [subject]) as blinding:
                    if blinding.newest(subject).key_id in blinding_in_use(connection, subject):
                        return None  # a record came meanwhile
                    self._rewrite(connection, plan, keys)
                    reblind(connection, subject, blinding)
            return self._mark(connection, subject, plan, request, now)

    def _verified(self, rows: Sequence[SealedRow], keys: UnlockedKeys, subject: SubjectId) -> list[SealedRow]:
        return verify_rows(rows, keys, self._keyring, subject=subject, deployment=self._deployment)

    def _rewrite(self, connection: Connection, plan: FieldPlan, keys: UnlockedKeys) -> None:
        """Seal what stays under the new keys and delete what loses every value.

        The digests of the trimmed records' contents, which the erased values went into, give way to random bytes.
        """
        for move in plan.emptied:
            open_values(move.row, keys, self._deployment)  # a value that was renamed must not be taken for another
        reseal(connection, plan.moves, keys, deployment=self._deployment)
        delete_rows(connection, [move.row.row_no for move in plan.emptied])
        renewed = {record: os.urandom(_CONTENT_KEY_BYTES) for record in {row.record_id for row in plan.trimmed}}
        trimmed = [row for row in plan.trimmed if table_of(row.row_no) is sealed_record]
        if trimmed:
            connection.execute(
                update(sealed_record)
                .where(sealed_record.c.row_no == bindparam("trimmed"))
                .values(content_key=bindparam("renewed")),
                [{"trimmed": row.row_no, "renewed": renewed[row.record_id]} for row in trimmed],
            )

    def _mark(
        self, connection: Connection, subject: SubjectId, plan: FieldPlan, request: _Request, now: datetime
    ) -> str:
        erasure_id, fields = new_id("era"), sorted(plan.fields)
        scope = request.scope or Scope(ScopeKind.FIELDS, tuple(fields))
        event = replace(event_of(request.asking, Act.FIELDS_ERASING), subject=subject, fields=tuple(fields))
        entry_id = self._log.record(connection, replace(event, refs={"erasure": erasure_id, "scope": scope.kind.value}))
        key_ids = sorted(key_id for leaving in plan.keys.values() for key_id in leaving)
        mark_begun(
            connection,
            Begun(erasure_id, subject, request.asking, now, entry_id, scope, request.why),
            restricted_until=plan.held_until,
            counts=_counts(plan) | {"keys": len(key_ids)},
            fields=canonical_json(fields).decode(),
            key_ids=canonical_json([key_id.hex() for key_id in key_ids]).decode(),
        )
        return erasure_id

    def _mark_waiting(
        self, connection: Connection, subject: SubjectId, plan: FieldPlan, request: _Request, now: datetime
    ) -> str:
        """Keep that a part was asked for of which all is held, and leave the entry of it; returns the erasure's id."""
        erasure_id, scope = new_id("era"), request.scope or Scope(ScopeKind.FIELDS)
        event = replace(event_of(request.asking, Act.FIELDS_ERASED), subject=subject, reason="LEGAL_HOLD")
        refs = {"erasure": erasure_id, "scope": scope.kind.value}
        entry_id = self._log.record(connection, replace(event, refs=refs))
        mark_begun(
            connection,
            Begun(erasure_id, subject, request.asking, now, entry_id, scope, request.why),
            state=_RESTRICTED,
            restricted_until=plan.held_until,
            counts=_counts(plan),
            fields=canonical_json([]).decode(),
            key_ids=canonical_json([]).decode(),
        )
        return erasure_id

    def _finish(self, erasure_id: str) -> FieldErasure:
        row = self._row(erasure_id)
        work = _work(row)
        if row.state == STARTED:
            for step in self._steps:
                step(work)
            row = self._row(erasure_id)
        for database in (self._data, self._keystore.database):
            with suppress(Unavailable):  # somebody reads; old pages hold no key, and the end of the epoch removes them
                flush_log(database)
        certificate = None if row.certificate is None else Certificate(row.certificate, row.signature)
        return FieldErasure(erasure_id, frozenset(work.fields), row.counts, row.restricted_until, certificate)

    def _row(self, erasure_id: str) -> Row[Any]:
        with self._data.read() as connection:
            return connection.execute(select(erasure).where(erasure.c.erasure_id == erasure_id)).one()

    # the steps, each of which may be repeated

    def _forget_derived(self, work: _Work) -> None:
        """Let the parts above forget what they derived from what goes."""
        self._forget(work.subject, work.asking)

    def _destroy(self, work: _Work) -> None:
        """Destroy the old keys, and the digests of erased identifiers and facts that are stored no longer."""
        with self._data.read() as connection:
            left, in_use = rows_of(connection, work.subject), blinding_in_use(connection, work.subject)
        stored = stored_fields(left)
        lost = frozenset(work.fields) - stored
        with self._keystore.database.write() as connection:
            forget_fields(connection, work.subject, work.fields, stored)
            carry_identifiers(connection, self._keyring, work.subject, leaving=work.key_ids, without=lost)
            destroy_keys(connection, work.key_ids, erasure=work.erasure_id, clock=self._clock)
            destroy_former_blinding(connection, work.subject, in_use=in_use)

    def _conclude(self, work: _Work) -> None:
        """Leave tombstones, write the last entry and sign the certificate, in one transaction."""
        final = foresee(self._keystore.database, self._keeping, now=self._clock.now())
        with self._data.write() as connection:
            lock_subjects(connection, [work.subject], exclusive=True)
            state, counts, until = connection.execute(
                select(erasure.c.state, erasure.c.counts, erasure.c.restricted_until).where(
                    erasure.c.erasure_id == work.erasure_id
                )
            ).one()
            if state != STARTED:
                return  # another process was faster
            ending = _Ending(counts, until, final, self._clock.now())
            bury(connection, work.key_ids, erasure_id=work.erasure_id, at=ending.at)
            certificate = certify(self._destruction(work, ending, self._tell(connection, work, ending)), self._signer)
            ended = {
                "state": ERASED if until is None else _RESTRICTED,
                "finished_at": ending.at,
                "epoch_id": final.epoch_id,
                "final_at": final.at,
                "certificate": certificate.content,
                "signature": certificate.signature,
            }
            connection.execute(update(erasure).where(erasure.c.erasure_id == work.erasure_id).values(**ended))

    def _tell(self, connection: Connection, work: _Work, ending: _Ending) -> EntryId:
        """Write the last entry, which names the destroyed keys."""
        event = replace(event_of(work.asking, Act.FIELDS_ERASED), subject=work.subject, fields=work.fields)
        event = replace(event, counts=ending.counts, refs={"erasure": work.erasure_id})
        event = replace(event, reason=None if ending.until is None else "LEGAL_HOLD")
        return self._log.record(connection, naming_keys(event, work.key_ids))

    def _destruction(self, work: _Work, ending: _Ending, completed: EntryId) -> Destruction:
        return Destruction(
            erasure_id=work.erasure_id,
            deployment=self._deployment,
            scope=work.scope,
            why=work.why,
            started_at=work.started_at,
            finished_at=ending.at,
            final=ending.final,
            key_ids=work.key_ids,
            counts=ending.counts,
            tables=_tables(ending.counts),
            entries={"started": work.started_entry, "completed": completed},
            fields=work.fields,
            held=None if ending.until is None else Held(ending.counts["held_values"], ending.until),
        )


def _check_active(connection: Connection, subject: SubjectId) -> None:
    state = get_standing(connection, subject).state
    if state is not Standing.ACTIVE:
        raise Conflict(f"Subject {subject} is {state}: single fields of it are not erased")


def _work(row: Row[Any]) -> _Work:
    return _Work(
        erasure_id=row.erasure_id,
        subject=SubjectId(row.subject_id),
        asking=Asking(row.actor, row.role, RequestId(row.request_id)),
        fields=tuple(json.loads(row.fields)),
        key_ids=tuple(bytes.fromhex(key_id) for key_id in json.loads(row.key_ids)),
        scope=scope_of(row.scope, row.fields),
        why=Why.GROUND_ENDED if row.why is None else Why(row.why),
        started_at=row.started_at,
        started_entry=row.started_entry,
    )


def _by_choice(choose: Choose, asking: Asking) -> _Request:
    def chosen(connection: Connection, rows: Sequence[SealedRow]) -> Losses:
        fields = frozenset(choose(connection, stored_fields(rows)))
        return {row.row_no: fields.intersection(code for code, _ in unpack(row.payload)) for row in rows}

    return _Request(chosen, asking, Why.GROUND_ENDED)


def _counts(plan: FieldPlan) -> dict[str, int]:
    files = sum(table_of(move.row.row_no) is attachment for move in plan.emptied)
    counts = {"values": plan.values, "rows": len(plan.emptied), "keys": 0, "held_values": plan.held_values}
    return counts | ({"attachments": files} if files else {})


def _tables(counts: Mapping[str, int]) -> dict[str, int]:
    """Return what was deleted, by table."""
    files = counts.get("attachments", 0)
    return {"data_key": counts["keys"], sealed_record.name: counts["rows"] - files, attachment.name: files}
