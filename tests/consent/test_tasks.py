"""Tasks: created once, listed by urgency, done once."""

from datetime import timedelta

import pytest

from consent.tasks import NewTask, TaskKind, create_tasks, done_task, get_task, open_tasks
from kernel.clock import format_instant
from kernel.errors import Conflict, NotFound
from kernel.ids import EntryId


def wanted(office, subject, cause="ent_1", kind=TaskKind.NOTIFY_EMERGENCY, days=3):
    return NewTask(kind, subject, "P15", cause, office.clock.now() + timedelta(days=days))


def create(office, *tasks):
    who = {"asking": office.asking, "log": office.journal, "now": office.clock.now()}
    with office.database.write() as connection:
        return create_tasks(connection, tasks, **who)


def test_same_cause_makes_one_task_and_one_entry(either_office):
    """Whoever finds the cause again creates nothing (R20)."""
    office = either_office
    subject = office.subject()
    item = wanted(office, subject)
    (made,) = create(office, item, item)
    assert create(office, item) == []
    (second,) = create(office, item, wanted(office, subject, "ent_2"))
    with office.database.read() as connection:
        assert get_task(connection, made.task_id) == made
        assert {task.task_id for task in open_tasks(connection)} == {made.task_id, second.task_id}
    told = [entry for entry in office.entries() if entry["act"] == "task.created"]
    assert [entry["refs"]["task"] for entry in told] == [made.task_id, second.task_id]
    told_of = {"task": made.task_id, "kind": "notify_emergency", "cause": "ent_1"}
    assert told[0]["refs"] == told_of | {"due_at": format_instant(made.due_at)}


def test_open_tasks_are_listed_by_urgency_and_filter(office):
    """The officer sees what is due first, of a kind, of a subject, by an instant."""
    first, second = office.subject(), office.subject()
    create(office, wanted(office, first, days=9), wanted(office, second, kind=TaskKind.INFORM, days=2))
    with office.database.read() as connection:
        assert [task.subject for task in open_tasks(connection)] == [second, first]
        assert [task.subject for task in open_tasks(connection, kind=TaskKind.NOTIFY_EMERGENCY)] == [first]
        assert [task.subject for task in open_tasks(connection, subject=second)] == [second]
        due_by = office.clock.now() + timedelta(days=2)
        assert [task.subject for task in open_tasks(connection, due_by=due_by)] == [second]
        assert len(open_tasks(connection, limit=1)) == 1


def test_task_is_done_once(office):
    """What is done names its entry and cannot be done again."""
    item = wanted(office, office.subject())
    with office.database.write() as connection:
        (made,) = create_tasks(
            connection,
            [item],
            asking=office.asking,
            log=office.journal,
            now=office.clock.now(),
        )
        done = done_task(connection, made.task_id, entry_id=EntryId("ent_done"), at=office.clock.now())
        assert (done.done_at, done.done_entry) == (office.clock.now(), "ent_done")
        assert open_tasks(connection) == []
        with pytest.raises(Conflict, match="ent_done"):
            done_task(connection, made.task_id, entry_id=EntryId("ent_2"), at=office.clock.now())
        with pytest.raises(NotFound):
            done_task(connection, "tsk_none", entry_id=EntryId("ent_2"), at=office.clock.now())


def test_nothing_wanted_is_nothing(office):
    """No tasks leave no trace."""
    before = len(office.entries())
    assert create(office) == []
    assert len(office.entries()) == before
