"""The door to SQL: durable, serialised writing, reading that cannot write, and errors in the product's words."""

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, String, Table, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError, InternalError
from sqlalchemy.pool import QueuePool

from kernel import database as database_module
from kernel.database import Database, Instant, new_metadata, open_database, ping, sqlite_journal_mode
from kernel.errors import BadInput, Unavailable
from kernel.shared_writes import Piece, run_shared

METADATA = new_metadata()
NOTE = Table(
    "note",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("body", String(40), unique=True, nullable=False),
    Column("at", Instant),
    Column("size", BigInteger, CheckConstraint("size >= 0", name="size_positive")),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store lies."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path):
    """A SQLite store with one table."""
    opened = open_database(f"sqlite:///{path}", label="data store", must_exist=False, busy_timeout_ms=50)
    METADATA.create_all(opened.engine)
    yield opened
    opened.dispose()


@pytest.fixture
def postgres(pg_url: str):
    """A PostgreSQL store with one table."""
    opened = open_database(pg_url, label="data store")
    METADATA.create_all(opened.engine)
    yield opened
    opened.dispose()


@pytest.fixture(params=["store", "postgres"])
def either(request: pytest.FixtureRequest) -> Database:
    """The same store on both engines."""
    return request.getfixturevalue(request.param)


def _bodies(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(NOTE.c.body).order_by(NOTE.c.id)).scalars())


def _write(database: Database, body: str) -> None:
    with database.write() as connection:
        connection.execute(insert(NOTE).values(body=body))


def test_what_is_written_can_be_read(either: Database):
    """A unit of work is committed at its end."""
    _write(either, "one")
    assert _bodies(either) == ["one"]
    assert either.is_sqlite is (either.engine.dialect.name == "sqlite")


def test_a_failed_unit_of_work_leaves_nothing(either: Database):
    """Any error rolls everything back."""

    def _stopped() -> None:
        with either.write() as connection:
            connection.execute(insert(NOTE).values(body="one"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        _stopped()
    assert _bodies(either) == []


def test_reading_cannot_write(either: Database):
    """A mistake in a read path changes nothing, and writing works afterwards on the same pool."""
    with pytest.raises((Unavailable, InternalError)), either.read() as connection:
        connection.execute(insert(NOTE).values(body="one"))
    _write(either, "two")
    assert _bodies(either) == ["two"]


def test_a_read_is_one_snapshot(either: Database):
    """What another commits meanwhile is not seen half-way."""
    done = threading.Event()

    def _other() -> None:
        try:
            _write(either, "late")
        except Unavailable:
            pass  # a rollback journal lets no writer commit past a reader: the snapshot holds all the more
        finally:
            done.set()

    with either.read() as connection:
        before = connection.execute(text("SELECT count(*) FROM note")).scalar_one()
        other = threading.Thread(target=_other)
        other.start()
        assert done.wait(20)
        assert connection.execute(text("SELECT count(*) FROM note")).scalar_one() == before
    other.join()


def test_instants_come_back_as_they_went_in(either: Database):
    """Aware, in UTC, to the microsecond; nothing stays nothing."""
    instant = datetime(1931, 5, 4, 3, 2, 1, 999_999, tzinfo=UTC)
    with either.write() as connection:
        connection.execute(insert(NOTE), [{"body": "a", "at": instant}, {"body": "b", "at": None}])
    with either.read() as connection:
        assert list(connection.execute(select(NOTE.c.at).order_by(NOTE.c.body)).scalars()) == [instant, None]


def test_a_broken_rule_of_the_schema_is_no_outage(either: Database):
    """Constraints keep their own error, under the project's names, for the package that owns the table."""
    _write(either, "one")
    with pytest.raises(IntegrityError):
        _write(either, "one")
    with pytest.raises(IntegrityError, match="ck_note_size_positive"), either.write() as connection:
        connection.execute(insert(NOTE).values(body="two", size=-1))


def test_errors_do_not_show_bound_values(store: Database):
    """A value that was to be stored appears in no message."""
    _write(store, "secret-value")
    with pytest.raises(IntegrityError) as caught:
        _write(store, "secret-value")
    assert "secret-value" not in str(caught.value)


def test_sqlite_is_durable_and_strict(store: Database):
    """The settings that the promises rest on, on every connection."""
    expected = {
        "journal_mode": sqlite_journal_mode(sqlite3.sqlite_version_info).lower(),
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "temp_store": 2,
        "trusted_schema": 0,
        "busy_timeout": 50,
    }
    with store.read() as first, store.read() as second:
        for connection in (first, second):
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in expected}
            assert found == expected


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), "TRUNCATE"),
        ((3, 44, 5), "TRUNCATE"),
        ((3, 44, 6), "WAL"),
        ((3, 45, 0), "TRUNCATE"),
        ((3, 50, 6), "TRUNCATE"),
        ((3, 50, 7), "WAL"),
        ((3, 51, 2), "TRUNCATE"),
        ((3, 51, 3), "WAL"),
        ((3, 52, 0), "WAL"),
        ((4, 0, 0), "WAL"),
    ],
)
def test_the_journal_mode_avoids_the_wal_reset_race(version, mode):
    """Write-ahead logging is used from the releases that carry the fix."""
    assert sqlite_journal_mode(version) == mode


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 52, 0)])
def test_both_journal_modes_work(path: Path, monkeypatch, version):
    """Whatever library is linked, the chosen mode is what the file runs in."""
    monkeypatch.setattr(database_module.sqlite3, "sqlite_version_info", version)
    opened = open_database(f"sqlite:///{path}", label="data store", must_exist=False)
    METADATA.create_all(opened.engine)
    _write(opened, "one")
    with opened.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == sqlite_journal_mode(version).lower()
    assert _bodies(opened) == ["one"]
    opened.dispose()


def test_a_writer_holds_the_lock_from_its_first_step(store: Database, path: Path):
    """BEGIN IMMEDIATE: two units of work never both read first and then write."""
    with store.write(), pytest.raises(Unavailable):
        _write(store, "second")


def test_a_locked_store_is_unavailable_and_unchanged(store: Database, path: Path):
    """One clear line, nothing half-written, and it works again when the other is done."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="The data store cannot be used: database is locked") as caught:
        _write(store, "one")
    assert caught.value.hint == "Another process is writing; nothing was changed, try again."
    other.execute("ROLLBACK")
    other.close()
    assert _bodies(store) == []
    _write(store, "two")
    assert _bodies(store) == ["two"]


def test_a_full_store_is_unavailable_and_unchanged(store: Database):
    """SQLite's own bound on pages stands in for a full disk."""
    with store.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def _fill() -> None:
        with store.write() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.execute(insert(NOTE), [{"body": f"{number:040d}"} for number in range(2000)])

    with pytest.raises(Unavailable, match="full") as caught:
        _fill()
    assert "Free space" in caught.value.hint
    store.dispose()
    assert _bodies(store) == []


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_full_store_is_said_where_a_savepoint_went_with_it(store: Database, is_shared: bool):
    """SQLite rolls all back when it is full, so that the savepoint cannot be; the disk is the news, not that."""

    def fill(connection):
        connection.execute(text("PRAGMA max_page_count = 1"))
        with connection.begin_nested():
            connection.execute(insert(NOTE), [{"id": n, "body": f"{n:040}"} for n in range(5_000)])

    def write():
        with store.write() as connection:
            fill(connection)

    def share():
        piece = Piece(fill)
        run_shared(store.write, [piece])
        raise piece.error

    with pytest.raises(Unavailable, match="full") as caught:
        share() if is_shared else write()
    assert "The disk is full" in caught.value.hint


def test_a_store_that_is_not_there_is_not_created(path: Path):
    """A wrong path must not look like an empty store."""
    with pytest.raises(Unavailable, match="The key store does not exist") as caught:
        open_database(f"sqlite:///{path}", label="key store")
    assert "consentry init" in caught.value.hint
    assert not path.exists()


def test_a_store_that_is_there_is_opened(store: Database, path: Path):
    """And answers."""
    _write(store, "one")
    again = open_database(f"sqlite:///{path}", label="data store")
    ping(again)
    assert _bodies(again) == ["one"]
    again.dispose()


def test_a_file_that_is_no_database_is_damaged(path: Path):
    """The message says so in the product's words."""
    path.write_bytes(b"not a database at all, " * 100)
    opened = open_database(f"sqlite:///{path}", label="data store")
    with pytest.raises(Unavailable, match="The data store is damaged"):
        ping(opened)
    opened.dispose()


def test_overwritten_pages_are_damage(store: Database, path: Path):
    """A malformed image is told apart from a lock."""
    for number in range(200):
        _write(store, f"{number:040d}")
    store.dispose()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 3)
    with pytest.raises(Unavailable, match="The data store is damaged") as caught:
        _bodies(store)
    assert caught.value.hint == "Restore a backup."


def test_a_missing_table_is_unavailable(path: Path):
    """A store without its schema names the cause and leaves the hint general."""
    opened = open_database(f"sqlite:///{path}", label="data store", must_exist=False)
    with pytest.raises(Unavailable, match="no such table") as caught:
        _bodies(opened)
    assert "Check that the store is reachable" in caught.value.hint
    opened.dispose()


def test_a_server_that_does_not_answer_is_unavailable():
    """A refused connection is an outage, not a traceback, and shows no password."""
    opened = open_database("postgresql://someone:hunter2@127.0.0.1:1/none", label="data store")
    with pytest.raises(Unavailable, match="The data store cannot be used") as caught:
        ping(opened)
    assert "hunter2" not in caught.value.diagnostics()
    opened.dispose()


@pytest.mark.parametrize("url", ["mysql://host/name", "oracle://host/name"])
def test_another_kind_of_store_is_refused(url):
    """Two engines are tested, so two are accepted."""
    with pytest.raises(BadInput, match="cannot live in"):
        open_database(url, label="data store")


def test_store_whose_connections_are_all_in_use_is_unavailable(path: Path) -> None:
    """Whoever waits for a connection in vain is told so, and not shown a mistake of the code."""
    engine = create_engine(f"sqlite:///{path}", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05)
    crowded = Database(engine, label="data store")
    with crowded.read(), pytest.raises(Unavailable, match="in use"), crowded.read():
        pass
    with crowded.read() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    crowded.dispose()


@pytest.mark.parametrize("happens", [False, True])
def test_lost_answer_to_a_commit_is_told_as_such(store: Database, monkeypatch, happens) -> None:
    """Nobody is told that nothing was changed when nobody knows."""
    commit = store.engine.dialect.do_commit

    def lose(connection) -> None:
        if happens:
            commit(connection)
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched, pytest.raises(Unavailable, match="no sound answer") as told:
        patched.setattr(store.engine.dialect, "do_commit", lose)
        with store.write() as connection:
            connection.execute(insert(NOTE), {"id": 1, "body": "a"})
    assert told.value.hint.startswith("It is not known whether the change was kept")
    assert _bodies(store) == (["a"] if happens else [])


def test_commit_that_a_reader_keeps_waiting_changed_nothing(store: Database, path: Path) -> None:
    """A refusal is known: the store was locked."""
    with sqlite3.connect(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM note").fetchone()
        with pytest.raises(Unavailable, match="locked") as told, store.write() as connection:
            connection.execute(insert(NOTE), {"id": 1, "body": "a"})
        reader.rollback()
    assert "nothing was changed" in told.value.hint
    assert _bodies(store) == []


def test_server_that_takes_no_writes_is_unavailable(postgres: Database) -> None:
    """As a standby after a failover; the driver calls it an internal error."""
    with pytest.raises(Unavailable, match="can only be read") as told, postgres.write() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(insert(NOTE).values(body="a"))
    assert "Nothing was changed" in told.value.hint


def test_commit_that_postgresql_refuses_changed_nothing(postgres: Database, monkeypatch) -> None:
    """The server said so, unlike a connection that was lost."""

    def refuse(code):
        error = type("Told", (postgres.engine.dialect.loaded_dbapi.OperationalError,), {"sqlstate": code})

        def told(_connection) -> None:
            raise error("no")

        return told

    for code, said in (("40001", "Nothing was changed"), ("08006", "It is not known"), (None, "It is not known")):
        with monkeypatch.context() as patched, pytest.raises(Unavailable) as told:
            patched.setattr(postgres.engine.dialect, "do_commit", refuse(code))
            with postgres.write() as connection:
                connection.execute(insert(NOTE), {"id": 1, "body": "a"})
        assert told.value.hint.startswith(said)


def test_a_large_transaction_gets_room_and_gives_it_back(store):
    """Each connection is told when its next transaction begins."""

    def room() -> int:
        with store.write() as connection:
            return int(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())

    usual = room()
    with store.roomy():
        assert room() == -database_module.LARGE_ROOM_KIB
    assert room() == usual == -database_module.USUAL_ROOM_KIB
