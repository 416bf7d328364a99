"""The envelope: how one field value is sealed; docs/reference/ciphertext-format.md says each byte."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from json.encoder import encode_basestring
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class
from typing import Any, Final, NamedTuple, NoReturn, final

from cryptography.exceptions import InvalidTag

from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput, IntegrityFailed
from vault.suites import NONCE_BYTES, SUITES, TAG_BYTES, Suite

VERSION_ALONE: Final = 1
"""A value that stands alone: details beside an audit entry or a decision."""
VERSION_OF_ROW: Final = 2
"""A value of a row, bound to all that the row says of itself."""
KEY_ID_BYTES: Final = 8
HEADER_BYTES: Final = 2 + KEY_ID_BYTES
OVERHEAD_BYTES: Final = HEADER_BYTES + NONCE_BYTES + TAG_BYTES
MAX_PLAINTEXT_BYTES: Final = 64 * 1024

_VERSIONS: Final = (VERSION_ALONE, VERSION_OF_ROW)
_ALONE_BYTES: Final = {code: bytes((VERSION_ALONE, code)) for code in SUITES}
_OF_ROW_BYTES: Final = {code: bytes((VERSION_OF_ROW, code)) for code in SUITES}
BODY: Final = HEADER_BYTES + NONCE_BYTES
_BLOCK: Final = 512
"""Values whose nonces are drawn together; few enough that the garbage collector has nothing to look through."""
MAX_SEALED_BYTES: Final = MAX_PLAINTEXT_BYTES + OVERHEAD_BYTES
_LENGTH: Final = Struct(">H")
_SCHEMA: Final = Struct(">I")
_INSTANTS: Final = "q?q?q"
_BESIDE_TEXTS: Final = 3 * _LENGTH.size + Struct(f">{_INSTANTS}").size
"""Bytes of a row's header that are neither names nor ids: three lengths and the instants."""

_CHANGED: Final = "The stored bytes or the columns beside them were changed or moved; restore them from a backup."

Random = Callable[[int], bytes]
"""Returns so many unpredictable bytes; ``os.urandom`` but for frozen vectors."""


class RowHeader(NamedTuple):
    """What a row says of itself, under the names of its columns; instants are microseconds since 1970.

    Attributes:
        kind, source, compartment, purpose: names.
        subject_id, record_id: ids.
        record_key: which record of which source, as a keyed digest; rows that share it are versions of one record.
        expires_at: None for the life of the account.
        held_until: None for no legal hold.
    """

    kind: str
    source: str
    compartment: str
    purpose: str
    subject_id: str
    record_id: str
    record_key: str
    observed_at: int
    expires_at: int | None
    held_until: int | None


class Holder(NamedTuple):
    """What several values have in common: made once by ``of_row`` or ``alone``, authenticated with each of them.

    Attributes:
        version: of the sealed values.
        record: id, for messages.
        prefix: the bytes that stand for it in the associated data.
    """

    version: int
    record: str
    prefix: bytes


class Binding(NamedTuple):
    """What a value is bound to: authenticated, not hidden.

    Attributes:
        holder: what it belongs to.
        field: catalogue code.
        schema_version: of the value's plaintext encoding.
    """

    holder: Holder
    field: str
    schema_version: int


@final
class DataKey:
    """A key in memory; holds the AEAD object only, and can neither be printed nor copied out of the process."""

    __slots__ = ("decrypt", "encrypt", "key_id", "of_row", "suite")

    def __init__(self, key_id: bytes, key: bytes, suite: Suite) -> None:
        if len(key_id) != KEY_ID_BYTES or len(key) != suite.key_bytes:
            raise IntegrityFailed("A key or its id has a wrong length", hint="Restore the key store from a backup.")
        self.key_id = key_id
        self.suite = suite
        self.of_row = _OF_ROW_BYTES[suite.code] + key_id  # the header of a value of a row
        aead = suite.aead(key)
        self.encrypt: Final = aead.encrypt  # nonce, plaintext, associated data; a method around it costs a tenth
        self.decrypt: Final = aead.decrypt

    def header(self, version: int) -> bytes:
        """Return what each value of a version begins with under this key."""
        return self.of_row if version == VERSION_OF_ROW else _ALONE_BYTES[self.suite.code] + self.key_id

    def __repr__(self) -> str:
        return f"DataKey(key_id={self.key_id.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A data key is never serialised")


Item = tuple[DataKey, tuple[Holder, str, int], bytes]
"""One value to seal (plaintext) or to open (sealed), with a ``Binding`` or its three parts as they are."""


def encode_plaintext(value: JsonValue) -> bytes:
    """Return the canonical JSON of a field value.

    Raises:
        BadInput: the value has no canonical form.
    """
    if type(value) is not str:
        return canonical_json(value)
    try:
        return encode_basestring(value).encode()  # what canonical_json does for text, without its detours
    except UnicodeEncodeError:
        raise BadInput("Text with an unpaired surrogate cannot be stored", hint="Send valid Unicode.") from None


def decode_plaintext(plaintext: bytes) -> JsonValue:
    """Return the field value whose canonical JSON this is."""
    if plaintext.startswith(b'"') and b"\\" not in plaintext:
        return plaintext[1:-1].decode()  # what json.loads does for text without escapes, without its detours
    value: JsonValue = json.loads(plaintext)
    return value


def alone(deployment: str, subject: str, record: str) -> Holder:
    """Return the holder of values that lie in no row.

    Raises:
        BadInput: a text is longer than 65,535 bytes.
    """
    return Holder(VERSION_ALONE, record, length_prefixed(deployment, subject, record))


def of_row(deployment: str, row: RowHeader) -> Holder:
    """Return the holder of a row's values.

    Returns:
        with the prefix deployment | size of the rest (4 bytes) | kind | source | compartment | purpose | subject |
        record | record key | observed_at (8, signed) | expires_at (1 + 8) | held_until (1 + 8). Each text is its length
        (2) and its bytes; an end is 1 and its instant, or 0 and zeros where there is none.

    Raises:
        BadInput: a text is longer than 65,535 bytes.
        IntegrityFailed: an instant is no number of 64 bits.
    """
    return Holder(VERSION_OF_ROW, row.record_id, row_prefix(deployment, row))


def row_prefix(deployment: str, row: Sequence[Any]) -> bytes:
    """Return the prefix of a row's holder, from the row's header or its columns in that order; raises as ``of_row``."""
    kind, source, compartment, purpose, subject_id, record_id, record_key, observed_at, expires, held = row
    names = names_part(kind, source, compartment, purpose)
    try:
        one, two, three = subject_id.encode(), record_id.encode(), record_key.encode()
        sizes = len(names), len(one), len(two), len(three)
        return names_part(deployment) + _row_packer(*sizes)(
            sum(sizes) + _BESIDE_TEXTS, names, sizes[1], one, sizes[2], two, sizes[3], three,
            observed_at, expires is not None, expires or 0, held is not None, held or 0,
        )  # fmt: skip
    except (UnicodeEncodeError, StructError):
        length_prefixed(subject_id, record_id, record_key)  # says so where it is one of them
        raise IntegrityFailed(f"Record {record_id} has an impossible instant", hint=_CHANGED) from None


@lru_cache(maxsize=256)
def _row_packer(names: int, subject: int, record: int, key: int) -> Callable[..., bytes]:
    return Struct(f">I{names}sH{subject}sH{record}sH{key}s{_INSTANTS}").pack


def associated_data(data_key: DataKey, binding: Binding) -> bytes:
    """Return the associated data of one value.

    Returns:
        version (1 byte) | suite (1) | key id (8) | the holder's prefix | field | schema version (4), where a text is
        its length in UTF-8 bytes (2, big-endian) and those bytes.

    Raises:
        BadInput: a text is longer than 65,535 bytes.
    """
    (version, _, prefix), field, schema_version = binding
    return data_key.header(version) + prefix + field_part(field, schema_version)


def seal_value(plaintext: bytes, *, data_key: DataKey, binding: Binding, random: Random = os.urandom) -> bytes:
    """Seal one field value.

    Args:
        plaintext: at most 64 KiB.
        data_key: of the subject and compartment.
        binding: what the value belongs to.
        random: the source of the nonce.

    Returns:
        version (1 byte) | suite (1) | key id (8) | nonce (12) | ciphertext and tag (16).

    Raises:
        BadInput: the plaintext is too long.
    """
    return seal_many([(data_key, binding, plaintext)], random=random)[0]


def seal_many(items: Iterable[Item], *, random: Random = os.urandom) -> list[bytes]:
    """Seal many values; the same as ``seal_value`` for each, with many nonces drawn at once.

    Args:
        items: data key, binding and plaintext of each value.
        random: the source of the nonces.

    Raises:
        BadInput: a plaintext is longer than 64 KiB; the message names its field.
    """
    waiting = iter(items)
    sealed: list[bytes] = []
    while block := list(islice(waiting, _BLOCK)):
        nonces = random(NONCE_BYTES * len(block))
        start = 0
        for data_key, binding, plaintext in block:
            if len(plaintext) > MAX_PLAINTEXT_BYTES:
                raise too_long(binding[1])
            holder, field, schema_version = binding
            header = data_key.header(holder.version)
            nonce = nonces[start : start + NONCE_BYTES]
            start += NONCE_BYTES
            bound = header + holder.prefix + field_part(field, schema_version)
            sealed.append(header + nonce + data_key.encrypt(nonce, plaintext, bound))
    return sealed


def open_value(sealed: bytes, *, data_key: DataKey, binding: Binding) -> bytes:
    """Open one field value.

    Args:
        sealed: what ``seal_value`` returned.
        data_key: the key whose id stands in ``sealed``.
        binding: the same as when it was sealed.

    Raises:
        IntegrityFailed: a byte or the binding differs, or the bytes are no sealed value.
    """
    return open_many([(data_key, binding, sealed)])[0]


def open_many(items: Iterable[Item]) -> list[bytes]:
    """Open many values; raises like ``open_value`` at the first that does not verify, and then returns nothing."""
    opened: list[bytes] = []
    last_key, last_holder, header, bound = None, None, b"", b""
    for data_key, binding, sealed in items:
        holder, field, schema_version = binding
        if holder is not last_holder or data_key is not last_key:  # values of one row come together
            last_key, last_holder = data_key, holder
            header = data_key.header(holder.version)
            bound = header + holder.prefix
        if sealed[:HEADER_BYTES] != header or not OVERHEAD_BYTES <= len(sealed) <= MAX_SEALED_BYTES:
            raise _not_for(sealed, Binding._make(binding))
        associated = bound + field_part(field, schema_version)
        try:
            opened.append(data_key.decrypt(sealed[HEADER_BYTES:BODY], sealed[BODY:], associated))
        except InvalidTag:
            named = _named(Binding._make(binding))
            raise IntegrityFailed(f"The value of {named} does not verify", hint=_CHANGED) from None
    return opened


def read_key_id(sealed: bytes) -> bytes:
    """Return the id of the key that a value is sealed under, from its unverified header.

    Raises:
        IntegrityFailed: wrong length, version or suite.
    """
    if not OVERHEAD_BYTES <= len(sealed) <= MAX_SEALED_BYTES:
        raise IntegrityFailed("A sealed value has an impossible length")
    if sealed[0] not in _VERSIONS or sealed[1] not in SUITES:
        raise IntegrityFailed(
            "A sealed value has an unknown version or suite", hint="A newer release may have written it."
        )
    return sealed[2:HEADER_BYTES]


def length_prefixed(*texts: str) -> bytes:
    """Return each text as its length in UTF-8 bytes (2, big-endian) and those bytes, so that no two lists agree.

    Raises:
        BadInput: a text is longer than 65,535 bytes or is no valid Unicode.
    """
    try:
        prefixed = b""
        for text in texts:
            part = text.encode()
            prefixed += _LENGTH.pack(len(part)) + part
    except UnicodeEncodeError:
        raise BadInput("An unpaired surrogate cannot stand in an identifier", hint="Send valid Unicode.") from None
    except StructError:  # more than two bytes can count
        raise BadInput("An identifier is longer than 65,535 bytes", hint="Shorten it.") from None
    return prefixed


def one_prefixed(text: str) -> bytes:
    """Return the same for one text; raises as ``length_prefixed``."""
    try:
        own = text.encode()
        return _LENGTH.pack(len(own)) + own
    except (UnicodeEncodeError, StructError):
        return length_prefixed(text)


@lru_cache(maxsize=256)
def names_part(*names: str) -> bytes:
    """Return what ``length_prefixed`` does for names that come again and again."""
    return length_prefixed(*names)


@lru_cache(maxsize=1024)
def field_part(field: str, schema_version: int) -> bytes:
    """Return what the associated data of a value ends with; values of all rows share it."""
    return length_prefixed(field) + _SCHEMA.pack(schema_version)


def _not_for(sealed: bytes, binding: Binding) -> IntegrityFailed:
    """Return why a value is not even tried; raises where its header says nothing that is known."""
    read_key_id(sealed)
    return IntegrityFailed(
        f"The value of {_named(binding)} is sealed under another key or for another use", hint=_CHANGED
    )


def _named(binding: Binding) -> str:
    return f"field {binding.field!r} of record {binding.holder.record}"


def too_long(field: str) -> BadInput:
    """Return what is raised for a value that is longer than 64 KiB."""
    return BadInput(
        f"The value of field {field!r} is longer than {MAX_PLAINTEXT_BYTES // 1024} KiB",
        hint="Store a reference instead.",
    )
