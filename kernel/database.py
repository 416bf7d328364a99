"""The only door to SQL: opens an engine for one store, and hands out read and write units of work.

SQLite runs with a rollback journal wherever the linked library has the WAL-reset race (docs/adr/0003).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Connection, Engine, MetaData, TypeDecorator, create_engine, event, text
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kernel.clock import from_micros, to_micros
from kernel.errors import BadInput, Unavailable
from kernel.turnstile import Turnstile

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

BUSY_TIMEOUT_MS: Final = 10_000
USUAL_ROOM_KIB: Final = 2_000
"""SQLite's own (sqlite.org/pragma.html#pragma_cache_size)."""
LARGE_ROOM_KIB: Final = 16_384
"""What a bulk load writes in a quarter of a second, with the pages of the indexes."""
_LOCKED: Final = "Another process is writing; nothing was changed, try again."
_BUSY: Final = "Too much is asked at once; nothing was changed, try again."
_LOST_SAVEPOINT: Final = "no such savepoint"
_UNCHANGED: Final = "Nothing was changed. Check that the store is reachable and writable."
_UNKNOWN: Final = "It is not known whether the change was kept: look before you repeat it, once the store is back."
_NO_ANSWER: Final = ("08", "57P", "40003")
"""SQLSTATEs of PostgreSQL after which it is not known whether a commit was made (Appendix A)."""
_READ_ONLY: Final = "25006"
"""SQLSTATE of a PostgreSQL server that takes no writes, as a standby after a failover (Appendix A)."""
_WAL_FIXED: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""First release and back-ports without the WAL-reset race: sqlite.org/wal.html#walresetbug."""


class Instant(TypeDecorator[datetime]):
    """An aware instant, stored as whole microseconds since 1970 in UTC, so that both engines order it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Store microseconds."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as above
        """Return an aware UTC instant."""
        return None if value is None else from_micros(int(value))


def new_metadata() -> MetaData:
    """Return table metadata with the project's constraint names."""
    return MetaData(naming_convention=NAMING)


def sqlite_journal_mode(version: tuple[int, ...]) -> str:
    """Return the journal mode that is durable and free of the WAL-reset race on this SQLite version."""
    fixed = version >= _WAL_FIXED[0] or any(version[:2] == back[:2] and version >= back for back in _WAL_FIXED[1:])
    return "WAL" if fixed else "TRUNCATE"


class _Room:
    """How much of a SQLite store each connection keeps in memory, told to it when its next transaction begins."""

    def __init__(self) -> None:
        self.kibibytes = USUAL_ROOM_KIB

    def tell(self, driver: sqlite3.Connection, connection: Connection) -> None:
        info = connection.info
        if info.get("room", USUAL_ROOM_KIB) != self.kibibytes:
            driver.execute(f"PRAGMA cache_size = -{self.kibibytes}")
            info["room"] = self.kibibytes


class Database:
    """One store, SQLite or PostgreSQL.

    ``write()`` is one serialised unit of work (SQLite: BEGIN IMMEDIATE); ``read()`` is one consistent snapshot that
    can change nothing. Both commit or roll back as a whole.
    """

    def __init__(
        self, engine: Engine, *, label: str, busy_timeout_ms: int = BUSY_TIMEOUT_MS, room: _Room | None = None
    ) -> None:
        self._engine = engine
        self._room = room or _Room()
        self._turnstile = Turnstile()
        self._patience_seconds = busy_timeout_ms / 1000
        self.label = label

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, for migrations and bulk copies."""
        return self._engine

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is the embedded one."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; commits at the end, rolls back on any error.

        Raises:
            Unavailable: the store is locked, full, missing or damaged; nothing was written. Or the answer to the
                commit was lost, and it is not known whether it was; the hint says which.
        """
        with self._turn(), self._translated(), self._engine.connect() as connection:
            writer = connection.execution_options(consentry_write=True)
            is_committing = False
            try:
                with writer.begin():
                    yield writer
                    is_committing = True
            except OperationalError as err:
                if is_committing and _known_hint(err) is None:
                    raise Unavailable(f"The {self.label} gave no sound answer: {_cause(err)}", hint=_UNKNOWN) from err
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that reads one snapshot and refuses to write.

        Raises:
            Unavailable: the store is locked, missing or damaged.
        """
        with self._translated(), self._engine.connect() as connection:
            if self.is_sqlite:
                reader = connection.execution_options(consentry_write=False)
            else:
                reader = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with reader.begin():
                yield reader

    @contextmanager
    def roomy(self) -> Iterator[None]:
        """Let SQLite keep the pages of a large transaction in memory while the block runs.

        Otherwise it flushes its journal and writes some of them, under its strictest lock, whenever the few that it
        usually keeps are full. PostgreSQL has its own settings for that.
        """
        before = self._room.kibibytes
        self._room.kibibytes = LARGE_ROOM_KIB
        try:
            yield
        finally:
            self._room.kibibytes = before

    def dispose(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let this process's writers of a SQLite store through one after the other.

        SQLite's own lock is taken by whoever tries at the right moment; without a queue a stream of short writers can
        keep one of them, a withdrawal for instance, waiting until its time-out.
        """
        if not self.is_sqlite:
            yield
            return
        with ExitStack() as turn:
            try:
                turn.enter_context(self._turnstile.turn(timeout_seconds=self._patience_seconds))
            except TimeoutError:
                raise Unavailable(f"The {self.label} is locked", hint=_LOCKED) from None
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as err:
            first = _first_told(err)
            raise Unavailable(
                f"The {self.label} cannot be used: {_cause(first)}", hint=_known_hint(first) or _UNCHANGED
            ) from err
        except PoolTimeout as err:
            raise Unavailable(f"Every connection to the {self.label} is in use", hint=_BUSY) from err
        except DBAPIError as err:
            if getattr(err.orig, "sqlstate", None) == _READ_ONLY:
                raise Unavailable(f"The {self.label} can only be read: {_cause(err)}", hint=_UNCHANGED) from err
            cause = str(err.orig)
            if isinstance(err, DatabaseError) and ("malformed" in cause or "not a database" in cause):
                raise Unavailable(f"The {self.label} is damaged: {_cause(err)}", hint="Restore a backup.") from err
            raise


def open_database(
    url: str | URL, *, label: str, must_exist: bool = True, busy_timeout_ms: int = BUSY_TIMEOUT_MS
) -> Database:
    """Open a store.

    Args:
        url: ``sqlite:///path`` or ``postgresql://…`` (psycopg 3).
        label: the store's name in messages, for example ``data store``.
        must_exist: refuse a SQLite file that is not there instead of creating it.
        busy_timeout_ms: how long a SQLite writer waits for another.
    Raises:
        BadInput: another kind of URL.
        Unavailable: the SQLite file does not exist.
    """
    target = make_url(url)
    backend = target.get_backend_name()
    if backend == "sqlite":
        room = _Room()
        engine = _sqlite_engine(target, label, room, must_exist=must_exist, busy_timeout_ms=busy_timeout_ms)
        return Database(engine, label=label, busy_timeout_ms=busy_timeout_ms, room=room)
    if backend == "postgresql":
        return Database(create_engine(target, pool_pre_ping=True, hide_parameters=True), label=label)
    raise BadInput(f"The {label} cannot live in {backend}", hint="Use sqlite:///file or postgresql://….")


def _sqlite_engine(target: URL, label: str, room: _Room, *, must_exist: bool, busy_timeout_ms: int) -> Engine:
    path = Path(target.database or "")
    if must_exist and not path.is_file():
        raise Unavailable(
            f"The {label} does not exist at its configured place",
            hint="Check the place; `consentry restore` puts a lost store back, `consentry init` makes a deployment.",
        )
    engine = create_engine(target, connect_args={"timeout": busy_timeout_ms / 1000}, hide_parameters=True)
    mode = sqlite_journal_mode(sqlite3.sqlite_version_info)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {busy_timeout_ms}",
            f"journal_mode = {mode}",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("consentry_write", True)
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError("the engine of a SQLite file has another driver")
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED"
        try:  # by the driver itself: as statements of SQLAlchemy's they would cost as much as a whole look-up
            room.tell(driver, connection)
            driver.execute("PRAGMA query_only = " + ("OFF" if writes else "ON"))
            driver.execute(begin)
        except sqlite3.Error as err:
            raise DBAPIError.instance(
                begin, None, err, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
            ) from err

    return engine


def ping(database: Database) -> None:
    """Raise ``Unavailable`` unless the store answers; SQLite would answer a constant without a look at its file."""
    with database.read() as connection:
        connection.execute(text("SELECT 1 FROM sqlite_master LIMIT 1" if database.is_sqlite else "SELECT 1"))


def _first_told(err: OperationalError) -> OperationalError:
    """Return what the store said first: a full disk takes a savepoint along, and then its loss is no news."""
    before = err.__context__
    while _LOST_SAVEPOINT in str(err.orig) and before is not None:
        if isinstance(before, OperationalError):
            err = before
        before = before.__context__
    return err


def _cause(err: DBAPIError) -> str:
    return str(err.orig).strip().splitlines()[0] if err.orig is not None else type(err).__name__


def _known_hint(err: DBAPIError) -> str | None:
    """Return the hint for an error after which certainly nothing is written, also when it is a commit's."""
    cause = str(err.orig)
    if "locked" in cause or "busy" in cause:
        return _LOCKED
    if "disk is full" in cause or "disk full" in cause:
        return "The disk is full; nothing was changed. Free space and try again."
    if getattr(err.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_WRITE:
        return _UNCHANGED  # pages are written before the journal is cut, which is what commits
    code = getattr(err.orig, "sqlstate", None)
    is_refused = code is not None and not code.startswith(_NO_ANSWER)
    return _UNCHANGED if is_refused else None
