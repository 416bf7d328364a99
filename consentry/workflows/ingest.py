"""Take clean records through the gate into the vault: chunk by chunk, all or nothing, resumable.

A chunk asks the gate once for each purpose of collection. What is not covered is refused by field and reason; the
rest is sealed. Rows become visible when the whole batch is complete.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.mandates import Mandate
from consent.permits import CohortVerdict, Permit
from consent.reasons import Reason
from consent.standing import find_standings, register_subjects
from consentry.contracts import OutsideContract, check_stands, find_mandate
from consentry.platform import Platform
from consentry.principals import DailyCapReached, Principal, check_daily_cap
from consentry.sources.quarantine import QuarantineWriter, RefusedRow
from consentry.sources.records import BadRow, Reading, RowFault, SourceRecord
from consentry.workflows.denials import OUTSIDE, contract_refs, record_denial
from kernel.catalogue import Compartment
from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from vault.batches import Batch
from vault.records import PlainRecord
from vault.subjects import IdentityKeys, Resolution, ResolutionKind

CHUNK_ROWS: Final = 500
"""Rows of the input in one transaction; keeps the write lock below a quarter of a second."""

SHOWN_BAD_ROWS: Final = 1_000
"""Bad rows that a report holds itself: all of a posted batch, the first of a file, whose quarantine has the rest."""

_SAYS_LITTLE: Final = (Reason.RECIPIENT, Reason.SCOPE, Reason.NO_DECISION)
"""Reasons that give way to another recipient's, the one that says least first: that a courier's contract does not name
the prescription says less than that nobody was asked for the pharmacy, and a withdrawal there says more."""


@dataclass
class IngestReport:
    """What became of one input; counts and places, no values.

    Attributes:
        refused: field values by field code and the gate's reason.
        bad_rows: the first rows that could not be used, by place and reason.
        bad_by_reason: how many there are in all.
        left_out: parts of stored or refused records that no field can hold, such as an amount in another currency.
    """

    batch_id: str
    repeated: bool = False
    subjects: int = 0
    stored_records: int = 0
    stored_fields: int = 0
    duplicates: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad_rows: list[RefusedRow] = field(default_factory=list)
    bad_by_reason: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    quarantine: Path | None = None

    @property
    def refused_by_reason(self) -> Counter[str]:
        """Refused field values by reason."""
        summed: Counter[str] = Counter()
        for (_, why), count in self.refused.items():
            summed[why] += count
        return summed

    def add_bad(self, row: RefusedRow) -> None:
        """Count a row that could not be used."""
        self.bad_by_reason[str(row.reason)] += 1
        if len(self.bad_rows) < SHOWN_BAD_ROWS:
            self.bad_rows.append(row)

    def take(self, counts: Mapping[str, int]) -> None:
        """Take over what the chunks of the batch have summed up."""
        self.stored_records = counts.get("stored_records", 0)
        self.stored_fields = counts.get("stored_fields", 0)
        self.duplicates = counts.get("duplicates", 0)
        for name, count in counts.items():
            if name.startswith("refused."):
                _, code, why = name.split(".", 2)
                self.refused[code, why] = count

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs."""
        return {
            "batch_id": self.batch_id,
            "repeated": self.repeated,
            "subjects": self.subjects,
            "stored_records": self.stored_records,
            "stored_fields": self.stored_fields,
            "duplicates": self.duplicates,
            "refused": dict(self.refused_by_reason),
            "refused_fields": {f"{code}: {why}": count for (code, why), count in sorted(self.refused.items())},
            "bad_rows": dict(self.bad_by_reason),
            "skipped": dict(self.skipped),
            "unmapped": dict(self.unmapped),
            "left_out": dict(self.left_out),
            "quarantine": None if self.quarantine is None else str(self.quarantine),
        }


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

    def open_batch() -> Batch:
        with platform.data.write() as connection:
            return platform.batches.open(connection, kind=kind, input_digest=input_digest, asking=asking, again=again)

    try:
        batch = open_batch()
    except IntegrityError:  # another call opened the batch of this input in the same moment; it is found now
        batch = open_batch()
    report = IngestReport(batch.batch_id, repeated=batch.is_done)
    if batch.is_done:
        if quarantine is not None:
            quarantine.leave_older()
        return report
    run = _Run(platform, caller, asking, report, batch, quarantine)
    run.go(read(), on_rows or (lambda _rows: None))
    return report


@dataclass
class _Run:
    platform: Platform
    caller: Principal
    asking: Asking
    report: IngestReport
    batch: Batch
    quarantine: QuarantineWriter | None
    seen: set[SubjectId] = field(default_factory=set)
    mandate: Mandate | None = None

    def go(self, rows: Reading, on_rows: Callable[[int], None]) -> None:
        from consentry.sources.records import SourceError

        try:
            self._skip(rows, self.batch.position)
            while chunk := list(islice(rows, CHUNK_ROWS)):
                self._chunk(chunk)
                on_rows(len(chunk))
        except (SourceError, DailyCapReached, OutsideContract) as err:
            self.platform.batches.discard(self.batch.batch_id, asking=self.asking)
            if isinstance(err, OutsideContract):
                refs = {"batch": self.batch.batch_id} | contract_refs(err)
                record_denial(self.platform, self.caller, reason=OUTSIDE, refs=refs)
            raise
        if self.quarantine is not None:
            self.quarantine.secure()
        with self.platform.data.write() as connection:
            self.platform.batches.complete(connection, self.batch, asking=self.asking)
        self._finish(rows)

    def _skip(self, rows: Iterator[SourceRecord | BadRow], done: int) -> None:
        """Pass over what an interrupted run has stored; its bad rows and people are told again."""
        while chunk := list(islice(rows, min(done, CHUNK_ROWS))):
            done -= len(chunk)
            owned, _ = self._resolve(self._usable(chunk))
            allowed = self._preview(owned)
            self.seen.update(who for who, record in owned if allowed.get(who, set()).intersection(record.values))

    def _usable(self, chunk: Sequence[SourceRecord | BadRow]) -> list[SourceRecord]:
        """Return the records of a chunk, and put its bad rows aside."""
        for row in chunk:
            if isinstance(row, BadRow):
                self._put_aside(row)
        return [row for row in chunk if isinstance(row, SourceRecord)]

    def _put_aside(self, row: RefusedRow) -> None:
        self.report.add_bad(row)
        if self.quarantine is not None:
            self.quarantine.write(row)

    def _finish(self, rows: Reading) -> None:
        self.report.take(self.batch.counts)
        self.report.duplicates += sum(rows.tally.duplicates.values())
        self.report.subjects = len(self.seen)
        self.report.skipped.update(rows.tally.skipped)
        self.report.unmapped.update(rows.tally.unmapped)
        self.report.left_out.update(rows.tally.left_out)

    def _chunk(self, chunk: Sequence[SourceRecord | BadRow]) -> None:
        records = self._usable(chunk)
        owned, doubtful = self._resolve(records)
        counts = +Counter(doubtful=len(doubtful), unknown=len(records) - len(owned) - len(doubtful))
        if doubtful:
            self.platform.resolver.note_doubtful(doubtful, batch=self.batch.batch_id)
        allowed = self._preview(owned)
        self._prepare(owned, allowed)
        with self.platform.data.write() as connection:
            self._read_mandate(connection)
            check_daily_cap(connection, self.caller, [subject for subject, _ in owned], clock=self.platform.clock)
            self._store(connection, owned, counts)
            if counts["doubtful"]:
                self.platform.log.record(connection, self._doubtful_event(counts["doubtful"]))
            position = self.batch.position + len(chunk)
            self.batch = self.platform.batches.advance(
                connection, self.batch, position=position, counts=counts, asking=self.asking
            )

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

    def _preview(self, owned: Sequence[tuple[SubjectId, SourceRecord]]) -> dict[SubjectId, set[str]]:
        """Return the fields that would pass now; decides which keys and links are made before the rows."""
        allowed: dict[SubjectId, set[str]] = {}
        with self.platform.data.read() as connection:
            self._read_mandate(connection)
            for purpose, (subjects, fields) in self._questions(owned).items():
                for recipient in self._recipients(purpose):
                    said = self.platform.gate.preview_many(
                        connection,
                        asking=self.asking,
                        purpose=purpose,
                        subjects=subjects,
                        fields=fields,
                        recipient=recipient,
                    )
                    for subject, reasons in said.items():
                        allowed.setdefault(subject, set()).update(code for code, why in reasons.items() if why is None)
        return allowed

    def _doubtful_event(self, number: int) -> Event:
        asking, refs = self.asking, {"batch": self.batch.batch_id}
        return Event(
            Act.SUBJECT_DOUBTFUL, Outcome.DENIED, asking.actor, asking.role, asking.request_id,
            refs=refs, counts={"records": number},
        )  # fmt: skip

    def _prepare(self, owned: Sequence[tuple[SubjectId, SourceRecord]], allowed: Mapping[SubjectId, set[str]]) -> None:
        """Make keys and links durable before the first row that needs them."""
        catalogue = self.platform.catalogue
        pairs: set[tuple[SubjectId, Compartment]] = set()
        links: list[tuple[SubjectId, IdentityKeys]] = []
        for subject, record in owned:
            passing = allowed.get(subject, set()).intersection(record.values)
            pairs.update((subject, catalogue.fields[code].compartment) for code in passing)
            if passing and record.identity is not None:
                links.append((subject, _identity(record)))
        if links:
            self.platform.resolver.link(links, batch=self.batch.batch_id)
        self.platform.keystore.ensure_data_keys(pairs, batch=self.batch.batch_id)

    def _store(
        self, connection: Connection, owned: Sequence[tuple[SubjectId, SourceRecord]], counts: Counter[str]
    ) -> None:
        self._refine_ages(connection, owned)
        granted = _Granted()
        for purpose, (subjects, fields) in self._questions(owned).items():
            self._ask(connection, granted, purpose, subjects, fields)
        groups: dict[tuple[str, ...], list[PlainRecord]] = {}
        for subject, record in owned:
            plain = _covered(subject, record, self._refused(granted, subject, record), counts)
            if plain is not None:
                groups.setdefault(granted.permits_of(subject), []).append(plain)
                self.seen.add(subject)
        for permit_ids, records in groups.items():
            stored = self.platform.vault.store(
                connection, records, permits=granted.by_purpose(permit_ids), batch=self.batch
            )
            counts["stored_records"] += stored.stored_records
            counts["stored_fields"] += stored.stored_fields
            counts["duplicates"] += stored.duplicates
            if stored.expired_fields:
                counts["refused.any.RETENTION_PASSED"] += stored.expired_fields

    def _read_mandate(self, connection: Connection) -> None:
        """Read what a processor's contract allows, anew for every chunk; raises ``OutsideContract`` when it is over."""
        self.mandate = find_mandate(self.platform, connection, self.caller)
        check_stands(self.mandate)

    def _is_outside(self, code: str) -> bool:
        """Say whether a field lies outside the contract of the processor whose key sends it (R38)."""
        purpose = self.platform.catalogue.get_field(code).collect
        return self.mandate is not None and not self.mandate.covers_field(purpose, code)

    def _refused(self, granted: "_Granted", subject: SubjectId, record: SourceRecord) -> Mapping[str, Reason]:
        """Return why fields of a record do not pass: the contract's scope, or the gate."""
        scoped = {code: Reason.SCOPE for code in record.values if self._is_outside(code)}
        asked = {code: granted.refused[subject, code] for code in record.values if (subject, code) in granted.refused}
        return asked | scoped

    def _refine_ages(self, connection: Connection, owned: Sequence[tuple[SubjectId, SourceRecord]]) -> None:
        """Let a birth date that a record states keep somebody a minor for longer, never for shorter."""
        stated = {
            subject: record.identity.birth_date
            for subject, record in owned
            if record.identity is not None and record.identity.birth_date is not None
        }
        known = find_standings(connection, stated)
        if known:
            births = {subject: stated[subject] for subject in known}
            register_subjects(connection, births, clock=self.platform.clock)

    def _ask(
        self,
        connection: Connection,
        granted: "_Granted",
        purpose: str,
        subjects: Sequence[SubjectId],
        fields: frozenset[str],
    ) -> None:
        """Ask the gate for one purpose of collection, recipient by recipient until one is granted."""
        waiting = list(subjects)
        for recipient in self._recipients(purpose):
            if not waiting:
                return
            verdict = self.platform.gate.check_many(
                connection, asking=self.asking, purpose=purpose, subjects=waiting, fields=fields, recipient=recipient
            )
            granted.add(purpose, waiting, verdict)
            permitted = frozenset[SubjectId]() if verdict.permit is None else verdict.permit.subjects
            waiting = [subject for subject in waiting if subject not in permitted]

    def _recipients(self, purpose: str) -> Sequence[str | None]:
        """Return whom a grant may name: a purpose by recipient is collected for where any of them is granted."""
        declared = self.platform.catalogue.get_purpose(purpose)
        return declared.recipients if declared.per_recipient and declared.recipients else (None,)

    def _questions(
        self, owned: Sequence[tuple[SubjectId, SourceRecord]]
    ) -> dict[str, tuple[list[SubjectId], frozenset[str]]]:
        """Return what to ask the gate: by purpose of collection, the subjects and the fields of this chunk."""
        subjects: dict[str, dict[SubjectId, None]] = {}
        fields: dict[str, set[str]] = {}
        for subject, record in owned:
            for code in record.values:
                if self._is_outside(code):
                    continue
                purpose = self.platform.catalogue.get_field(code).collect
                subjects.setdefault(purpose, {})[subject] = None
                fields.setdefault(purpose, set()).add(code)
        return {purpose: (list(subjects[purpose]), frozenset(fields[purpose])) for purpose in sorted(subjects)}


@dataclass
class _Granted:
    """What the gate said about one chunk: permits, who got which, and the reasons of what is left."""

    permits: dict[str, Permit] = field(default_factory=dict)
    chosen: dict[SubjectId, dict[str, str]] = field(default_factory=dict)
    refused: dict[tuple[SubjectId, str], Reason] = field(default_factory=dict)

    def add(self, purpose: str, subjects: Sequence[SubjectId], verdict: CohortVerdict) -> None:
        """Take in the answer to one question; of several recipients' refusals the one that says most is kept."""
        permit = verdict.permit
        for subject in subjects:
            if permit is not None and subject in permit.subjects:
                self.permits[permit.permit_id] = permit
                self.chosen.setdefault(subject, {})[purpose] = permit.permit_id
                for code in permit.fields_for(subject):
                    self.refused.pop((subject, code), None)
            for code, why in verdict.refused.get(subject, {}).items():
                before = self.refused.get((subject, code))
                if before is None or _says(before) < _says(why):
                    self.refused[subject, code] = why

    def permits_of(self, subject: SubjectId) -> tuple[str, ...]:
        """Return the ids of the permits that cover a subject, in the order of their purposes."""
        return tuple(permit_id for _, permit_id in sorted(self.chosen.get(subject, {}).items()))

    def by_purpose(self, permit_ids: Sequence[str]) -> dict[str, Permit]:
        """Return these permits by purpose."""
        return {self.permits[permit_id].purpose: self.permits[permit_id] for permit_id in permit_ids}


def _says(reason: Reason) -> int:
    """Return how much a reason says, beside another recipient's."""
    return _SAYS_LITTLE.index(reason) if reason in _SAYS_LITTLE else len(_SAYS_LITTLE)


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


def _identity(record: SourceRecord) -> IdentityKeys:
    stated = record.identity
    if stated is None:
        return IdentityKeys(record.source, record.source_subject)
    return IdentityKeys(
        record.source, record.source_subject, stated.id_number, stated.birth_date, stated.sex, stated.mobile
    )
