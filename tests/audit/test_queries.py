"""Looking things up in the log."""

from datetime import timedelta

import pytest

from audit.events import Act, Event, Outcome
from audit.queries import find_entries, get_entry
from kernel.errors import BadInput
from kernel.ids import RequestId, SubjectId, new_id


@pytest.fixture
def page(any_desk):
    """Find entries in a snapshot of their own."""

    def found(**conditions):
        with any_desk.database.read() as connection:
            return find_entries(connection, **conditions)

    return found


@pytest.fixture
def logged(any_desk, subject):
    """Three acts an hour apart, by two actors, in two requests."""
    entries = [
        Event(
            Act.CONSENT_GRANTED, Outcome.DONE, "prn_a", "capture", RequestId("req_1"), purpose="P06", subject=subject
        ),
        Event(Act.PERMIT, Outcome.ALLOWED, "prn_b", "clinician", RequestId("req_2"), purpose="P06", subject=subject),
        Event(Act.REFUSAL, Outcome.DENIED, "prn_b", "clinician", RequestId("req_2"), purpose="P07"),
    ]
    ids = []
    for event in entries:
        ids += any_desk.record(event)
        any_desk.clock.advance(timedelta(hours=1))
    any_desk.log.settle()
    return ids


@pytest.mark.parametrize(
    ("conditions", "indexes"),
    [
        ({}, [0, 1, 2]),
        ({"actor": "prn_b"}, [1, 2]),
        ({"act": Act.PERMIT}, [1]),
        ({"purpose": "P06"}, [0, 1]),
        ({"outcome": Outcome.DENIED}, [2]),
        ({"request_id": "req_2"}, [1, 2]),
        ({"actor": "prn_b", "purpose": "P06"}, [1]),
        ({"actor": "prn_c"}, []),
        ({"after_index": 0}, [1, 2]),
        ({"limit": 2}, [0, 1]),
        ({"after_index": 0, "limit": 1}, [1]),
    ],
)
def test_conditions_narrow_together(logged, page, conditions, indexes):
    """Each condition is met by every entry that is returned, in the log's order."""
    assert [entry.index for entry in page(**conditions)] == indexes


def test_times_are_half_open(logged, page, clock):
    """The first instant counts, the last does not."""
    second = clock.now() - timedelta(hours=2)
    assert [entry.index for entry in page(since=second)] == [1, 2]
    assert [entry.index for entry in page(until=second)] == [0]
    assert [entry.index for entry in page(since=second, until=second + timedelta(hours=1))] == [1]


def test_subject_is_found_in_every_year_and_cohort(any_desk, page, subject):
    """Under each alias, alone or among others."""
    others = tuple(SubjectId(new_id("sub")) for _ in range(3))
    any_desk.record(any_desk.permit(subject), any_desk.permit(others[0]), any_desk.permit(cohort=(subject, *others)))
    any_desk.clock.advance(timedelta(days=90))
    any_desk.record(any_desk.permit(subject), any_desk.permit(cohort=others))
    any_desk.log.settle()
    assert [entry.index for entry in page(subject=subject)] == [0, 2, 3]
    assert [entry.index for entry in page(subject=others[0])] == [1, 2, 4]
    assert page(subject=SubjectId(new_id("sub"))) == []


def test_view_carries_bytes_and_members(logged, page):
    """The bytes are what was hashed; the members are read from them."""
    entry = page(act=Act.REFUSAL)[0]
    assert entry.entry_id == logged[2] == entry.members["id"]
    assert entry.members["outcome"] == "denied"
    assert b"denied" in entry.body
    assert "denied" not in repr(entry)


def test_entry_is_had_by_its_index(any_desk, logged):
    """And nothing beyond the end."""
    with any_desk.database.read() as connection:
        assert get_entry(connection, 1).entry_id == logged[1]
        assert get_entry(connection, 3) is None


def test_waiting_entries_are_not_in_the_log_yet(any_desk, page):
    """Only what is in the tree is shown."""
    any_desk.fill(2)
    assert page() == []


@pytest.mark.parametrize("limit", [0, 1_001])
def test_page_size_has_bounds(page, limit):
    """No call reads the whole log."""
    with pytest.raises(BadInput):
        page(limit=limit)
