"""Take prepared Arrow batches through gate, vault and log: sealed by processes of their own while the store is written.

Rows are resolved and looked at by the gate, their keys are made durable, and they are sealed; only then a short
transaction asks the gate, with the subjects locked, and stores what it permits. Where the gate says otherwise than a
moment ago, or keys have moved, the chunk is sealed anew inside that transaction, as an ordinary ingestion does.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy import Connection

from consent.reasons import Reason
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
from consentry.workflows.ingest_chunks import Block, People, Rows, fields_by_subject, plain_records, values_of
from consentry.workflows.ingest_files import check_source, input_pieces
from consentry.workflows.ingest_intake import Intake, open_batch
from consentry.workflows.ingest_permits import Granted, Needs, Outlook, PermitDesk, Shelf, passing_of
from consentry.workflows.ingest_report import IngestReport
from kernel.catalogue import IndexKind
from kernel.clock import to_micros
from kernel.collecting import rarely_collecting
from kernel.ids import SubjectId
from vault.bulk_columns import ColumnChunk, pack_columns
from vault.bulk_sealers import BulkSealers
from vault.records import KeysMoved, PlainRecord, SealedChunk, StoreCounts

if TYPE_CHECKING:
    import pyarrow as pa

_Refused: TypeAlias = Mapping[tuple[SubjectId, str], Reason]

FIRST_ROWS: Final = 500
"""Rows of the first chunks; how many follow is what the store can take in time."""

MOST_ROWS: Final = 5_000
"""So that a chunk never has more subjects than the gate answers for at once."""

FEWEST_ROWS: Final = 100
"""Below that the store is held up by something else than the rows."""

HELD_SECONDS: Final = 0.12
"""For how long a transaction should hold its locks: half of the quarter of a second that others may have to wait."""


def ingest_arrow(
    platform: Platform,
    caller: Principal,
    file: Path,
    mapping: Path,
    *,
    quarantine: Path | None = None,
    processes: int | None = None,
    again: bool = False,
    on_rows: Callable[[int], None] | None = None,
    show_progress: bool = False,
) -> IngestReport:
    """Ingest a Parquet or Arrow file of prepared batches.

    Args:
        mapping: which column is what; YAML.
        processes: how many seal; None for one a core, 0 for this one alone.
        again: take the file through the gate once more although it was complete before.
        on_rows: told the number of rows that each chunk moved on.
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
    batch = open_batch(platform, asking, kind="arrow", input_digest=digest, again=again)
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
            source=source, rows=FIRST_ROWS,
            processes=len(os.sched_getaffinity(0)) if processes is None else processes,
        )  # fmt: skip
        run.go(on_rows or done)
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
class _Look:
    """What was thought of a block before it is stored.

    Attributes:
        withheld: what would not pass, by subject.
    """

    block: Block
    outlook: Outlook
    withheld: Mapping[SubjectId, frozenset[str]]


@dataclass(frozen=True, slots=True, repr=False)
class _Chunk:
    """Rows of a block that are being sealed, to be stored in one transaction; plaintext.

    Attributes:
        end: the place up to which the input is done with them.
        counts: of rows that nobody could be found for.
    """

    look: _Look
    rows: Rows
    end: int
    counts: Counter[str]
    sealed: Future[SealedChunk]


@dataclass(kw_only=True)
class _Run(Intake):
    source: ArrowSource
    processes: int
    rows: int
    tally: Tally = field(default_factory=Tally)

    def _tally(self) -> Tally:
        return self.tally

    def _take_in(self, on_rows: Callable[[int], None]) -> None:
        waiting: deque[_Chunk] = deque()
        platform = self.platform
        setup = sealer_setup(platform.settings, platform.catalogue, packed=not platform.data.is_sqlite)
        with rarely_collecting(), platform.data.roomy(), BulkSealers(setup, processes=self.processes) as sealers:
            for block in self._blocks():
                for chunk in self._chunks(self._look(block), sealers):
                    waiting.append(chunk)
                    if len(waiting) > self.processes + 1:
                        on_rows(self._store(waiting.popleft()))
            while waiting:
                on_rows(self._store(waiting.popleft()))

    def _blocks(self) -> Iterator[Block]:
        """Yield the rows behind the batch's position; bad rows and people of those before it are told again."""
        place, done = 1, self.batch.position
        with open_batches(self.source.file, self.source.arrow_map) as batches:
            for batch in batches:
                told = min(max(done - place + 1, 0), batch.num_rows)
                if told:
                    self._tell_again(self._block(batch.slice(0, told), place))
                if told < batch.num_rows:
                    yield self._block(batch.slice(told), place + told)
                place += batch.num_rows

    def _block(self, part: "pa.RecordBatch", place: int) -> Block:
        """Return usable rows with their subjects; the others are put aside."""
        source = self.source
        prepared = prepare(part, source.arrow_map, source.context, name=source.file.name, place=place)
        self.tally.rows += prepared.rows
        block = People(self.platform.resolver, source.file.name).resolve(prepared, end=place + part.num_rows - 1)
        for row in (*prepared.bad, *block.bad):
            self._put_aside(row)
        return block

    def _tell_again(self, block: Block) -> None:
        passing = passing_of(self._preview(block.rows))
        self.seen.update(who for who, own in block.rows.present.items() if passing.get(who, set()).intersection(own))

    def _look(self, block: Block) -> _Look:
        """Ask what would pass, and make keys and links durable before the first row that needs them."""
        outlook = self._preview(block.rows)
        passing = passing_of(outlook)
        present = block.rows.present
        covered = {who: passing.get(who, set()).intersection(own) for who, own in present.items()}
        withheld = {who: frozenset(own) - covered[who] for who, own in present.items() if own.keys() - covered[who]}
        if block.doubtful:
            self.platform.resolver.note_doubtful(block.doubtful, batch=self.batch.batch_id)
        links = [(who, stated.narrowed(covered[who])) for who, stated in block.stated if covered.get(who)]
        if links:
            self.platform.resolver.link(links, batch=self.batch.batch_id)
        fields = self.platform.catalogue.fields
        indexed = [code for code in block.rows.codes if fields[code].index is not IndexKind.NONE]
        self.platform.resolver.link_fields(values_of(block.rows, indexed, covered), batch=self.batch.batch_id)
        pairs = {(who, fields[code].compartment) for who, codes in covered.items() for code in codes}
        self.platform.keystore.ensure_data_keys(pairs, batch=self.batch.batch_id)
        return _Look(block, outlook, withheld)

    def _chunks(self, look: _Look, sealers: BulkSealers) -> Iterator[_Chunk]:
        """Have a block sealed in chunks that the store can take in time."""
        block, start = look.block, 0
        counts = +Counter(doubtful=len(block.doubtful), unknown=block.unknown)
        instant = to_micros(self.platform.clock.now())
        while start < len(block.places) or counts or start == 0:
            rows, end = block.cut(start, self.rows)
            columns = ColumnChunk(pack_columns(rows.columns), look.withheld, instant)
            start += max(rows.columns.num_rows, 1)
            yield _Chunk(look, rows, end, counts, sealers.seal(columns))
            counts = Counter()

    def _store(self, chunk: _Chunk) -> int:
        """Store a sealed chunk in a transaction that is short, and return how many rows it moved the batch on."""
        sealed, rows, counts = chunk.sealed.result(), chunk.rows, chunk.counts
        births = {who: born for who, born in chunk.look.block.births.items() if who in rows.present}
        with self.platform.data.write() as connection:
            began = time.perf_counter()
            self._read_mandate(connection)
            check_daily_cap(connection, self.caller, list(rows.present), clock=self.platform.clock)
            self._refine_ages(connection, births)
            granted = self.desk.ask(connection, self._needs(rows), chunk.look.outlook)
            refused = granted.refused | dict.fromkeys(self._scoped(rows), Reason.SCOPE)
            for (who, code), why in refused.items():
                counts[f"refused.{code}.{why.value}"] += rows.present[who][code]
            if not self._store_sealed(connection, chunk, sealed, granted, refused):
                self._store_plain(connection, rows, granted, refused, counts)
            moved = chunk.end - self.batch.position
            self._advance(connection, moved, counts)
        self._pace(rows.columns.num_rows, time.perf_counter() - began)
        return moved

    def _store_sealed(
        self, connection: Connection, chunk: _Chunk, sealed: SealedChunk, granted: Granted, refused: _Refused
    ) -> bool:
        """Store the chunk as it was sealed; False when it must be sealed anew, and nothing was stored."""
        withheld = {
            (who, code)
            for who, own in chunk.rows.present.items()
            for code in chunk.look.withheld.get(who, frozenset()).intersection(own)
        }
        if refused.keys() != withheld or any(len(permits) > 1 for permits in granted.permits.values()):
            return False
        permits = granted.permits_of(Shelf())
        try:
            stored = self.platform.vault.store_sealed(connection, sealed, permits=permits, batch=self.batch)
        except KeysMoved:
            return False
        self._count(chunk.counts, stored)
        self.seen.update(one.subject for one in sealed.records)
        return True

    def _store_plain(
        self, connection: Connection, rows: Rows, granted: Granted, refused: _Refused, counts: Counter[str]
    ) -> None:
        shelves: dict[Shelf, list[PlainRecord]] = {}
        for plain in plain_records(rows, refused):
            self.seen.add(plain.subject)
            for shelf, part in granted.shelved(plain, self.platform.catalogue):
                shelves.setdefault(shelf, []).append(part)
        for shelf, records in shelves.items():
            permits = granted.permits_of(shelf)
            stored = self.platform.vault.store(connection, records, permits=permits, batch=self.batch)
            if shelf.is_rest:
                stored = replace(stored, stored_records=0, duplicates=0)
            self._count(counts, stored)

    def _count(self, counts: Counter[str], stored: StoreCounts) -> None:
        told = +Counter(stored.as_counts())
        if expired := told.pop("expired_fields", 0):
            told["refused.any.RETENTION_PASSED"] = expired
        counts.update(told)

    def _scoped(self, rows: Rows) -> list[tuple[SubjectId, str]]:
        """Return what lies outside the contract of the processor whose key sends it."""
        outside = [code for code in rows.codes if self._is_outside(code)]
        return [(who, code) for code in outside for who, own in rows.present.items() if code in own]

    def _preview(self, rows: Rows) -> Outlook:
        with self.platform.data.read() as connection:
            self._read_mandate(connection)
            return self.desk.preview(connection, self._needs(rows))

    def _needs(self, rows: Rows) -> Needs:
        """Return what to ask the gate for: by purpose of collection, each subject's fields of these rows."""
        by_purpose: dict[str, set[str]] = {}
        for code in rows.codes:
            if not self._is_outside(code):
                by_purpose.setdefault(self.platform.catalogue.get_field(code).collect, set()).add(code)
        return {purpose: fields_by_subject(rows, frozenset(codes)) for purpose, codes in by_purpose.items()}

    def _pace(self, rows: int, held_seconds: float) -> None:
        """Let the next chunks hold their locks for about ``HELD_SECONDS``; quickly down, slowly up."""
        fitting = rows * HELD_SECONDS / max(held_seconds, 0.001)
        self.rows = max(FEWEST_ROWS, min(MOST_ROWS, int(fitting), max(rows, FIRST_ROWS) * 2))
