"""A recipient gets nothing under a notice that does not tell of it: at the registry, the gate and the cohort gate."""

import dataclasses
import json

import pytest
from sqlalchemy import insert, select

from consent.cohorts import CohortQuestion, check_cohort
from consent.explain import Rule
from consent.gate import Reason
from consent.notices import publish
from consent.registry import DecisionAct, RecipientNotTold
from consent.tables import consent_current
from consent.tables import notice as notice_table
from kernel.encoding import canonical_json
from tests.consent.conftest import open_office, third_party


@pytest.mark.parametrize("act", [DecisionAct.GRANT, DecisionAct.RENEW])
@pytest.mark.parametrize(("purpose", "recipient"), [("P11", "ghost"), ("P12", "insurer_a"), ("P07", "lab")])
def test_yes_to_somebody_untold_is_refused(office, act, purpose, recipient):
    """Whoever the notice's facts do not name for the purpose cannot be granted anything, registered or not (R08)."""
    subject = office.subject()
    before = len(office.entries())
    with pytest.raises(RecipientNotTold, match=f"care/1/en does not tell of the named recipient for {purpose}"):
        office.record(subject, act, purpose, recipient=recipient)
    assert len(office.entries()) == before
    assert office.reason(subject, purpose, "diagnosis", recipient) is not None


def test_told_recipient_is_granted_under_the_edition_that_tells(office):
    """From the edition on that names a recipient, it can be granted (R08)."""
    subject = office.subject()
    with office.database.write() as connection:
        office.recipient_in(connection, "ghost")
    notice = office.tell_of("ghost")
    assert office.grant(subject, "P11", recipient="ghost", notice=notice)
    assert office.reason(subject, "P11", "diagnosis", "ghost") is None


def test_no_and_contract_need_no_telling(office):
    """What closes, and a contract for one recipient, are acts without a notice of their own (R08)."""
    subject = office.subject()
    assert office.record(subject, DecisionAct.REFUSE, "P11", recipient="ghost")
    assert office.record(subject, DecisionAct.CONTRACT, "P02", recipient="ghost")


def rewritten(office, **values):
    """Change what stands, as a store could hold it from before the registry looked at the notice."""
    with office.database.write() as connection:
        connection.execute(consent_current.update().values(**values))


def answered_alike(office, subject, purpose, recipient):
    """What gate and cohort gate say, which is the same."""
    said = office.reason(subject, purpose, "diagnosis", recipient)
    question = CohortQuestion(office.asking, purpose, frozenset({"diagnosis"}), recipient, [subject])
    done = check_cohort(office.database, question, catalogue=office.catalogue, log=office.journal, clock=office.clock)
    assert done.permitted == (said is None)
    return said


def test_grant_names_nobody_whom_its_notice_does_not(either_office):
    """A recipient that was never told of gets nothing, though it is registered and the row names it (R08)."""
    office = either_office
    subject = office.subject()
    with office.database.write() as connection:
        office.recipient_in(connection, "ghost")
    office.grant(subject, "P11", recipient="insurer")
    rewritten(office, recipient="ghost")
    assert answered_alike(office, subject, "P11", "ghost") is Reason.RECONSENT
    explanation = explained(office, subject, "P11", "ghost")
    failed = [step.rule for step in explanation.fields["diagnosis"].steps if not step.holds]
    assert failed == [Rule.NOTICE_COVERS]
    office.tell_of("ghost")
    assert answered_alike(office, subject, "P11", "ghost") is Reason.RECONSENT
    rewritten(office, notice_edition=2)
    assert answered_alike(office, subject, "P11", "ghost") is None


def explained(office, subject, purpose, recipient):
    with office.database.read() as connection:
        return office.gate.explain(
            connection, purpose=purpose, subject=subject, fields=["diagnosis"], recipient=recipient
        )


@pytest.mark.parametrize("recipient", [None, "lab"], ids=["general", "named"])
def test_other_handling_at_a_recipient_asks_anew(either_office, recipient):
    """Where the notice tells of another method at a recipient, older grants do not cover it (R06, R08)."""
    office = either_office
    subject = office.subject()
    office.grant(subject, "P12", recipient=recipient)
    assert answered_alike(office, subject, "P12", "lab") is None
    office.publish(version="2", third_parties=(third_party("lab", method="sold"),))
    assert answered_alike(office, subject, "P12", "lab") is Reason.RECONSENT
    if recipient is None:
        assert office.reason(subject, "P12", "diagnosis") is None


def test_every_translation_of_an_edition_tells_of_a_recipient(office):
    """Which translation was shown a row does not say: one that is silent counts for all (R08)."""
    subject = office.subject()
    office.grant(subject, "P11", recipient="insurer")
    known = office.catalogue.purposes
    silent = dataclasses.replace(known["P11"], recipients=())
    told = dataclasses.replace(office.catalogue, purposes={**known, "P11": silent})
    with office.database.write() as connection:
        publish(connection, office.notice("1", locale="zh-CN"), told, asking=office.asking, log=office.journal)
    assert office.reason(subject, "P11", "diagnosis", "insurer") is Reason.RECONSENT


def test_declared_recipient_waits_for_a_notice(office):
    """What the pack declares since reaches nobody's general grant before people are told (R08)."""
    subject = office.subject()
    office.grant(subject, "P12")
    known = office.catalogue.purposes
    wider = dataclasses.replace(known["P12"], recipients=("lab", "insurer_a"))
    office = open_office(
        office.database, office.clock, dataclasses.replace(office.catalogue, purposes={**known, "P12": wider})
    )
    assert office.reason(subject, "P12", "diagnosis", "insurer_a") is Reason.RECONSENT
    office.publish(version="2")
    assert office.reason(subject, "P12", "diagnosis", "insurer_a") is Reason.RECONSENT
    assert office.reason(subject, "P12", "diagnosis", "lab") is None
    office.grant(subject, "P12", notice=office.latest("care"))
    assert office.reason(subject, "P12", "diagnosis", "insurer_a") is None


def test_notice_without_facts_tells_of_nobody(office):
    """A text of the first release, of which nobody knows what the pack declared, lets nothing out (R08)."""
    subject = office.subject()
    office.grant(subject, "P12")
    office.grant(subject, "P11", recipient="insurer")
    with office.database.write() as connection:
        row = connection.execute(select(notice_table).where(notice_table.c.code == "care")).one()
        content = {key: value for key, value in json.loads(row.content).items() if key != "facts"}
        connection.execute(insert(notice_table), {**row._mapping, "code": "old", "content": canonical_json(content)})
        connection.execute(consent_current.update().values(notice_code="old"))
    office = open_office(office.database, office.clock)
    for purpose, recipient in (("P12", "lab"), ("P11", "insurer")):
        assert office.reason(subject, purpose, "diagnosis", recipient) is Reason.RECONSENT
    assert office.reason(subject, "P12", "diagnosis") is None
