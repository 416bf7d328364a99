"""Reads behaviour events from NDJSON: our own form, or a tracker's by a map."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

from consentry.sources.cleaning import clean_key, parse_time
from consentry.sources.context import SourceContext
from consentry.sources.duplicates import DuplicateFilter
from consentry.sources.files import parse_json, read_lines
from consentry.sources.maps import Column, read_column, read_texts, read_zone
from consentry.sources.records import BadRow, Reading, Row, RowFault, RowRefused, SourceRecord, Tally
from consentry.sources.table_files import member_text
from consentry.sources.values import PLAIN, Cleaned, Cleaner, Reads
from kernel.catalogue import EventType, FieldType
from kernel.located_yaml import Located, load

_TYPE_FIELD: Final = "event_type"
_NAME: Final = re.compile(r"(?!.*[0-9]{6})[A-Za-z_$][A-Za-z0-9_$.-]{0,39}")
"""A name that may be shown in a refusal; anything else might be a value in the place of a name."""

_QUANTITY_KEYS: Final = frozenset({"code", "value", "unit"})
_MAP_KEYS: Final = {"ignore", "ignore_events", "id", "properties_key", "time_zone"}


@dataclass(frozen=True, slots=True)
class EventMap:
    """How a tracker's lines become events.

    Attributes:
        source: name of the tracker. subject, time, type, id, bag: its keys; ``bag`` holds the properties.
        types: its event names → ours; a name that is ours already needs no entry.
        properties: its property names → columns; a name that is a field of the catalogue needs no entry.
        ignored: names of keys and properties that are known and not wanted; a trailing ``*`` stands for any ending.
        ignored_events: events that are skipped and counted.
    """

    source: str = "events"
    subject: tuple[str, ...] = ("subject", "distinct_id")
    time: str = "time"
    type: str = "type"
    id: str = "id"
    bag: str = "properties"
    types: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Column] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    ignored_beginnings: tuple[str, ...] = ()
    ignored_events: frozenset[str] = frozenset()
    zone: tzinfo | None = None

    @property
    def keys(self) -> frozenset[str]:
        """The keys that a line may have."""
        return frozenset({*self.subject, self.time, self.type, self.id, self.bag})

    def ignores(self, name: str) -> bool:
        """Say whether a key or property is known and not wanted."""
        return name in self.ignored or name.startswith(self.ignored_beginnings)


_OWN_FORM: Final = EventMap()


def load_event_map(path: Path, context: SourceContext) -> EventMap:
    """Read a tracker's map.

    Raises:
        PackError: a mistake, with file, line and what was expected.
    """
    root = load(path).mapping(
        required={"source", "subject", "time", "type", "events", "properties"}, optional=_MAP_KEYS
    )
    ignored = read_texts(root.get("ignore"))
    number, bag = root.get("id"), root.get("properties_key")
    return EventMap(
        source=root["source"].text(),
        subject=(root["subject"].text(),),
        time=root["time"].text(),
        type=root["type"].text(),
        id=number.text() if number else "id",
        bag=bag.text() if bag else "properties",
        types={name: _event_type(child, context) for name, child in root["events"].items()},
        properties={name: read_column(name, child, context) for name, child in root["properties"].items()},
        ignored=frozenset(name for name in ignored if not name.endswith("*")),
        ignored_beginnings=tuple(name[:-1] for name in ignored if name.endswith("*")),
        ignored_events=frozenset(read_texts(root.get("ignore_events"))),
        zone=read_zone(root.get("time_zone"), context.zone),
    )


def read_events(
    path: Path, context: SourceContext, event_map: EventMap | None = None, *, source: str | None = None
) -> Reading:
    """Read events, one JSON object a line.

    Without a map a line is ``{"type", "subject" or "distinct_id", "time", "properties"}`` and may have an ``id``; the
    types are the catalogue's event types, the properties its fields.

    Args:
        path: of an NDJSON file.
        context: catalogue, tables and time.
        event_map: of a tracker that writes another form.
        source: name of the system that the ids of persons belong to; without it the map's, or ``events``.
    Raises:
        SourceError: the file cannot be read as a whole; raised while iterating.
    """
    tally = Tally()
    chosen = event_map or _OWN_FORM
    if source is not None:
        chosen = replace(chosen, source=source)
    rows = _EventReader(path, context, chosen, tally).rows()
    return Reading(DuplicateFilter().filter(rows, tally), tally)


class _EventReader:
    """Turns the lines of one file into records of kind ``event``."""

    def __init__(self, path: Path, context: SourceContext, event_map: EventMap, tally: Tally) -> None:
        self._path = path
        self._context = context
        self._map = event_map
        self._tally = tally
        self._zone = event_map.zone or context.zone
        self._cleaner = Cleaner(context, zone=self._zone)
        self._keys = event_map.keys

    def rows(self) -> Iterator[Row]:
        """Yield the record of every line, or why it is refused."""
        for number, line in read_lines(self._path, self._context.encoding):
            self._tally.rows += 1
            locator = f"{self._path.name}:{number}"
            try:
                record = self._record(locator, line)
            except RowRefused as refusal:
                yield BadRow(locator, refusal.fault, refusal.field)
                continue
            if record is not None:
                yield record

    def _record(self, locator: str, line: str | None) -> SourceRecord | None:
        if line is None:
            raise RowRefused(RowFault.TOO_LONG)
        event = parse_json(line)
        if not isinstance(event, dict):
            raise RowRefused(RowFault.MALFORMED)
        name = _text(event, self._map.type)
        if name in self._map.ignored_events:
            self._tally.skipped[f"event {name}"] += 1
            return None
        self._check_keys(event)
        declared = self._declared(self._map.types.get(name, name))
        observed_at = self._time(event)
        cleaned = self._cleaned(event, declared)
        return SourceRecord(
            locator=locator,
            source=self._map.source,
            source_subject=self._subject(event),
            kind="event",
            source_record=_optional_text(event, self._map.id) or f"{declared.code}@{observed_at.isoformat()}",
            observed_at=observed_at,
            values=cleaned.values,
            unmapped=tuple(cleaned.unmapped),
        )

    def _check_keys(self, event: Mapping[str, object]) -> None:
        for key in event:
            if key not in self._keys and not self._map.ignores(key):
                raise RowRefused(RowFault.UNKNOWN_FIELD, _shown(key))

    def _declared(self, code: str) -> EventType:
        declared = self._context.catalogue.event_types.get(code)
        if declared is None:
            raise RowRefused(RowFault.UNKNOWN_EVENT, _shown(code))
        return declared

    def _subject(self, event: Mapping[str, object]) -> str:
        for key in self._map.subject:
            if (subject := _optional_text(event, key)) is not None:
                return subject
        raise RowRefused(RowFault.MISSING, "subject")

    def _time(self, event: Mapping[str, object]) -> datetime:
        try:
            return self._context.check_instant(parse_time(_text(event, self._map.time), self._zone))
        except RowRefused as refusal:
            raise refusal.within("time") from None

    def _cleaned(self, event: Mapping[str, object], declared: EventType) -> Cleaned:
        bag = event.get(self._map.bag, {})
        if not isinstance(bag, dict):
            raise RowRefused(RowFault.MALFORMED, "properties")
        cleaned = Cleaned({_TYPE_FIELD: declared.code})
        for name, value in bag.items():
            self._put(cleaned, name, value, declared)
        for required in declared.required:
            if required not in cleaned.values:
                raise RowRefused(RowFault.MISSING, required)
        return cleaned

    def _put(self, cleaned: Cleaned, name: str, value: object, declared: EventType) -> None:
        column = self._map.properties.get(name)
        if column is None and self._map.ignores(name):
            return
        code = column.field if column else name
        if code not in declared.properties or code == _TYPE_FIELD:
            raise RowRefused(RowFault.UNKNOWN_FIELD, _shown(name))
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                self._put_quantity(cleaned, code, item)
            elif raw := member_text(item, code):
                self._cleaner.put(cleaned, code, raw, column.reads if column else PLAIN)

    def _put_quantity(self, cleaned: Cleaned, code: str, item: Mapping[str, object]) -> None:
        """Put ``{"code": "loinc:…", "value": "5.6", "unit": "mmol/L"}``; no other field takes an object."""
        if not set(item) <= _QUANTITY_KEYS or self._cleaner.field(code).type is not FieldType.QUANTITY:
            raise RowRefused(RowFault.MALFORMED, code)
        measures, value, unit = (member_text(item.get(key), code) for key in ("code", "value", "unit"))
        self._cleaner.put(cleaned, code, value, Reads(code=measures or None, units=(unit,) if unit else ()))


def _event_type(node: Located, context: SourceContext) -> str:
    if node.text() not in context.catalogue.event_types:
        raise node.fail(f"unknown event type {node.text()!r}", expected="an event type of the catalogue")
    return node.text()


def _text(event: Mapping[str, object], key: str) -> str:
    found = _optional_text(event, key)
    if found is None:
        raise RowRefused(RowFault.MISSING, key)
    return found


def _optional_text(event: Mapping[str, object], key: str) -> str | None:
    try:
        return clean_key(member_text(event.get(key), key)) or None
    except RowRefused as refusal:
        raise refusal.within(key) from None


def _shown(name: str) -> str | None:
    return name if _NAME.fullmatch(name) else None
