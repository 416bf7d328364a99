"""The audit log: entries appended and verified, beside the bare hashing of the same bytes."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from audit.events import Act, Event, Outcome
from audit.verifier import verify_export
from audit.verifier.exports import ENTRIES_FILE
from benchmarks.deployment import new_deployment
from benchmarks.figures import Figure
from benchmarks.timing import best_beside, seconds_of
from consentry.platform import Platform
from kernel.ids import RequestId, SubjectId, new_id
from vault.setwise import chunks

ENTRIES: Final = 20_000
PER_TRANSACTION: Final = 100

_FIELDS: Final = ("birth_date", "diagnosis", "sex")
_BARE: Final = "hashing the same tree alone"


def run(*, entries: int = ENTRIES) -> list[Figure]:
    """Return the figures of this group; no targets are set yet."""
    with tempfile.TemporaryDirectory() as folder, new_deployment(Path(folder) / "home") as platform:
        return measured(platform, Path(folder) / "export", entries)


def measured(platform: Platform, export: Path, entries: int) -> list[Figure]:
    """Append entries, export the log, verify it, and hash the same bytes without any of that."""
    appended = seconds_of(lambda: _append(platform, list(_events(entries))))
    platform.log.export(export)
    lines = (export / ENTRIES_FILE).read_bytes().splitlines()
    key = platform.signer.verifier_key
    verified, hashed = best_beside(lambda: verify_export(export, key), lambda: _hash_tree(lines), rounds=3)
    bare = len(lines) / hashed
    return [
        Figure("audit", f"entries appended, {PER_TRANSACTION} a transaction, signed", entries / appended, "entries/s",
               _BARE, bare),
        Figure("audit", "entries verified offline", len(lines) / verified, "entries/s", _BARE, bare),
        Figure("audit", "bytes an entry", sum(map(len, lines)) / len(lines), "bytes"),
    ]  # fmt: skip


def _append(platform: Platform, events: Sequence[Event]) -> None:
    for some in chunks(events, PER_TRANSACTION):
        with platform.data.write() as connection:
            platform.log.record_many(connection, some)
    platform.log.settle()


def _events(number: int) -> Iterator[Event]:
    """Yield refusals as the gate writes them for single subjects; every subject stands in ten of them."""
    subjects = [SubjectId(new_id("sub")) for _ in range(number // 10 + 1)]
    for position in range(number):
        yield Event(
            Act.REFUSAL, Outcome.DENIED, "usr_bench", "clinician", RequestId(new_id("req")), purpose="P02",
            subject=subjects[position % len(subjects)], fields=_FIELDS, level=3, reason="WITHDRAWN",
        )  # fmt: skip


def _hash_tree(lines: Sequence[bytes]) -> bytes:
    """Return the root over the lines: one hash a leaf and one a node (RFC 6962 section 2.1), in the shortest way."""
    level = [hashlib.sha256(b"\x00" + line).digest() for line in lines]
    while len(level) > 1:
        paired = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(paired) * 2 :]
    return level[0]
