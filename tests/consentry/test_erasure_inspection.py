"""Erasures are compared with their entries: a row that was changed by hand closes the gate."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, insert, select, update

from consentry.platform import Platform, open_platform
from consentry.settings import load_settings
from consentry.workflows.erase import erase_subject
from consentry.workflows.holds import release_hold, set_hold
from consentry.workflows.initialise import initialise
from consentry.workflows.reconcile import reconcile
from kernel.clock import FixedClock
from kernel.ids import SubjectId
from tests.consentry.conftest import ADMIN, Captured
from vault.tables import erasure


def erased(platform: Platform, captured: Captured) -> SubjectId:
    """Return somebody of whom an erasure left what an officer holds, beside somebody of whom it left nothing."""
    subject, other = captured.person("u-1", "P02", "P08"), captured.person("u-2", "P02")
    viewed = {"event_type": "page_view", "page": "home", "session_id": "s-1"}
    captured.store([captured.posted("u-1", kind="event", number="e-1", **viewed)])
    set_hold(platform, ADMIN, subject=subject, reference="case-17", reason="court order")
    for one in (subject, other):
        erase_subject(platform, ADMIN, subject=one, reason="request 1")
    return subject


def check_agreeing(platform: Platform) -> None:
    done = reconcile(platform, ADMIN)
    assert (done.is_clean, done.counts["erasures"]) == (True, 2)
    with platform.data.read() as connection:
        hold = platform.holds.list_all(connection)[0].hold_id
    platform.clock.advance(timedelta(hours=1))
    release_hold(platform, ADMIN, hold, reason="settled")
    done = reconcile(platform, ADMIN)
    assert (done.is_clean, done.counts["erasures"]) == (True, 3)


def touched(platform: Platform, statement: object) -> list[tuple[str, tuple[str, ...]]]:
    with platform.data.write() as connection:
        connection.execute(statement)
    return [(one.part, tuple(one.differs)) for one in reconcile(platform, ADMIN).mismatches]


def test_erasures_agree_with_the_log(platform: Platform, captured: Captured):
    """Restricted, complete, and one that went on after its hold."""
    erased(platform, captured)
    check_agreeing(platform)


def test_the_same_on_postgresql(pg_database: Callable, tmp_path: Path, clock: FixedClock, capturing: Callable):
    """The same statements."""
    settings = load_settings(home=tmp_path / "home", data_store=pg_database(), key_store=pg_database())
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    ready = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    with open_platform(ready, clock=clock) as platform:
        erased(platform, capturing(platform))
        check_agreeing(platform)


def test_an_erasure_that_was_changed_by_hand_closes_the_gate(platform: Platform, captured: Captured):
    """Called complete, nothing would go on; somebody else's, or deleted, what is left would be released."""
    kept = erased(platform, captured)
    mine = erasure.c.subject_id == kept
    with platform.data.read() as connection:
        row = dict(connection.execute(select(erasure).where(mine)).mappings().one())
    for changed, differs in (({"state": "erased"}, "state"), ({"subject_id": "sub_other"}, "subject")):
        same = erasure.c.erasure_id == row["erasure_id"]
        assert touched(platform, update(erasure).where(same).values(**changed)) == [("erasure", (differs,))]
        assert reconcile(platform, ADMIN).suspended
        with platform.data.write() as connection:
            connection.execute(update(erasure).where(same).values(**row))
    assert touched(platform, delete(erasure).where(mine)) == [("erasure", ("row",))]
    with platform.data.write() as connection:
        connection.execute(insert(erasure).values(**row))
    assert touched(platform, insert(erasure).values(**row | {"erasure_id": "era_forged"})) == [("erasure", ("entry",))]
