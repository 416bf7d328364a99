"""The gate: every read and write of personal data passes it, and its answer is logged before anybody acts on it.

The order inside one transaction is the promise: lock, read, then write the entry. A withdrawal takes the same rows
exclusively before it writes its own entry, so that in the log's order no permit for a purpose follows its withdrawal.
Any number of subjects costs the same few statements, and one subject on SQLite a single one beside its entry. The
order of the rules, and what is in flight: docs/explanation/consent-gate.md.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.events import Event
from consent.alike import decide_rows
from consent.answers import permit_event, permit_event_of_one, refusal_event
from consent.asking import Asking
from consent.consequences import Permitted, follow_up, has_consequences
from consent.entries import EntryLog
from consent.explain import Explanation, explain
from consent.inquiry import Inquirer, Inquiry
from consent.locks import lock_for_permits
from consent.past import situations_at
from consent.permits import MADE_BY_THE_GATE, CohortVerdict, Permit, Refusal
from consent.reasons import Reason
from consent.rules import Question, Situation
from consent.situations import Moment, counted_in, read_moment, read_rows, read_seen, read_situations
from consent.uses import counted_subjects, hold_uses, spend
from consent.verdicts import Verdict, decide, verdict_of
from kernel.catalogue import Catalogue
from kernel.errors import BadInput, ConsentryError
from kernel.ids import EntryId, PermitId, SubjectId, new_id
from kernel.ports import Clock

__all__ = ["MAX_BATCH_SUBJECTS", "Check", "CohortVerdict", "Gate", "Permit", "Prospect", "Reason", "Refusal"]

MAX_BATCH_SUBJECTS: Final = 5_000
"""Bounds the time that one batch holds its locks, and the reach of one receipt."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one of several callers asks of the gate for one subject, for nobody outside."""

    asking: Asking
    purpose: str
    subject: SubjectId
    fields: Collection[str]


@dataclass(frozen=True, slots=True)
class Prospect:
    """A permit that the gate gives once its entry is written, in the transaction in which it was asked.

    Attributes:
        event: of the permit's entry.
        given: makes the permit of the entry's id.
    """

    event: Event
    permit_id: PermitId
    fields: frozenset[str]
    given: Callable[[EntryId], Permit] = field(repr=False)


class Gate:
    """Decides who may use what; see ``consent.rules`` for the rule itself."""

    def __init__(self, catalogue: Catalogue, log: EntryLog, clock: Clock) -> None:
        self._catalogue = catalogue
        self._log = log
        self._clock = clock
        self._inquirer = Inquirer(catalogue, clock)

    def check(
        self,
        connection: Connection,
        *,
        asking: Asking,
        purpose: str,
        subject: SubjectId,
        fields: Collection[str],
        recipient: str | None = None,
    ) -> Permit | Refusal:
        """Decide for one subject: a permit for all the fields, or a refusal with the reason of each that fails.

        Args:
            connection: a write transaction; the entry stands or falls with it.
            asking: who asks; goes into the entry.
            purpose: a purpose of the catalogue.
            subject: whose data.
            fields: at least one field code.
            recipient: who outside the controller receives the data; None for nobody.

        Raises:
            BadInput: an unknown purpose, or no field.
            Unavailable: the gate is suspended.
        """
        _check_size((), fields)
        asked = self._catalogue.get_purpose(purpose)
        lock_for_permits(connection, (subject,))
        year = self._clock.now().year
        seen = read_seen(connection, subject, purpose=purpose, year=year, digital_age=self._catalogue.digital_age)
        inquiry = self._inquirer.begin(connection, asked, fields, recipient, seen.moment)
        question, situation = inquiry.question, seen.situation
        if situation is not None and hold_uses(connection, counted_subjects({subject: situation}), purpose=purpose):
            situation = self._read(connection, [subject], purpose).get(subject)
        verdict = verdict_of(self._catalogue, question, situation, inquiry.known.judgements)
        at = question.now if question.now.year == year and seen.alias is not None else None
        aliases = {subject: seen.alias or ""}
        if verdict.refused:
            event = refusal_event(asking, question, {subject: verdict}, self._catalogue, subject=subject)
            return Refusal(subject, verdict.refused, self._record(connection, event, at, aliases))
        permit_id = PermitId(new_id("pmt"))
        event = permit_event_of_one(asking, question, subject, verdict, catalogue=self._catalogue, permit_id=permit_id)
        entry_id = self._record(connection, event, at, aliases)
        return self._permit(connection, asking, question, {subject: verdict}, (permit_id, entry_id))

    def check_each(self, connection: Connection, checks: Sequence[Check]) -> list[Prospect | None]:
        """Decide for several callers by a few statements; what is permitted to each, by the rules of ``check``.

        The caller of this writes the entries, in the same transaction.

        Args:
            connection: a write transaction.
            checks: of any callers.

        Returns:
            None for each of which there is more to do or to say than to permit all that was asked for: ``check`` it.
        """
        lock_for_permits(connection, sorted({check.subject for check in checks}))
        moment = read_moment(connection)
        by_purpose: dict[str, list[Check]] = {}
        for check in checks:
            by_purpose.setdefault(check.purpose, []).append(check)
        known = {name: self._read(connection, {one.subject for one in some}, name) for name, some in by_purpose.items()}
        inquiries: dict[tuple[str, frozenset[str]], Inquiry | None] = {}
        found: list[Prospect | None] = []
        for check in checks:
            key = check.purpose, frozenset(check.fields)
            if key not in inquiries:
                inquiries[key] = self._find_inquiry(connection, *key, moment)
            inquiry, situation = inquiries[key], known[check.purpose].get(check.subject)
            if inquiry is None or situation is None:
                found.append(None)
            else:
                found.append(self._prospect(check, inquiry, situation))
        return found

    def _find_inquiry(
        self, connection: Connection, purpose: str, fields: frozenset[str], moment: Moment
    ) -> Inquiry | None:
        """Return what is asked, or None where nothing can be: ``check`` says why."""
        if not fields:
            return None
        try:
            return self._inquirer.begin(connection, self._catalogue.get_purpose(purpose), fields, None, moment)
        except ConsentryError:
            return None

    def _prospect(self, check: Check, inquiry: Inquiry, situation: Situation) -> Prospect | None:
        question, subject = inquiry.question, check.subject
        if has_consequences(question) or counted_subjects({subject: situation}):
            return None
        verdict = verdict_of(self._catalogue, question, situation, inquiry.known.judgements)
        if verdict.refused or verdict.spends:
            return None
        permit_id = PermitId(new_id("pmt"))
        event = permit_event_of_one(
            check.asking, question, subject, verdict, catalogue=self._catalogue, permit_id=permit_id
        )

        def given(entry_id: EntryId) -> Permit:
            return _made(check.asking, question, {subject: verdict}, (permit_id, entry_id))

        return Prospect(event, permit_id, verdict.passed, given)

    def check_many(
        self,
        connection: Connection,
        *,
        asking: Asking,
        purpose: str,
        subjects: Sequence[SubjectId],
        fields: Collection[str],
        recipient: str | None = None,
    ) -> CohortVerdict:
        """Decide for a batch, field by field: one permit for what passes, the reasons for what does not.

        One entry records the permit and one the refusals, where there are any; an empty batch leaves none.

        Raises:
            BadInput: an unknown purpose, no field, or more than ``MAX_BATCH_SUBJECTS`` subjects.
            Unavailable: the gate is suspended.
        """
        _check_size(subjects, fields)
        asked, batch = self._catalogue.get_purpose(purpose), sorted(set(subjects))
        lock_for_permits(connection, batch)
        inquiry = self._inquirer.begin(connection, asked, fields, recipient, read_moment(connection))
        rows = read_rows(connection, batch, purpose=purpose)
        if hold_uses(connection, counted := counted_in(rows), purpose=purpose):
            rows |= read_rows(connection, counted, purpose=purpose)
        question = inquiry.question
        verdicts = decide_rows(self._catalogue, question, rows, batch, inquiry.known)
        refused = {subject: verdict for subject, verdict in verdicts.items() if verdict.refused}
        passed = {subject: verdict for subject, verdict in verdicts.items() if verdict.passed}
        if refused:
            self._log.record(connection, refusal_event(asking, question, refused, self._catalogue))
        permit = None
        if passed:
            permit_id = PermitId(new_id("pmt"))
            entry_id = self._log.record(connection, permit_event(asking, question, passed, permit_id, self._catalogue))
            permit = self._permit(connection, asking, question, passed, (permit_id, entry_id))
        return CohortVerdict(permit, {subject: verdict.refused for subject, verdict in refused.items()})

    def preview_many(
        self,
        connection: Connection,
        *,
        asking: Asking,  # noqa: ARG002 - the call of check_many, so that one can be tried before the other
        purpose: str,
        subjects: Sequence[SubjectId],
        fields: Collection[str],
        recipient: str | None = None,
        as_of: datetime | None = None,
        counting_uses: bool = True,
    ) -> Mapping[SubjectId, Mapping[str, Reason | None]]:
        """Say what ``check_many`` would decide now, without lock, entry or permit; opens nothing.

        Args:
            connection: any transaction.
            asking: who asks.
            purpose: a purpose of the catalogue.
            subjects: at most ``MAX_BATCH_SUBJECTS``.
            fields: at least one field code.
            recipient: who outside the controller receives the data; None for nobody.
            as_of: say instead what it would have decided then, by what the register knew then (the pack is today's).
            counting_uses: False where the asking permit has taken its use already.

        Raises:
            BadInput: as ``check_many``, or an ``as_of`` in the future.
            Unavailable: the gate is suspended, and it is asked about now.
        """
        _check_size(subjects, fields)
        batch = sorted(set(subjects))
        inquiry = self._look(connection, purpose, fields, recipient, as_of, counting_uses=counting_uses)
        situations = self._read(connection, batch, purpose, as_of)
        verdicts = decide(self._catalogue, inquiry.question, situations, batch, inquiry.known.judgements)
        return {subject: verdict.judgement.reasons for subject, verdict in verdicts.items()}

    def explain(
        self,
        connection: Connection,
        *,
        purpose: str,
        subject: SubjectId,
        fields: Collection[str],
        recipient: str | None = None,
        as_of: datetime | None = None,
    ) -> Explanation:
        """Say for each field what the gate would decide and every rule on the way; without lock, entry or permit.

        Raises:
            BadInput, Unavailable: as ``preview_many``.
        """
        _check_size((), fields)
        inquiry = self._look(connection, purpose, fields, recipient, as_of, counting_uses=True)
        situation = self._read(connection, [subject], purpose, as_of).get(subject)
        return explain(connection, self._catalogue, inquiry.question, subject, situation)

    def _look(
        self,
        connection: Connection,
        purpose: str,
        fields: Collection[str],
        recipient: str | None,
        as_of: datetime | None,
        *,
        counting_uses: bool,
    ) -> Inquiry:
        asked, moment = self._catalogue.get_purpose(purpose), read_moment(connection)
        return self._inquirer.begin(
            connection, asked, fields, recipient, moment, as_of=as_of, counting_uses=counting_uses
        )

    def _read(
        self, connection: Connection, subjects: Collection[SubjectId], purpose: str, as_of: datetime | None = None
    ) -> dict[SubjectId, Situation]:
        age = self._catalogue.digital_age
        if as_of is None:
            return read_situations(connection, subjects, purpose=purpose, digital_age=age)
        return situations_at(connection, subjects, as_of, purpose=purpose, digital_age=age)

    def _record(
        self, connection: Connection, event: Event, at: datetime | None, aliases: Mapping[SubjectId, str]
    ) -> EntryId:
        if at is None:
            return self._log.record(connection, event)
        return self._log.record_known(connection, event, at=at, aliases=aliases)

    def _permit(
        self,
        connection: Connection,
        asking: Asking,
        question: Question,
        verdicts: Mapping[SubjectId, Verdict],
        ids: tuple[PermitId, EntryId],
    ) -> Permit:
        """Return the permit whose entry is written, after taking its uses and what else follows from it."""
        permit = _made(asking, question, verdicts, ids)
        spends = [(subject, row) for subject, verdict in verdicts.items() for row in verdict.spends]
        spend(connection, spends, purpose=permit.purpose, permit_id=permit.permit_id, at=permit.issued_at)
        if has_consequences(question):
            permitted = Permitted(permit.permit_id, permit.subjects, permit.fields)
            follow_up(connection, question, permitted, asking=asking, log=self._log, catalogue=self._catalogue)
        return permit


def _made(
    asking: Asking, question: Question, verdicts: Mapping[SubjectId, Verdict], ids: tuple[PermitId, EntryId]
) -> Permit:
    judgements = {id(verdict.judgement): verdict.judgement for verdict in verdicts.values()}
    fields = frozenset[str]().union(*(judgement.passed for judgement in judgements.values()))
    return Permit(
        permit_id=ids[0],
        entry_id=ids[1],
        purpose=question.purpose.code,
        recipient=question.recipient,
        actor=asking.actor,
        role=asking.role,
        request_id=asking.request_id,
        subjects=frozenset(verdicts),
        fields=fields,
        narrowed={subject: v.passed for subject, v in verdicts.items() if v.passed != fields},
        basis_of={subject: v.basis for subject, v in verdicts.items()},
        issued_at=question.now,
        guard=MADE_BY_THE_GATE,
    )


def _check_size(subjects: Collection[SubjectId], fields: Collection[str]) -> None:
    if len(subjects) > MAX_BATCH_SUBJECTS:
        raise BadInput(
            f"A batch of {len(subjects)} subjects is too large", hint=f"Ask for at most {MAX_BATCH_SUBJECTS} at a time."
        )
    if not fields:
        raise BadInput("A check without fields decides nothing", hint="Name the fields that are to be used.")
