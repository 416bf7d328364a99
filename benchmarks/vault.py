"""The vault: sealing and opening beside the bare cipher, storing beside the same values in clear."""

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from itertools import repeat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.deployment import new_deployment
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import best_beside, seconds_of
from consent.asking import Asking
from consent.registry import ActorKind, DecisionAct, DecisionRequest
from consent.standing import register_subjects
from consentry.platform import Platform
from kernel.ids import RequestId, SubjectId, new_id
from vault.envelope import DataKey, Item, RowHeader, of_row, open_many, seal_many
from vault.records import CHUNK_RECORDS, PlainRecord
from vault.setwise import chunks
from vault.suites import AES

FIELDS: Final = ("department_chosen", "consult_format", "doctor_name", "visit_number", "complaint_type")
PURPOSE: Final = "P02"
"""Collects all of these fields, on a contract."""

RECORDS: Final = 10_000
SEAL_TARGET: Final = Target(Bound.AT_LEAST, 0.6, of_ratio=True)
STORE_TARGET: Final = Target(Bound.AT_LEAST, 80_000 / 25)
"""80,000 records in 25 seconds: what the demo of 2,000 subjects brings, with room for the rest of its way."""

_RECORDS_OF_ONE: Final = 40
_BORN: Final = date(1980, 5, 20)
_Value = tuple[RowHeader, str, bytes]
_PLAINTEXT: Final = b'"' + b"x" * 62 + b'"'
"""64 bytes, the width of most fields and a little more."""


def run(*, records: int = RECORDS) -> list[Figure]:
    """Return the figures of this group."""
    figures = [*_envelope(records)]
    with tempfile.TemporaryDirectory() as folder, new_deployment(Path(folder) / "home") as platform:
        figures.append(_store(platform, Path(folder), records))
    return figures


def _envelope(records: int) -> Iterator[Figure]:
    raw = os.urandom(32)
    key, aead = DataKey(os.urandom(8), raw, AES), AESGCM(raw)
    rows = [_header(new_id("sub"), new_id("rec")) for _ in range(records)]
    values = [(row, field, _PLAINTEXT) for row in rows for field in FIELDS]
    sealed, bare = seal_many(_items(key, rows)), _bare_seal(aead, values)
    ours, theirs = best_beside(lambda: seal_many(_items(key, rows)), lambda: _bare_seal(aead, values))
    yardstick = "bare AESGCM loop, fresh nonces and associated data"
    count = len(values)
    yield Figure("vault", "seal_many", count / ours, "values/s", yardstick, count / theirs, SEAL_TARGET)
    ours, theirs = best_beside(lambda: open_many(_items(key, rows, sealed)), lambda: _bare_open(aead, values, bare))
    yardstick = "bare AESGCM loop with associated data"
    yield Figure("vault", "open_many", count / ours, "values/s", yardstick, count / theirs, SEAL_TARGET)


def _header(subject: str, record: str) -> RowHeader:
    now = 1_795_000_000_000_000
    return RowHeader("encounter", "bench", "clinical", PURPOSE, subject, record, "A" * 22, now, now, None)


def _items(key: DataKey, rows: Sequence[RowHeader], sealed: Sequence[bytes] | None = None) -> Iterator[Item]:
    """Bind each value to its row's header, which is encoded once a row; part of what is measured."""
    values = repeat(_PLAINTEXT) if sealed is None else iter(sealed)
    for row in rows:
        holder = of_row("dep_bench", row)
        for field in FIELDS:
            yield key, (holder, field, 1), next(values)


def _bare_seal(aead: AESGCM, values: Sequence[_Value]) -> list[bytes]:
    sealed = []
    for row, field, plaintext in values:
        nonce = os.urandom(12)
        sealed.append(nonce + aead.encrypt(nonce, plaintext, _bare_associated(row, field)))
    return sealed


def _bare_open(aead: AESGCM, values: Sequence[_Value], sealed: Sequence[bytes]) -> list[bytes]:
    return [
        aead.decrypt(value[:12], value[12:], _bare_associated(row, field))
        for (row, field, _), value in zip(values, sealed, strict=True)
    ]


def _bare_associated(row: RowHeader, field: str) -> bytes:
    return f"dep_bench|{row.subject_id}|{row.record_id}|{field}".encode()


def _store(platform: Platform, folder: Path, count: int) -> Figure:
    """Store records chunk by chunk, keys, gate and batch included, as an ingestion does."""
    asking = Asking("bench", "ingest", RequestId(new_id("req")))
    subjects = register(platform, max(1, count // _RECORDS_OF_ONE), asking)
    now = platform.clock.now()
    records = [
        PlainRecord(subjects[number % len(subjects)], "encounter", "bench", str(number), now, _values(number))
        for number in range(count)
    ]
    ours = seconds_of(lambda: _ingest(platform, records, asking))
    theirs = seconds_of(lambda: _in_clear(folder / "clear.db", records))
    yardstick = "the same values in clear, one SQLite table, synchronous FULL"
    return Figure("vault", "store", count / ours, "records/s", yardstick, count / theirs, STORE_TARGET)


def _values(number: int) -> dict[str, str]:
    return {field: f"{field} {number}" for field in FIELDS}


def register(platform: Platform, count: int, asking: Asking) -> list[SubjectId]:
    """Register people under a contract."""
    subjects = sorted(SubjectId(new_id("sub")) for _ in range(count))
    with platform.data.write() as connection:
        register_subjects(connection, dict.fromkeys(subjects, _BORN), clock=platform.clock)
        requests = [
            DecisionRequest(
                subject=subject,
                purposes=(PURPOSE,),
                act=DecisionAct.CONTRACT,
                recipient=None,
                notice=None,
                actor_kind=ActorKind.OPERATOR,
                actor_subject=None,
                evidence={"mechanism": "contract"},
                decided_at=platform.clock.now(),
            )
            for subject in subjects
        ]
        platform.registry.record_many(connection, requests, asking=asking)
    return subjects


def _ingest(platform: Platform, records: Sequence[PlainRecord], asking: Asking) -> None:
    with platform.data.write() as connection:
        batch = platform.batches.open(connection, kind="bench", input_digest=new_id("in"), asking=asking)
    for chunk in chunks(records, CHUNK_RECORDS):
        fields = platform.catalogue.fields
        pairs = {(record.subject, fields[code].compartment) for record in chunk for code in record.values}
        platform.keystore.ensure_data_keys(pairs, batch=batch.batch_id)
        with platform.data.write() as connection:
            permit = platform.gate.check_many(
                connection,
                asking=asking,
                purpose=PURPOSE,
                subjects=sorted({record.subject for record in chunk}),
                fields=FIELDS,
            ).permit
            if permit is None:
                raise RuntimeError("The gate refused the whole chunk")
            stored = platform.vault.store(connection, chunk, permits={PURPOSE: permit}, batch=batch)
            batch = platform.batches.advance(
                connection, batch, position=batch.position + len(chunk), counts=stored.as_counts(), asking=asking
            )
    with platform.data.write() as connection:
        platform.batches.complete(connection, batch, asking=asking)


def _in_clear(path: Path, records: Sequence[PlainRecord]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE record (subject TEXT, source TEXT, content TEXT)")
        for chunk in chunks(records, CHUNK_RECORDS):
            with connection:
                rows = [(record.subject, record.source_record, json.dumps(dict(record.values))) for record in chunk]
                connection.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
