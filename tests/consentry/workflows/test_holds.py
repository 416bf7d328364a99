"""Holds: an officer keeps data for a dispute, the log tells of it, and letting go lets what waited go on."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from consent.standing import Standing, get_standing
from consentry.platform import Platform, open_platform
from consentry.workflows.erase import erase_subject
from consentry.workflows.erase_part import erase_part
from consentry.workflows.holds import hold_json, list_holds, release_hold, set_hold
from consentry.workflows.reconcile import reconcile
from consentry.workflows.represent import merge_subjects
from consentry.workflows.sweep import sweep_expired
from kernel.clock import FixedClock
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import SubjectId
from tests.consentry.conftest import ADMIN, SECOND, Captured, Deployed
from vault.scopes import Scope, ScopeKind
from vault.tables import erasure, legal_hold, sealed_record

REASON = "court order of 3 November"


@pytest.fixture(params=["sqlite", "postgresql"])
def both(
    request: pytest.FixtureRequest, copied_to: Callable[[str, Path], Deployed], tmp_path: Path, clock: FixedClock
) -> Iterator[Platform]:
    """A platform on each engine."""
    with open_platform(copied_to(request.param, tmp_path / "both").settings, clock=clock) as opened:
        yield opened


@pytest.fixture
def patient(captured: Captured) -> SubjectId:
    """Somebody with an order, which a floor holds for three years, and a complaint without any."""
    subject = captured.person("u-1", "P07", "P08")
    viewed = {"event_type": "page_view", "page": "home", "session_id": "s-1"}
    captured.store([captured.posted("u-1", kind="event", number="e-1", **viewed)])
    return subject


def hold(platform: Platform, subject: SubjectId, **more: object):
    return set_hold(platform, ADMIN, subject=subject, reference="case-17", reason=REASON, **more)


def rows(platform: Platform, subject: SubjectId) -> int:
    with platform.data.read() as connection:
        return len(
            connection.scalars(select(sealed_record.c.row_no).where(sealed_record.c.subject_id == subject)).all()
        )


def state(platform: Platform, subject: SubjectId) -> Standing:
    with platform.data.read() as connection:
        return get_standing(connection, subject).state


def test_an_erasure_waits_for_a_hold_and_goes_on_with_its_release(platform: Platform, patient: SubjectId):
    """Held: restricted, with everything there. Let go: erased, without anybody asking again."""
    made = hold(platform, patient)
    erase_subject(platform, ADMIN, subject=patient, reason="request 1")
    assert (state(platform, patient), rows(platform, patient) > 0) == (Standing.RESTRICTED, True)
    platform.clock.advance(timedelta(days=1))
    release_hold(platform, ADMIN, made.hold_id, reason="settled")
    assert (state(platform, patient), rows(platform, patient)) == (Standing.ERASED, 0)


def test_an_erasure_goes_on_with_the_sweep_once_a_dated_hold_is_over(platform: Platform, patient: SubjectId):
    """Nobody has to remember the day."""
    hold(platform, patient, ends_at=platform.clock.now() + timedelta(days=30))
    erase_subject(platform, ADMIN, subject=patient, reason="request 1")
    platform.clock.advance(timedelta(days=29))
    assert sweep_expired(platform, ADMIN).erasures == []
    platform.clock.advance(timedelta(days=2))
    assert len(sweep_expired(platform, ADMIN).erasures) == 1
    assert state(platform, patient) is Standing.ERASED


def part_of(platform: Platform, subject: SubjectId) -> None:
    behaviour = Scope(ScopeKind.COMPARTMENT, ("behaviour",))
    erase_part(platform, ADMIN, subject=subject, scope=behaviour, reason="request 2")


def behaviour_of(platform: Platform, subject: SubjectId) -> int:
    with platform.data.read() as connection:
        mine = (sealed_record.c.subject_id == subject) & (sealed_record.c.compartment == "behaviour")
        return len(connection.scalars(select(sealed_record.c.row_no).where(mine)).all())


@pytest.mark.parametrize("reach", [{}, {"field": "page"}])
def test_a_part_erasure_goes_on_with_the_release(platform: Platform, patient: SubjectId, reach: dict):
    """Whether all of the part was held or only some of it; once, and the rest of the subject stays as it is."""
    made = hold(platform, patient, **reach)
    part_of(platform, patient)
    assert behaviour_of(platform, patient) > 0
    platform.clock.advance(timedelta(days=1))
    release_hold(platform, ADMIN, made.hold_id, reason="settled")
    assert (behaviour_of(platform, patient), state(platform, patient)) == (0, Standing.ACTIVE)
    assert sweep_expired(platform, ADMIN).parts == []
    assert reconcile(platform, ADMIN).mismatches == []


def test_a_part_erasure_goes_on_with_the_sweep(platform: Platform, patient: SubjectId, captured: Captured):
    """Once a dated hold is over, and not before; what was collected after the request is not meant."""
    hold(platform, patient, ends_at=platform.clock.now() + timedelta(days=30))
    part_of(platform, patient)
    before = behaviour_of(platform, patient)
    platform.clock.advance(timedelta(days=1))
    viewed = {"event_type": "page_view", "page": "cart", "session_id": "s-2"}
    captured.store([captured.posted("u-1", kind="event", number="e-2", **viewed)])
    assert sweep_expired(platform, ADMIN).parts == []
    since = behaviour_of(platform, patient) - before
    platform.clock.advance(timedelta(days=30))
    assert len(sweep_expired(platform, ADMIN).parts) == 1
    assert behaviour_of(platform, patient) == since > 0


def test_a_part_erasure_that_goes_on_twice_takes_nothing_newer(both: Platform):
    """Two holds end one after the other; what was collected between the request and the first end stays."""
    captured = Captured(both)
    subject = captured.person("u-1", "P07", "P08")
    viewed = {"event_type": "page_view", "page": "home", "session_id": "s-1"}
    captured.store([captured.posted("u-1", kind="event", number="e-1", **viewed)])
    first, second = (hold(both, subject, field=field) for field in ("page", "session_id"))
    part_of(both, subject)
    both.clock.advance(timedelta(days=1))
    before = behaviour_of(both, subject)
    captured.store([captured.posted("u-1", kind="event", number="e-2", **viewed)])
    newer = behaviour_of(both, subject) - before
    both.clock.advance(timedelta(days=1))
    release_hold(both, ADMIN, first.hold_id, reason="settled")
    assert behaviour_of(both, subject) == newer + before  # a value less in one of them
    both.clock.advance(timedelta(days=1))
    release_hold(both, ADMIN, second.hold_id, reason="settled")
    assert behaviour_of(both, subject) == newer > 0
    with both.data.read() as connection:
        found = connection.execute(select(erasure.c.why, erasure.c.state).order_by(erasure.c.started_at)).all()
    assert [tuple(one) for one in found] == [
        ("request", "restricted"), ("hold_ended", "restricted"), ("hold_ended", "erased"),
    ]  # fmt: skip
    assert sweep_expired(both, ADMIN).parts == []
    assert reconcile(both, ADMIN).mismatches == []


def test_a_part_erasure_goes_on_with_who_is_kept(platform: Platform, captured: Captured):
    """Records that moved by a merge are still those of which the part was asked for; what came since stays."""
    subject, kept = captured.person("u-1", "P07", "P08"), captured.person("u-2", "P07", "P08")
    viewed = {"event_type": "page_view", "page": "home", "session_id": "s-1"}
    captured.store([captured.posted("u-1", kind="event", number="e-1", **viewed)])
    for one in (subject, kept):
        hold(platform, one, ends_at=platform.clock.now() + timedelta(days=30))
    part_of(platform, subject)
    platform.clock.advance(timedelta(days=1))
    merge_subjects(platform, ADMIN, kept=kept, dropped=subject, reason="one person", accepted_by=SECOND)
    moved = behaviour_of(platform, kept)
    captured.store([captured.posted("u-2", kind="event", number="e-2", **viewed)])
    newer = behaviour_of(platform, kept) - moved
    platform.clock.advance(timedelta(days=30))
    assert len(sweep_expired(platform, ADMIN).parts) == 1
    assert (behaviour_of(platform, kept), moved > 0) == (newer, True)
    assert sweep_expired(platform, ADMIN).parts == []


def test_a_whole_erasure_takes_a_part_that_waits_along(platform: Platform, patient: SubjectId):
    """A part of somebody who is erased meanwhile is nobody's work any more."""
    made = hold(platform, patient)
    part_of(platform, patient)
    erase_subject(platform, ADMIN, subject=patient, reason="request 3")
    platform.clock.advance(timedelta(days=1))
    release_hold(platform, ADMIN, made.hold_id, reason="settled")
    assert (state(platform, patient), rows(platform, patient)) == (Standing.ERASED, 0)


def test_each_floor_ends_for_itself_after_an_erasure(platform: Platform, captured: Captured):
    """R65: orders go after their three years, and do not wait for the fifteen of the medical record."""
    subject = captured.person("u-7", "P02", "P07", "P08")
    captured.store([captured.posted("u-7", "condition", diagnosis="icd10:I10")])
    bought = {"event_type": "purchase", "session_id": "s-1", "order_amount": "12.50"}
    captured.store([captured.posted("u-7", kind="event", number="e-1", **bought)])
    erase_subject(platform, ADMIN, subject=subject, reason="request 1")
    both = rows(platform, subject)
    platform.clock.advance(timedelta(days=3 * 366))
    assert [len(sweep_expired(platform, ADMIN).erasures) for _ in range(2)] == [1, 0]
    assert (state(platform, subject), 0 < rows(platform, subject) < both) == (Standing.RESTRICTED, True)


def test_a_sweep_waits_for_a_hold(platform: Platform, patient: SubjectId):
    """A cycle that could delete nothing is none; what has expired goes with the first one after the release."""
    made = hold(platform, patient, compartment="behaviour")
    platform.clock.advance(timedelta(days=400))
    before = rows(platform, patient)
    assert (sweep_expired(platform, ADMIN).cycle, rows(platform, patient)) == (None, before)
    release_hold(platform, ADMIN, made.hold_id, reason="settled")
    before = rows(platform, patient)
    platform.clock.advance(timedelta(days=1))
    assert sweep_expired(platform, ADMIN).cycle.counts["rows"] == before
    assert rows(platform, patient) == 0


def test_a_second_hold_keeps_what_the_first_lets_go(platform: Platform, patient: SubjectId):
    """Each of them is enough."""
    first, _ = hold(platform, patient), hold(platform, patient, compartment="behaviour")
    erase_subject(platform, ADMIN, subject=patient, reason="request 1")
    platform.clock.advance(timedelta(days=1))
    release_hold(platform, ADMIN, first.hold_id, reason="settled")
    assert state(platform, patient) is Standing.RESTRICTED


def test_setting_and_releasing_leave_entries(platform: Platform, patient: SubjectId):
    """Who, whose, which matter; why is sealed beside them."""
    made = hold(platform, patient, field="page")
    assert list_holds(platform, ADMIN, subject=patient) == [made]
    release_hold(platform, ADMIN, made.hold_id, reason="settled")
    platform.log.settle()
    with platform.data.read() as connection:
        sealed = platform.log.read_details(connection, made.entry_id)
    assert (sealed["reason"], sealed["hold"]["field"]) == (REASON, "page")
    (found,) = list_holds(platform, ADMIN)
    told = hold_json(found, platform.clock.now())
    assert (told["is_live"], told["released_by"]) == (False, ADMIN.principal_id)
    assert REASON not in str(told)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"compartment": "attic"}, "no such compartment"),
        ({"field": "nope"}, "not in the catalogue"),
        ({"compartment": "clinical", "field": "diagnosis"}, "compartment or on a field"),
    ],
)
def test_a_reach_that_is_none_is_refused(platform: Platform, patient: SubjectId, more: dict, why: str):
    """What is not there cannot be held."""
    with pytest.raises(BadInput, match=why):
        hold(platform, patient, **more)
    assert list_holds(platform, ADMIN) == []


def test_words_and_references_are_asked_for(platform: Platform, patient: SubjectId):
    """No hold without its matter and its reason; none that is over before it begins."""
    with pytest.raises(BadInput, match="reason in words"):
        set_hold(platform, ADMIN, subject=patient, reference="case-17", reason=" ")
    with pytest.raises(BadInput, match="begins with a letter"):
        set_hold(platform, ADMIN, subject=patient, reference="13812345678", reason=REASON)
    with pytest.raises(BadInput, match="in the future"):
        hold(platform, patient, ends_at=platform.clock.now())
    with pytest.raises(NotFound):
        hold(platform, SubjectId("sub_" + "a" * 24))


def test_who_is_erased_has_nothing_to_hold(platform: Platform, patient: SubjectId):
    """It comes too late."""
    erase_subject(platform, ADMIN, subject=patient, reason="request 1")
    with pytest.raises(Conflict, match="nothing left to hold"):
        hold(platform, patient)


def test_a_hold_is_released_once(platform: Platform, patient: SubjectId):
    """And an unknown one never."""
    made = hold(platform, patient)
    release_hold(platform, ADMIN, made.hold_id, reason="settled")
    with pytest.raises(Conflict, match="was released"):
        release_hold(platform, ADMIN, made.hold_id, reason="again")
    with pytest.raises(NotFound):
        release_hold(platform, ADMIN, "hld_" + "a" * 24, reason="again")


def test_only_officers_hold(platform: Platform, captured: Captured, patient: SubjectId):
    """A clinician neither sets nor releases nor lists."""
    clinician = captured.person_account("dr.x", "clinician")[0]
    made = hold(platform, patient)
    for tried in (
        lambda: set_hold(platform, clinician, subject=patient, reference="case-17", reason=REASON),
        lambda: release_hold(platform, clinician, made.hold_id, reason="x"),
        lambda: list_holds(platform, clinician),
        lambda: sweep_expired(platform, clinician),
    ):
        with pytest.raises(Denied):
            tried()


# --- compared with the log


def test_holds_agree_with_the_log(platform: Platform, patient: SubjectId):
    """Set, released and live ones."""
    release_hold(platform, ADMIN, hold(platform, patient).hold_id, reason="settled")
    hold(platform, patient, compartment="clinical", ends_at=platform.clock.now() + timedelta(days=3))
    done = reconcile(platform, ADMIN)
    assert (done.is_clean, done.counts["holds"]) == (True, 2)


def changed(platform: Platform, **values: object) -> None:
    with platform.data.write() as connection:
        connection.execute(update(legal_hold).values(**values))


TOUCHED = {
    "reach": lambda platform: changed(platform, compartment="clinical"),
    "end": lambda platform: changed(platform, ends_at=platform.clock.now()),
    "who": lambda platform: changed(platform, set_by="somebody"),
    "release": lambda platform: changed(
        platform, released_by="x", released_at=platform.clock.now(), release_entry="aud_x"
    ),
}


@pytest.mark.parametrize("touch", TOUCHED)
def test_a_touched_hold_is_found(platform: Platform, patient: SubjectId, touch: str):
    """Whoever narrows, ends or releases one by the database's own means suspends the gate."""
    made = hold(platform, patient)
    TOUCHED[touch](platform)
    done = reconcile(platform, ADMIN)
    assert [(one.part, one.name) for one in done.mismatches] == [("hold", made.hold_id)]


def test_a_deleted_or_invented_hold_is_found(platform: Platform, patient: SubjectId):
    """An entry without its row, and a row without its entry."""
    made = hold(platform, patient)
    with platform.data.write() as connection:
        row = dict(connection.execute(select(legal_hold)).mappings().one())
        connection.execute(delete(legal_hold))
    assert [(one.name, one.differs) for one in reconcile(platform, ADMIN).mismatches] == [(made.entry_id, ("row",))]
    with platform.data.write() as connection:
        connection.execute(insert(legal_hold), [row, row | {"hold_id": "hld_x", "entry_id": "aud_x"}])
    assert [(one.name, one.differs) for one in reconcile(platform, ADMIN).mismatches] == [("hld_x", ("entry",))]


def test_a_release_that_was_undone_is_found(platform: Platform, patient: SubjectId):
    """A hold that is made to last beyond its release."""
    made = hold(platform, patient)
    release_hold(platform, ADMIN, made.hold_id, reason="settled")
    changed(platform, released_by=None, released_at=None, release_entry=None)
    done = reconcile(platform, ADMIN)
    assert [one.differs for one in done.mismatches] == [("row",)]
