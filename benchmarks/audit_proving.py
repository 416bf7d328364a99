"""A long log verified offline, one proof from a cold store, and appending and proving beside pymerkle."""

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import select

from audit.origins import FIRST
from audit.proofs import prove_entry
from audit.tables import leaf
from audit.tree import StoredTree
from audit.verifier import Checkpoint, VerifierKey, open_checkpoint, verify_export
from benchmarks.audit_log import OpenLog, open_log, refusals
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import best_beside, seconds_of
from kernel.database import open_database, sqlite_journal_mode
from kernel.ids import EntryId
from vault.setwise import chunks

ENTRIES: Final = 1_000_000
BESIDE: Final = 50_000
"""Entries appended beside pymerkle."""

_PER_COMMIT: Final = 1_000
_PROOFS: Final = 300
_COLD_STARTS: Final = 7
_HASHING: Final = "one leaf hash and one node hash an entry"


def run(*, entries: int = ENTRIES, beside: int = BESIDE, starts: int = _COLD_STARTS) -> list[Figure]:
    """Return the figures of this module."""
    with tempfile.TemporaryDirectory(prefix="consentry-bench-audit-") as name:
        folder = Path(name)
        with open_log(folder, is_hasty=True) as opened:
            opened.fill(entries)
            figures = [*_verified(opened, folder / "export"), *_proven(opened, folder, starts)]
    return [*figures, *_beside_pymerkle(beside)]


def _verified(opened: OpenLog, export: Path) -> list[Figure]:
    """Measure the offline verifier on a whole export, in turns with bare hashing of the same bytes."""
    opened.log.export(export)
    with opened.store.read() as connection:
        bodies = list(connection.scalars(select(leaf.c.body).order_by(leaf.c.leaf_index)))
    verified, hashed = best_beside(lambda: verify_export(export, opened.key), lambda: _hash_bare(bodies), rounds=5)
    return [
        Figure("audit", "entries verified offline", len(bodies) / verified, "entries/s", _HASHING,
               len(bodies) / hashed, Target(Bound.AT_LEAST, 0.6, of_ratio=True)),
        Figure("audit", f"{len(bodies):,} entries verified offline", verified, "s", _HASHING, hashed,
               Target(Bound.AT_MOST, 5)),
        Figure("audit", "bytes an entry", sum(map(len, bodies)) / len(bodies), "bytes"),
    ]  # fmt: skip


def _proven(opened: OpenLog, folder: Path, starts: int) -> list[Figure]:
    """Measure one proof in processes of their own, which have read nothing before, once without the system's cache."""
    signed = opened.log.settle()
    with opened.store.read() as connection:
        middle = select(leaf.c.entry_id).where(leaf.c.leaf_index == signed.size * 5 // 7)
        entry = EntryId(connection.scalars(middle).one())
        proof = len(prove_entry(connection, entry, signed).proof.encode())
    (folder / "note").write_bytes(signed.note)
    store = folder / "data.db"
    cold = [_prove_cold(store, entry, opened.key, is_cached=True) for _ in range(starts)]
    colder = [_prove_cold(store, entry, opened.key, is_cached=False) for _ in range(starts)]
    log = f"cold log of {signed.size:,} entries"
    return [
        Figure("audit", f"one proof from a {log}", min(cold), "ms", target=Target(Bound.AT_MOST, 5)),
        Figure("audit", f"one proof from a {log}, the file read from the disk", min(colder), "ms"),
        Figure("audit", "bytes of a proof", proof, "bytes", target=Target(Bound.AT_MOST, 2048)),
    ]


def _prove_cold(store: Path, entry: EntryId, key: VerifierKey, *, is_cached: bool) -> float:
    """Return the milliseconds of one proof in a new process, its imports apart."""
    if not is_cached:
        _forget(store)
    command = [sys.executable, "-m", "benchmarks.audit_proving", store, entry, str(key)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    return float(json.loads(done.stdout))


def _forget(file: Path) -> None:
    """Have the system's cache give up a file."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _prove_once(store: str, entry: str, signed: Checkpoint) -> float:
    started = time.perf_counter()
    cold = open_database(f"sqlite:///{store}", label="data store")
    with cold.read() as connection:
        prove_entry(connection, EntryId(entry), signed)
    taken = time.perf_counter() - started
    cold.dispose()
    return taken * 1000


def _beside_pymerkle(entries: int) -> list[Figure]:
    """Measure appending and proving, and the same bytes in a tree of pymerkle on SQLite, flushed as ours."""
    from pymerkle import SqliteTree

    with tempfile.TemporaryDirectory(prefix="consentry-bench-audit-") as name, open_log(Path(name)) as opened:
        ours = seconds_of(lambda: _append(opened, entries))
        with opened.store.read() as connection:
            bodies = list(connection.scalars(select(leaf.c.body).order_by(leaf.c.leaf_index)))
        with closing(SqliteTree(str(Path(name) / "pymerkle.db"))) as theirs:
            theirs.con.execute(f"PRAGMA journal_mode = {sqlite_journal_mode(sqlite3.sqlite_version_info)}")
            theirs.con.execute("PRAGMA synchronous = FULL")
            appended = seconds_of(lambda: [theirs.append_entries(some) for some in chunks(bodies, _PER_COMMIT)])
            places = random.Random(7).sample(range(entries), min(entries, _PROOFS))
            with opened.store.read() as connection:
                proved, proved_theirs = best_beside(
                    lambda: [StoredTree(connection, FIRST).inclusion_proof(place, entries) for place in places],
                    lambda: [theirs.prove_inclusion(place + 1, entries) for place in places],
                    rounds=3,
                )
    return [
        Figure("audit", f"entries appended, {_PER_COMMIT:,} a transaction, signed", entries / ours, "entries/s",
               "their bytes appended by pymerkle, as many a commit", entries / appended),
        Figure("audit", f"inclusion proofs, {entries:,} entries", len(places) / proved, "proofs/s",
               "pymerkle, the same tree", len(places) / proved_theirs),
    ]  # fmt: skip


def _append(opened: OpenLog, entries: int) -> None:
    """Record events in transactions, each followed by its signed checkpoint."""
    for some in chunks(list(refusals(entries)), _PER_COMMIT):
        with opened.store.write() as connection:
            opened.log.record_many(connection, some)
        opened.log.settle()


def _hash_bare(bodies: Sequence[bytes]) -> bytes:
    """Hash each entry as a leaf, and once more as if it closed a node."""
    node = bytes(32)
    for body in bodies:
        hashed = hashlib.sha256(b"\x00" + body).digest()
        node = hashlib.sha256(b"\x01" + node + hashed).digest()
    return node


if __name__ == "__main__":
    note = Path(sys.argv[1]).with_name("note").read_bytes()
    under = open_checkpoint(note, VerifierKey.parse(sys.argv[3]))
    sys.stdout.write(json.dumps(_prove_once(sys.argv[1], sys.argv[2], under)))
