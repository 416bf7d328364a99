"""The gate: a permit or a reason, decided and recorded in one transaction under the lock of the subjects' rows.

The order is the promise: lock, read, then write the entry. A withdrawal takes the same rows exclusively before it
writes its own entry, so that in the log's order no permit for a purpose follows its withdrawal. Any number of subjects
costs the same few statements.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from audit.events import Event
from consent.answers import permit_event, refusal_event
from consent.asking import Asking
from consent.entries import EntryLog, now_in_log
from consent.permits import MADE_BY_THE_GATE, CohortVerdict, Permit, Refusal
from consent.reasons import Reason
from consent.rules import Question
from consent.situations import material_editions, read_situations
from consent.standing import lock_subjects
from consent.verdicts import Verdict, decide
from kernel.catalogue import Catalogue
from kernel.errors import BadInput
from kernel.ids import PermitId, SubjectId, new_id
from kernel.ports import Clock

__all__ = ["MAX_BATCH_SUBJECTS", "CohortVerdict", "Gate", "Permit", "Reason", "Refusal"]

MAX_BATCH_SUBJECTS: Final = 5_000
"""Bounds the time that one batch holds its locks, and the reach of one receipt."""


class Gate:
    """Decides who may use what; see ``consent.rules`` for the rule itself."""

    def __init__(self, catalogue: Catalogue, log: EntryLog, clock: Clock) -> None:
        self._catalogue = catalogue
        self._log = log
        self._clock = clock

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
        """
        question, verdicts = self._decide(connection, purpose, [subject], fields, recipient, lock=True)
        refused = verdicts[subject].refused
        if refused:
            event = refusal_event(asking, question, verdicts, self._catalogue)
            return Refusal(subject, refused, self._log.record(connection, replace(event, subject=subject)))
        event = replace(self._permit_event(asking, question, verdicts), subject=subject, basis=verdicts[subject].basis)
        return self._permit(connection, asking, question, verdicts, event)

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
        """
        question, verdicts = self._decide(connection, purpose, subjects, fields, recipient, lock=True)
        refused = {subject: verdict for subject, verdict in verdicts.items() if verdict.refused}
        passed = {subject: verdict for subject, verdict in verdicts.items() if verdict.passed}
        if refused:
            event = refusal_event(asking, question, refused, self._catalogue)
            self._log.record(connection, replace(event, cohort=tuple(refused)))
        permit = None
        if passed:
            event = replace(self._permit_event(asking, question, passed), cohort=tuple(passed))
            permit = self._permit(connection, asking, question, passed, event)
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
    ) -> Mapping[SubjectId, Mapping[str, Reason | None]]:
        """Say what ``check_many`` would decide now, without lock, entry or permit; opens nothing."""
        _, verdicts = self._decide(connection, purpose, subjects, fields, recipient, lock=False)
        return {subject: verdict.judgement.reasons for subject, verdict in verdicts.items()}

    def _decide(
        self,
        connection: Connection,
        purpose: str,
        subjects: Sequence[SubjectId],
        fields: Collection[str],
        recipient: str | None,
        *,
        lock: bool,
    ) -> tuple[Question, dict[SubjectId, Verdict]]:
        asked = self._catalogue.get_purpose(purpose)
        _check_size(subjects, fields)
        batch = sorted(set(subjects))
        if lock:
            lock_subjects(connection, batch, exclusive=False)
        material = material_editions(connection, lock=lock)
        now = now_in_log(connection, self._log, self._clock)
        question = Question(asked, recipient, tuple(sorted(set(fields))), material, now)
        situations = read_situations(connection, batch, purpose=purpose)
        return question, decide(self._catalogue, question, situations, batch)

    def _permit_event(self, asking: Asking, question: Question, verdicts: Mapping[SubjectId, Verdict]) -> Event:
        return permit_event(asking, question, verdicts, PermitId(new_id("pmt")), self._catalogue)

    def _permit(
        self,
        connection: Connection,
        asking: Asking,
        question: Question,
        verdicts: Mapping[SubjectId, Verdict],
        event: Event,
    ) -> Permit:
        fields = frozenset[str]().union(*{verdict.passed for verdict in verdicts.values()})
        return Permit(
            permit_id=PermitId(event.refs["permit"]),
            entry_id=self._log.record(connection, event),
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
