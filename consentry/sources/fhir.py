"""Reads FHIR R4: bundles, single resources and NDJSON, one file at a time."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Final

from consentry.sources.cleaning import clean_key
from consentry.sources.context import SourceContext
from consentry.sources.duplicates import DuplicateFilter
from consentry.sources.fhir_facts import FACTS, FactReader, check_is_fact
from consentry.sources.fhir_paths import Element, parts, text
from consentry.sources.fhir_people import read_patient
from consentry.sources.fhir_references import Entry, References, link
from consentry.sources.files import check_file, parse_json, read_json, read_lines
from consentry.sources.records import BadRow, Reading, Row, RowFault, RowRefused, SourceError, SourceRecord, Tally
from consentry.sources.values import Cleaned, Cleaner, identity_of

MAX_BUNDLE_BYTES: Final = 256 * 1024 * 1024
"""A bundle is held in memory whole, about ten times its size; larger exports come as NDJSON."""

_SUFFIXES: Final = frozenset({".json", ".ndjson"})
_BUNDLES: Final = frozenset({"transaction", "batch", "collection", "searchset"})
_PATIENT: Final = "Patient"
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,39}")

_UNREAD: Final = frozenset({"meta", "text", "extension", "contained", "item", "supportingInfo"})
"""Elements that hold no value of ours; they are not validated either, which halves the cost."""


def read_fhir(paths: Sequence[Path], context: SourceContext, *, source: str = "fhir") -> Reading:
    """Read FHIR R4 files in the order given; of a folder every .json and .ndjson in it, by name.

    Every resource is handed on, refused by name, dropped as a duplicate, or counted as skipped by its type.

    Args:
        paths: files and folders.
        context: catalogue, tables and time.
        source: name of the system that the files come from; patient ids are unique within it.
    Raises:
        SourceError: a file is missing, empty, truncated, in another encoding, or no FHIR at all; raised while
            iterating, so that nothing of a batch may count before its end.
    """
    tally = Tally()
    return Reading(_read_files(list(_expanded(paths)), context, source, tally), tally)


def _expanded(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(inner for inner in path.iterdir() if inner.suffix.lower() in _SUFFIXES)
        if not found:
            raise SourceError(f"{path.name} holds no .json or .ndjson file", hint="Give the folder of the export.")
        yield from found


def _read_files(paths: Sequence[Path], context: SourceContext, source: str, tally: Tally) -> Iterator[Row]:
    validator = _Validator()
    for path in paths:
        check_file(path)
        if path.suffix.lower() not in _SUFFIXES:
            raise SourceError(f"{path.name} is neither .json nor .ndjson", hint="Rename it after what it holds.")
        is_lines = path.suffix.lower() == ".ndjson"
        rows = (_read_ndjson if is_lines else _read_bundle)(path, _FileReader(path, context, source, tally, validator))
        yield from DuplicateFilter().filter(rows, tally)


def _read_bundle(path: Path, reader: "_FileReader") -> Iterator[Row]:
    root = read_json(path, reader.context.encoding, max_bytes=MAX_BUNDLE_BYTES)
    if not isinstance(root, dict) or not isinstance(root.get("resourceType"), str):
        raise SourceError(f"{path.name} is no FHIR resource: it has no resourceType", hint="Give FHIR R4 JSON.")
    entries = _entries(path, root)
    stamp = text(root, "timestamp") if text(root, "resourceType") == "Bundle" else None
    context = reader.context
    try:
        references = link(entries, stamp=stamp, now=context.now, zone=context.zone)
    except RowRefused:
        raise SourceError(f"{path.name}: the bundle's timestamp is no time", hint="Correct the export.") from None
    for entry in entries:
        yield from reader.read(entry, references)


def _entries(path: Path, root: Element) -> list[Entry]:
    """Return a bundle's entries that carry a resource; of anything else the one resource itself."""
    if root.get("resourceType") != "Bundle":
        return [Entry(1, root)]
    kind = text(root, "type")
    if kind not in _BUNDLES:
        raise SourceError(
            f"{path.name} is a bundle of another type than {', '.join(sorted(_BUNDLES))}",
            hint="Export the records as one of these, or as NDJSON.",
        )
    return [
        Entry(number, resource, text(entry, "fullUrl") or "")
        for number, entry in enumerate(parts(root, "entry"), start=1)
        for resource in parts(entry, "resource")
    ]


def _read_ndjson(path: Path, reader: "_FileReader") -> Iterator[Row]:
    nothing_linked = References()
    for number, line in read_lines(path, reader.context.encoding):
        if line is None:
            reader.tally.rows += 1
            yield BadRow(reader.locator(number), RowFault.TOO_LONG)
            continue
        try:
            resource = parse_json(line)
        except RowRefused as refusal:
            resource = refusal
        if isinstance(resource, dict):
            yield from reader.read(Entry(number, resource), nothing_linked)
        else:
            reader.tally.rows += 1
            yield BadRow(reader.locator(number), RowFault.MALFORMED)


class _FileReader:
    """Reads the resources of one file."""

    def __init__(self, path: Path, context: SourceContext, source: str, tally: Tally, validator: "_Validator") -> None:
        self.context = context
        self.tally = tally
        self._name = path.name
        self._source = source
        self._validator = validator
        self._cleaner = Cleaner(context)

    def locator(self, number: int) -> str:
        """Return where an entry or line stands."""
        return f"{self._name}:{number}"

    def read(self, entry: Entry, references: References) -> Iterator[Row]:
        """Yield the record of a resource, or why it is refused; nothing for a type that is not read."""
        self.tally.rows += 1
        if entry.type != _PATIENT and entry.type not in FACTS:
            self.tally.skipped[entry.type if _TYPE.fullmatch(entry.type) else "unknown"] += 1
            return
        try:
            self._validator.check(entry)
            check_is_fact(entry.resource)
            yield self._record(entry, references)
        except RowRefused as refusal:
            yield BadRow(self.locator(entry.number), refusal.fault, f"{entry.type}.{refusal.field or 'resource'}")

    def _record(self, entry: Entry, references: References) -> SourceRecord:
        if entry.type == _PATIENT:
            subject = entry.id
            kind, cleaned = "profile", read_patient(entry.resource, self.context, self._cleaner, self.tally)
        else:
            subject = references.subject(entry.resource)
            kind, read = FACTS[entry.type]
            cleaned = read(entry.resource, FactReader(self.context, self._cleaner, references, self.tally))
        if subject is None or not cleaned.values:
            raise RowRefused(RowFault.MISSING, "id" if subject is None else "value")
        return self._finished(entry, subject, kind, cleaned, references)

    def _finished(
        self, entry: Entry, subject: str, kind: str, cleaned: Cleaned, references: References
    ) -> SourceRecord:
        observed_at = self._observed(entry, references)
        if observed_at is None and entry.type == _PATIENT:
            observed_at = references.last_seen.get(subject, self.context.now)
        if observed_at is None:
            raise RowRefused(RowFault.MISSING, "time")
        return SourceRecord(
            locator=self.locator(entry.number),
            source=self._source,
            source_subject=clean_key(subject),
            kind=kind,
            source_record=clean_key(f"{entry.type}/{entry.id or observed_at.isoformat()}"),
            observed_at=observed_at,
            values=cleaned.values,
            identity=identity_of(cleaned.values) if entry.type == _PATIENT else None,
            unmapped=tuple(cleaned.unmapped),
        )

    def _observed(self, entry: Entry, references: References) -> datetime | None:
        try:
            found = references.time(entry.resource, self.context.zone)
            return None if found is None else self.context.check_instant(found)
        except RowRefused as refusal:
            raise refusal.within("time") from None


class _Validator:
    """Checks resources against the R4 structure definitions; the models of a type load when it first occurs.

    R4B leaves the ten types that are read here as they are in R4.
    """

    def __init__(self) -> None:
        self._models: dict[str, tuple[Callable[[Element], object], frozenset[str]]] = {}

    def check(self, entry: Entry) -> None:
        """Raise ``RowRefused`` with the first element that is wrong; its name only where R4 knows that name."""
        model, elements = self._models.get(entry.type) or self._load(entry.type)
        try:
            model({name: value for name, value in entry.resource.items() if name not in _UNREAD})
        except ValueError as err:
            raise RowRefused(RowFault.INVALID_RESOURCE, _first_element(err, elements)) from None

    def _load(self, type_name: str) -> tuple[Callable[[Element], object], frozenset[str]]:
        model = getattr(import_module(f"fhir.resources.R4B.{type_name.lower()}"), type_name)
        names = frozenset(name for name in model.elements_sequence() if isinstance(name, str))
        self._models[type_name] = (model.model_validate, names)
        return self._models[type_name]


def _first_element(err: ValueError, elements: frozenset[str]) -> str | None:
    details = getattr(err, "errors", None)
    found: Sequence[Mapping[str, Sequence[object]]] = details() if callable(details) else ()
    first = next((place for detail in found for place in detail.get("loc", ())), None)
    return first if isinstance(first, str) and first in elements else None
