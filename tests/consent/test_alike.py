"""A batch judged by the shapes of its rows, beside each subject judged by itself."""

import os
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.alike import Known, decide_rows
from consent.reasons import Reason
from consent.rules import DecisionAct, Question, track_of
from consent.situations import situation_of
from consent.standing import Standing
from consent.terms import PurposeTerms
from consent.verdicts import decide
from kernel.clock import to_micros
from kernel.ids import SubjectId
from tests.consent.conftest import small_catalogue

EXAMPLES = 2_000 if os.environ.get("CONSENTRY_NIGHTLY") else 200
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MICROS = to_micros(NOW)
CATALOGUE = small_catalogue()
TERMS = PurposeTerms(True, None, {"care": 2}, {"care": {"diagnosis": 3}}, {"care": 2}, None, "", None,
                     telling={"care": frozenset({2, 3})})  # fmt: skip


class Standings(NamedTuple):
    """What the driver returns of a subject's standing."""

    state: str
    deceased: int
    age_class: str
    until: str | None


def instants(*around):
    """Instants just before, at and just after now."""
    return st.sampled_from([None, *around, *(MICROS + step for step in (-1, 0, 1))])


STANDINGS = st.builds(
    Standings,
    st.sampled_from([state.value for state in Standing]),
    st.sampled_from([0, 0, 0, 1]),
    st.just("adult"),
    st.none(),
) | st.builds(Standings, st.just("active"), st.just(0), st.just("under_14"), st.just("2028-06-01"))

ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["", "lab", "insurer"]), st.sampled_from(list(DecisionAct)).filter(bool)),
    st.tuples(
        st.sampled_from([0, 1]),
        st.sampled_from([to_micros(NOW - timedelta(days=days)) for days in (1, 400)]),
        instants(),
        st.sampled_from([(None, None), ("care", 1), ("care", 2), ("care", 3)]),
        st.sampled_from([None, None, '["diagnosis"]', '["name", "sex"]']),
        instants(),
        st.sampled_from([None, None, None, (2, 1), (2, 2)]),
    ),
    max_size=3,
)


def rows_of(subject, standing, drawn, number):
    """One subject's rows as the statement returns them: one for each recipient and track."""
    stored = {}
    for place, ((recipient, act), says) in enumerate(drawn.items()):
        by_guardian, decided_at, until, (code, edition), fields, begins, uses = says
        stored[recipient, track_of(act)] = (
            f"dec_{number}_{place}", recipient, track_of(act).value, act.value, by_guardian, decided_at, until,
            code, edition, fields, begins, *(uses or (None, 0)), None,
        )  # fmt: skip
    head = (subject, *standing)
    return [(*head, *row) for row in stored.values()] or [(*head, *[None] * 14)]


@pytest.fixture(scope="module")
def remembered():
    """What was learnt of each question, from one example to the next."""
    return {}


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    people=st.lists(st.tuples(STANDINGS, ROWS), min_size=1, max_size=6),
    asked=st.sampled_from(
        [("P02", None), ("P06", None), ("P11", "insurer"), ("P11", None), ("P12", "lab"), ("P05", None)]
    ),
)
def test_a_batch_is_answered_as_each_of_it_would_be(remembered, people, asked):
    """Reasons, decisions behind them and uses to be taken; whatever was learnt of others before."""
    purpose, recipient = asked
    fields = tuple(sorted([*CATALOGUE.fields, "no_such_field"]))
    question = Question(CATALOGUE.get_purpose(purpose), recipient, fields, TERMS, NOW)
    found = {
        subject: rows_of(subject, *person, number)
        for number, person in enumerate(people)
        for subject in [SubjectId(f"sub_{number}")]
    }
    batch = [*found, SubjectId("sub_stranger")]
    situations = {subject: situation_of(own, CATALOGUE.digital_age) for subject, own in found.items()}
    expected = decide(CATALOGUE, question, situations, batch)
    known = remembered.setdefault(asked, Known({}, {}))
    assert decide_rows(CATALOGUE, question, found, batch, known) == expected
    assert decide_rows(CATALOGUE, question, found, batch, known) == expected


def test_people_with_the_same_rows_are_judged_once():
    """A thousand people leave one shape; each rests on its own decision, and a minor on what it is alone."""
    question = Question(CATALOGUE.get_purpose("P02"), None, ("name",), TERMS, NOW)
    said = {("", DecisionAct.CONTRACT): (0, MICROS - 5, None, (None, None), None, None, None)}
    adult, minor = Standings("active", 0, "adult", None), Standings("active", 0, "under_14", "2028-06-01")
    found = {SubjectId(f"sub_{n}"): rows_of(f"sub_{n}", adult, said, n) for n in range(1_000)}
    found |= {SubjectId("sub_minor"): rows_of("sub_minor", minor, said, "minor")}
    known = Known({}, {})
    verdicts = decide_rows(CATALOGUE, question, found, list(found), known)
    assert len(known.shapes) == 1
    assert {verdict.basis for verdict in verdicts.values()} == {*(f"dec_{n}_0" for n in range(1_000)), "dec_minor_0"}
    over = Question(CATALOGUE.get_purpose("P02"), None, ("name",), TERMS, NOW + timedelta(days=1))
    ended = {subject: [(*row[:11], MICROS + 5, *row[12:]) for row in own] for subject, own in found.items()}
    verdicts = decide_rows(CATALOGUE, over, ended, list(ended), known)
    assert {verdict.refused["name"] for verdict in verdicts.values()} == {Reason.EXPIRED}
