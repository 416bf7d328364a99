"""What the resources of one file refer to: patients, practitioners, encounters, medications."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final

from consentry.sources.fhir_paths import Element, instant, part, parts, text, texts
from consentry.sources.records import RowFault, RowRefused

_PATIENT: Final = re.compile(r"(?:\S+/)?Patient/([A-Za-z0-9.-]{1,64})(?:/_history/\S+)?")
_UUID: Final = "urn:uuid:"

_TIMES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "Encounter": (("period", "start"),),
    "Condition": (("recordedDate",), ("onsetDateTime",), ("onsetPeriod", "start")),
    "Observation": (("effectiveDateTime",), ("effectivePeriod", "start"), ("effectiveInstant",), ("issued",)),
    "MedicationRequest": (("authoredOn",),),
    "AllergyIntolerance": (("recordedDate",), ("onsetDateTime",), ("lastOccurrence",)),
    "Procedure": (("performedDateTime",), ("performedPeriod", "start")),
    "Immunization": (("occurrenceDateTime",), ("recorded",)),
    "FamilyMemberHistory": (("date",),),
    "Claim": (("created",), ("billablePeriod", "start")),
}
"""Where each type says when, in the order of asking (FHIR R4)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of a file.

    Attributes:
        number: of the entry or line, from 1. full_url: of a bundle's entry, or empty.
    """

    number: int
    resource: Element
    full_url: str = ""

    @property
    def type(self) -> str:
        """The resource type; empty where there is none."""
        return text(self.resource, "resourceType") or ""

    @property
    def id(self) -> str | None:
        """The resource's own id, or the UUID that its bundle gives it."""
        return text(self.resource, "id") or (
            self.full_url.removeprefix(_UUID) if self.full_url.startswith(_UUID) else None
        )


@dataclass(frozen=True, slots=True)
class References:
    """How the references of one file resolve, by reference text; empty for NDJSON, whose files hold one type each.

    Attributes:
        patients: → the patient's id. practitioners: → name. starts: → begin of the encounter.
        medications: → the medication's concept. stamp: the bundle's own time.
        last_seen: by patient id the latest time that the file tells, for profiles, which have no time of their own.
    """

    patients: Mapping[str, str] = field(default_factory=dict)
    practitioners: Mapping[str, str] = field(default_factory=dict)
    starts: Mapping[str, datetime] = field(default_factory=dict)
    medications: Mapping[str, Element] = field(default_factory=dict)
    stamp: datetime | None = None
    last_seen: Mapping[str, datetime] = field(default_factory=dict)

    def subject(self, resource: Element) -> str:
        """Return the id of the patient that a resource is about.

        Raises:
            RowRefused: the reference is missing, points at something else, or at nothing in the file.
        """
        name = "patient" if "patient" in resource else "subject"
        reference = text(resource, name, "reference")
        if reference is None:
            raise RowRefused(RowFault.UNRESOLVED_REFERENCE, name)
        if (known := self.patients.get(reference)) is not None:
            return known
        match = _PATIENT.fullmatch(reference)
        if match is None:
            raise RowRefused(RowFault.UNRESOLVED_REFERENCE, name)
        return match[1]

    def time(self, resource: Element, zone: tzinfo) -> datetime | None:
        """Return when a resource says it was observed, else its encounter's begin, its last update, or the stamp."""
        own = own_time(resource, zone)
        if own is not None:
            return own
        encounter = text(resource, "encounter", "reference") or ""
        if encounter in self.starts:
            return self.starts[encounter]
        updated = text(resource, "meta", "lastUpdated")
        return instant(updated, zone) if updated else self.stamp


def own_time(resource: Element, zone: tzinfo) -> datetime | None:
    """Return the time that stands in the resource itself, or None."""
    for path in _TIMES.get(text(resource, "resourceType") or "", ()):
        if (written := text(resource, *path)) is not None:
            return instant(written, zone)
    return None


def link(entries: Sequence[Entry], *, stamp: str | None, now: datetime, zone: tzinfo) -> References:
    """Return how the references between a bundle's entries resolve."""
    patients = {name: entry.id for entry in entries if entry.type == "Patient" and entry.id for name in _names(entry)}
    known = References(patients=patients)
    starts: dict[str, datetime] = {}
    last_seen: dict[str, datetime] = {}
    for entry in entries:
        when = _time_or_none(entry.resource, zone)
        if when is None:
            continue
        if entry.type == "Encounter":
            starts.update(dict.fromkeys(_names(entry), when))
        patient = _subject_or_none(known, entry.resource)
        if patient is not None and when <= now:
            last_seen[patient] = max(when, last_seen.get(patient, when))
    return References(
        patients=patients,
        practitioners=dict(_practitioners(entries)),
        starts=starts,
        medications={
            name: part(entry.resource, "code")
            for entry in entries
            if entry.type == "Medication"
            for name in _names(entry)
        },
        stamp=instant(stamp, zone) if stamp else None,
        last_seen=last_seen,
    )


def person_name(resource: Element) -> str | None:
    """Return the name of a Patient or Practitioner: the official one, else the first; Chinese without a space."""
    names = list(parts(resource, "name"))
    if not names:
        return None
    chosen = next((name for name in names if name.get("use") in {"official", "usual"}), names[0])
    family, given = text(chosen, "family") or "", texts(chosen, "given")
    if (whole := text(chosen, "text")) is not None:
        return whole
    if family and not family.isascii():
        return family + "".join(given)
    return " ".join([*given, family]).strip() or None


def _practitioners(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    return [
        (name, found)
        for entry in entries
        if entry.type == "Practitioner" and (found := person_name(entry.resource)) is not None
        for name in _names(entry)
    ]


def _names(entry: Entry) -> list[str]:
    """Return the texts by which others in the bundle may refer to an entry."""
    own = text(entry.resource, "id")
    return [name for name in (entry.full_url, f"{entry.type}/{own}" if own else "") if name]


def _time_or_none(resource: Element, zone: tzinfo) -> datetime | None:
    try:
        return own_time(resource, zone)
    except RowRefused:
        return None


def _subject_or_none(references: References, resource: Element) -> str | None:
    try:
        return references.subject(resource)
    except RowRefused:
        return None
