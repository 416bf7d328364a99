"""Take clean records through the gate into the vault: chunk by chunk, all or nothing, resumable.

A chunk asks the gate once for each purpose of collection, or for each of its recipients. What is not covered is
refused by field and reason; the rest is sealed. Rows become visible when the whole batch is complete.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

from sqlalchemy import Connection

from consent.reasons import Reason
from consentry.platform import Platform
from consentry.principals import Principal, check_daily_cap
from consentry.sources.arrow_maps import EVENT
from consentry.sources.quarantine import QuarantineWriter
from consentry.sources.records import BadRow, Reading, RowFault, SourceRecord, Tally
from consentry.workflows.ingest_intake import Intake, open_batch
from consentry.workflows.ingest_permits import Granted, Needs, Outlook, PermitDesk, Shelf, passing_of
from consentry.workflows.ingest_report import IngestReport
from kernel.catalogue import Compartment
from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from vault.records import CHUNK_RECORDS, PlainRecord
from vault.subjects import IdentityKeys, Resolution, ResolutionKind

__all__ = ["IngestReport", "ingest"]


def ingest(
    platform: Platform,
    caller: Principal,
    *,
    kind: str,
    input_digest: str,
    read: Callable[[], Reading],
    on_rows: Callable[[int], None] | None = None,
    again: bool = False,
    quarantine: QuarantineWriter | None = None,
) -> IngestReport:
    """Ingest one input.

    Args:
        kind: fhir, table, events or http; part of what makes an input the same.
        input_digest: keyed digest of everything that decides what is stored, from ``Batches.digest``.
        read: opens the input anew.
        on_rows: told the number of rows that each chunk moved on.
        again: take the input through the gate once more although it was complete before.
        quarantine: takes the bad rows, all of them; durable before the batch is complete.
    Returns:
        The report; ``repeated`` when the same input was complete before, and nothing was done.
    Raises:
        SourceError: the input cannot be read to its end; the batch is discarded and nothing of it stays.
        DailyCapReached: the key may not touch so many people; the batch is discarded as well.
        OutsideContract: the contract of a processor's key is over; the batch is discarded as well.
        Unavailable: a store is locked or full; the batch stays open, and the same call goes on with it.
    """
    asking = platform.asking(caller)
    batch = open_batch(platform, asking, kind=kind, input_digest=input_digest, again=again)
    report = IngestReport(batch.batch_id, repeated=batch.is_done)
    if batch.is_done:
        if quarantine is not None:
            quarantine.leave_older()
        return report
    run = _Run(platform, caller, asking, report, batch, quarantine, PermitDesk(platform, asking), rows=read())
    run.go(on_rows or (lambda _rows: None))
    return report


@dataclass(kw_only=True)
class _Run(Intake):
    rows: Reading

    def _take_in(self, on_rows: Callable[[int], None]) -> None:
        self._skip(self.rows, self.batch.position)
        while chunk := list(islice(self.rows, CHUNK_RECORDS)):
            self._chunk(chunk)
            on_rows(len(chunk))

    def _tally(self) -> Tally:
        return self.rows.tally

    def _skip(self, rows: Iterator[SourceRecord | BadRow], done: int) -> None:
        """Pass over what an interrupted run has stored; its bad rows and people are told again."""
        while chunk := list(islice(rows, min(done, CHUNK_RECORDS))):
            done -= len(chunk)
            owned, _ = self._resolve(self._usable(chunk))
            allowed = passing_of(self._preview(owned))
            self.seen.update(who for who, record in owned if allowed.get(who, set()).intersection(record.values))

    def _usable(self, chunk: Sequence[SourceRecord | BadRow]) -> list[SourceRecord]:
        """Return the records of a chunk, and put its bad rows aside."""
        for row in chunk:
            if isinstance(row, BadRow):
                self._put_aside(row)
        return [row for row in chunk if isinstance(row, SourceRecord)]

    def _chunk(self, chunk: Sequence[SourceRecord | BadRow]) -> None:
        records = self._usable(chunk)
        owned, doubtful = self._resolve(records)
        counts = +Counter(doubtful=len(doubtful), unknown=len(records) - len(owned) - len(doubtful))
        if doubtful:
            self.platform.resolver.note_doubtful(doubtful, batch=self.batch.batch_id)
        outlook = self._preview(owned)
        self._prepare(owned, passing_of(outlook))
        with self.platform.data.write() as connection:
            self._read_mandate(connection)
            check_daily_cap(connection, self.caller, [subject for subject, _ in owned], clock=self.platform.clock)
            self._store(connection, owned, outlook, counts)
            self._advance(connection, len(chunk), counts)

    def _resolve(
        self, records: Sequence[SourceRecord]
    ) -> tuple[list[tuple[SubjectId, SourceRecord]], list[tuple[IdentityKeys, Resolution]]]:
        """Return each record with its subject, and who is doubtful; people whom nobody knows fall out here as well."""
        stated = [_identity(record) for record in records]
        found = self.platform.resolver.resolve_many(stated)
        owned: list[tuple[SubjectId, SourceRecord]] = []
        doubtful: list[tuple[IdentityKeys, Resolution]] = []
        for record, keys, resolution in zip(records, stated, found, strict=True):
            if resolution.kind is ResolutionKind.DOUBTFUL:
                doubtful.append((keys, resolution))
                self._put_aside(BadRow(record.locator, RowFault.IDENTITY_DOUBTFUL))
            elif resolution.subject is None:
                self._put_aside(BadRow(record.locator, RowFault.UNKNOWN_PERSON))
            else:
                owned.append((resolution.subject, record))
        return owned, doubtful

    def _preview(self, owned: Sequence[tuple[SubjectId, SourceRecord]]) -> Outlook:
        """Return what would pass now; decides which keys and links are made before the rows.

        What a record states of its person and does not hold itself is looked at as well: where the gate refuses it, it
        finds the person in memory, and nothing stays of it.
        """
        with self.platform.data.read() as connection:
            self._read_mandate(connection)
            return self.desk.preview(connection, self._needs(owned, stated=True))

    def _prepare(self, owned: Sequence[tuple[SubjectId, SourceRecord]], allowed: Mapping[SubjectId, set[str]]) -> None:
        """Make keys and links durable before the first row that needs them."""
        catalogue = self.platform.catalogue
        pairs: set[tuple[SubjectId, Compartment]] = set()
        links: list[tuple[SubjectId, IdentityKeys]] = []
        found_by: list[tuple[SubjectId, str, JsonValue]] = []
        for subject, record in owned:
            passing = allowed.get(subject, set()).intersection(record.values)
            pairs.update((subject, catalogue.fields[code].compartment) for code in passing)
            if record.kind != EVENT:
                found_by += [(subject, code, record.values[code]) for code in passing]
            if passing and record.identity is not None:
                links.append((subject, _identity(record).narrowed(allowed[subject])))
        if links:
            self.platform.resolver.link(links, batch=self.batch.batch_id)
        self.platform.resolver.link_fields(found_by, batch=self.batch.batch_id)
        self.platform.keystore.ensure_data_keys(pairs, batch=self.batch.batch_id)

    def _store(
        self,
        connection: Connection,
        owned: Sequence[tuple[SubjectId, SourceRecord]],
        outlook: Outlook,
        counts: Counter[str],
    ) -> None:
        self._refine_ages(connection, _stated_births(owned))
        granted = self.desk.ask(connection, self._needs(owned), outlook)
        shelves: dict[Shelf, list[PlainRecord]] = {}
        for subject, record in owned:
            plain = _covered(subject, record, self._refused(granted, subject, record), counts)
            if plain is not None:
                self.seen.add(subject)
                for shelf, part in granted.shelved(plain, self.platform.catalogue):
                    shelves.setdefault(shelf, []).append(part)
        for shelf, records in shelves.items():
            stored = self.platform.vault.store(connection, records, permits=granted.permits_of(shelf), batch=self.batch)
            counts["stored_fields"] += stored.stored_fields
            if stored.expired_fields:
                counts["refused.any.RETENTION_PASSED"] += stored.expired_fields
            if not shelf.is_rest:
                counts["stored_records"] += stored.stored_records
                counts["duplicates"] += stored.duplicates

    def _refused(self, granted: Granted, subject: SubjectId, record: SourceRecord) -> Mapping[str, Reason]:
        """Return why fields of a record do not pass: the contract's scope, or the gate."""
        scoped = {code: Reason.SCOPE for code in record.values if self._is_outside(code)}
        asked = {code: granted.refused[subject, code] for code in record.values if (subject, code) in granted.refused}
        return asked | scoped

    def _needs(self, owned: Sequence[tuple[SubjectId, SourceRecord]], *, stated: bool = False) -> Needs:
        """Return what to ask the gate for: by purpose of collection, each subject's fields of this chunk.

        Args:
            owned: the records.
            stated: take in what they state of their person, as well.
        """
        needs: dict[str, dict[SubjectId, set[str]]] = {}
        for subject, record in owned:
            said = _identity(record).fields & self.platform.catalogue.fields.keys() if stated else ()
            for code in {*record.values, *said}:
                if not self._is_outside(code):
                    purpose = self.platform.catalogue.get_field(code).collect
                    needs.setdefault(purpose, {}).setdefault(subject, set()).add(code)
        return {purpose: {who: frozenset(codes) for who, codes in of.items()} for purpose, of in needs.items()}


def _covered(
    subject: SubjectId,
    record: SourceRecord,
    refused: Mapping[str, Reason],
    counts: Counter[str],
) -> PlainRecord | None:
    values = {}
    for code, value in record.values.items():
        why = refused.get(code)
        if why is None:
            values[code] = value
        else:
            counts[f"refused.{code}.{why.value}"] += 1
    if not values:
        return None
    return PlainRecord(subject, record.kind, record.source, record.source_record, record.observed_at, values)


def _stated_births(owned: Sequence[tuple[SubjectId, SourceRecord]]) -> dict[SubjectId, date]:
    return {
        subject: record.identity.birth_date
        for subject, record in owned
        if record.identity is not None and record.identity.birth_date is not None
    }


def _identity(record: SourceRecord) -> IdentityKeys:
    stated = record.identity
    if stated is None:
        return IdentityKeys(record.source, record.source_subject)
    return IdentityKeys(
        record.source, record.source_subject, stated.id_number, stated.birth_date, stated.sex, stated.mobile
    )
