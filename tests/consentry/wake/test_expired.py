"""What was derived of values that have expired goes with them, and nobody reads it meanwhile (R65)."""

from datetime import timedelta

import pytest

from consentry.wake.runner import run_own_wake
from consentry.workflows.build_view import build_view
from consentry.workflows.correct_record import Wrong, correct_record
from consentry.workflows.explain_tag import explain_tag
from consentry.workflows.read_tags import read_tags
from consentry.workflows.read_view import read_view
from consentry.workflows.reconcile import reconcile
from consentry.workflows.run_tags import run_tags
from consentry.workflows.sweep import sweep_expired
from kernel.errors import NotFound
from tests.consentry.conftest import ADMIN
from tests.consentry.wake.conftest import VIEWS, Shelf
from tests.consentry.wake.test_revised import OFFICER, record_of

KEPT = timedelta(days=200)
"""Longer than a page view, and shorter than a profile."""


@pytest.fixture
def browsed(shelf: Shelf) -> Shelf:
    """Two people in both views and a run of tags; the first has looked at a page."""
    captured = shelf.captured
    for number in range(2):
        shelf.people.append(captured.person(f"u-{number}", "P02", "P07", "P08", birth_date="1980-05-20"))
        captured.store([captured.posted(f"u-{number}", "profile", f"r-{number}", sex="female")])
    looked = {"event_type": "page_view", "page": "a", "session_id": "s"}
    captured.store([captured.posted("u-0", "event", "e-0", **looked)])
    derive(shelf)
    return shelf


def derive(shelf: Shelf) -> None:
    for view in VIEWS:
        build_view(shelf.platform, shelf.captured.caller, view)
    run_tags(shelf.platform, shelf.captured.caller)


def people_in(shelf: Shelf, view: str) -> set[str]:
    """The pseudonyms that a reading of a view gives."""
    return set(read_view(shelf.platform, shelf.captured.caller, view)["pseudonym"].to_pylist())


def test_reads_leave_out_whose_values_were_swept_and_the_wake_takes_their_rows(browsed: Shelf):
    """Before the wake nobody reads them; afterwards what was made of those fields is gone, and nothing else."""
    gone, stays = browsed.people
    ((name,), (other,)) = (browsed.names(one) for one in (gone, stays))
    operator = browsed.captured.person_account("op", "operator")[0]
    assert people_in(browsed, "event_rows") == {name}
    assert read_tags(browsed.platform, operator, subject=gone).values
    browsed.platform.clock.advance(KEPT)
    assert sweep_expired(browsed.platform, ADMIN).cycle.counts["rows"] > 0
    assert people_in(browsed, "event_rows") == set()
    assert people_in(browsed, "subject_profile") == {other}
    assert not read_tags(browsed.platform, operator, subject=gone).values
    assert read_tags(browsed.platform, operator, subject=stays).values
    with pytest.raises(NotFound, match="behind this pseudonym"):
        explain_tag(browsed.platform, operator, "age_band", name)
    items = [(item.closing.cause, item.handler, item.target) for item in browsed.items(gone)]
    assert items == [("revise", "views", "event_rows"), ("revise", "tags", "")]
    assert browsed.items(stays) == []
    assert run_own_wake(browsed.platform).done == 2
    assert (browsed.rows_of(gone), browsed.tags_of(gone)) == (1, 0)
    assert people_in(browsed, "subject_profile") == {name, other}
    assert reconcile(browsed.platform, OFFICER).total == 0


def test_the_next_build_brings_back_what_still_counts(browsed: Shelf):
    """The person is in views and tags again, without the page that has expired."""
    gone, _ = browsed.people
    browsed.platform.clock.advance(KEPT)
    sweep_expired(browsed.platform, ADMIN)
    run_own_wake(browsed.platform)
    derive(browsed)
    assert people_in(browsed, "event_rows") == set()
    assert browsed.tags_of(gone) > 0


def test_one_rewriting_takes_out_everybody_who_waits_for_it(shelf: Shelf):
    """A sweep revises many at once: the first item says of how many its numbers are, the next finds nothing."""
    shelf.fill(3)
    first, second, stays = shelf.people
    for one in (first, second):
        correct_record(shelf.platform, OFFICER, Wrong(one, record_of(shelf, one), {"sex": "male"}, "card seen"))
    for subject in (first, second):
        while shelf.platform.wake.run_next(subject=subject) is not None:
            pass
    first_told, second_told = (
        {item.target or item.handler: item.outcome["counts"] for item in shelf.items(one)} for one in (first, second)
    )
    assert first_told["subject_profile"] == {"builds": 2, "rows": 4, "people": 2}
    assert second_told["subject_profile"] == {"builds": 0, "rows": 0}
    assert second_told["tags"] == {"runs": 0, "values": 0}
    assert shelf.rows_of(stays) > 0
    assert shelf.rows_of(first) == shelf.rows_of(second) == shelf.tags_of(second) == 0
