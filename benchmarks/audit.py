"""The audit log: written by many who wait, verified offline, proven; each beside bare work on the same bytes."""

import hashlib
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import select

from audit.events import Act, Event, Outcome
from audit.proofs import prove_entry
from audit.tables import leaf
from audit.verifier import verify_export
from benchmarks.deployment import new_deployment
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import best_beside, seconds_of
from consentry.platform import Platform
from kernel.database import open_database, sqlite_journal_mode
from kernel.ids import EntryId, RequestId, SubjectId, new_id
from vault.setwise import chunks

ENTRIES: Final = 100_000
PER_TRANSACTION: Final = 1_000
CLIENTS: Final = 128
EACH: Final = 40

_FIELDS: Final = ("birth_date", "diagnosis", "sex")
_HASHING: Final = "one leaf hash and one node hash an entry"
_INSERTING: Final = f"the same bytes inserted bare, {CLIENTS} a commit"


def run(*, entries: int = ENTRIES, each: int = EACH) -> list[Figure]:
    """Return the figures of this group."""
    with tempfile.TemporaryDirectory() as folder, new_deployment(Path(folder) / "home") as platform:
        return [*_written(platform, Path(folder), each), *_verified(platform, Path(folder) / "export", entries)]


def _written(platform: Platform, folder: Path, each: int) -> list[Figure]:
    """Measure many who wait for their own entry, and the bare inserts of what they wrote."""
    platform.log.settle()
    first = platform.log.settle().size
    waits: list[float] = []
    taken = seconds_of(lambda: _write_at_once(platform, waits, each))
    with platform.data.read() as connection:
        bodies = list(connection.scalars(select(leaf.c.body).where(leaf.c.leaf_index >= first)))
    bare = len(bodies) / seconds_of(lambda: _insert_bare(folder / "bare.db", bodies))
    waits.sort()
    target = Target(Bound.AT_LEAST, 0.5, of_ratio=True)
    return [
        Figure("audit", f"entries written, {CLIENTS} waiting clients, signed", CLIENTS * each / taken, "entries/s",
               _INSERTING, bare, target),
        Figure("audit", f"event to signed checkpoint, {CLIENTS} waiting clients, 99 in 100",
               waits[int(len(waits) * 0.99)] * 1000, "ms", target=Target(Bound.AT_MOST, 50)),
    ]  # fmt: skip


def _verified(platform: Platform, export: Path, entries: int) -> list[Figure]:
    """Measure the offline verifier on a whole export, and one proof from a cold store."""
    for some in chunks(list(_events(entries)), PER_TRANSACTION):
        with platform.data.write() as connection:
            platform.log.record_many(connection, some)
    signed = platform.log.settle()
    platform.log.export(export)
    with platform.data.read() as connection:
        bodies = list(connection.scalars(select(leaf.c.body).order_by(leaf.c.leaf_index)))
        entry = EntryId(connection.scalars(select(leaf.c.entry_id).where(leaf.c.leaf_index == len(bodies) // 2)).one())
    key = platform.signer.verifier_key
    verified, hashed = best_beside(lambda: verify_export(export, key), lambda: _hash_bare(bodies), rounds=3)

    def prove_cold() -> None:
        cold = open_database(platform.settings.data_store_url, label="data store")
        with cold.read() as connection:
            prove_entry(connection, entry, signed)
        cold.dispose()

    with platform.data.read() as connection:
        proof = len(prove_entry(connection, entry, signed).proof.encode())
    proving = min(seconds_of(prove_cold) for _ in range(5))
    return [
        Figure("audit", "entries verified offline", len(bodies) / verified, "entries/s", _HASHING,
               len(bodies) / hashed, Target(Bound.AT_LEAST, 0.6, of_ratio=True)),
        Figure("audit", "one proof from a cold store", proving * 1000, "ms", target=Target(Bound.AT_MOST, 5)),
        Figure("audit", "bytes of a proof", proof, "bytes", target=Target(Bound.AT_MOST, 2048)),
        Figure("audit", "bytes an entry", sum(map(len, bodies)) / len(bodies), "bytes"),
    ]  # fmt: skip


def _write_at_once(platform: Platform, waits: list[float], each: int) -> None:
    def client() -> None:
        for event in _events(each):
            started = time.perf_counter()
            platform.log.write(event)
            waits.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _insert_bare(store: Path, bodies: Sequence[bytes]) -> None:
    """Insert the same bytes into a table without index, as many a commit as clients wait, as durably."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {sqlite_journal_mode(sqlite3.sqlite_version_info)}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE entry (place INTEGER PRIMARY KEY, body BLOB)")
        for some in chunks(bodies, CLIENTS):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO entry (body) VALUES (?)", [(body,) for body in some])
            connection.execute("COMMIT")


def _events(number: int) -> Iterator[Event]:
    """Yield refusals as the gate writes them for single subjects; every subject stands in ten of them."""
    subjects = [SubjectId(new_id("sub")) for _ in range(number // 10 + 1)]
    for position in range(number):
        yield Event(
            Act.REFUSAL, Outcome.DENIED, "usr_bench", "clinician", RequestId(new_id("req")), purpose="P02",
            subject=subjects[position % len(subjects)], fields=_FIELDS, level=3, reason="WITHDRAWN",
        )  # fmt: skip


def _hash_bare(bodies: Sequence[bytes]) -> bytes:
    """Hash each entry as a leaf, and once more as if it closed a node."""
    node = bytes(32)
    for body in bodies:
        hashed = hashlib.sha256(b"\x00" + body).digest()
        node = hashlib.sha256(b"\x01" + node + hashed).digest()
    return node
