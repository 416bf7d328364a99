"""Memory of a bulk load: the peak of the command and of each process that seals, for few and for many records."""

import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.deployment import wide_deployment
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import Taken, run_child
from benchmarks.vault_bulk import people_of, written

FEW: Final = 10_000
MANY: Final = 1_000_000
FIELDS: Final = 4

_EACH: Final = 10


def run(*, few: int = FEW, many: int = MANY) -> list[Figure]:
    """Return the figures of this module."""
    small, large = _taken(few), _taken(many)
    name = f"peak memory of a bulk load of {many:,} records of {FIELDS} fields, its largest process"
    return [
        Figure("vault", name, large.peak_mb, "MB", f"the same for {few:,} records", small.peak_mb,
               Target(Bound.AT_MOST, 1.2, of_ratio=True)),
        Figure("vault", f"bulk load of {many:,} records of {FIELDS} fields as a command: SQLite",
               many / large.seconds, "records/s"),
    ]  # fmt: skip


def _taken(records: int) -> Taken:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with wide_deployment(folder, fields=FIELDS) as platform:
            people_of(platform, records // _EACH)
            file, mapping = written(platform, folder, records, FIELDS, _EACH)
            home = platform.settings.home
        command = Path(sys.executable).with_name("consentry")
        given = ["ingest", "arrow", file, "--map", mapping, "--home", home, "--quiet"]
        return run_child([command, *map(str, given)], log=folder / "log")
