"""No look-up reads the whole log: each follows an index, or a bounded stretch."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from audit import queries
from audit.events import Act, Event, Outcome
from audit.queries import Sought, find_page
from kernel.errors import BadInput
from kernel.ids import RequestId


@pytest.fixture
def filled(any_desk, subject):
    """Three single entries and a cohort of the subject, among others."""
    for number in range(3):
        any_desk.record(any_desk.permit(subject, counts={"number": number}), any_desk.permit(level=number + 2))
        any_desk.clock.advance(timedelta(hours=2))
    any_desk.record(any_desk.permit(cohort=(subject,)))
    any_desk.log.settle()
    return any_desk


def plans(desk, sought):
    """Return the plan of every statement of a page, with index use forced where the planner prefers small tables."""
    asked, told = [], []

    def note(_connection, _cursor, statement, parameters, *_):
        if not statement.startswith(("EXPLAIN", "SET")):
            asked.append((statement, parameters))

    engine = desk.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        with desk.database.read() as connection:
            find_page(connection, sought)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    with desk.database.read() as connection:
        if not desk.database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if desk.database.is_sqlite else "EXPLAIN "
        for statement, parameters in asked:
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
            told.append(" | ".join(str(row[-1]) for row in rows))
    return told


@pytest.mark.parametrize(
    ("conditions", "index"),
    [
        ({}, "alias_leaf_index"),
        ({"act": Act.PERMIT, "actor": "prn_clinician", "newest_first": True}, "alias_leaf_index"),
        ({"purpose": "P06", "level": 4}, "alias_leaf_index"),
    ],
)
def test_subject_is_looked_up_alias_by_alias(filled, subject, conditions, index):
    """The entries of a subject come from the alias index and those of its cohorts by their ids, never from a scan."""
    told = plans(filled, Sought(subject, **conditions))
    if filled.database.is_sqlite:  # PostgreSQL chooses among a handful of rows as it likes
        assert any(index in plan for plan in told)
    assert not any("SCAN audit_leaf" in plan or "Seq Scan on audit_leaf" in plan for plan in told)


@pytest.mark.parametrize(
    ("conditions", "index"),
    [
        ({"actor": "prn_clinician"}, "actor_leaf_index"),
        ({"actor": "prn_clinician", "act": Act.PERMIT, "outcome": Outcome.ALLOWED}, "actor_leaf_index"),
        ({"act": Act.PERMIT, "newest_first": True}, "act_leaf_index"),
        ({"request_ids": (RequestId("req_1"),)}, "request_id"),
    ],
)
def test_other_conditions_follow_their_index(filled, conditions, index):
    """Actor, act and request each lead along their own index."""
    told = plans(filled, Sought(**conditions))
    if filled.database.is_sqlite:  # PostgreSQL chooses among a handful of rows as it likes
        assert any(index in plan for plan in told)
    assert not any("SCAN audit_leaf" in plan or "Seq Scan on audit_leaf" in plan for plan in told)


@pytest.mark.parametrize("conditions", [{"purpose": "P06"}, {"level": 4}, {"outcome": Outcome.DENIED}])
def test_what_has_no_index_is_read_between_two_places(filled, conditions):
    """Purpose, level and outcome read a stretch of the log by its own key."""
    told = plans(filled, Sought(**conditions))
    assert not any("SCAN audit_leaf" in plan or "Seq Scan on audit_leaf" in plan for plan in told)


@pytest.mark.parametrize("newest_first", [False, True])
def test_rare_things_end_a_page_early_and_are_found_by_going_on(filled, monkeypatch, newest_first):
    """A page reads so many stretches at most; whoever goes on where it says sees every entry once."""
    monkeypatch.setattr(queries, "STRETCH_ENTRIES", 1)
    monkeypatch.setattr(queries, "_STRETCHES", 2)
    found, place, pages = [], None, 0
    with filled.database.read() as connection:
        while True:
            side = {"before_index" if newest_first else "after_index": place}
            page = find_page(connection, Sought(level=4, newest_first=newest_first, **side))
            found += [view.index for view in page.entries]
            pages += 1
            if page.next_index is None:
                break
            place = page.next_index
    assert found == ([6, 5, 4, 2, 0] if newest_first else [0, 2, 4, 5, 6])
    assert pages > 2


def test_level_is_the_least_one(filled):
    """Entries of the level and above, none without a level."""
    with filled.database.read() as connection:
        levels = [view.members["level"] for view in find_page(connection, Sought(level=3)).entries]
    assert levels == [4, 4, 3, 4, 4, 4]


@pytest.mark.parametrize("level", [0, 6])
def test_level_has_bounds(filled, level):
    """A level is 1 to 5."""
    with filled.database.read() as connection, pytest.raises(BadInput):
        find_page(connection, Sought(level=level))


def test_newest_first_pages_backwards_without_gap(filled, subject):
    """Going on before the last index gives every entry of the subject once."""
    with filled.database.read() as connection:
        first = find_page(connection, Sought(subject, newest_first=True), limit=2)
        rest = find_page(connection, Sought(subject, newest_first=True, before_index=first.next_index), limit=10)
    assert [view.index for view in first.entries] + [view.index for view in rest.entries] == [6, 4, 2, 0]
    assert rest.next_index is None


def test_entry_stays_visible_though_its_time_runs_against_its_place(filled, clock):
    """Times narrow the log with an hour to spare on both sides: a slow transaction's entry is not lost."""
    late = Event(Act.REFUSAL, Outcome.DENIED, "prn_x", "clinician", RequestId("req_9"), purpose="P06")
    early = clock.now() - timedelta(minutes=30)
    with filled.database.write() as connection:
        filled.log.record_known(connection, late, at=early, aliases={})
    filled.log.settle()
    with filled.database.read() as connection:
        found = find_page(connection, Sought(since=early, until=early + timedelta(minutes=1)))
        until = find_page(connection, Sought(outcome=Outcome.DENIED, until=early + timedelta(minutes=1)))
    assert [view.index for view in found.entries] == [7]
    assert [view.index for view in until.entries] == [7]
