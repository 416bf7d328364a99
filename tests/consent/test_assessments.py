"""Impact assessments: complete, versioned, revoked, and never deleted."""

from datetime import date

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from consent.assessments import (
    AssessmentIncomplete,
    AssessmentOutcome,
    find_assessment,
    get_assessment,
    latest_expiry,
    list_assessments,
    record_assessment,
    revoke_assessment,
)
from consent.tables import assessment
from kernel.clock import format_instant
from kernel.errors import BadInput, Conflict, NotFound
from tests.consent.conftest import ASKING, assessment_text


@pytest.fixture
def record(either_office):
    """Records a version of the small catalogue's assessment."""

    def recorded(outcome=AssessmentOutcome.APPROVED, **changes):
        with either_office.database.write() as connection:
            text = assessment_text(**changes)
            return record_assessment(
                connection, text, either_office.catalogue, asking=ASKING, log=either_office.journal, outcome=outcome
            )

    return recorded


@pytest.fixture
def revoke(either_office):
    """Revokes an assessment."""

    def revoked(code="PIA-1"):
        with either_office.database.write() as connection:
            return revoke_assessment(connection, code, asking=ASKING, log=either_office.journal)

    return revoked


PARTS = {"legality_and_necessity": "a", "impact_and_risk": "b", "protective_measures": "c"}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"parts": PARTS | {"legality_and_necessity": " "}}, "part legality_and_necessity"),
        ({"parts": PARTS | {"impact_and_risk": ""}}, "part impact_and_risk"),
        ({"parts": {"impact_and_risk": "b"}}, "part legality_and_necessity, part protective_measures"),
        ({"assessment_id": " "}, "an id of 1 to 64 characters"),
        ({"purposes": ()}, "purposes"),
        ({"approved_by": ""}, "approved_by"),
        ({"expires_on": date(2029, 10, 2)}, "an expiry within 3 years"),
        ({"expires_on": date(2026, 10, 1)}, "an expiry within 3 years"),
    ],
)
def test_assessment_that_lacks_what_the_law_asks_is_refused(record, changes, missing):
    """Three parts, an approver, purposes and a period (R36)."""
    with pytest.raises(AssessmentIncomplete, match=missing):
        record(**changes)


def test_assessment_of_an_unknown_purpose_is_refused(record):
    """It is made for purposes of the catalogue."""
    with pytest.raises(BadInput, match="P99"):
        record(purposes=("P99",))


def test_approval_of_a_leap_day_ends_in_march():
    """Three years after the 29th of February there is none."""
    assert latest_expiry(date(2028, 2, 29)) == date(2031, 3, 1)
    assert latest_expiry(date(2026, 10, 1)) == date(2029, 10, 1)


def test_same_assessment_again_changes_nothing(record, either_office):
    """No second version, and no entry."""
    before = len(either_office.entries())
    assert record().version == 1
    assert len(either_office.entries()) == before


def test_changed_assessment_is_a_new_version_with_an_entry(record, either_office):
    """The log names version, hash and outcome; the older version stays (R36)."""
    made = record(approved_by="board")
    assert (made.version, made.outcome, str(made)) == (2, AssessmentOutcome.APPROVED, "PIA-1/2")
    entry = either_office.entries()[-1]
    assert (entry["act"], entry["id"]) == ("assessment.recorded", made.entry_id)
    told = {"assessment": "PIA-1/2", "hash": made.hash, "outcome": "approved"}
    assert entry["refs"] == told | {"recorded_at": format_instant(made.recorded_at), "revision": "9"}
    with either_office.database.read() as connection:
        assert get_assessment(connection, "PIA-1", 1).approved_by == "data protection office"
        assert get_assessment(connection, "PIA-1") == made
        assert [one.version for one in list_assessments(connection)] == [2]


def test_rejected_assessment_can_be_approved_later(record):
    """What was rejected does not count; the same text approved is the next version."""
    assert record(AssessmentOutcome.REJECTED, assessment_id="PIA-2").version == 1
    approved = record(assessment_id="PIA-2")
    assert (approved.version, approved.outcome) == (2, AssessmentOutcome.APPROVED)


def test_revoked_assessment_needs_a_new_approval(record, revoke, either_office):
    """The old approval does not come back by recording it again (R35)."""
    revoked = revoke()
    assert (revoked.version, revoked.outcome) == (2, AssessmentOutcome.REVOKED)
    with pytest.raises(Conflict, match="was revoked after this approval"):
        record()
    with pytest.raises(Conflict, match="PIA-1/2 is revoked"):
        revoke()
    assert record(approved_on=date(2026, 11, 22), expires_on=date(2027, 1, 1)).version == 3


def test_unknown_assessment_is_not_found(revoke, either_office):
    """Neither id nor version is guessed."""
    with pytest.raises(NotFound, match="PIA-9"):
        revoke("PIA-9")
    with either_office.database.read() as connection:
        assert find_assessment(connection, "PIA-1", 9) is None


def test_deletion_of_an_assessment_is_refused(either_office):
    """The law asks for three years after it has ceased to count; the store never deletes or changes one (R36)."""
    with either_office.database.read() as connection:
        found = get_assessment(connection, "PIA-1")
    assert (found.keep_until - found.expires_at).days >= 3 * 365
    for statement in (delete(assessment), update(assessment).values(approved_by="nobody")):
        with pytest.raises(DBAPIError, match="append-only"), either_office.database.write() as connection:
            connection.execute(statement)


def test_assessments_are_listed_as_of_an_instant(record, either_office, clock):
    """The past knows the version of then."""
    before = clock.now()
    clock.advance(clock.now() - before + (date(2026, 11, 23) - date(2026, 11, 22)))
    record(approved_by="board")
    with either_office.database.read() as connection:
        assert [one.version for one in list_assessments(connection, as_of=before)] == [1]
        assert [one.version for one in list_assessments(connection)] == [2]
