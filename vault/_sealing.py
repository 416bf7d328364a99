"""From plain records to sealed rows: pure but for the keys that it is given. For the modules of this package alone."""

from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, BindParameter, Column, Connection, Dialect, LargeBinary, bindparam, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import TypeEngine

from consent.permits import Permit
from kernel.catalogue import Catalogue, Compartment
from kernel.clock import to_micros
from kernel.database import Instant
from kernel.encoding import JsonValue
from kernel.errors import Conflict, Denied
from kernel.ids import BatchId, SubjectId, new_id
from vault._keys import MacKey, Pair, UnlockedKeys
from vault.envelope import Binding, Item, RowHeader, encode_plaintext, length_prefixed, of_row, seal_many
from vault.payload import pack
from vault.tables import sealed_record

SCHEMA_VERSION: Final = 1
"""Of the plaintext encoding of values: canonical JSON as kernel.catalogue.FieldType says."""

EVENT: Final = "event"
EVENT_TYPE: Final = "event_type"

_MICROS: Final = Struct(">q")
_SIZE: Final = Struct(">I")
_ONE_MICRO: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, repr=False)
class PlainRecord:
    """One record of one subject, not yet sealed.

    Attributes:
        kind: the record's kind, such as ``encounter`` or ``event``.
        source: the sending system.
        source_record: the record's id there, kept as a keyed digest only.
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
    """Where a value lies and how long: values of one record with the same place share a row.

    Attributes:
        purpose: of collection.
        keep: microseconds after the observation; None for the life of the account.
        floor: microseconds after the observation that the law holds it; None for no hold.
    """

    compartment: Compartment
    purpose: str
    keep: int | None
    floor: int | None

    def ends(self, observed_at: int) -> int | None:
        """Return the end of keeping; the law's floor wins over a shorter one (PIPL 19 and 47)."""
        return None if self.keep is None else observed_at + max(self.keep, self.floor or 0)


class Placing:
    """Knows the place of each field, and that a permit covers it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._places: dict[tuple[str, str | None], Place] = {}

    def places(self, record: PlainRecord) -> dict[str, Place]:
        """Return the place of each field of a record; an event's type says how long its values are kept."""
        event_type = record.values.get(EVENT_TYPE) if record.kind == EVENT else None
        name = event_type if isinstance(event_type, str) else None
        return {code: self._places.get((code, name)) or self._make(code, name) for code in record.values}

    def check(self, record: PlainRecord, permits: Mapping[str, Permit]) -> None:
        """Raise ``Denied`` unless the permit for its purpose of collection covers every field."""
        for code in record.values:
            purpose = self._catalogue.get_field(code).collect
            permit = permits.get(purpose)
            if permit is None or not permit.allows(record.subject, code):
                raise Denied(
                    f"No permit for {purpose} covers field {code!r} of subject {record.subject}",
                    hint="Nothing of this chunk was stored; ask the gate and leave out what it refuses.",
                )

    def pairs(self, records: Collection[PlainRecord]) -> set[Pair]:
        """Return the subjects and compartments that these records need keys for."""
        return {
            (record.subject, self._catalogue.get_field(code).compartment)
            for record in records
            for code in record.values
        }

    def purposes(self, record: PlainRecord) -> set[str]:
        """Return the purposes of collection of a record's fields."""
        return {self._catalogue.get_field(code).collect for code in record.values}

    def _make(self, code: str, event_type: str | None) -> Place:
        field = self._catalogue.get_field(code)
        event = self._catalogue.event_types.get(event_type) if event_type is not None else None
        kept = field.retention if event is None else event.retention
        place = Place(field.compartment, field.collect, _micros(kept.keep), _micros(kept.floor))
        if event is not None or event_type is None:  # what a source invents as event types must not fill the memory
            self._places[code, event_type] = place
        return place


@dataclass(frozen=True, slots=True, repr=False)
class Encoded:
    """A record whose values are plaintext bytes, with the digests that tell it from others.

    Attributes:
        observed_at: microseconds since 1970.
        plaintexts: by field code, sorted.
        record_key: base64; which record of which source about whom.
        content_key: what it says.
    """

    record: PlainRecord
    observed_at: int
    plaintexts: Mapping[str, bytes]
    record_key: str
    content_key: bytes

    @property
    def identity(self) -> tuple[SubjectId, str, bytes]:
        """What makes two records the same."""
        return self.record.subject, self.record_key, self.content_key

    def __repr__(self) -> str:
        return f"Encoded({self.record!r})"


def encode(record: PlainRecord, record_mac: MacKey, content_mac: MacKey) -> Encoded:
    """Return the record's values as plaintext, and its two digests.

    The content's digest begins with the record's, so that equal contents of two people do not show.
    """
    plaintexts = {code: encode_plaintext(record.values[code]) for code in sorted(record.values)}
    observed_at = to_micros(record.observed_at)
    digest = record_mac.digest(length_prefixed(record.subject, record.source, record.kind, record.source_record))
    content = [digest, _MICROS.pack(observed_at)]
    for code, plaintext in plaintexts.items():
        content += (_code(code), _SIZE.pack(len(plaintext)), plaintext)
    return Encoded(record, observed_at, plaintexts, _base64(digest), content_mac.digest(b"".join(content)))


@dataclass(frozen=True, slots=True, repr=False)
class Part:
    """What becomes one row: the fields of one record that have the same place."""

    encoded: Encoded
    record_id: str
    number: int
    place: Place
    codes: list[str]

    @property
    def pair(self) -> Pair:
        """Whose key seals it."""
        return self.encoded.record.subject, self.place.compartment

    def header(self) -> RowHeader:
        """Return what the row will say of itself."""
        encoded, place = self.encoded, self.place
        return RowHeader(
            kind=encoded.record.kind,
            source=encoded.record.source,
            compartment=place.compartment.value,
            purpose=place.purpose,
            subject_id=encoded.record.subject,
            record_id=self.record_id,
            record_key=encoded.record_key,
            observed_at=encoded.observed_at,
            expires_at=place.ends(encoded.observed_at),
            held_until=None if place.floor is None else encoded.observed_at + place.floor,
        )

    def __repr__(self) -> str:
        return f"Part({self.encoded!r}, {self.number})"


def split(records: Sequence[Encoded], placing: Placing, now: datetime) -> list[Part]:
    """Cut records into rows; values whose time of keeping is over already are left out."""
    instant = to_micros(now)
    parts: list[Part] = []
    for encoded in records:
        by_place: dict[Place, list[str]] = {}
        for code, place in placing.places(encoded.record).items():
            by_place.setdefault(place, []).append(code)
        record_id = new_id("rec")
        for number, (place, codes) in enumerate(by_place.items()):
            ends = place.ends(encoded.observed_at)
            if ends is None or ends > instant:
                parts.append(Part(encoded, record_id, number, place, codes))
    return parts


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a chunk is sealed with."""

    keys: UnlockedKeys
    permits: Mapping[str, Permit]
    deployment: str
    batch: BatchId

    def seal(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """Return the rows for ``tables.sealed_record``, instants in microseconds.

        Raises:
            KeyUnavailable: a key was not made durable first.
            BadInput: a value is too long.
        """
        headers = [part.header() for part in parts]
        items = (item for part, header in zip(parts, headers, strict=True) for item in self._items(part, header))
        sealed = iter(seal_many(items))
        return [
            self._row(part, header, pack({code: next(sealed) for code in part.codes}))
            for part, header in zip(parts, headers, strict=True)
        ]

    def _items(self, part: Part, header: RowHeader) -> Iterator[Item]:
        key, holder = self.keys.sealing(part.pair), of_row(self.deployment, header)
        for code in part.codes:
            yield key, Binding(holder, code, SCHEMA_VERSION), part.encoded.plaintexts[code]

    def _row(self, part: Part, header: RowHeader, payload: bytes) -> dict[str, Any]:
        return {
            **header._asdict(),
            "content_key": part.encoded.content_key,
            "part": part.number,
            "permit_id": self.permits[part.place.purpose].permit_id,
            "batch_id": self.batch,
            "schema_version": SCHEMA_VERSION,
            "key_id": self.keys.sealing(part.pair).key_id,
            "payload": payload,
        }


def insert_rows(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert sealed rows in one round.

    Raises:
        Conflict: another transaction stored one of the records meanwhile.
    """
    if not rows:
        return
    try:
        connection.execute(_INSERT, list(rows))
    except IntegrityError:
        raise Conflict("Another batch stored the same record at the same time", hint="Store the chunk again.") from None


class _RawBytes(LargeBinary):
    """Bytes that go to the driver as they are; both drivers take them so."""

    def bind_processor(self, dialect: Dialect) -> None:  # noqa: ARG002 - SQLAlchemy's signature
        """Leave the value alone."""
        return


def _raw(column: Column[Any]) -> BindParameter[Any]:
    kinds: dict[type[object], TypeEngine[Any]] = {Instant: BigInteger(), LargeBinary: _RawBytes()}
    return bindparam(column.name, type_=kinds.get(type(column.type), column.type))


_INSERT: Final = insert(sealed_record).values({c: _raw(c) for c in sealed_record.c if not c.primary_key})
"""Instants are given in microseconds and bytes as bytes: a row at a time, the types' detours cost a fifth of it all."""


@lru_cache(maxsize=1024)
def _code(code: str) -> bytes:
    return length_prefixed(code)


def _micros(period: timedelta | None) -> int | None:
    return None if period is None else period // _ONE_MICRO


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode().rstrip("=")
