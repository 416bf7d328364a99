"""Writers who share a commit; what one of them does wrong is its own affair."""

from collections.abc import Callable
from contextlib import contextmanager

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from kernel.database import Database, open_database
from kernel.errors import Denied, Unavailable
from kernel.shared_writes import Piece, run_shared

METADATA = MetaData()
THINGS = Table("thing", METADATA, Column("number", Integer, primary_key=True))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """A store with one table, on each engine."""
    on_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'x.db'}" if on_file else request.getfixturevalue("pg_url")
    database = open_database(url, label="data store", must_exist=False)
    METADATA.create_all(database.engine)
    yield database
    database.dispose()


def adding(number: int, then: Callable[[], None] = lambda: None):
    def work(connection) -> int:
        connection.execute(insert(THINGS), {"number": number})
        then()
        return number

    return work


def numbers(store: Database) -> set[int]:
    with store.read() as connection:
        return set(connection.scalars(select(THINGS.c.number)))


def run(write, works, **around) -> list[object]:
    """What each work returned or raised, all of them in one transaction."""
    pieces = [Piece(work) for work in works]
    run_shared(write, pieces, **around)
    return [one.result if one.error is None else one.error for one in pieces]


def deny() -> None:
    raise Denied("no")


def fail() -> None:
    raise ValueError("wrong")


def test_each_gets_its_own_result_and_what_is_refused_leaves_nothing(store):
    """A refusal takes back its own work alone, and an error of another kind as well."""
    works = [adding(1), adding(2, deny), adding(3), adding(4, fail), adding(5)]
    said = run(store.write, works)
    assert (said[0], said[2], said[4]) == (1, 3, 5)
    assert isinstance(said[1], Denied)
    assert isinstance(said[3], ValueError)
    assert numbers(store) == {1, 3, 5}


class Counted:
    """Opens transactions of a store and counts those that are committed."""

    def __init__(self, store: Database) -> None:
        self.commits = 0
        self._store = store

    @contextmanager
    def write(self):
        with self._store.write() as connection:
            yield connection
        self.commits += 1


@pytest.fixture
def on_file(tmp_path):
    """A store in a file, with one table."""
    store = open_database(f"sqlite:///{tmp_path / 'x.db'}", label="data store", must_exist=False)
    METADATA.create_all(store.engine)
    yield store
    store.dispose()


def test_those_who_wait_share_a_commit(on_file):
    """Twenty works, one transaction."""
    counted = Counted(on_file)
    said = run(counted.write, [adding(number) for number in range(20)])
    assert set(said) == numbers(on_file) == set(range(20))
    assert counted.commits == 1


def test_an_error_takes_nobody_else_along(on_file):
    """The others of its transaction run again, each alone; a refusal among them stays one."""
    works = [adding(1), adding(2), adding(3, fail), adding(4, deny), adding(5)]
    said = run(on_file.write, works)
    assert [str(one) for one in said] == ["1", "2", "wrong", "no", "5"]
    assert numbers(on_file) == {1, 2, 5}


def test_what_is_done_together_is_not_done_alone(on_file):
    """What the round takes over is left out; the rest runs after it, in the same transaction."""
    pieces = [Piece(adding(number)) for number in range(3)]

    def first(connection):
        connection.execute(insert(THINGS), {"number": 10})
        pieces[0].result = 10
        return pieces[1:]

    counted = Counted(on_file)
    run_shared(counted.write, pieces, first=first)
    assert [one.result for one in pieces] == [10, 1, 2]
    assert numbers(on_file) == {10, 1, 2}
    assert counted.commits == 1


def test_what_fails_together_runs_alone(on_file):
    """Nothing of the common try stands."""

    def first(connection):
        connection.execute(insert(THINGS), {"number": 10})
        raise Denied("together")

    assert run(on_file.write, [adding(1), adding(2)], first=first) == [1, 2]
    assert numbers(on_file) == {1, 2}


def test_a_store_that_fails_is_not_tried_again(on_file):
    """A full disk is told to all; nobody writes on it at once once more."""

    def first(connection):
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")

    said = run(on_file.write, [adding(1), adding(2)], first=first)
    assert [type(one) for one in said] == [Unavailable, Unavailable]
    assert numbers(on_file) == set()


def test_a_commit_that_fails_is_told_to_all():
    """Nobody believes in a change that is not there."""

    @contextmanager
    def write():
        raise Unavailable("locked")
        yield

    assert [str(one) for one in run(write, [adding(1), adding(2)])] == ["locked", "locked"]
