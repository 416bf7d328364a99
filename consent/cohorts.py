"""The gate for cohorts of any size: verdicts are left in a table, batch by batch, each with its entry in the log.

A batch is one short transaction: lock, reduce its people to keys in SQL, judge the keys that are new by
``consent.rules``, insert the verdicts by one statement, write the entry. Its answers are those of ``Gate.check_many``.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, insert, select

from audit.events import Event
from consent.answers import BatchFacts, batch_permit_event, batch_refusal_event
from consent.asking import Asking
from consent.cohort_people import Batch, People, Population, people_of
from consent.cohort_sql import KeyPlan, situation_of
from consent.cohort_store import (
    CohortStore,
    Shape,
    counted_in,
    digest_of,
    permitted_subjects,
    spend_batch,
    store_shapes,
    tally,
)
from consent.consequences import Permitted, follow_up, has_consequences
from consent.entries import EntryLog
from consent.inquiry import Inquirer
from consent.locks import lock_for_cohort
from consent.reasons import Reason
from consent.rules import Question, Track, rests_on
from consent.situations import read_moment
from consent.tables import cohort_batch, cohort_check, cohort_verdict
from consent.terms import PurposeTerms
from consent.uses import hold_uses
from consent.verdicts import Judgement, verdict_of
from kernel.catalogue import Catalogue
from kernel.database import Database
from kernel.errors import BadInput, IntegrityFailed
from kernel.ids import EntryId, PermitId, SubjectId, new_id
from kernel.ports import Clock

__all__ = ["BATCH_SUBJECTS", "CohortQuestion", "CohortResult", "Population", "check_cohort", "entries_of"]

BATCH_SUBJECTS: Final = 5_000
"""Keeps a batch's locks well under a quarter of a second."""


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


def check_cohort(
    store: Database | Connection,
    question: CohortQuestion,
    *,
    catalogue: Catalogue,
    log: EntryLog,
    clock: Clock,
    batch_subjects: int = BATCH_SUBJECTS,
) -> CohortResult:
    """Decide for a cohort, field by field, and leave the verdicts in tables.

    Args:
        store: the data store, for a transaction of its own for each batch; or one write transaction for all, whose
            locks then last as long as it does.
        question: what is asked; a subject that nobody registered is answered like any other.
        catalogue: the pack.
        log: takes an entry for what passed and one for what did not, of each batch.
        clock: of the deployment.
        batch_subjects: at most ``BATCH_SUBJECTS``.

    Raises:
        BadInput: an unknown purpose, no field, or a batch that is too large.
        Unavailable: the gate is suspended; the batches before stay.
    """
    if not question.fields:
        raise BadInput("A check without fields decides nothing", hint="Name the fields that are to be used.")
    if not 1 <= batch_subjects <= BATCH_SUBJECTS:
        raise BadInput(f"A batch holds 1 to {BATCH_SUBJECTS} subjects", hint="Leave it at its default.")
    run = _Run(question, catalogue, log, Inquirer(catalogue, clock))
    people = people_of(question.subjects, question.purpose, batch_subjects)
    while True:
        with _transaction(store) as connection:
            if not run.batch(connection, people):
                return run.result


def entries_of(connection: Connection, subject: SubjectId) -> list[EntryId]:
    """Return the entries of every cohort check that answered about a subject, for look-ups in the log."""
    batch, verdict = cohort_batch.c, cohort_verdict.c
    statement = (
        select(batch.permit_entry, batch.refusal_entry)
        .select_from(cohort_check)
        .join(cohort_verdict, (verdict.cohort_id == cohort_check.c.cohort_id) & (verdict.subject_id == subject))
        .join(cohort_batch, batch.cohort_id == cohort_check.c.cohort_id)
        .where(batch.first_subject <= subject, batch.last_subject >= subject)
        .order_by(cohort_check.c.asked_at, batch.batch)
    )
    return [EntryId(entry) for row in connection.execute(statement) for entry in row if entry is not None]


@contextmanager
def _transaction(store: Database | Connection) -> Iterator[Connection]:
    if isinstance(store, Connection):
        yield store
    else:
        with store.write() as connection:
            yield connection


class _Run:
    """One cohort check under way; what it knows about keys holds as long as the terms do."""

    def __init__(self, question: CohortQuestion, catalogue: Catalogue, log: EntryLog, inquirer: Inquirer) -> None:
        self._cohort_id = new_id("coh")
        self._asked = question
        self._catalogue = catalogue
        self._log = log
        self._inquirer = inquirer
        self._purpose = catalogue.get_purpose(question.purpose)
        self._terms: PurposeTerms | None = None
        self._statements: CohortStore | None = None
        self._shapes: dict[str, Shape] = {}
        self._numbers: dict[tuple[frozenset[str], frozenset[tuple[str, Reason]]], int] = {}
        self._judged: dict[int, Judgement] = {}
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

    def batch(self, connection: Connection, people: People) -> bool:
        """Decide for the next batch in the caller's transaction; False when there was nobody left."""
        lock_for_cohort(connection)
        batch = people.next(connection)
        inquiry = self._inquirer.begin(
            connection, self._purpose, self._asked.fields, self._asked.recipient, read_moment(connection)
        )
        question = inquiry.question
        if not self._entries and not self._counts:
            self._open(connection, question)
        if batch is None:
            return False
        counted = counted_in(connection, self._purpose.code, batch)
        hold_uses(connection, counted, purpose=self._purpose.code)
        counts = self._store(connection, question, people, batch)
        self._conclude(connection, question, batch, counts, consumes=bool(counted))
        return True

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

    def _store(self, connection: Connection, question: Question, people: People, batch: Batch) -> dict[int, int]:
        """Insert the verdicts of a batch, of known keys first, then of the others; returns how many have each shape."""
        if self._terms is not question.terms:
            self._terms, self._shapes = question.terms, {}
        if self._statements is None:
            self._statements = CohortStore(self._plan(connection, question), *people.source(connection.dialect.name))
        given = {
            **batch.parameters,
            "first": batch.first,
            "last": batch.last,
            "cohort": self._cohort_id,
            "purpose": self._purpose.code,
            "recipient": question.recipient or "",
            "now": question.now,
        }
        self._statements.store(connection, given, self._shapes)
        counts = tally(connection, self._cohort_id, batch)
        if sum(counts.values()) == batch.size:
            return counts
        new = {key for key in self._statements.keys(connection, given) if key not in self._shapes}
        shapes = {key: self._shape(question, key) for key in sorted(new)}
        self._statements.store(connection, given, shapes)
        store_shapes(connection, self._cohort_id, [s for s in shapes.values() if s.number not in self._judged])
        self._judged |= {shape.number: shape.judgement for shape in shapes.values()}
        self._shapes |= shapes
        counts = tally(connection, self._cohort_id, batch)
        if sum(counts.values()) != batch.size:
            raise IntegrityFailed(f"Cohort {self._cohort_id} did not answer all of a batch", hint="Ask again.")
        return counts

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

    def _shape(self, question: Question, key: str) -> Shape:
        situation = situation_of(key, question, self._tracks(question))
        judgement = verdict_of(self._catalogue, question, situation, {}).judgement
        alike = frozenset(judgement.passed), frozenset(judgement.refused.items())
        number = self._numbers.setdefault(alike, len(self._numbers) + 1)
        return Shape(number, judgement, Track.BASIS in judgement.tracks, Track.CONSENT in judgement.tracks)

    def _conclude(
        self, connection: Connection, question: Question, batch: Batch, counts: Mapping[int, int], *, consumes: bool
    ) -> None:
        """Write what a batch was answered into the log, and what follows from it."""
        asking, permit_id = self._asked.asking, PermitId(new_id("pmt"))
        passed, refused = self._facts(connection, batch, counts)
        events: list[Event] = []
        if refused.subjects:
            events.append(batch_refusal_event(asking, question, refused, self._catalogue))
        if passed.subjects:
            events.append(batch_permit_event(asking, question, passed, permit_id=permit_id, catalogue=self._catalogue))
        entries = list(self._log.record_many(connection, events))
        self._entries.extend(entries)
        self._counts.update(subjects=batch.size, permitted=passed.subjects, refused=refused.subjects)
        row = {
            "cohort_id": self._cohort_id,
            "batch": passed.number,
            "first_subject": batch.first,
            "last_subject": batch.last,
            "permit_entry": entries[-1] if passed.subjects else None,
            "refusal_entry": entries[0] if refused.subjects else None,
        }
        connection.execute(insert(cohort_batch), row)
        if consumes:
            spend_batch(
                connection, self._cohort_id, batch, purpose=self._purpose.code, permit_id=permit_id, at=question.now
            )
        if passed.subjects and has_consequences(question):
            self._follow_up(connection, question, batch, Permitted(permit_id, (), passed.fields))

    def _facts(self, connection: Connection, batch: Batch, counts: Mapping[int, int]) -> tuple[BatchFacts, BatchFacts]:
        """Return what the entries say: of those with a field that passed, and of those with one that did not."""
        self._batches += 1
        reasons = Counter[str]()
        for number, size in counts.items():
            for why in self._judged[number].refused.values():
                reasons[why.value] += size
        passed = [n for n in counts if self._judged[n].passed]
        refused = [n for n in counts if self._judged[n].refused]
        about = self._cohort_id, self._batches, digest_of(connection, self._cohort_id, batch)
        return (
            BatchFacts(*about, sum(counts[n] for n in passed), _all_of(self._judged[n].passed for n in passed), {}),
            BatchFacts(
                *about, sum(counts[n] for n in refused), _all_of(self._judged[n].refused for n in refused), reasons
            ),
        )

    def _follow_up(self, connection: Connection, question: Question, batch: Batch, permitted: Permitted) -> None:
        shapes = [number for number, judgement in self._judged.items() if judgement.passed]
        subjects = permitted_subjects(connection, self._cohort_id, batch, shapes)
        follow_up(
            connection,
            question,
            replace(permitted, subjects=subjects),
            asking=self._asked.asking,
            log=self._log,
            catalogue=self._catalogue,
        )


def _all_of(sets: Iterable[Collection[str]]) -> frozenset[str]:
    return frozenset[str]().union(*sets)
