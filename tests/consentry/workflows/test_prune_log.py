"""Two people prune a deployment's log; what the gate rests on is still compared with it."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from audit.events import Act
from audit.pruned import KEPT_ACTS
from audit.queries import find_entries
from audit.tables import alias, detail, leaf
from consent.head_inspection import _MOVING  # the acts that the comparison looks up
from consent.reconciling import _ROW_KINDS  # likewise
from consent.standing_inspection import _TELLING  # likewise
from consent.tables import cohort_verdict
from consentry.platform import Platform, open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.decide import decide
from consentry.workflows.erase import erase_subject
from consentry.workflows.prune_log import preview_pruning, prune_log
from consentry.workflows.reconcile import reconcile
from kernel.clock import FixedClock
from kernel.errors import BadInput, Denied
from kernel.ids import PrincipalId, SubjectId, new_id
from tests.consentry.conftest import Deployed

ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
OFFICER = Principal(PrincipalId("prn_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")
SECOND = Principal(PrincipalId("prn_second"), "second", PrincipalKind.PERSON, "administrator")
CLINICIAN = Principal(PrincipalId("prn_doc"), "doc", PrincipalKind.PERSON, "clinician")
MACHINE = Principal(PrincipalId("prn_key"), "key", PrincipalKind.KEY, "compliance_officer")


@pytest.fixture(params=["sqlite", "postgresql"])
def platform(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock, copied_to: Callable[..., Deployed]
) -> Iterator[Platform]:
    """A deployment on each engine in turn."""
    with open_platform(copied_to(request.param, tmp_path / "old").settings, clock=clock) as opened:
        yield opened


def _ask(platform: Platform, subject: SubjectId) -> None:
    decide(platform, ADMIN, subject=subject, purpose="P07", fields=["diagnosis"])


def test_what_the_log_alone_tells_is_kept():
    """Every act that is folded out of the log is never pruned, but findings, whose loss is told, and spent permits."""
    folded = set()
    for folder in ("audit", "consent", "consentry"):
        for path in (Path(__file__).parents[3] / folder).rglob("*.py"):
            for call in re.findall(r"entries_of\([^)]*?\[([^\]]*)\]", path.read_text("utf-8")):
                folded |= {Act[name] for name in re.findall(r"Act\.(\w+)\.value", call)}
    assert Act.DUTY_RECORDED in folded
    assert folded - KEPT_ACTS == {Act.PERMIT, Act.ACCESS_FLAGGED, Act.ACCESS_REVIEWED}


def _prune(platform: Platform, **given: object):
    return prune_log(platform, ADMIN, **{"accepted_by": (OFFICER, SECOND), "reason": "six years have passed", **given})


def test_reconciling_goes_on_after_pruning(platform, capturing: Callable, clock):
    """Accesses of six years ago are gone, decisions of then are still compared with their entries."""
    captured = capturing(platform)
    subject = captured.person("u-1", "P07")
    _ask(platform, subject)
    clock.advance(timedelta(days=2193))
    _ask(platform, subject)
    would = preview_pruning(platform, OFFICER)
    assert would.plan.entries > 0
    done = _prune(platform)
    assert (done.emptied, done.plan.bound) == (would.plan.entries, would.plan.bound)
    assert reconcile(platform, ADMIN).mismatches == []
    with platform.data.read() as connection:
        acts = set(connection.scalars(select(leaf.c.act).where(func.length(leaf.c.body) > 0)))
        assert {"consent.granted", "subject.registered", "pack.loaded", "log.pruned", "gate.refusal"} <= acts
        assert "gate.permit" not in acts
    with platform.data.write() as connection:
        connection.execute(text("UPDATE consent_current SET act = 'refuse' WHERE purpose = 'P07'"))
    assert [one.part for one in reconcile(platform, ADMIN).mismatches] == ["current"]


def test_who_was_erased_is_forgotten_after_the_floor(platform, capturing: Callable, clock):
    """For six months the officer still finds the person's entries, then nobody does, and nothing else differs."""
    captured = capturing(platform)
    subject, other = captured.person("u-1", "P07"), captured.person("u-2", "P07")
    _ask(platform, subject)
    erase_subject(platform, ADMIN, subject=subject, reason="a very personal reason")
    with platform.data.read() as connection:
        names = list(connection.scalars(select(alias.c.alias).where(alias.c.subject_id == subject)))
        assert find_entries(connection, subject=subject)
    clock.advance(timedelta(days=183, seconds=-1))
    assert preview_pruning(platform, ADMIN).subjects == 0
    clock.advance(timedelta(seconds=1))
    before = platform.log.settle()
    done = _prune(platform)
    assert (done.subjects, done.plan.entries, done.emptied) == (1, 0, 0)
    assert done.entry_id is not None
    with platform.data.read() as connection:
        assert [platform.log.find_subject(connection, name) for name in names] == [None] * len(names)
        assert find_entries(connection, subject=subject) == []
        assert find_entries(connection, subject=other)
        about = select(leaf.c.entry_id).where(leaf.c.alias.in_(names))
        assert connection.scalar(select(func.count()).select_from(detail).where(detail.c.entry_id.in_(about))) == 0
        assert connection.scalar(select(func.count()).where(cohort_verdict.c.subject_id == subject)) == 0
    assert platform.log.settle().size > before.size
    assert reconcile(platform, ADMIN).mismatches == []
    assert _prune(platform).entry_id is None


def test_forgotten_names_hide_no_forged_row(platform, capturing: Callable, clock):
    """A decision of somebody alive whose name was taken away is told, for that person was not erased."""
    captured = capturing(platform)
    subject = captured.person("u-1", "P07")
    with platform.data.write() as connection:
        emptied = text("UPDATE audit_alias SET subject_id = alias WHERE subject_id = :subject")
        connection.execute(emptied, {"subject": subject})
    found = reconcile(platform, ADMIN).mismatches
    assert {"decision", "standing", "name"} <= {one.part for one in found}


def test_two_different_people_prune(platform):
    """One alone, a machine, a role that may not, or no reason: nothing is pruned."""
    for people in ((), (OFFICER,), (OFFICER, OFFICER), (OFFICER, SECOND, ADMIN)):
        with pytest.raises(BadInput, match="Two different"):
            _prune(platform, accepted_by=people)
    with pytest.raises(BadInput, match="reason"):
        _prune(platform, reason=" ")
    with pytest.raises(Denied, match=r"log\.prune"):
        _prune(platform, accepted_by=(OFFICER, CLINICIAN))
    with pytest.raises(Denied, match="Only people"):
        _prune(platform, accepted_by=(OFFICER, MACHINE))
    with pytest.raises(Denied):
        preview_pruning(platform, CLINICIAN)
    assert _prune(platform).as_json()["entry"] is None


def test_whatever_is_compared_is_kept():
    """Every act that reconciling looks up in the log outlives the retention; permits are judged one by one."""
    compared = {act for kind in _ROW_KINDS for act in kind.acts} | {*_MOVING} | {*_TELLING} | {"pack.loaded"}
    assert compared <= {act.value for act in KEPT_ACTS}


def test_a_counted_use_is_still_compared(platform, capturing: Callable, clock):
    """The permit that took a use of a decision keeps its entry as long as the use is there."""
    captured = capturing(platform)
    subject = captured.person("u-1")
    captured.grant("u-1", "P07", max_uses=5)
    _ask(platform, subject)
    clock.advance(timedelta(days=2193))
    _prune(platform)
    done = reconcile(platform, ADMIN)
    assert (done.mismatches, done.counts["uses"]) == ([], 1)


def test_an_unknown_subject_has_no_names(platform):
    """Nobody is forgotten who was not erased."""
    with platform.data.read() as connection:
        assert platform.log.alias(connection, SubjectId(new_id("sub"))) is None
