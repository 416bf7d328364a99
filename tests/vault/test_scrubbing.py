"""Scrubbing what SQLite keeps of deleted rows."""

import pytest

from kernel.database import Database, open_database
from kernel.errors import Unavailable
from vault.scrubbing import flush_log, scrub

NOTE = "b" * 200


def opened(path) -> Database:
    return open_database(f"sqlite:///{path}", label="data store", must_exist=False, busy_timeout_ms=50)


@pytest.fixture
def store(tmp_path) -> Database:
    database = opened(tmp_path / "store.db")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE note (body TEXT)")
        connection.exec_driver_sql("INSERT INTO note VALUES (?)", [(NOTE,)] * 50)
    yield database
    database.dispose()


def run(database: Database, statement: str) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(statement)


def test_scrubbing_keeps_the_live_rows_and_the_store_usable(store, tmp_path):
    """The file shrinks to what lives; reading and writing go on as before."""
    run(store, "DELETE FROM note WHERE rowid > 1")
    before = (tmp_path / "store.db").stat().st_size
    scrub(store)
    assert (tmp_path / "store.db").stat().st_size < before
    run(store, "INSERT INTO note VALUES ('c')")
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM note").scalar() == 2


def test_a_store_in_use_is_not_scrubbed_and_says_so(store, tmp_path):
    """Somebody else's transaction is waited for, not broken."""
    other = opened(tmp_path / "store.db")
    with other.write() as connection:
        connection.exec_driver_sql("DELETE FROM note")
        with pytest.raises(Unavailable, match="data store cannot be scrubbed"):
            scrub(store)
    scrub(store)
    other.dispose()


def test_a_write_ahead_log_that_is_being_read_cannot_be_cut(tmp_path, monkeypatch):
    """A reader keeps old pages alive; afterwards the log is cut to nothing."""
    monkeypatch.setattr("kernel.database.sqlite_journal_mode", lambda _version: "WAL")
    store = opened(tmp_path / "wal.db")
    run(store, "CREATE TABLE note (body TEXT)")
    with store.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM note").scalar()
        run(store, f"INSERT INTO note VALUES ('{NOTE}')")
        with pytest.raises(Unavailable, match="is being read"):
            flush_log(store)
    assert (tmp_path / "wal.db-wal").stat().st_size > 0
    flush_log(store)
    assert (tmp_path / "wal.db-wal").stat().st_size == 0
    store.dispose()


def test_postgresql_is_left_alone(pg_house):
    """There is nothing of the kind to do."""
    scrub(pg_house.data)
    flush_log(pg_house.keys)
