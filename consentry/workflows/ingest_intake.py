"""What every ingestion shares, however its rows come: the batch, who may send what, and what is told afterwards."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.entries import aged_event
from consent.mandates import Mandate
from consent.standing import find_standings, register_subjects
from consentry.contracts import OutsideContract, check_stands, find_mandate
from consentry.platform import Platform
from consentry.principals import DailyCapReached, Principal
from consentry.sources.quarantine import QuarantineWriter, RefusedRow
from consentry.sources.records import SourceError, Tally
from consentry.workflows.denials import OUTSIDE, contract_refs, record_denial
from consentry.workflows.ingest_permits import PermitDesk
from consentry.workflows.ingest_report import IngestReport
from kernel.ids import SubjectId
from vault.batches import Batch


def open_batch(platform: Platform, asking: Asking, *, kind: str, input_digest: str, again: bool = False) -> Batch:
    """Begin the batch of an input, or find the one that it has."""

    def opened() -> Batch:
        with platform.data.write() as connection:
            return platform.batches.open(connection, kind=kind, input_digest=input_digest, asking=asking, again=again)

    try:
        return opened()
    except IntegrityError:  # another call opened the batch of this input in the same moment; it is found now
        return opened()


@dataclass
class Intake(ABC):
    """One input on its way into an open batch; chunk by chunk, all or nothing."""

    platform: Platform
    caller: Principal
    asking: Asking
    report: IngestReport
    batch: Batch
    quarantine: QuarantineWriter | None
    desk: PermitDesk
    seen: set[SubjectId] = field(default_factory=set)
    mandate: Mandate | None = None

    def go(self, on_rows: Callable[[int], None]) -> None:
        """Take the input in and complete the batch; what cannot be taken in to its end leaves nothing behind."""
        try:
            self._take_in(on_rows)
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
        self._tell()

    @abstractmethod
    def _take_in(self, on_rows: Callable[[int], None]) -> None:
        """Store every chunk from the batch's position on."""

    @abstractmethod
    def _tally(self) -> Tally:
        """Return what the reader counted."""

    def _tell(self) -> None:
        tally = self._tally()
        self.report.take(self.batch.counts)
        self.report.duplicates += sum(tally.duplicates.values())
        self.report.subjects = len(self.seen)
        self.report.skipped.update(tally.skipped)
        self.report.unmapped.update(tally.unmapped)
        self.report.left_out.update(tally.left_out)

    def _put_aside(self, row: RefusedRow) -> None:
        self.report.add_bad(row)
        if self.quarantine is not None:
            self.quarantine.write(row)

    def _read_mandate(self, connection: Connection) -> None:
        """Read what a processor's contract allows, anew for every chunk; raises ``OutsideContract`` when it is over."""
        self.mandate = find_mandate(self.platform, connection, self.caller)
        check_stands(self.mandate)

    def _is_outside(self, code: str) -> bool:
        """Say whether a field lies outside the contract of the processor whose key sends it (R38)."""
        purpose = self.platform.catalogue.get_field(code).collect
        return self.mandate is not None and not self.mandate.covers_field(purpose, code)

    def _refine_ages(self, connection: Connection, stated: Mapping[SubjectId, date]) -> None:
        """Let a birth date that a record states keep somebody a minor for longer, never for shorter."""
        known = find_standings(connection, stated) if stated else {}
        if known:
            births = {subject: stated[subject] for subject in known}
            made = register_subjects(connection, births, clock=self.platform.clock)
            told = [aged_event(self.asking, refined, made.at) for refined in made.refined]
            self.platform.log.record_many(connection, told)

    def _advance(self, connection: Connection, rows: int, counts: Counter[str]) -> None:
        """Move the batch on by a chunk, and tell of the records in it that could be about several people."""
        if counts["doubtful"]:
            self.platform.log.record(connection, self._doubtful_event(counts["doubtful"]))
        self.batch = self.platform.batches.advance(
            connection, self.batch, position=self.batch.position + rows, counts=counts, asking=self.asking
        )

    def _doubtful_event(self, number: int) -> Event:
        asking, refs = self.asking, {"batch": self.batch.batch_id}
        return Event(
            Act.SUBJECT_DOUBTFUL, Outcome.DENIED, asking.actor, asking.role, asking.request_id,
            refs=refs, counts={"records": number},
        )  # fmt: skip
