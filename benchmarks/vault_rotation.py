"""The vault's keys in number: the end of an epoch, and look-ups among many people, on both engines."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.engine import URL, make_url

from benchmarks.audit_log import postgresql_store
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import seconds_of
from kernel.catalogue import Compartment
from kernel.clock import SystemClock
from kernel.database import Database, open_database
from kernel.ids import SubjectId, new_id
from vault._keyring import Keyring, keyring_of
from vault._rewrapping import Mover
from vault.custodian import KeyfileCustodian
from vault.epoch_rotation import closing_epochs, no_progress, open_next_epoch
from vault.identity import IdentityKeys
from vault.keystore import KeyStore
from vault.setwise import chunks
from vault.subjects import SubjectResolver
from vault.tables import keystore_metadata

KEYS: Final = 1_000_000
PEOPLE: Final = 1_000_000
EPOCH_TARGET: Final = Target(Bound.AT_MOST, 60)
LOCK_TARGET: Final = Target(Bound.AT_MOST, 250)
LOOK_UP_TARGET: Final = Target(Bound.AT_MOST, 5)

_AT_ONCE: Final = 10_000
_LOOK_UPS: Final = 2_000
_ENGINES: Final = ("SQLite", "PostgreSQL")


def run(*, keys: int = KEYS, people: int = PEOPLE) -> list[Figure]:
    """Return the figures of this group: suite AES-256-GCM, one process, one thread."""
    figures: list[Figure] = []
    for engine in _ENGINES:
        with _store(engine) as keystore:
            figures += _epoch(keystore, engine, keys)
        with _store(engine) as keystore:
            figures.append(_look_up(keystore, engine, people))
    return figures


@contextmanager
def _store(engine: str) -> Iterator[KeyStore]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url: URL = make_url(f"sqlite:///{folder / 'keys.db'}")
        if engine == "PostgreSQL":
            url = stack.enter_context(postgresql_store())
        database = open_database(url, label="key store", must_exist=False)
        stack.callback(database.dispose)
        keystore_metadata.create_all(database.engine)
        keystore = KeyStore(database, KeyfileCustodian.create(folder / "root.key"), SystemClock())
        keystore.initialise()
        yield keystore


def _epoch(keystore: KeyStore, engine: str, count: int) -> Iterator[Figure]:
    """End an epoch; beside it the bare cipher, which opens and seals as many keys, and no store."""
    keyring = keyring_of(keystore)
    for some in chunks(range(count), _AT_ONCE):
        with keyring.database.write() as connection:
            pairs = {(SubjectId(new_id("sub")), Compartment.CLINICAL): 1 for _ in some}
            keyring.make_data_keys(connection, pairs, batch=None)
    _analyse(keyring.database)
    held = _Held(keyring.database)
    seconds = seconds_of(lambda: _end(keystore, keyring))
    bare = seconds_of(lambda: _bare(count))
    name = f"epoch change, {count:,} data keys, {engine}"
    yield Figure("vault", name, seconds, "s", "bare AESGCM loop over as many keys", bare, EPOCH_TARGET)
    yield Figure("vault", f"{name}: longest lock", held.longest * 1000, "ms", target=LOCK_TARGET)


class _Held:
    """Measures how long write transactions of a store last."""

    def __init__(self, database: Database) -> None:
        self.longest = 0.0
        write = database.write

        @contextmanager
        def timed() -> Iterator[object]:
            with write() as connection:
                started = time.perf_counter()
                yield connection
            self.longest = max(self.longest, time.perf_counter() - started)

        database.write = timed  # type: ignore[method-assign,assignment]  # measured from outside


def _end(keystore: KeyStore, keyring: Keyring) -> None:
    open_next_epoch(keystore)
    for epoch_id in closing_epochs(keystore):
        if Mover(keyring, epoch_id, no_progress, lambda _point: None).run():
            raise RuntimeError("Some keys did not move")


def _bare(count: int) -> None:
    old, new, context = AESGCM(os.urandom(32)), AESGCM(os.urandom(32)), os.urandom(60)
    nonce = os.urandom(12)
    wrapped = nonce + old.encrypt(nonce, os.urandom(32), context)
    for _ in range(count):
        key = old.decrypt(wrapped[:12], wrapped[12:], context)
        fresh = os.urandom(12)
        new.encrypt(fresh, key, context)


def _look_up(keystore: KeyStore, engine: str, people: int) -> Figure:
    """Find people by their ID number, one transaction each, custodian and digests included."""
    resolver, random = SubjectResolver(keystore), Random(7)
    for some in chunks(range(people), _AT_ONCE // 5):
        resolver.link([(SubjectId(new_id("sub")), IdentityKeys("", id_number=f"id-{one}")) for one in some], batch=None)
    _analyse(keystore.database)
    taken = [
        seconds_of(_finding(resolver, f"id-{random.randrange(people)}")) * 1000 for _ in range(min(people, _LOOK_UPS))
    ]
    name = f"look-up by ID number among {people:,} people, {engine}: p99"
    return Figure("vault", name, quantiles(taken, n=100)[-1], "ms", target=LOOK_UP_TARGET)


def _finding(resolver: SubjectResolver, id_number: str) -> Callable[[], None]:
    def find() -> None:
        if resolver.find_by_id_number(id_number) is None:
            raise RuntimeError("Somebody was not found")

    return find


def _analyse(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("ANALYZE")
