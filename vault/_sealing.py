"""From plain records to sealed rows: pure but for the keys that it is given. For the modules of this package alone."""

from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from struct import Struct
from typing import Any, Final, NamedTuple

from consent.permits import Permit
from kernel.catalogue import Catalogue, Compartment, Retention
from kernel.clock import to_micros
from kernel.encoding import JsonValue
from kernel.errors import Denied
from kernel.ids import BatchId, SubjectId, new_id
from vault._keys import MacKey, Pair, UnlockedKeys
from vault.envelope import Binding, DataKey, Item, encode_plaintext, length_prefixed, seal_many
from vault.payload import pack

SCHEMA_VERSION: Final = 1
"""Of the plaintext encoding of values: canonical JSON as kernel.catalogue.FieldType says."""

EVENT: Final = "event"
EVENT_TYPE: Final = "event_type"

_MICROS: Final = Struct(">q")
_SIZE: Final = Struct(">I")


@dataclass(frozen=True, slots=True, repr=False)
class PlainRecord:
    """One record of one subject, not yet sealed.

    Attributes:
        kind: the record's kind, such as ``encounter`` or ``event``.
        source: the sending system; ``source_record``: the record's id there, kept as a keyed digest only.
        observed_at: when what it says was so.
        values: field value by field code.
    """

    subject: SubjectId
    kind: str
    source: str
    source_record: str
    observed_at: datetime
    values: Mapping[str, JsonValue]

    def __repr__(self) -> str:
        return f"PlainRecord(subject={self.subject}, kind={self.kind!r}, redacted)"


class Place(NamedTuple):
    """Where a field's value lies and how long: values of one record with the same place share a row."""

    compartment: Compartment
    purpose: str
    keep: timedelta | None
    floor: timedelta | None


@dataclass(frozen=True, slots=True, repr=False)
class Encoded:
    """A record whose values are plaintext bytes, with the digests that tell it from others."""

    record: PlainRecord
    plaintexts: Mapping[str, bytes]
    record_key: str
    content_key: bytes

    @property
    def identity(self) -> tuple[SubjectId, str, bytes]:
        """What makes two records the same."""
        return self.record.subject, self.record_key, self.content_key

    def __repr__(self) -> str:
        return f"Encoded({self.record!r})"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Rows for the table, and what did not need one."""

    rows: list[dict[str, Any]]
    records: int
    fields: int
    expired_fields: int


class Placing:
    """Knows the place of each field, and that a permit covers it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._places: dict[tuple[str, str | None], Place] = {}

    def place(self, record: PlainRecord, code: str) -> Place:
        """Return where a field of a record lies; an event's type says how long its values are kept."""
        event_type = record.values.get(EVENT_TYPE) if record.kind == EVENT else None
        name = event_type if isinstance(event_type, str) else None
        place = self._places.get((code, name))
        if place is None:
            place = self._places[code, name] = self._make(code, name)
        return place

    def check(self, record: PlainRecord, permits: Mapping[str, Permit]) -> None:
        """Raise ``Denied`` unless the permit for its purpose of collection covers every field."""
        for code in record.values:
            purpose = self.place(record, code).purpose
            permit = permits.get(purpose)
            if permit is None or not permit.allows(record.subject, code):
                raise Denied(
                    f"No permit for {purpose} covers field {code!r} of subject {record.subject}",
                    hint="Nothing of this chunk was stored; ask the gate and leave out what it refuses.",
                )

    def pairs(self, records: Collection[PlainRecord]) -> set[Pair]:
        """Return the subjects and compartments that these records need keys for."""
        return {(record.subject, self.place(record, code).compartment) for record in records for code in record.values}

    def _make(self, code: str, event_type: str | None) -> Place:
        field = self._catalogue.get_field(code)
        event = self._catalogue.event_types.get(event_type) if event_type is not None else None
        kept: Retention = field.retention if event is None else event.retention
        return Place(field.compartment, field.collect, kept.keep, kept.floor)


def encode(record: PlainRecord, record_mac: MacKey, content_mac: MacKey) -> Encoded:
    """Return the record's values as plaintext, sorted by field code, and its two digests.

    The content's digest begins with the record's, so that equal contents of two people do not show.
    """
    plaintexts = {code: encode_plaintext(record.values[code]) for code in sorted(record.values)}
    record_digest = record_mac.digest(length_prefixed(record.subject, record.source, record.kind, record.source_record))
    content = [record_digest, _MICROS.pack(to_micros(record.observed_at))]
    for code, plaintext in plaintexts.items():
        content += (length_prefixed(code), _SIZE.pack(len(plaintext)), plaintext)
    return Encoded(record, plaintexts, _base64(record_digest), content_mac.digest(b"".join(content)))


@dataclass(frozen=True, slots=True)
class Sealing:
    """What one chunk is sealed with."""

    placing: Placing
    keys: UnlockedKeys
    permits: Mapping[str, Permit]
    deployment: str
    batch: BatchId
    now: datetime

    def seal(self, records: Sequence[Encoded]) -> Sealed:
        """Seal a chunk; a value whose time of keeping is over already is left out and counted."""
        rows: list[dict[str, Any]] = []
        codes_of: list[list[str]] = []
        items: list[Item] = []
        stored = 0
        for encoded in records:
            record_id = new_id("rec")
            parts = self._parts(encoded)
            stored += bool(parts)
            for part, (place, codes) in enumerate(parts.items()):
                key = self.keys.sealing((encoded.record.subject, place.compartment))
                rows.append(self._row(encoded, place, record_id, part) | {"key_id": key.key_id})
                codes_of.append(codes)
                items.extend(self._items(encoded, record_id, codes, key))
        sealed = iter(seal_many(items))
        for row, codes in zip(rows, codes_of, strict=True):
            row["payload"] = pack({code: next(sealed) for code in codes})
        given = sum(len(encoded.plaintexts) for encoded in records)
        return Sealed(rows, stored, len(items), given - len(items))

    def _items(self, encoded: Encoded, record_id: str, codes: Sequence[str], key: DataKey) -> Iterator[Item]:
        for code in codes:
            binding = Binding(self.deployment, encoded.record.subject, record_id, code, SCHEMA_VERSION)
            yield key, binding, encoded.plaintexts[code]

    def _parts(self, encoded: Encoded) -> dict[Place, list[str]]:
        parts: dict[Place, list[str]] = {}
        for code in encoded.plaintexts:
            parts.setdefault(self.placing.place(encoded.record, code), []).append(code)
        observed_at = encoded.record.observed_at
        return {place: codes for place, codes in parts.items() if not _is_over(place, observed_at, self.now)}

    def _row(self, encoded: Encoded, place: Place, record_id: str, part: int) -> dict[str, Any]:
        record = encoded.record
        return {
            "record_id": record_id,
            "subject_id": record.subject,
            "record_key": encoded.record_key,
            "content_key": encoded.content_key,
            "part": part,
            "kind": record.kind,
            "source": record.source,
            "compartment": place.compartment,
            "purpose": place.purpose,
            "permit_id": self.permits[place.purpose].permit_id,
            "batch_id": self.batch,
            "observed_at": record.observed_at,
            "expires_at": _ends(place, record.observed_at),
            "held_until": None if place.floor is None else record.observed_at + place.floor,
            "schema_version": SCHEMA_VERSION,
        }


def _ends(place: Place, observed_at: datetime) -> datetime | None:
    """Return the end of keeping; the law's floor wins over a shorter one (PIPL 19 and 47)."""
    if place.keep is None:
        return None
    return observed_at + max(place.keep, place.floor or place.keep)


def _is_over(place: Place, observed_at: datetime, now: datetime) -> bool:
    ends = _ends(place, observed_at)
    return ends is not None and ends <= now


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode().rstrip("=")
