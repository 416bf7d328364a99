"""What platform and signer say to each other over a Unix socket: one JSON object a line, bounded, without pickling.

    {"do": "key"}                                      → {"name", "public_key"}
    {"do": "head"}                                     → {"note", "peaks"}; both null before the first signature
    {"do": "extend", "size": n, "hashes": base64}      → {"note"}, or {"error": "not_at_head", "size": n}
    {"do": "sign", "message": base64}                  → {"signature"}
    {"do": "handovers"}                                → {"notes"}

An answer that is none of these is {"error": kind, "message": text}.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from audit.signer import HASHES_MAX
from audit.verifier import HASH_BYTES
from kernel.encoding import JsonValue
from kernel.errors import BadInput

LINE_MAX_BYTES: Final = 4 * 1024 * 1024
"""65,536 hashes in base64 are 2.8 MB."""

MESSAGE_MAX_BYTES: Final = 1024 * 1024
"""The largest document that is signed."""


class Reader(Protocol):
    """The reading side of a stream."""

    def readline(self, size: int, /) -> bytes:
        """Return a line, or what there is of it within ``size`` bytes."""
        ...


class Writer(Protocol):
    """The writing side of a stream."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""
        ...

    def flush(self) -> None:
        """Send them."""
        ...


class Stream(Reader, Writer, Protocol):
    """Both sides."""

    def close(self) -> None:
        """Close both."""
        ...


def write_line(stream: Writer, members: Mapping[str, JsonValue]) -> None:
    """Write one object and its line end."""
    stream.write(json.dumps(members).encode() + b"\n")
    stream.flush()


def read_line(stream: Reader) -> Mapping[str, JsonValue] | None:
    """Read one object; None at the end.

    Raises:
        BadInput: the line is too long, or no object.
    """
    line = stream.readline(LINE_MAX_BYTES + 1)
    if not line:
        return None
    if len(line) > LINE_MAX_BYTES or not line.endswith(b"\n"):
        raise BadInput("A line of the signer's protocol is too long or cut off", hint="Ask in smaller steps.")
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise BadInput("A line of the signer's protocol is no JSON object", hint="See audit.signer_protocol.")
    return members


def encoded(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


def decoded(members: Mapping[str, JsonValue], name: str, *, at_most: int) -> bytes:
    """Return the bytes of a member in base64.

    Raises:
        BadInput: there is no such member, it is no base64, or it is too long.
    """
    text = members.get(name)
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        data = None
    if data is None or len(data) > at_most:
        raise BadInput(f"The signer's protocol lacks a sound {name}", hint="See audit.signer_protocol.")
    return data


def number(members: Mapping[str, JsonValue], name: str) -> int:
    """Return a member that is a non-negative whole number; raises ``BadInput`` for anything else."""
    found = members.get(name)
    if type(found) is not int or found < 0:
        raise BadInput(f"The signer's protocol lacks a sound {name}", hint="See audit.signer_protocol.")
    return found


def split_hashes(joined: bytes) -> Sequence[bytes]:
    """Return the hashes that stand one after the other; raises ``BadInput`` for a rest."""
    if len(joined) % HASH_BYTES or len(joined) > HASHES_MAX * HASH_BYTES:
        raise BadInput("The signer takes whole hashes of 32 bytes", hint="See audit.signer_protocol.")
    return [joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES)]
