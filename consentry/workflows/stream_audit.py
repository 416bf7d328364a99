"""Stream entries of the log to other systems as FHIR AuditEvent, OCSF or CSV; this leaves its own entry first."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain

from audit.events import Act, Event, Outcome
from audit.ranges import EntryRange, PlacedEntry, count_entries, read_entries
from audit.scanning import signed_end
from audit.verifier import Checkpoint
from consentry.access import check_may_act
from consentry.interchange.audit_csv import BOM, Heading, heading, write_row
from consentry.interchange.audit_entry import LoggedEntry, read_entry
from consentry.interchange.audit_event import AuditEventWriter
from consentry.interchange.audit_ocsf import OcsfWriter
from consentry.interchange.choices import Names
from consentry.interchange.purpose_codes import load_purpose_codes
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput, IntegrityFailed


class Format(StrEnum):
    """The forms in which entries are streamed."""

    FHIR = "fhir"
    OCSF = "ocsf"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """What to stream, and how it is written.

    Attributes:
        first: index of the first entry, as ``audit query`` prints it.
        end: the first index that is no longer wanted; None up to what is signed.
        acts: only these; empty for all.
        since: first instant.
        until: first instant that is no longer wanted.
        heading: language of a CSV's first line.
        with_bom: begin a CSV with a byte order mark, as Excel wants it.
    """

    form: Format
    first: int = 0
    end: int | None = None
    acts: tuple[Act, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    heading: Heading = Heading.EN
    with_bom: bool = False


@dataclass(frozen=True, slots=True)
class StreamedLog:
    """What is streamed.

    Attributes:
        checkpoint: the signed head that covers every entry of the stream.
        entries: how many there are; whoever got fewer did not get all.
        chunks: the bytes, some hundred entries at a time; reading them may raise ``IntegrityFailed``.
    """

    checkpoint: Checkpoint
    entries: int
    chunks: Iterator[bytes] = field(repr=False)


def stream_audit(platform: Platform, caller: Principal, query: StreamQuery) -> StreamedLog:
    """Return the entries of a range below a signed checkpoint, once the entry of this reading is signed for too.

    The first entries have been read when this returns, so that a log that cannot be read answers here.

    Raises:
        Denied: the role may not export the log.
        BadInput: the range is turned round.
        IntegrityFailed: the stored log is not the one that was signed.
    """
    check_may_act(platform.catalogue, caller, "audit.export")
    signed = platform.log.settle()
    with platform.data.read() as connection:
        end = signed_end(connection, signed)
    if query.end is not None and query.end < query.first:
        raise BadInput("The range ends before it begins", hint="Give the smaller index first.")
    wanted = EntryRange(
        query.first, end if query.end is None else min(query.end, end), tuple(act.value for act in query.acts),
        query.since, query.until,
    )  # fmt: skip
    entries = count_entries(platform.data, wanted)
    _record_reading(platform, caller, query, wanted, entries)
    chunks = _written(read_entries(platform.data, wanted, signed), query, _writer(platform, query))
    return StreamedLog(signed, entries, chain([next(chunks, b"")], chunks))


def _record_reading(platform: Platform, caller: Principal, query: StreamQuery, wanted: EntryRange, count: int) -> None:
    """Write the entry of the export and bring it under a signed checkpoint, before a byte is handed out."""
    asking = platform.asking(caller)
    filters: dict[str, JsonValue] = {
        name: format_instant(moment)
        for name, moment in (("since", query.since), ("until", query.until))
        if moment is not None
    }
    refs = {"format": query.form.value, "from": str(wanted.first), "before": str(wanted.end)}
    event = Event(
        Act.AUDIT_EXPORTED, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
        counts={"entries": count}, refs=refs, details={"filters": filters | {"acts": list(wanted.acts)}},
    )  # fmt: skip
    with platform.data.write() as connection:
        platform.log.record(connection, event)
    platform.log.settle()


def _writer(platform: Platform, query: StreamQuery) -> Callable[[LoggedEntry], str]:
    match query.form:
        case Format.FHIR:
            codes = load_purpose_codes(pack_folder(platform.settings.pack))
            fhir = AuditEventWriter(Names(platform.settings.deployment, platform.catalogue), codes)
            return lambda entry: _json_line(fhir.write(entry))
        case Format.OCSF:
            ocsf = OcsfWriter(platform.settings.deployment)
            return lambda entry: _json_line(ocsf.write(entry))
        case Format.CSV:
            return write_row


def _written(
    windows: Iterator[list[PlacedEntry]], query: StreamQuery, write: Callable[[LoggedEntry], str]
) -> Iterator[bytes]:
    """Yield the lines of each window; windows without a wanted entry are passed over."""
    if query.form is Format.CSV:
        yield ((BOM if query.with_bom else "") + heading(query.heading)).encode()
    for window in windows:
        if window:
            yield "".join(write(_read(placed)) for placed in window).encode()


def _read(placed: PlacedEntry) -> LoggedEntry:
    try:
        return read_entry(placed)
    except (KeyError, ValueError):
        raise IntegrityFailed(
            f"The entry at index {placed.index} is none that this version knows",
            hint="Export the log and run consentry-verify; a newer version may have written it.",
        ) from None


def _json_line(document: dict[str, JsonValue]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
