"""The law's counters over a real deployment."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from audit.counters import Duty
from consent.transfers import count_transfer
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.counters import read_counters, read_duty, record_filing
from kernel.errors import BadInput, Denied
from kernel.ids import PrincipalId
from kernel.oversight import DutyThresholds, Oversight

OFFICER = Principal(PrincipalId("usr_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")
ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
TODAY = date(2026, 11, 21)


@pytest.fixture
def duties(platform):
    """Read the duties, with the thresholds given."""

    def read(**thresholds):
        oversight = Oversight(duties=replace(DutyThresholds(), **thresholds))
        part = replace(platform, catalogue=replace(platform.catalogue, oversight=oversight))
        return {row["duty"]: row for row in read_counters(part, OFFICER).as_json("en")["duties"]}

    return read


def test_people_are_counted_as_they_are_held(captured, duties, platform):
    """Adults and minors, those with sensitive records, each once; the day on which a number was reached counts on."""
    captured.person("u-1", "P02")
    captured.person("u-2", birth_date="2012-05-20")
    captured.person("u-3", birth_date="2016-05-20")
    captured.store([captured.posted("u-1", "condition", diagnosis="icd10:I10")])
    told = duties(subjects_for_officer=3, sensitive_for_person=1)
    assert told["OFFICER_FILED"]["numbers"] == {"subjects": 3}
    assert (told["OFFICER_FILED"]["state"], told["OFFICER_FILED"]["due_on"]) == ("due", "2027-01-01")
    assert told["RESPONSIBLE_PERSON"]["numbers"] == {"sensitive": 1}
    assert told["MINORS_AUDIT"]["numbers"] == {"minors": 2}
    assert duties(subjects_for_officer=4)["OFFICER_FILED"]["state"] == "not_reached"


def test_minor_who_came_of_age_does_not_count(captured, duties, clock):
    """The age of today counts, and whoever was under 14 is counted until 18."""
    captured.person("u-1", birth_date="2012-11-30")
    clock.advance(timedelta(days=30))
    assert duties()["MINORS_AUDIT"]["numbers"] == {"minors": 1}
    clock.advance(timedelta(days=4 * 365 + 32))
    assert duties()["MINORS_AUDIT"]["numbers"] == {"minors": 0}


def test_transfer_abroad_needs_a_mechanism_or_a_filing(captured, duties, platform):
    """One person's sensitive data without a mechanism is a duty at once (R11)."""
    subject = captured.person("u-1")
    with platform.data.write() as connection:
        count_transfer(
            connection, platform.catalogue, recipient="overseas_laboratory", subjects=[subject], sensitive=True,
            at=platform.clock.now() - timedelta(days=1),
        )  # fmt: skip
    told = duties()["TRANSFER_CONTRACT"]
    assert (told["numbers"], told["state"]) == ({"abroad": 1, "abroad_sensitive": 1}, "overdue")
    record_filing(platform, OFFICER, Duty.TRANSFER_CONTRACT, on=TODAY, reference="SCC-2026-1")
    told = duties()["TRANSFER_CONTRACT"]
    assert (told["state"], told["reference"], told["filed_by"]) == ("fulfilled", "SCC-2026-1", OFFICER.principal_id)


def test_filing_needs_an_officer_a_past_day_and_a_reference(platform):
    """Administrators record nothing; tomorrow is not done yet."""
    with pytest.raises(Denied):
        record_filing(platform, ADMIN, Duty.MINORS_AUDIT, on=TODAY, reference="A-1")
    for wrong in ({"on": TODAY + timedelta(days=1), "reference": "A-1"}, {"on": TODAY, "reference": " "}):
        with pytest.raises(BadInput):
            record_filing(platform, OFFICER, Duty.MINORS_AUDIT, **wrong)


def test_unknown_duty_is_refused_with_those_there_are():
    """The hint lists the codes."""
    assert read_duty("MINORS_AUDIT") is Duty.MINORS_AUDIT
    with pytest.raises(BadInput) as refused:
        read_duty("NOPE")
    assert "OFFICER_FILED" in refused.value.diagnostics()


@pytest.mark.parametrize("on", [date(1900, 1, 1), date(2021, 10, 31), TODAY + timedelta(days=1)])
def test_filing_is_of_a_day_on_which_it_could_be_done(platform, on):
    """Neither before the law nor ahead."""
    with pytest.raises(BadInput):
        record_filing(platform, OFFICER, Duty.MINORS_AUDIT, on=on, reference="AUD-1")
    record_filing(platform, OFFICER, Duty.MINORS_AUDIT, on=date(2021, 11, 1), reference="AUD-1")
