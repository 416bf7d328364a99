"""A whole log on a real store, and the hands to work it."""

import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from audit.checkpoints import Checkpointer
from audit.events import Act, Event, Outcome
from audit.journal import Journal
from audit.log import AuditLog
from audit.sequencer import Sequencer
from audit.signer import TreeSigner
from audit.signing import NoteSigner, create_signing_key
from audit.tables import metadata
from kernel.clock import FixedClock
from kernel.database import Database, open_database
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import IntegrityFailed
from kernel.ids import EntryId, RequestId, SubjectId, new_id

ORIGIN = "audit.example/log"


class BindingSealer:
    """Stands in for the vault: keeps details together with their context, and refuses another context."""

    def seal_details(self, details: Mapping[str, JsonValue], *, context: str) -> bytes:
        return canonical_json({"context": context, "details": details})

    def open_details(self, sealed: bytes, *, context: str) -> Mapping[str, JsonValue]:
        opened = json.loads(sealed)
        if opened["context"] != context:
            raise IntegrityFailed("The details were sealed for another entry")
        return opened["details"]

    def mark_texts(self, texts: Sequence[str]) -> list[bytes]:
        return [hmac.digest(b"key store", text.encode(), "sha256") for text in texts]


@dataclass
class Desk:
    """One log with its store, clock and key, and the events that tests write."""

    database: Database
    clock: FixedClock
    signer: NoteSigner
    folder: Path
    log: AuditLog
    journal: Journal
    sequencer: Sequencer
    checkpointer: Checkpointer

    @property
    def state_path(self) -> Path:
        return self.folder / "signer.state"

    def permit(self, subject: SubjectId | None = None, **members: object) -> Event:
        given = {"purpose": "P06", "fields": ("mobile", "name"), "subject": subject, "level": 4, **members}
        return Event(Act.PERMIT, Outcome.ALLOWED, "prn_clinician", "clinician", RequestId("req_1"), **given)

    def record(self, *events: Event) -> list[EntryId]:
        with self.database.write() as connection:
            return self.log.record_many(connection, events)

    def fill(self, count: int) -> list[EntryId]:
        """Write ``count`` entries about nobody in particular."""
        return self.record(*(self.permit(counts={"number": number}) for number in range(count)))

    def rows(self, statement: str) -> Sequence[tuple]:
        with self.database.read() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def unguarded(self, *statements: str) -> None:
        """Change a SQLite store behind the log's back, its triggers dropped first."""
        triggers = self.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        with self.database.write() as connection:
            for name, _ in triggers:
                connection.execute(text(f"DROP TRIGGER {name}"))
            for statement in (*statements, *(sql for _, sql in triggers)):
                connection.exec_driver_sql(statement)


@pytest.fixture
def signer(tmp_path: Path) -> NoteSigner:
    """A fresh signing key."""
    return create_signing_key(tmp_path / "signing.key", ORIGIN)


@pytest.fixture
def open_desk(tmp_path: Path, clock: FixedClock, signer: NoteSigner) -> Iterator[Callable[[str], Desk]]:
    """Open a log on a store by URL; two desks on one URL are two processes as far as the log can tell."""
    opened: list[Database] = []

    def open_at(url: str) -> Desk:
        database = open_database(url, label="data store", must_exist=False, busy_timeout_ms=5_000)
        opened.append(database)
        with database.write() as connection:
            metadata.create_all(connection)
        journal, sequencer = Journal(clock, BindingSealer()), Sequencer(database)
        checkpointer = Checkpointer(database, TreeSigner(signer, tmp_path / "signer.state"))
        elapsed = lambda: clock.now().timestamp()  # noqa: E731 - real time is what the clock tells
        log = AuditLog(database, journal, sequencer, checkpointer, elapsed=elapsed)
        return Desk(database, clock, signer, tmp_path, log, journal, sequencer, checkpointer)

    yield open_at
    for database in opened:
        database.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'data.db'}"


@pytest.fixture
def desk(open_desk: Callable[[str], Desk], sqlite_url: str) -> Desk:
    """A log on SQLite."""
    return open_desk(sqlite_url)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_desk(request: pytest.FixtureRequest, open_desk: Callable[[str], Desk]) -> Desk:
    """A log on each engine."""
    return open_desk(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "pg_url"))


@pytest.fixture
def subject() -> SubjectId:
    """A fresh subject."""
    return SubjectId(new_id("sub"))


@pytest.fixture
def instant() -> Callable[[str], datetime]:
    """Parse an instant."""
    return datetime.fromisoformat
