"""Writers who wait together share a commit; what one of them does wrong is its own affair."""

import threading
from collections.abc import Callable
from contextlib import contextmanager

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from kernel.database import Database, open_database
from kernel.errors import Denied, Unavailable
from kernel.shared_writes import SharedWrites

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


def at_once(runs: list[Callable[[], object]]) -> list[object]:
    """What each run returned or raised, all of them waiting at the same time."""
    said: list[object] = [None] * len(runs)

    def one(place: int) -> None:
        try:
            said[place] = runs[place]()
        except Exception as err:  # noqa: BLE001 - looked at by the test
            said[place] = err

    threads = [threading.Thread(target=one, args=(place,)) for place in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def deny() -> None:
    raise Denied("no")


def fail() -> None:
    raise ValueError("wrong")


def test_each_gets_its_own_result_and_what_is_refused_leaves_nothing(store):
    """A refusal takes back its own work alone, and an error of another kind as well."""
    works = [adding(1), adding(2, deny), adding(3), adding(4, fail), adding(5)]
    said = at_once([lambda work=work: store.write_together(work) for work in works])
    assert (said[0], said[2], said[4]) == (1, 3, 5)
    assert isinstance(said[1], Denied)
    assert isinstance(said[3], ValueError)
    assert numbers(store) == {1, 3, 5}


class Counted:
    """Opens transactions of a store and counts them; the first one lets others queue up."""

    def __init__(self, store: Database, waiting: int) -> None:
        self.commits = 0
        self._store = store
        self._waiting = waiting
        self.shared = SharedWrites(self.write)

    @contextmanager
    def write(self):
        if self.commits == 0:
            while len(self.shared._queue) < self._waiting:
                threading.Event().wait(0.001)
        with self._store.write() as connection:
            yield connection
        self.commits += 1


def test_those_who_wait_share_a_commit(tmp_path):
    """Twenty callers while the first one is at it: two transactions."""
    store = open_database(f"sqlite:///{tmp_path / 'x.db'}", label="data store", must_exist=False)
    METADATA.create_all(store.engine)
    counted = Counted(store, 19)
    said = at_once([lambda number=number: counted.shared.run(adding(number)) for number in range(20)])
    assert set(said) == numbers(store) == set(range(20))
    assert counted.commits == 2
    store.dispose()


def test_an_error_takes_nobody_else_along(tmp_path):
    """The others of its transaction run again, each alone; a refusal among them stays one."""
    store = open_database(f"sqlite:///{tmp_path / 'x.db'}", label="data store", must_exist=False)
    METADATA.create_all(store.engine)
    counted = Counted(store, 4)
    works = [adding(1), adding(2), adding(3, fail), adding(4, deny), adding(5)]
    said = at_once([lambda work=work: counted.shared.run(work) for work in works])
    assert [str(one) for one in said] == ["1", "2", "wrong", "no", "5"]
    assert numbers(store) == {1, 2, 5}
    store.dispose()


def test_a_commit_that_fails_is_told_to_all():
    """Nobody believes in a change that is not there."""

    @contextmanager
    def write():
        raise Unavailable("locked")
        yield

    with pytest.raises(Unavailable, match="locked"):
        SharedWrites(write).run(adding(1))
