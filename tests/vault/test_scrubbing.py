"""Scrubbing what SQLite keeps of deleted rows."""

import secrets

import pytest
from sqlalchemy import event

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


def test_postgresql_is_vacuumed_where_the_role_owns_the_tables(pg_house):
    """Dead rows of the tables that erasures delete from are gone afterwards."""
    subject = pg_house.subject()
    pg_house.store(pg_house.record(subject, name="x"))
    pg_house.erase(subject)
    assert scrub(pg_house.data) == []
    flush_log(pg_house.keys)
    with pg_house.data.read() as connection:
        dead = connection.exec_driver_sql(
            "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname IN ('sealed_record', 'data_key', 'blind_index')"
        )
        assert sum(number for (number,) in dead) == 0


def test_what_the_role_may_not_vacuum_is_said(pg_house):
    """The statements are for the tables' owner."""
    role = f"t_{secrets.token_hex(6)}"
    with pg_house.data.write() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}")
    try:
        with pg_house.data.write() as connection:
            connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")

        @event.listens_for(pg_house.data.engine, "connect")
        def _lesser(connection, _record):
            connection.execute(f"SET ROLE {role}")
            connection.commit()

        pg_house.data.dispose()
        assert "VACUUM sealed_record;" in scrub(pg_house.data)
        event.remove(pg_house.data.engine, "connect", _lesser)
    finally:
        pg_house.data.dispose()
        with pg_house.data.write() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
