"""A difference between register and log closes the gate, and people open it again, on both engines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from audit.events import Act, Event, Outcome
from audit.queries import find_entries
from consent.head_inspection import inspect_head
from consent.inspection import Findings
from consent.register_head import read_head
from consent.terms import release
from consentry.platform import Platform, open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.decide import decide
from consentry.workflows.reconcile import reconcile, release_gate
from kernel.clock import FixedClock
from kernel.errors import BadInput, Denied, IntegrityFailed, Unavailable
from kernel.ids import PrincipalId, RequestId, SubjectId
from tests.consentry.conftest import Deployed

ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
OFFICER = Principal(PrincipalId("prn_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")
CLINICIAN = Principal(PrincipalId("prn_doc"), "doc", PrincipalKind.PERSON, "clinician")


@dataclass
class Watched:
    """A deployment with one person who withdrew profiling."""

    platform: Platform
    subject: SubjectId

    def may_profile(self) -> bool:
        return not decide(self.platform, ADMIN, subject=self.subject, purpose="P07", fields=["diagnosis"]).refused

    def forge(self) -> None:
        """Let the withdrawn purpose stand as granted, as the owner of the store can."""
        with self.platform.data.write() as connection:
            connection.execute(text("UPDATE consent_current SET act = 'grant' WHERE purpose = 'P07'"))

    def repair(self) -> None:
        with self.platform.data.write() as connection:
            connection.execute(text("UPDATE consent_current SET act = 'withdraw' WHERE purpose = 'P07'"))

    def acts(self) -> list[tuple[object, object]]:
        self.platform.log.settle()
        with self.platform.data.read() as connection:
            found = [entry.members for entry in find_entries(connection, limit=1000)]
        wanted = ("log.reconciled", "register.suspended", "register.released")
        return [(one["act"], one["outcome"]) for one in found if one["act"] in wanted]


@pytest.fixture(params=["sqlite", "postgresql"])
def watched(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clock: FixedClock,
    copied_to: Callable[..., Deployed],
    capturing: Callable[[Platform], object],
) -> Iterator[Watched]:
    """The deployment on each engine in turn."""
    with open_platform(copied_to(request.param, tmp_path / "watched").settings, clock=clock) as platform:
        captured = capturing(platform)
        subject = captured.person("u-1", "P07")
        captured.record(captured.act("withdraw", captured.known("u-1"), "P07"))
        yield Watched(platform, subject)


def test_clean_run_leaves_its_entry_and_the_gate_alone(watched):
    """A nightly run of an untouched store."""
    done = reconcile(watched.platform, ADMIN)
    assert done.is_clean
    assert not done.is_suspended
    assert done.counts["decisions"] == 5
    assert watched.acts() == [("log.reconciled", "done")]
    assert not watched.may_profile()


def test_forged_grant_suspends_the_gate_until_it_is_repaired_and_released(watched):
    """What was forged opens nothing more; the release asks for a clean comparison and leaves its entry."""
    watched.forge()
    assert watched.may_profile()
    done = reconcile(watched.platform, ADMIN)
    assert [(one.part, one.differs) for one in done.mismatches] == [("current", ("act",))]
    assert watched.subject in done.mismatches[0].name
    with pytest.raises(Unavailable, match="suspended"):
        watched.may_profile()
    with pytest.raises(IntegrityFailed, match="stays suspended"):
        release_gate(watched.platform, ADMIN, reason="looked at it")
    watched.repair()
    with pytest.raises(Unavailable, match="suspended"):
        watched.may_profile()
    assert release_gate(watched.platform, ADMIN, reason="restored from backup").is_clean
    assert not watched.may_profile()
    assert watched.acts() == [
        ("register.suspended", "done"),
        ("log.reconciled", "failed"),
        ("log.reconciled", "failed"),
        ("log.reconciled", "done"),
        ("register.released", "done"),
    ]


def test_two_people_may_accept_what_differs(watched):
    """One person cannot, nor one twice, nor one whose role does not reach; the entry names both."""
    watched.forge()
    reconcile(watched.platform, ADMIN)
    for people in ([OFFICER], [OFFICER, OFFICER]):
        with pytest.raises(BadInput, match="Two different persons"):
            release_gate(watched.platform, ADMIN, reason="known", accepted_by=people)
    with pytest.raises(Denied, match="prn_doc may not accept"):
        release_gate(watched.platform, ADMIN, reason="known", accepted_by=[OFFICER, CLINICIAN])
    done = release_gate(watched.platform, ADMIN, reason="known", accepted_by=[OFFICER, ADMIN])
    assert (done.is_clean, done.is_suspended) == (False, False)
    assert watched.may_profile()
    with watched.platform.data.read() as connection:
        refs = [entry.members.get("refs") for entry in find_entries(connection, act=Act.RECONCILED)]
    assert refs == [None, {"accepted_by_1": "prn_officer", "accepted_by_2": "local:test"}]
    assert reconcile(watched.platform, ADMIN).is_suspended


def test_release_needs_a_reason_and_a_role(watched):
    """Nobody opens the gate without saying why, or from a ward."""
    with pytest.raises(BadInput, match="reason"):
        release_gate(watched.platform, ADMIN, reason=" ")
    for call in (reconcile, lambda platform, who: release_gate(platform, who, reason="x")):
        with pytest.raises(Denied):
            call(watched.platform, CLINICIAN)


def test_log_that_cannot_be_signed_suspends_the_gate_too(watched):
    """Entries that were removed are a difference of the largest kind."""
    watched.platform.log.settle()
    with watched.platform.data.write() as connection:
        if watched.platform.data.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_leaf_no_delete"))
        else:
            connection.execute(text("ALTER TABLE audit_leaf DISABLE TRIGGER USER"))
        connection.execute(text("DELETE FROM audit_leaf WHERE leaf_index = (SELECT max(leaf_index) FROM audit_leaf)"))
    done = reconcile(watched.platform, ADMIN)
    assert [one.part for one in done.mismatches] == ["log"]
    with pytest.raises(Unavailable, match="suspended"):
        watched.may_profile()


def test_lost_log_gets_no_entry_and_the_suspension_no_mismatch(watched):
    """Nothing is added to the stretch that is the evidence; once the log is whole again, people open the gate."""
    platform = watched.platform
    signed = platform.log.settle()
    state = platform.settings.signer_state_path
    kept = state.read_bytes()
    platform.log.write(Event(Act.TOKEN_ISSUED, Outcome.DONE, "local:test", "administrator", RequestId("req_1")))
    with platform.data.write() as connection:
        drop = "DROP TRIGGER audit_leaf_no_delete"
        if not platform.data.is_sqlite:
            drop = "ALTER TABLE audit_leaf DISABLE TRIGGER USER"
        connection.execute(text(drop))
        connection.execute(text(f"DELETE FROM audit_leaf WHERE leaf_index >= {signed.size}"))
    before = written(platform)
    for _ in range(2):
        done = reconcile(platform, ADMIN)
        assert (done.is_suspended, done.entry_id) == (True, None)
    with pytest.raises(IntegrityFailed):
        release_gate(platform, ADMIN, reason="known", accepted_by=[OFFICER, ADMIN])
    assert written(platform) == before
    state.write_bytes(kept)
    with platform.data.read() as connection:
        assert read_head(connection)[1] is not None
    found = Findings()
    with platform.data.read() as connection:
        inspect_head(connection, found)
    assert [str(one) for one in found.mismatches if "suspended" in one.differs or "revision" in one.differs] == []
    with platform.data.write() as connection:
        release(connection, asking=platform.asking(ADMIN), log=platform.log)
        assert read_head(connection)[0] > 0


def written(platform: Platform) -> tuple[int, ...]:
    """Count what stands in the log, and what waits to."""
    with platform.data.read() as connection:
        tables = ("audit_leaf", "audit_inbox", "audit_detail", "audit_alias")
        return tuple(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables)


def test_registered_age_stands_in_the_log_and_is_compared(watched):
    """R21, R23: an entry names class and month, never the birthday; an age made up with its history shows."""
    assert reconcile(watched.platform, ADMIN).is_clean
    with watched.platform.data.read() as connection:
        entry = find_entries(connection, act=Act.SUBJECT_REGISTERED)[0]
    refs = entry.members["refs"]
    assert isinstance(refs, dict)
    assert (refs["age_class"], refs["age_until"]) == ("adult", "none")
    with watched.platform.data.write() as connection:
        connection.execute(
            text(
                "INSERT INTO standing_change (subject_id, state, deceased, age_class, age_class_until, changed_at) "
                "SELECT subject_id, state, deceased, 'under_18', '2030-01-01', changed_at FROM standing_change"
            )
        )
        connection.execute(text("UPDATE subject_standing SET age_class = 'under_18', age_class_until = '2030-01-01'"))
    done = reconcile(watched.platform, ADMIN)
    assert {name for one in done.mismatches for name in one.differs} == {"logged age", "history"}
