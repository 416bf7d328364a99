"""One cohort check under way: batches are answered as long as their transaction may last, then written into the log.

A batch is reduced to keys in SQL, keys that are new are judged by ``consent.rules``, one statement inserts the
verdicts, and one reads what it left for the entry. The answers are those of ``Gate.check_many``.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from sqlalchemy import Connection, insert

from audit.events import Event
from consent.answers import BatchFacts, batch_permit_event, batch_refusal_event
from consent.asking import Asking
from consent.cohort_people import Batch, Population, people_of
from consent.cohort_sql import Key, KeyPlan, is_counted, situation_of
from consent.cohort_store import (
    UNKNOWN_SHAPE,
    Left,
    Shape,
    clear_batch,
    hold_counted,
    left_by,
    permitted_subjects,
    spend_batch,
    statements_of,
    store_shapes,
)
from consent.consequences import Permitted, follow_up, has_consequences
from consent.entries import EntryLog
from consent.inquiry import Inquirer
from consent.locks import lock_for_cohort
from consent.reasons import Reason
from consent.rules import Question, Track, rests_on
from consent.setwise import insert_rows
from consent.situations import read_moment
from consent.tables import cohort_batch, cohort_check
from consent.terms import PurposeTerms
from consent.verdicts import Judgement, verdict_of
from kernel.catalogue import Catalogue
from kernel.clock import to_micros
from kernel.errors import IntegrityFailed
from kernel.ids import EntryId, PermitId, SubjectId, new_id
from kernel.ports import Clock

HELD_SECONDS: Final = 0.2
"""For how long a transaction takes further batches: the next one begins only if it is expected to end by then."""


@dataclass(frozen=True, slots=True)
class CohortQuestion:
    """Who asks what about whom.

    Attributes:
        subjects: everybody registered, everybody with a decision on the purpose, or some by id.
        recipient: who outside the controller receives the data; None for nobody.
    """

    asking: Asking
    purpose: str
    fields: frozenset[str]
    recipient: str | None = None
    subjects: Population | Collection[SubjectId] = Population.REGISTERED


@dataclass(frozen=True, slots=True)
class CohortResult:
    """What was left in ``cohort_verdict`` and ``cohort_shape`` under ``cohort_id``.

    Attributes:
        permitted: subjects for whom at least one field passed; refused: for whom at least one did not.
        entries: of the batches, in order.
    """

    cohort_id: str
    subjects: int
    permitted: int
    refused: int
    entries: tuple[EntryId, ...]


@dataclass(frozen=True, slots=True)
class _Answered:
    """A batch whose verdicts are inserted; the facts of those with a field that passed, or with one that did not."""

    batch: Batch
    permit_id: PermitId
    passed: BatchFacts
    refused: BatchFacts


class CohortRun:
    """What it knows about keys holds as long as the terms do."""

    def __init__(
        self, question: CohortQuestion, *, catalogue: Catalogue, log: EntryLog, clock: Clock, batch_subjects: int
    ) -> None:
        self._cohort_id = new_id("coh")
        self._asked = question
        self._catalogue = catalogue
        self._log = log
        self._inquirer = Inquirer(catalogue, clock)
        self._purpose = catalogue.get_purpose(question.purpose)
        self._people = people_of(question.subjects, question.purpose, batch_subjects)
        self._terms: PurposeTerms | None = None
        self._shapes: dict[Key, Shape] = {}
        self._known: dict[str, object] = {}
        self._numbers: dict[tuple[frozenset[str], frozenset[tuple[str, Reason]]], int] = {}
        self._judged: dict[int, Judgement] = {}
        self._takes_uses = False
        self._is_open = False
        self._batches = 0
        self._counts = Counter[str]()
        self._entries: list[EntryId] = []

    @property
    def result(self) -> CohortResult:
        """What was done so far."""
        counts = self._counts
        return CohortResult(
            self._cohort_id, counts["subjects"], counts["permitted"], counts["refused"], tuple(self._entries)
        )

    def go_on(self, connection: Connection) -> bool:
        """Decide for as many batches as fit into the caller's transaction; False when nobody is left."""
        lock_for_cohort(connection)
        began, batch, answered = perf_counter(), self._people.next(connection), list[_Answered]()
        question = self._begin(connection)
        while batch is not None:
            answered.append(self._answer(connection, question, batch))
            held = perf_counter() - began
            if held + held / len(answered) > HELD_SECONDS:
                break
            batch = self._people.next(connection)
        self._conclude(connection, question, answered)
        return batch is not None

    def _begin(self, connection: Connection) -> Question:
        """Return the question as it stands in this transaction; judgements by other terms are forgotten."""
        asked = self._asked
        moment = read_moment(connection)
        question = self._inquirer.begin(connection, self._purpose, asked.fields, asked.recipient, moment).question
        if self._terms is not question.terms:
            self._terms, self._shapes = question.terms, {}
        if not self._is_open:
            self._open(connection, question)
            self._is_open = True
        return question

    def _open(self, connection: Connection, question: Question) -> None:
        asking = self._asked.asking
        row = {
            "cohort_id": self._cohort_id,
            "purpose": self._purpose.code,
            "recipient": question.recipient or "",
            "fields": json.dumps(question.fields),
            "asked_at": question.now,
            "actor": asking.actor,
            "role": asking.role,
            "request_id": asking.request_id,
        }
        connection.execute(insert(cohort_check), row)

    def _answer(self, connection: Connection, question: Question, batch: Batch) -> _Answered:
        hold_counted(connection, self._purpose.code, batch)
        left = self._store(connection, question, batch)
        self._batches += 1
        counts, about = left.counts, (self._cohort_id, self._batches, left.digest)
        passed = [number for number in counts if self._judged[number].passed]
        refused = [number for number in counts if self._judged[number].refused]
        reasons = Counter[str]()
        for number in refused:
            for why in self._judged[number].refused.values():
                reasons[why.value] += counts[number]
        some = sum(counts[number] for number in passed)
        others = sum(counts[number] for number in refused)
        self._counts.update(subjects=sum(counts.values()), permitted=some, refused=others)
        return _Answered(
            batch,
            PermitId(new_id("pmt")),
            BatchFacts(*about, some, _all_of(self._judged[number].passed for number in passed), {}),
            BatchFacts(*about, others, _all_of(self._judged[number].refused for number in refused), reasons),
        )

    def _store(self, connection: Connection, question: Question, batch: Batch) -> Left:
        """Insert the verdicts of a batch; once more from the beginning where keys were among them that are new."""
        statements = statements_of(self._plan(connection, question), self._people.population)
        given = {
            **batch.parameters,
            "first": batch.first,
            "last": batch.last,
            "cohort": self._cohort_id,
            "purpose": self._purpose.code,
            "recipient": question.recipient or "",
            "now": to_micros(question.now),
        }
        if self._shapes:
            statements.insert.rows(connection, **given, **self._known)
            left = left_by(connection, self._cohort_id, batch)
            if UNKNOWN_SHAPE not in left.counts:
                return left
            clear_batch(connection, self._cohort_id, batch)
        self._learn(connection, question, {tuple(row) for row in statements.keys.rows(connection, **given)})
        self._known = statements.known(self._shapes)
        statements.insert.rows(connection, **given, **self._known)
        left = left_by(connection, self._cohort_id, batch)
        if UNKNOWN_SHAPE in left.counts:
            raise IntegrityFailed(f"Cohort {self._cohort_id} did not answer all of a batch", hint="Ask again.")
        return left

    def _plan(self, connection: Connection, question: Question) -> KeyPlan:
        return KeyPlan(
            dialect=connection.dialect.name,
            tracks=self._tracks(question),
            named=question.recipient is not None,
            declared=question.recipient in self._purpose.recipients,
            digital_age=self._catalogue.digital_age,
        )

    def _tracks(self, question: Question) -> tuple[Track, ...]:
        fields = [self._catalogue.fields[code] for code in question.fields if code in self._catalogue.fields]
        needed = frozenset[Track]().union(*(rests_on(self._purpose, field) for field in fields))
        return tuple(track for track in Track if track in needed)

    def _learn(self, connection: Connection, question: Question, keys: Iterable[Key]) -> None:
        """Judge the keys that are new, and store the shapes that are."""
        shapes = {key: self._shape(question, key) for key in sorted(set(keys) - self._shapes.keys())}
        store_shapes(connection, self._cohort_id, [s for s in shapes.values() if s.number not in self._judged])
        self._judged |= {shape.number: shape.judgement for shape in shapes.values()}
        self._shapes |= shapes
        self._takes_uses = self._takes_uses or any(is_counted(key) for key in shapes)

    def _shape(self, question: Question, key: Key) -> Shape:
        situation = situation_of(key, question, self._tracks(question))
        judgement = verdict_of(self._catalogue, question, situation, {}).judgement
        alike = frozenset(judgement.passed), frozenset(judgement.refused.items())
        number = self._numbers.setdefault(alike, len(self._numbers) + 1)
        return Shape(number, judgement, Track.BASIS in judgement.tracks, Track.CONSENT in judgement.tracks)

    def _conclude(self, connection: Connection, question: Question, answered: Sequence[_Answered]) -> None:
        """Write what the batches were answered into the log, and what follows from it."""
        asking, catalogue = self._asked.asking, self._catalogue
        events: list[Event] = []
        for one in answered:
            used = self._spend(connection, question, one)
            if one.refused.subjects:
                events.append(batch_refusal_event(asking, question, one.refused, catalogue))
            if one.passed.subjects:
                events.append(
                    batch_permit_event(
                        asking, question, one.passed, permit_id=one.permit_id, catalogue=catalogue, used=used
                    )
                )
        entries = self._log.record_many(connection, events)
        self._entries.extend(entries)
        written = iter(entries)
        insert_rows(connection, cohort_batch, [
            {
                "cohort_id": self._cohort_id,
                "batch": one.passed.number,
                "first_subject": one.batch.first,
                "last_subject": one.batch.last,
                "refusal_entry": next(written) if one.refused.subjects else None,
                "permit_entry": next(written) if one.passed.subjects else None,
            }
            for one in answered
        ])  # fmt: skip
        for one in answered:
            self._follow_up(connection, question, one)

    def _spend(self, connection: Connection, question: Question, one: _Answered) -> list[str]:
        """Take the uses of a batch's permit, and return the decisions that they were taken of."""
        if not one.passed.subjects or not self._takes_uses:
            return []
        return spend_batch(
            connection, self._cohort_id, one.batch, purpose=self._purpose.code, permit_id=one.permit_id,
            at=question.now,
        )  # fmt: skip

    def _follow_up(self, connection: Connection, question: Question, one: _Answered) -> None:
        """Do what else a batch's permit entails."""
        if one.passed.subjects and has_consequences(question):
            shapes = [number for number, judgement in self._judged.items() if judgement.passed]
            subjects = permitted_subjects(connection, self._cohort_id, one.batch, shapes)
            permitted = Permitted(one.permit_id, subjects, one.passed.fields)
            follow_up(connection, question, permitted, asking=self._asked.asking, log=self._log,
                      catalogue=self._catalogue)  # fmt: skip


def _all_of(sets: Iterable[Collection[str]]) -> frozenset[str]:
    return frozenset[str]().union(*sets)
