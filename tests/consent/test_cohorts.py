"""Cohort checks: the same answers as check_many, whatever the size, left in tables and found in the log."""

import json
import random
from datetime import date, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import func, select

from consent.cohorts import BATCH_SUBJECTS, CohortQuestion, Population, check_cohort, entries_of
from consent.register_head import suspend
from consent.rules import DecisionAct
from consent.setwise import insert_rows
from consent.standing import Standing, set_deceased, set_standing
from consent.tables import cohort_batch, cohort_shape, cohort_verdict, consent_current, decision_use
from consent.tasks import TaskKind, open_tasks
from kernel.errors import BadInput, Denied, Unavailable
from kernel.ids import SubjectId, new_id

FIELDS = frozenset({"sex", "diagnosis", "reading"})


def ask(office, purpose, fields=FIELDS, *, recipient=None, subjects=Population.REGISTERED, batch=BATCH_SUBJECTS):
    question = CohortQuestion(office.asking, purpose, frozenset(fields), recipient, subjects)
    return check_cohort(
        office.database,
        question,
        catalogue=office.catalogue,
        log=office.journal,
        clock=office.clock,
        batch_subjects=batch,
    )


def answers(office, cohort_id):
    """For each subject what passed, what did not and why, and the decisions named."""
    with office.database.read() as connection:
        rows = connection.execute(
            select(cohort_verdict, cohort_shape.c.passed, cohort_shape.c.refused)
            .join(
                cohort_shape,
                (cohort_shape.c.cohort_id == cohort_verdict.c.cohort_id)
                & (cohort_shape.c.shape == cohort_verdict.c.shape),
            )
            .where(cohort_verdict.c.cohort_id == cohort_id)
        ).all()
    return {
        row.subject_id: (
            set(json.loads(row.passed)),
            json.loads(row.refused),
            "/".join(filter(None, (row.basis_decision, row.consent_decision))) or "none",
        )
        for row in rows
    }


def answers_of_many(office, purpose, fields, subjects, recipient=None):
    with office.database.write() as connection:
        said = office.gate.check_many(
            connection, asking=office.asking, purpose=purpose, subjects=subjects, fields=fields, recipient=recipient
        )
    permit = said.permit
    found = {}
    for subject in subjects:
        passed = set(permit.fields_for(subject)) if permit else set()
        basis = permit.basis_of[subject] if permit and subject in permit.subjects else "none"
        refused = {code: why.value for code, why in said.refused.get(subject, {}).items()}
        found[subject] = (passed, refused, basis)
    return found


def test_cohort_answers_like_a_batch(either_office):
    """For people in every kind of situation the cohort's table says what check_many says."""
    office = either_office
    people = [office.subject() for _ in range(8)]
    office.grant(people[0], "P07")
    office.grant(people[1], "P07", fields=frozenset({"sex"}))
    office.grant(people[2], "P07", valid_until=office.clock.now() + timedelta(minutes=1))
    office.grant(people[3], "P07")
    office.withdraw(people[3], "P07")
    office.record(people[4], DecisionAct.REFUSE, "P07")
    office.grant(people[5], "P07", valid_from=office.clock.now() + timedelta(days=1))
    office.clock.advance(timedelta(hours=1))
    stranger = SubjectId(new_id("sub"))
    expected = answers_of_many(office, "P07", FIELDS, [*people, stranger])
    result = ask(office, "P07", subjects=[*people, stranger], batch=4)
    assert answers(office, result.cohort_id) == expected
    assert (result.subjects, result.permitted, result.refused) == (9, 2, 8)


ACTS = (
    [DecisionAct.GRANT] * 4 + [DecisionAct.WITHDRAW, DecisionAct.REFUSE, DecisionAct.CONTRACT, DecisionAct.DUTY]
)  # fmt: skip
PURPOSES = ("P01", "P02", "P05", "P07", "P08", "P11", "P12")
RECIPIENTS = (None, "lab", "insurer", "nobody_knows")


def play(office, rng, people):
    """Record some acts; what the registry refuses leaves nothing."""
    for _ in range(60):
        act, purpose, subject = rng.choice(ACTS), rng.choice(PURPOSES), rng.choice(people)
        opens = act not in (DecisionAct.WITHDRAW, DecisionAct.REFUSE)
        fields = sorted(office.catalogue.fields_by_purpose[purpose])
        changes = {
            "recipient": rng.choice(RECIPIENTS[:3]),
            "notice": office.latest("care") if act is DecisionAct.GRANT else None,
            "fields": frozenset(fields[: rng.randint(1, 2)]) if opens and rng.random() < 0.3 else None,
            "valid_until": office.clock.now() + timedelta(minutes=rng.choice((1, 500))) if opens else None,
            "max_uses": rng.choice((None, None, 1, 3)) if act is DecisionAct.GRANT else None,
            "evidence": {"mechanism": "checkbox", "occasion": "own"},
        }
        try:
            office.record(subject, act, purpose, **changes)
        except (BadInput, Denied):
            continue
        office.clock.advance(timedelta(seconds=rng.randint(1, 40)))
        if rng.random() < 0.05:
            office.publish(version=f"v{rng.random()}", collected=({"field": "x", "why": str(rng.random())},))


@pytest.mark.parametrize("seed", range(4))
def test_cohort_agrees_with_batches_on_histories(either_office, seed):
    """After any history every purpose and recipient is answered alike, and by the same decisions."""
    office, rng = either_office, random.Random(seed)
    births = [date(1990, 1, 1), date(2015, 3, 1), date(2011, 3, 1), None]
    people = [office.subject(rng.choice(births)) for _ in range(12)]
    play(office, rng, people)
    with office.database.write() as connection:
        now = office.clock.now()
        set_standing(connection, people[0], Standing.RESTRICTED, now=now)
        set_standing(connection, people[1], Standing.ERASING, now=now)
        set_deceased(connection, people[2], no_kin=False, now=now)
    fields = [*office.catalogue.fields, "no_such_field"]
    for purpose in PURPOSES:
        for recipient in RECIPIENTS:
            expected = previewed(office, purpose, fields, people, recipient)
            result = ask(office, purpose, fields, recipient=recipient, batch=5)
            found = {s: {**dict.fromkeys(passed), **refused} for s, (passed, refused, _) in
                     answers(office, result.cohort_id).items()}  # fmt: skip
            assert found == expected, (purpose, recipient)


def test_validity_ends_on_the_instant_for_cohorts_too(either_office):
    """Half open: at its very end a grant is over, and a microsecond before it is not."""
    office = either_office
    subject, ends = office.subject(), office.clock.now() + timedelta(days=1)
    office.grant(subject, "P07", valid_until=ends)
    office.clock.advance(ends - office.clock.now() - timedelta(microseconds=1))
    assert ask(office, "P07", {"sex"}).permitted == 1
    office.clock.advance(timedelta(microseconds=1))
    result = ask(office, "P07", {"sex"})
    assert answers(office, result.cohort_id)[subject][1] == {"sex": "EXPIRED"}


def previewed(office, purpose, fields, subjects, recipient):
    with office.database.read() as connection:
        said = office.gate.preview_many(
            connection, asking=office.asking, purpose=purpose, subjects=subjects, fields=fields, recipient=recipient
        )
    return {s: {code: why and why.value for code, why in reasons.items()} for s, reasons in said.items()}


@pytest.mark.parametrize("population", list(Population))
def test_populations_come_from_the_store(either_office, population):
    """Everybody registered, or everybody with a decision on the purpose, in batches without gaps."""
    office = either_office
    people = [office.subject() for _ in range(7)]
    for subject in people[:3]:
        office.grant(subject, "P07")
    result = ask(office, "P07", subjects=population, batch=2)
    asked = people if population is Population.REGISTERED else people[:3]
    assert set(answers(office, result.cohort_id)) == set(asked)
    assert result.permitted == 3


def test_each_batch_has_entries_with_its_digest(either_office):
    """The log says for each batch how many passed and why others did not, and a digest over the stored rows."""
    office = either_office
    people = sorted(office.subject() for _ in range(3))
    granted = office.grant(people[0], "P07")
    before = len(office.entries())
    result = ask(office, "P07", subjects=people, batch=2)
    refusal, permit, last = office.entries()[before:]
    assert [refusal["id"], permit["id"], last["id"]] == list(result.entries)
    assert (permit["act"], permit["counts"], permit["refs"]["batch"]) == ("gate.permit", {"subjects": 1}, "1")
    assert refusal["counts"] == {"subjects": 1, "NO_DECISION": 3}
    assert (last["reason"], last["refs"]["cohort"], last["refs"]["batch"]) == ("NO_DECISION", result.cohort_id, "2")
    with office.database.read() as connection:
        rows = connection.execute(select(cohort_verdict.c.subject_id, cohort_verdict.c.shape))
        shapes = {row.subject_id: row.shape for row in rows}
        assert entries_of(connection, people[0]) == [permit["id"], refusal["id"]]
        assert entries_of(connection, people[2]) == [last["id"]]
    lines = [" ".join(people[:2]), f"{shapes[people[0]]} {shapes[people[1]]}", "- -", f"{granted.decision_id} -"]
    assert permit["refs"]["members"] == sha256("\n".join(lines).encode()).hexdigest()


def test_cohort_takes_uses(either_office):
    """A permit in a cohort takes a use like any other, and the last one ends it."""
    office = either_office
    subject, other = office.subject(), office.subject()
    office.grant(subject, "P07", max_uses=1)
    office.grant(other, "P07", max_uses=2)
    assert ask(office, "P07", subjects=[subject, other]).permitted == 2
    again = ask(office, "P07", subjects=[subject, other])
    assert again.permitted == 1
    assert answers(office, again.cohort_id)[subject][1] == dict.fromkeys(sorted(FIELDS), "EXPIRED")
    with office.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(decision_use)) == 3
        uses = select(consent_current.c.uses).where(consent_current.c.subject_id == other)
        assert connection.scalar(uses) == 2


def test_cohort_in_a_given_transaction_stands_or_falls_with_it(office):
    """In the caller's transaction nothing of a cohort stays when it fails."""
    office.subject()
    question = CohortQuestion(office.asking, "P07", FIELDS)
    with pytest.raises(ZeroDivisionError), office.database.write() as connection:
        check_cohort(connection, question, catalogue=office.catalogue, log=office.journal, clock=office.clock)
        raise ZeroDivisionError
    with office.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(cohort_batch)) == 0


def test_cohort_of_nobody_is_a_question_without_answers(office):
    """An empty list leaves the question and nothing else."""
    result = ask(office, "P07", subjects=[])
    assert (result.subjects, result.entries) == (0, ())


def test_cohort_needs_fields_and_a_small_batch(office):
    """Mistakes of the caller are told before anything is read."""
    with pytest.raises(BadInput, match="without fields"):
        ask(office, "P07", [])
    with pytest.raises(BadInput, match="A batch holds"):
        ask(office, "P07", batch=BATCH_SUBJECTS + 1)


def test_suspended_gate_refuses_cohorts(office):
    """While the register is suspended no cohort is answered."""
    office.subject()
    with office.database.write() as connection:
        suspend(connection, "decisions differ", asking=office.asking, log=office.journal)
    with pytest.raises(Unavailable, match="decisions differ"):
        ask(office, "P07")


def test_emergency_cohort_leaves_a_task_for_each_person(office):
    """Emergency access of many creates the task to tell each of them (R20)."""
    people = [office.subject() for _ in range(2)]
    with office.database.write() as connection:
        insert_rows(connection, consent_current, [emergency_row(office, subject) for subject in people])
    ask(office, "P15", {"name"}, subjects=people)
    with office.database.read() as connection:
        tasks = open_tasks(connection, kind=TaskKind.NOTIFY_EMERGENCY)
    assert {task.subject for task in tasks} == set(people)


def emergency_row(office, subject):
    return {
        "subject_id": subject, "purpose": "P15", "recipient": "", "track": "basis", "act": "duty",
        "decision_id": new_id("dec"), "by_guardian": False, "decided_at": office.clock.now(), "uses": 0,
    }  # fmt: skip


def test_listing_asks_about_the_listed(either_office):
    """A list may name anybody twice and strangers; each is answered once."""
    office = either_office
    subject, stranger = office.subject(), SubjectId(new_id("sub"))
    result = ask(office, "P07", subjects=[subject, stranger, subject])
    assert set(answers(office, result.cohort_id)) == {subject, stranger}
