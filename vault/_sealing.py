"""From plain records to sealed rows: pure but for the keys that it is given. For the modules of this package alone."""

from binascii import b2a_base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from consent.permits import Permit
from kernel.bulk_insert import NULL, BulkInsert
from kernel.catalogue import Catalogue, Compartment
from kernel.clock import to_micros
from kernel.encoding import JsonValue
from kernel.errors import Conflict, Denied
from kernel.ids import BatchId, SubjectId, new_id
from kernel.plaintext import Plaintext
from vault._keys import MacKey, Pair
from vault._whole_rows import seal_whole
from vault.envelope import KEY_ID_BYTES, DataKey, RowHeader, encode_plaintext, length_prefixed, names_part, row_prefix
from vault.tables import sealed_record

SCHEMA_VERSION: Final = 1
"""Of the plaintext encoding of values: canonical JSON as kernel.catalogue.FieldType says."""

EVENT: Final = "event"
EVENT_TYPE: Final = "event_type"

CONTENT_KEY_BYTES: Final = 16

_MICROS: Final = Struct(">q")
_PACKED_INSTANT: Final = Struct(">iq")
_PACKED_STORED: Final = Struct(f">i{CONTENT_KEY_BYTES}si{KEY_ID_BYTES}sihihi{KEY_ID_BYTES}si")
"""What is stored of a row beside its header: each value after its length, the payload's length last."""
_SIZE: Final = Struct(">I")
_ONE_MICRO: Final = timedelta(microseconds=1)
_LAYOUTS: Final = 4_096
"""Layouts in memory; records of one source have a few dozen shapes."""


@dataclass(frozen=True, slots=True, repr=False)
class PlainRecord(Plaintext):
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


Codes = tuple[str, ...]
"""Codes of fields, sorted."""

Layout = tuple[tuple[Place, Codes], ...]
"""The rows of a record: each place with its fields."""


class Placing:
    """Knows the place of each field, and that a permit covers it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._layouts: dict[tuple[Codes, str | None], Layout] = {}
        self._needs: dict[Codes, Mapping[str, frozenset[str]]] = {}

    def layout(self, codes: Codes, event_type: str | None) -> Layout:
        """Return the rows of records with these fields; made once for all of them.

        Args:
            codes: of a record, sorted.
            event_type: of an event, which says how long its values are kept; None for other kinds.
        """
        declared = event_type if event_type in self._catalogue.event_types else None
        found = self._layouts.get((codes, declared))
        if found is None:
            by_place: dict[Place, list[str]] = {}
            for code in codes:
                by_place.setdefault(self.place(code, declared), []).append(code)
            found = tuple((place, tuple(own)) for place, own in by_place.items())
            _remember(self._layouts, (codes, declared), found)
        return found

    def check(self, subject: SubjectId, codes: Codes, permits: Mapping[str, Permit]) -> None:
        """Raise unless the permit for its purpose of collection covers every field.

        Raises:
            Denied: one is not covered.
            BadInput: one is not in the catalogue, or holds files.
        """
        for purpose, needed in self._needed(codes).items():
            permit = permits.get(purpose)
            allowed = frozenset[str]() if permit is None else permit.fields_for(subject)
            if not needed <= allowed:
                raise Denied(
                    f"No permit for {purpose} covers field {min(needed - allowed)!r} of subject {subject}",
                    hint="Nothing of this chunk was stored; ask the gate and leave out what it refuses.",
                )

    def purposes(self, codes: Codes) -> set[str]:
        """Return the purposes of collection of some fields."""
        return set(self._needed(codes))

    def _needed(self, codes: Codes) -> Mapping[str, frozenset[str]]:
        found = self._needs.get(codes)
        if found is None:
            by_purpose: dict[str, set[str]] = {}
            for code in codes:
                by_purpose.setdefault(self._catalogue.get_value_field(code).collect, set()).add(code)
            found = {purpose: frozenset(own) for purpose, own in by_purpose.items()}
            _remember(self._needs, codes, found)
        return found

    def place(self, code: str, event_type: str | None) -> Place:
        """Return where a field of a record lies and how long; of an event, as its declared type says."""
        field = self._catalogue.get_field(code)
        kept = field.retention if event_type is None else self._catalogue.event_types[event_type].retention
        return Place(field.compartment, field.collect, _micros(kept.keep), _micros(kept.floor))


@dataclass(frozen=True, slots=True, repr=False)
class Encoded(Plaintext):
    """A record whose values are plaintext bytes, with the digests that tell it from others.

    Attributes:
        event_type: of an event.
        observed_at: microseconds since 1970.
        codes: of its fields, sorted; records of one shape share them.
        plaintexts: by field code, in the same order.
        record_key: base64; which record of which source about whom.
        content_key: what it says.
    """

    subject: SubjectId
    kind: str
    source: str
    event_type: str | None
    observed_at: int
    codes: Codes
    plaintexts: Mapping[str, bytes]
    record_key: str
    content_key: bytes

    @property
    def identity(self) -> "Identity":
        """What makes two records the same."""
        return self.subject, self.record_key, self.content_key

    def __repr__(self) -> str:
        return f"Encoded(subject={self.subject}, kind={self.kind!r}, redacted)"


Identity = tuple[SubjectId, str, bytes]
"""Subject, record key and content key."""


class Encoder:
    """Makes records comparable: plaintext bytes and two keyed digests.

    The content's digest begins with the record's, so that equal contents of two people do not show.
    """

    def __init__(self, record_mac: MacKey, content_mac: MacKey) -> None:
        self._record_mac = record_mac
        self._content_mac = content_mac

    def encode(self, record: PlainRecord) -> Encoded:
        """Return a record's values as plaintext, and its two digests."""
        event_type = record.values.get(EVENT_TYPE) if record.kind == EVENT else None
        return self.encoded(
            record.subject, record.kind, record.source, record.source_record, to_micros(record.observed_at),
            {code: encode_plaintext(record.values[code]) for code in sorted(record.values)},
            event_type if isinstance(event_type, str) else None,
        )  # fmt: skip

    def encoded(  # noqa: PLR0917 - the columns of one record, in their order
        self,
        subject: SubjectId,
        kind: str,
        source: str,
        source_record: str,
        observed_at: int,
        plaintexts: Mapping[str, bytes],
        event_type: str | None,
    ) -> Encoded:
        """Return a record whose values are plaintext already, by field code in sorted order."""
        digest = self._record_mac.digest(
            length_prefixed(subject) + names_part(source, kind) + length_prefixed(source_record)
        )
        (codes, heads), values = _codes(tuple(plaintexts)), plaintexts.values()
        content = zip(heads, map(_SIZE.pack, map(len, values)), values, strict=True)
        content_key = self._content_mac.digest(
            digest + _MICROS.pack(observed_at) + b"".join(chain.from_iterable(content))
        )
        return Encoded(subject, kind, source, event_type, observed_at, codes, plaintexts, _base64(digest), content_key)


@dataclass(frozen=True, slots=True, repr=False)
class Part(Plaintext):
    """What becomes one row: the fields of one record that have the same place."""

    encoded: Encoded
    record_id: str
    number: int
    place: Place
    codes: Codes

    @property
    def pair(self) -> Pair:
        """Whose key seals it."""
        return self.encoded.subject, self.place.compartment

    def header(self) -> RowHeader:
        """Return what the row will say of itself."""
        encoded, place = self.encoded, self.place
        observed_at, floor = encoded.observed_at, place.floor
        return RowHeader(  # in its order: by name it takes twice as long
            encoded.kind, encoded.source, _NAMES[place.compartment], place.purpose,
            encoded.subject, self.record_id, encoded.record_key,
            observed_at, place.ends(observed_at), None if floor is None else observed_at + floor,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Part({self.encoded!r}, {self.number})"


def split(encoded: Encoded, placing: Placing, instant: int) -> list[Part]:
    """Cut a record into rows; values whose time of keeping is over at an instant already are left out."""
    record_id, parts = new_id("rec"), []
    layout = placing.layout(encoded.codes, encoded.event_type)
    for number, (place, codes) in enumerate(layout):
        ends = place.ends(encoded.observed_at)
        if ends is None or ends > instant:
            parts.append(Part(encoded, record_id, number, place, codes))
    return parts


ROW: Final = (*RowHeader._fields, "content_key", "blinding_id", "part", "schema_version", "key_id", "payload")
"""The columns of a sealed row, instants in microseconds."""

Row = tuple[Any, ...]
"""Values in the order of ``ROW``."""

PackedRow = tuple[str, bytes]
"""A row's purpose of collection, and its values as PostgreSQL copies them."""

_PURPOSE: Final = ROW.index("purpose")
_STORED: Final = len(RowHeader._fields)
_NAMES: Final = {compartment: compartment.value for compartment in Compartment}

StoredAs = tuple[bytes, bytes]
"""A blinded content key, and the id of the key that blinds it."""


def seal_part(part: Part, data_key: DataKey, stored_as: StoredAs, deployment: str) -> Row:
    """Return the row of one part.

    Raises:
        BadInput: a value is too long.
    """
    header, codes, plaintexts = part.header(), part.codes, part.encoded.plaintexts
    own = (
        plaintexts
        if len(codes) == len(plaintexts)
        else dict(zip(codes, map(plaintexts.__getitem__, codes), strict=True))
    )
    prefix = row_prefix(deployment, header)
    payload = seal_whole(own, data_key=data_key, prefix=prefix, schema_version=SCHEMA_VERSION)
    return (*header, *stored_as, part.number, SCHEMA_VERSION, data_key.key_id, payload)


def insert_rows(connection: Connection, rows: Sequence[Row], *, permits: Mapping[str, Permit], batch: BatchId) -> None:
    """Insert sealed rows in one round, each under the permit for its purpose of collection.

    Raises:
        Conflict: another transaction stored one of the records meanwhile.
    """
    ids = _permit_ids(permits)
    with _one_at_a_time():
        _INSERT.run(connection, [(*row, ids[row[_PURPOSE]], batch) for row in rows])


def pack_row(row: Row) -> PackedRow:
    """Return a row as PostgreSQL copies it, still without its permit and its batch."""
    kind, source, compartment, purpose, subject, record, record_key, observed_at, expires_at, held_until = row[:_STORED]
    content_key, blinding_id, part, schema_version, key_id, payload = row[_STORED:]
    ids = [text.encode() for text in (subject, record, record_key)]
    ends = [NULL if end is None else _PACKED_INSTANT.pack(8, end) for end in (observed_at, expires_at, held_until)]
    stored = _PACKED_STORED.pack(
        CONTENT_KEY_BYTES, content_key, KEY_ID_BYTES, blinding_id, 2, part, 2, schema_version, KEY_ID_BYTES, key_id,
        len(payload),
    )  # fmt: skip
    packed_ids = _ids_packer(*map(len, ids))(*chain.from_iterable((len(one), one) for one in ids))
    return purpose, b"".join((_packed_names(kind, source, compartment, purpose), packed_ids, *ends, stored, payload))


@lru_cache(maxsize=1024)
def _packed_names(*names: str) -> bytes:
    return _INSERT.pack(names)


@lru_cache(maxsize=64)
def _ids_packer(*sizes: int) -> Callable[..., bytes]:
    return Struct(">" + "".join(f"i{size}s" for size in sizes)).pack


def copy_rows(
    connection: Connection, rows: Sequence[PackedRow], *, permits: Mapping[str, Permit], batch: BatchId
) -> None:
    """Insert packed rows as ``insert_rows`` does, on PostgreSQL; raises as it does."""
    if not rows:
        return
    ends = {purpose: _INSERT.pack((permit, batch), at=len(ROW)) for purpose, permit in _permit_ids(permits).items()}
    with _one_at_a_time():
        _INSERT.copy(connection, chain.from_iterable([(packed, ends[purpose]) for purpose, packed in rows]))


def _permit_ids(permits: Mapping[str, Permit]) -> dict[str, str]:
    return {purpose: permit.permit_id for purpose, permit in permits.items()}


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise Conflict("Another batch stored the same record at the same time", hint="Store the chunk again.") from None


def _remember(known: dict[Any, Any], name: object, found: object) -> None:
    if len(known) == _LAYOUTS:  # what a source invents must not fill the memory
        known.clear()
    known[name] = found


@lru_cache(maxsize=1024)
def _codes(codes: Codes) -> tuple[Codes, tuple[bytes, ...]]:
    """Return the first of all equal tuples of codes, and each code as a content's digest takes it in."""
    return codes, tuple(length_prefixed(code) for code in codes)


def _micros(period: timedelta | None) -> int | None:
    return None if period is None else period // _ONE_MICRO


def _base64(digest: bytes) -> str:
    return b2a_base64(digest, newline=False).decode().rstrip("=")


_INSERT: Final = BulkInsert(sealed_record, (*ROW, "permit_id", "batch_id"))
