"""Take prepared Arrow batches through gate, vault and log: sealed by processes of their own while the store is written.

A chunk is resolved and looked at by the gate, its keys are made durable, and it is sealed; only then one short
transaction asks the gate, with the subjects locked, and stores what it permits. Where the gate says otherwise than a
moment ago, or keys have moved, the chunk is sealed anew inside that transaction, as an ordinary ingestion does.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from consentry.access import check_may_act
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal, check_daily_cap
from consentry.progress import progress
from consentry.sealing import sealer_setup
from consentry.sources.arrow_batches import open_batches
from consentry.sources.arrow_checks import prepare
from consentry.sources.arrow_maps import ArrowMap, load_arrow_map
from consentry.sources.context import SourceContext, open_context
from consentry.sources.quarantine import QuarantineWriter, quarantine_path
from consentry.sources.records import Tally
from consentry.workflows.ingest_chunks import ArrowChunk, People, plain_records, rows_by_subject
from consentry.workflows.ingest_files import check_source, input_pieces
from consentry.workflows.ingest_intake import Intake, open_batch
from consentry.workflows.ingest_permits import Granted, Needs, Outlook, PermitDesk, Shelf, passing_of
from consentry.workflows.ingest_report import IngestReport
from kernel.clock import to_micros
from kernel.ids import SubjectId
from vault.bulk_columns import ColumnChunk, pack_columns
from vault.bulk_sealers import BulkSealers
from vault.records import KeysMoved, PlainRecord, SealedChunk

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_ROWS: Final = 500
"""Rows of the first chunks; how many follow is what the store can take in time."""

MOST_ROWS: Final = 5_000
"""So that a chunk never has more subjects than the gate answers for at once."""

HELD_SECONDS: Final = 0.12
"""For how long a transaction should hold its locks: half of what anybody may have to wait for it."""


def ingest_arrow(
    platform: Platform,
    caller: Principal,
    file: Path,
    mapping: Path,
    *,
    quarantine: Path | None = None,
    processes: int | None = None,
    show_progress: bool = False,
) -> IngestReport:
    """Ingest a Parquet or Arrow file of prepared batches.

    Args:
        mapping: which column is what; YAML.
        processes: how many seal; None for one a core.
    Returns:
        The report; ``repeated`` when the same file was complete before, and nothing was done.
    Raises:
        SourceError: the file cannot be read to its end; the batch is discarded and nothing of it stays.
        Denied: the role may not ingest, the key's cap is reached, or its contract is over; nothing stays.
        Unavailable: a store is locked or full, or a sealing process ended; the same call goes on with the batch.
    """
    check_may_act(platform.catalogue, caller, "records.ingest")
    context = open_context(platform.catalogue, pack=pack_folder(platform.settings.pack), clock=platform.clock)
    arrow_map = load_arrow_map(mapping, platform.catalogue)
    check_source(arrow_map.source)
    with open_batches(file, arrow_map):  # a file that is not the map's is refused before anything is written
        pass
    digest = platform.batches.digest(input_pieces([file, mapping], [platform.catalogue.hash]))
    asking = platform.asking(caller)
    batch = open_batch(platform, asking, kind="arrow", input_digest=digest)
    report = IngestReport(batch.batch_id, repeated=batch.is_done)
    with (
        progress("arrow records", shown=show_progress) as done,
        QuarantineWriter(quarantine or quarantine_path(file)) as bad,
    ):
        if batch.is_done:
            bad.leave_older()
            return report
        source = ArrowSource(file, arrow_map, context)
        run = _Run(
            platform, caller, asking, report, batch, bad, PermitDesk(platform, asking),
            source=source, processes=processes or len(os.sched_getaffinity(0)),
        )  # fmt: skip
        run.go(done)
    report.quarantine = bad.path if bad.count else None
    platform.log.settle()
    return report


@dataclass(frozen=True, slots=True)
class ArrowSource:
    """A file, its map and what its rows are checked by."""

    file: Path
    arrow_map: ArrowMap
    context: SourceContext


@dataclass(frozen=True, slots=True, repr=False)
class _Work:
    """A chunk that is being sealed, and what was thought of it before; plaintext."""

    chunk: ArrowChunk
    needs: Needs
    outlook: Outlook
    withheld: Mapping[SubjectId, frozenset[str]]
    sealed: Future[SealedChunk]


@dataclass(kw_only=True)
class _Run(Intake):
    source: ArrowSource
    processes: int
    rows: int = FIRST_ROWS
    tally: Tally = field(default_factory=Tally)

    def _tally(self) -> Tally:
        return self.tally

    def _take_in(self, on_rows: Callable[[int], None]) -> None:
        waiting: deque[_Work] = deque()
        setup = sealer_setup(self.platform.settings, self.platform.catalogue)
        with BulkSealers(setup, processes=self.processes) as sealers:
            for chunk in self._chunks():
                waiting.append(self._begin(chunk, sealers))
                if len(waiting) > self.processes + 1:
                    on_rows(self._store(waiting.popleft()))
            while waiting:
                on_rows(self._store(waiting.popleft()))

    def _chunks(self) -> Iterator[ArrowChunk]:
        """Yield the rows behind the batch's position; bad rows and people of those before it are told again."""
        place, done = 1, self.batch.position
        with open_batches(self.source.file, self.source.arrow_map) as batches:
            for batch in batches:
                start = 0
                while start < batch.num_rows:
                    passed = place <= done
                    rows = min(self.rows, done - place + 1) if passed else self.rows
                    part = batch.slice(start, rows)
                    chunk = self._people(part, place)
                    if passed:
                        self._tell_again(chunk)
                    else:
                        yield chunk
                    start, place = start + part.num_rows, place + part.num_rows

    def _people(self, part: "pa.RecordBatch", place: int) -> ArrowChunk:
        """Return usable rows with their subjects; the others are put aside."""
        source = self.source
        prepared = prepare(part, source.arrow_map, source.context, name=source.file.name, place=place)
        self.tally.rows += prepared.rows
        chunk = People(self.platform.resolver, source.file.name).resolve(prepared)
        for row in (*prepared.bad, *chunk.bad):
            self._put_aside(row)
        return chunk

    def _tell_again(self, chunk: ArrowChunk) -> None:
        needs = self._needs(chunk)
        passing = passing_of(self._preview(needs))
        self.seen.update(who for who, own in chunk.present.items() if passing.get(who, set()).intersection(own))

    def _begin(self, chunk: ArrowChunk, sealers: BulkSealers) -> _Work:
        """Make keys and links durable and have the chunk sealed."""
        needs = self._needs(chunk)
        outlook = self._preview(needs)
        passing = passing_of(outlook)
        covered = {who: passing.get(who, set()).intersection(own) for who, own in chunk.present.items()}
        withheld = {
            who: frozenset(own) - covered[who] for who, own in chunk.present.items() if own.keys() - covered[who]
        }
        if chunk.doubtful:
            self.platform.resolver.note_doubtful(chunk.doubtful, batch=self.batch.batch_id)
        links = [(who, stated) for who, stated in chunk.stated if covered[who]]
        if links:
            self.platform.resolver.link(links, batch=self.batch.batch_id)
        fields = self.platform.catalogue.fields
        pairs = {(who, fields[code].compartment) for who, codes in covered.items() for code in codes}
        self.platform.keystore.ensure_data_keys(pairs, batch=self.batch.batch_id)
        instant = to_micros(self.platform.clock.now())
        sealed = sealers.seal(ColumnChunk(pack_columns(chunk.columns), withheld, instant))
        return _Work(chunk, needs, outlook, withheld, sealed)

    def _store(self, work: _Work) -> int:
        """Store a sealed chunk in a transaction that is short, and return how many rows it moved the batch on."""
        sealed, chunk = work.sealed.result(), work.chunk
        counts = +Counter(doubtful=len(chunk.doubtful), unknown=chunk.unknown)
        with self.platform.data.write() as connection:
            began = time.perf_counter()
            self._read_mandate(connection)
            check_daily_cap(connection, self.caller, list(chunk.present), clock=self.platform.clock)
            self._refine_ages(connection, chunk.births)
            granted = self.desk.ask(connection, self._needs(chunk), work.outlook)
            self._count_refused(chunk, granted, counts)
            if not self._store_sealed(connection, work, sealed, granted, counts):
                self._store_plain(connection, chunk, granted, counts)
            self._advance(connection, chunk.rows, counts)
        self._pace(chunk.rows, time.perf_counter() - began)
        return chunk.rows

    def _store_sealed(
        self, connection: Connection, work: _Work, sealed: SealedChunk, granted: Granted, counts: Counter[str]
    ) -> bool:
        """Store the chunk as it was sealed; False when it must be sealed anew, and nothing was stored."""
        refused: dict[SubjectId, set[str]] = {}
        for who, code in (*granted.refused, *self._scoped(work.chunk)):
            refused.setdefault(who, set()).add(code)
        if refused != work.withheld or any(len(permits) > 1 for permits in granted.permits.values()):
            return False
        permits = granted.permits_of(Shelf())
        try:
            stored = self.platform.vault.store_sealed(connection, sealed, permits=permits, batch=self.batch)
        except KeysMoved:
            return False
        counts.update(+Counter(stored.as_counts()))
        self._count_expired(counts)
        self.seen.update(one.subject for one in sealed.records)
        return True

    def _store_plain(self, connection: Connection, chunk: ArrowChunk, granted: Granted, counts: Counter[str]) -> None:
        refused = {*granted.refused, *self._scoped(chunk)}
        shelves: dict[Shelf, list[PlainRecord]] = {}
        for plain in plain_records(chunk, refused):
            self.seen.add(plain.subject)
            for shelf, part in granted.shelved(plain, self.platform.catalogue):
                shelves.setdefault(shelf, []).append(part)
        for shelf, records in shelves.items():
            permits = granted.permits_of(shelf)
            stored = self.platform.vault.store(connection, records, permits=permits, batch=self.batch)
            told = +Counter(stored.as_counts())
            if shelf.is_rest:
                del told["stored_records"], told["duplicates"]
            counts.update(told)
        self._count_expired(counts)

    def _count_expired(self, counts: Counter[str]) -> None:
        if expired := counts.pop("expired_fields", 0):
            counts["refused.any.RETENTION_PASSED"] += expired

    def _count_refused(self, chunk: ArrowChunk, granted: Granted, counts: Counter[str]) -> None:
        for (who, code), why in granted.refused.items():
            counts[f"refused.{code}.{why.value}"] += chunk.present[who][code]
        for who, code in self._scoped(chunk):
            counts[f"refused.{code}.SCOPE"] += chunk.present[who][code]

    def _scoped(self, chunk: ArrowChunk) -> list[tuple[SubjectId, str]]:
        """Return what lies outside the contract of the processor whose key sends it."""
        outside = [code for code in chunk.codes if self._is_outside(code)]
        return [(who, code) for code in outside for who, own in chunk.present.items() if code in own]

    def _preview(self, needs: Needs) -> Outlook:
        with self.platform.data.read() as connection:
            return self.desk.preview(connection, needs)

    def _needs(self, chunk: ArrowChunk) -> Needs:
        """Return what to ask the gate for: by purpose of collection, each subject's fields of this chunk."""
        if self.caller.processor is not None and self.mandate is None:
            with self.platform.data.read() as connection:
                self._read_mandate(connection)
        by_purpose: dict[str, set[str]] = {}
        for code in chunk.codes:
            if not self._is_outside(code):
                by_purpose.setdefault(self.platform.catalogue.get_field(code).collect, set()).add(code)
        return {purpose: rows_by_subject(chunk, frozenset(codes)) for purpose, codes in by_purpose.items()}

    def _pace(self, rows: int, held_seconds: float) -> None:
        """Let the next chunks hold their locks for about ``HELD_SECONDS``; quickly down, slowly up."""
        fitting = rows * HELD_SECONDS / max(held_seconds, 0.001)
        self.rows = max(50, min(MOST_ROWS, int(fitting), self.rows * 2))
