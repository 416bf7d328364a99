"""Fields that lost their last ground are erased; what anything still allows, or the law holds, is left."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from consent.assessments import revoke_assessment
from consent.register_head import release, suspend
from consent.wake import MAX_ATTEMPTS, system_asking
from consentry.workflows.erase import erase_subject, restrict_subject
from consentry.workflows.follow_wake import show_wake
from consentry.workflows.represent import release_subject
from vault.tables import sealed_record

_MINUTE = timedelta(minutes=1)


@pytest.fixture
def person(platform, captured):
    """Short forms for one person."""

    class Person:
        def __init__(self) -> None:
            self.subject = captured.person("u-1")

        def grant(self, purpose, **more) -> None:
            platform.clock.advance(_MINUTE)
            captured.grant("u-1", purpose, **more)

        def withdraw(self, purpose, **more) -> None:
            platform.clock.advance(_MINUTE)
            captured.record(captured.act("withdraw", captured.known("u-1"), purpose, **more))

        def store(self, **values) -> None:
            captured.store([captured.posted("u-1", number=f"r-{next(captured.numbers)}", **values)])

        def rows(self) -> int:
            with platform.data.read() as connection:
                mine = sealed_record.c.subject_id == self.subject
                return connection.scalar(select(func.count()).select_from(sealed_record).where(mine))

        def wake(self, purpose: str = "") -> dict:
            """Run what is due; returns the vault's newest outcome."""
            platform.wake.run_due(100)
            with platform.data.read() as connection:
                items = [i for i in platform.wake.of_subject(connection, self.subject) if i.handler == "vault"]
            return items[-1].outcome or {"result": items[-1].state, "problem": items[-1].problem}

    return Person()


def test_withdrawal_erases_what_only_it_allowed(person):
    """R15: the city came with the withdrawn purpose and goes; what the contract collected stays."""
    person.grant("P08")
    person.store(city="330100", district="330106")
    person.withdraw("P08")
    said = person.wake()
    assert said["result"] == "done"
    assert said["counts"] == {"values": 1, "rows": 1, "keys": 1, "held": 0}
    assert said["refs"]["erasure"].startswith("era_")
    assert person.rows() == 1


def test_another_live_purpose_keeps_the_field(person):
    """The last of the purposes that may use a field takes it along."""
    person.grant("P08")
    person.grant("P07")
    person.store(city="330100")
    person.withdraw("P08")
    assert person.wake()["result"] == "still_allowed"
    assert person.rows() == 1
    person.withdraw("P07")
    assert person.wake()["counts"]["values"] == 1
    assert person.rows() == 0


def test_whoever_granted_again_keeps_everything(person):
    """The gate is asked when the work is done, not when it was planned."""
    person.grant("P08")
    person.store(city="330100")
    person.withdraw("P08")
    person.grant("P08", evidence={"mechanism": "tapped_button", "occasion": "own"})
    assert person.wake()["result"] == "granted_again"
    assert person.rows() == 1


def test_a_grant_to_one_recipient_keeps_what_it_may_get(person):
    """R08: sharing with the insurer alone is a ground to keep the number that the claim needs."""
    person.grant("P04")
    person.grant("P11", recipient="insurer")
    person.store(insurance_number="H123456789")
    person.withdraw("P04")
    assert person.wake()["result"] == "still_allowed"
    person.withdraw("P11", recipient="insurer")
    assert person.wake()["counts"]["values"] == 1
    assert person.rows() == 0


def test_what_the_law_holds_is_left_and_told(person, clock):
    """R16: the record of care stays for fifteen years, with the end of the last hold in the outcome."""
    person.grant("P02")
    person.store(diagnosis=["icd10:I10"])
    person.withdraw("P02")
    said = person.wake()
    assert (said["result"], said["counts"]) == ("done", {"values": 0, "rows": 0, "keys": 0, "held": 1})
    assert said["refs"]["held_until"].startswith("2041")
    assert person.rows() == 1


def test_nothing_stored_is_said_so(person):
    """A purpose without any data leaves an outcome without counts."""
    person.grant("P08")
    person.withdraw("P08")
    assert person.wake() == {"result": "not_held", "counts": {}, "refs": {}}


def test_expiry_erases_as_a_withdrawal_does(person, platform, clock):
    """R15: a grant whose time is over is a ground no more."""
    person.grant("P08", valid_until=(clock.now() + timedelta(hours=1)).isoformat())
    person.store(city="330100")
    clock.advance(timedelta(hours=2))
    with platform.data.write() as connection:
        platform.registry.expire_due(connection, asking=system_asking(), limit=10)
    assert person.wake()["counts"]["values"] == 1
    assert person.rows() == 0


def test_a_missing_assessment_does_not_destroy(person, platform):
    """R35: what the operator let lapse stops the use; the grant stands, and so does the data."""
    person.grant("P08")
    person.grant("P07")
    person.store(city="330100")
    with platform.data.write() as connection:
        revoke_assessment(connection, "PIA-2026-07", asking=system_asking(), log=platform.log)
    person.withdraw("P08")
    assert person.wake()["result"] == "still_allowed"
    assert person.rows() == 1


@pytest.mark.parametrize("first", ["withdraw", "restrict"])
def test_what_a_restriction_keeps_goes_when_it_is_lifted(person, platform, captured, first):
    """R15, R16: the restriction keeps everything and the item waits, whichever came first; the release erases."""
    person.grant("P08")
    person.store(city="330100", district="330106")
    if first == "withdraw":
        person.withdraw("P08")
    restrict_subject(platform, captured.caller, subject=person.subject, reason="disputed")
    if first == "restrict":
        person.withdraw("P08")
    assert person.wake() == {"result": "open", "problem": "waits: SubjectRestricted"}
    assert person.rows() == 2
    release_subject(platform, captured.caller, subject=person.subject, reason="settled")
    assert person.wake()["counts"]["values"] == 1
    assert person.rows() == 1


def test_waiting_for_a_release_takes_no_attempts(person, platform, captured):
    """R16: a restriction of a month ends in no dead letter, and what waits for it is no backlog."""
    person.grant("P08")
    person.store(city="330100")
    restrict_subject(platform, captured.caller, subject=person.subject, reason="disputed")
    person.withdraw("P08")
    for _ in range(MAX_ATTEMPTS + 2):
        assert person.wake() == {"result": "open", "problem": "waits: SubjectRestricted"}
        platform.clock.advance(timedelta(days=3))
    with platform.data.read() as connection:
        (item,) = [one for one in platform.wake.of_subject(connection, person.subject) if one.handler == "vault"]
        assert platform.wake.oldest_open(connection) is None
    assert item.attempts == 0
    shown = [row for row in show_wake(platform, captured.caller, person.subject) if row["handler"] == "vault"]
    assert (shown[0]["state"], shown[0]["problem"]) == ("open", "waits: SubjectRestricted")


def test_whoever_granted_again_before_the_release_keeps_it(person, platform, captured):
    """What counts is what stands when the restriction is lifted."""
    person.grant("P08")
    person.store(city="330100")
    person.withdraw("P08")
    restrict_subject(platform, captured.caller, subject=person.subject, reason="disputed")
    person.wake()
    release_subject(platform, captured.caller, subject=person.subject, reason="settled")
    person.grant("P08", evidence={"mechanism": "tapped_button", "occasion": "own"})
    assert person.wake()["result"] == "granted_again"
    assert person.rows() == 1


def test_what_an_erasure_left_waits_for_nothing(person, platform, captured):
    """R16: what the law holds of an erased subject is the erasure's own; a withdrawal before it ends."""
    person.grant("P02")
    person.store(diagnosis=["icd10:I10"])
    person.withdraw("P02")
    outcome = erase_subject(platform, captured.caller, subject=person.subject, reason="asked").outcome
    assert (outcome.is_complete, outcome.counts["held_rows"]) == (False, 1)
    assert person.wake()["result"] == "not_held"
    assert person.rows() == 1


def test_a_withdrawal_of_what_is_not_stored_waits_for_no_release(person, platform, captured):
    """A restricted subject without such data has nothing to wait for."""
    person.grant("P08")
    person.withdraw("P08")
    restrict_subject(platform, captured.caller, subject=person.subject, reason="disputed")
    assert person.wake()["result"] == "not_held"


def test_an_erasure_has_its_own_way(person, platform, captured):
    """Nothing is planned for the vault by what erases all of it."""
    person.store(district="330106")
    erase_subject(platform, captured.caller, subject=person.subject, reason="asked")
    with platform.data.read() as connection:
        assert "vault" not in {item.handler for item in platform.wake.of_subject(connection, person.subject)}


def test_while_the_gate_is_suspended_nothing_is_destroyed(person, platform, clock):
    """No answer is no permission to erase either; it is tried again."""
    person.grant("P08")
    person.store(city="330100")
    person.withdraw("P08")
    with platform.data.write() as connection:
        suspend(connection, "reconciliation failed", asking=system_asking(), log=platform.log)
    assert person.wake() == {"result": "open", "problem": "Unavailable"}
    assert person.rows() == 1
    with platform.data.write() as connection:
        release(connection, asking=system_asking(), log=platform.log)
    clock.advance(_MINUTE)
    assert person.wake()["counts"]["values"] == 1


def test_narrower_grant_erases_what_it_leaves_out(person):
    """R15: fields that the new grant does not name lose their ground, the others stay; a wider one plans nothing."""
    person.grant("P08", fields=["city", "page"])
    person.grant("P08", fields=["city", "page", "topic"])
    person.store(city="330100", district="330106")
    with pytest.raises(IndexError):
        person.wake()
    person.grant("P08", fields=["page", "topic"])
    said = person.wake()
    assert (said["result"], said["counts"]["values"]) == ("done", 1)
    assert person.rows() == 1


def test_narrower_grant_that_another_purpose_makes_up_for_keeps(person):
    """What another live purpose may still use is left."""
    person.grant("P08")
    person.grant("P07")
    person.store(city="330100")
    person.grant("P07", fields=["sex"])
    assert person.wake()["result"] == "still_allowed"
    assert person.rows() == 1
