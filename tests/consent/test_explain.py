"""Explanations: the reason is the gate's, and the last rule that does not hold is why."""

from datetime import date, timedelta

import pytest

from consent.explain import WORDS, Rule
from consent.gate import Reason
from consent.notices import NoticeRef
from consent.rules import Track
from consent.standing import Standing, set_deceased, set_standing


def explain(office, subject, purpose, *fields, recipient=None, as_of=None):
    with office.database.read() as connection:
        return office.gate.explain(
            connection, purpose=purpose, subject=subject, fields=fields, recipient=recipient, as_of=as_of
        )


def failing(found, field):
    return [step for step in found.fields[field].steps if not step.holds]


def test_permission_names_decision_notice_and_assessment(either_office):
    """Who asks why something passes is shown the decision, the words on the screen and the assessment."""
    office = either_office
    subject = office.subject()
    granted = office.grant(subject, "P07")
    found = explain(office, subject, "P07", "sex")
    shown = found.fields["sex"]
    assert shown.reason is None
    assert all(step.holds for step in shown.steps)
    last = shown.steps[-1]
    assert (last.rule, last.track, last.decision_id) == (
        Rule.NOTICE_COVERS_FIELD, Track.CONSENT, granted.decision_id,
    )  # fmt: skip
    assert last.notice == NoticeRef("care", "1", "en")
    assert next(step for step in shown.steps if step.rule is Rule.ASSESSMENT).cites == "PIA-1/1"
    assert (found.subject, found.purpose, found.recipient, found.at) == (subject, "P07", None, office.clock.now())


def test_refusal_names_the_decision_that_closed(office):
    """A withdrawal is named as what does not hold, and nothing is asked after it."""
    subject = office.subject()
    office.grant(subject, "P06")
    made = office.withdraw(subject, "P06")[0]
    found = explain(office, subject, "P06", "reading")
    (step,) = failing(found, "reading")
    assert (step.rule, step.decision_id) == (Rule.OPEN, made.decision_id)
    assert found.fields["reading"].steps[-1] == step
    assert found.fields["reading"].reason is Reason.WITHDRAWN


def put_death(office, subject):
    with office.database.write() as connection:
        set_deceased(connection, subject, no_kin=False, now=office.clock.now())


def put_restriction(office, subject):
    with office.database.write() as connection:
        set_standing(connection, subject, Standing.RESTRICTED, now=office.clock.now())


CASES = {
    "nothing": (lambda _o, _s: None, "P07", "sex", None, Rule.DECIDED, Reason.NO_DECISION),
    "undeclared": (lambda _o, _s: None, "P07", "no_such", None, Rule.FIELD_DECLARED, Reason.UNKNOWN_FIELD),
    "another purpose": (lambda _o, _s: None, "P07", "name", None, Rule.FIELD_OF_PURPOSE, Reason.PURPOSE_FIELD),
    "no assessment": (lambda _o, _s: None, "P10", "diagnosis", None, Rule.ASSESSMENT, Reason.ASSESSMENT_MISSING),
    "no recipient": (lambda _o, _s: None, "P11", "diagnosis", None, Rule.RECIPIENT_NAMED, Reason.RECIPIENT),
    "another recipient": (
        lambda o, s: o.grant(s, "P11", recipient="insurer_a"),
        "P11", "diagnosis", "insurer_b", Rule.RECIPIENT_NAMED, Reason.RECIPIENT,
    ),
    "unregistered recipient": (lambda _o, _s: None, "P11", "diagnosis", "spy", Rule.RECIPIENT_TERMS, Reason.RECIPIENT),
    "narrowed": (
        lambda o, s: o.grant(s, "P07", fields=frozenset({"sex"})), "P07", "topic", None, Rule.FIELDS, Reason.SCOPE,
    ),
    "over": (
        lambda o, s: o.grant(s, "P07", valid_until=o.clock.now() + timedelta(seconds=2)),
        "P07", "sex", None, Rule.NOT_OVER, Reason.EXPIRED,
    ),
    "not begun": (
        lambda o, s: o.grant(s, "P07", valid_from=o.clock.now() + timedelta(days=2)),
        "P07", "sex", None, Rule.BEGUN, Reason.SCOPE,
    ),
    "used": (
        lambda o, s: (o.grant(s, "P07", max_uses=1), o.check(s, "P07", "sex")),
        "P07", "sex", None, Rule.USES_LEFT, Reason.EXPIRED,
    ),
    "changed notice": (
        lambda o, s: (o.grant(s, "P07"), o.publish(version="2", collected=({"field": "x", "why": "y"},))),
        "P07", "sex", None, Rule.NOTICE_COVERS, Reason.RECONSENT,
    ),
    "dead": (lambda o, s: (o.grant(s, "P07"), put_death(o, s)), "P07", "sex", None, Rule.STANDING, Reason.RESTRICTED),
    "restricted": (
        lambda o, s: (o.grant(s, "P07"), put_restriction(o, s)), "P07", "sex", None, Rule.STANDING, Reason.RESTRICTED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_each_rule_is_named(office, case):
    """Every way to be refused ends in the rule that refused (R08, R16, R29, R35)."""
    arrange, purpose, field, recipient, rule, reason = CASES[case]
    subject = office.subject(date(1990, 1, 1))
    arrange(office, subject)
    office.clock.advance(timedelta(seconds=10))
    found = explain(office, subject, purpose, field, recipient=recipient)
    assert failing(found, field)[-1].rule is rule
    assert found.fields[field].reason is reason


def test_what_is_not_personal_says_so(office):
    """A field that is not personal passes without a decision and says why."""
    found = explain(office, office.subject(), "P08", "season")
    assert found.fields["season"].steps[-1].rule is Rule.NOT_PERSONAL


def test_explanation_looks_back(office):
    """As of an instant before the withdrawal the grant is named."""
    subject = office.subject()
    granted = office.grant(subject, "P06")
    before = office.clock.now()
    office.withdraw(subject, "P06")
    found = explain(office, subject, "P06", "reading", as_of=before)
    assert found.fields["reading"].reason is None
    assert found.fields["reading"].steps[-1].decision_id == granted.decision_id
    assert found.at == before


def test_every_rule_has_words(office):
    """Each rule can be read in both languages."""
    assert set(WORDS) == set(Rule)
    assert all(label.zh and label.en for label in WORDS.values())
