"""The header of a signed token, read before any library sees it: shapes that nobody signs with are refused here."""

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Final

MAX_TOKEN_BYTES: Final = 8 * 1024
"""Of a whole token; the longest that is looked at."""

_UNKNOWN: Final = frozenset({"crit", "b64"})
"""No extension of JWS is understood here, and a token that needs one must be refused (RFC 7515 section 4.1.11)."""


def read_header(token: str) -> Mapping[str, object]:
    """Return the protected header of a compact JWS.

    Raises:
        ValueError: the token is too long, its header is no JSON object, ``alg`` or ``kid`` is no text, or an extension
            is asked for.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise ValueError("too long")
    segment = token.partition(".")[0].encode("ascii")
    try:
        header = json.loads(b64decode(segment + b"=" * (-len(segment) % 4), b"-_", validate=True).decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(header, dict) or not header.keys().isdisjoint(_UNKNOWN):
        raise ValueError("no header that is understood")
    if not all(isinstance(header.get(name, ""), str) for name in ("alg", "kid")):
        raise ValueError("a name in the header is no text")
    return header
