"""Identifiers: random, opaque, prefixed by what they name, so that a log line says what it points at."""

import re
import secrets
from typing import Final, NewType

SubjectId = NewType("SubjectId", str)
RecordId = NewType("RecordId", str)
BatchId = NewType("BatchId", str)
DecisionId = NewType("DecisionId", str)
EntryId = NewType("EntryId", str)
PermitId = NewType("PermitId", str)
RequestId = NewType("RequestId", str)
PrincipalId = NewType("PrincipalId", str)

_LETTERS: Final = 24
"""Five random bits each, 120 in all; a collision among 10^12 ids is a 10^-12 event."""

_LETTER_OF: Final = b"abcdefghijklmnopqrstuvwxyz234567" * 8
"""A base32 letter (RFC 4648 section 6) for each byte; every letter stands for as many bytes as any other."""

_SHAPE: Final = re.compile(r"[a-z]{2,8}_[a-z2-7]{24}")


def new_id(prefix: str) -> str:
    """Return a fresh random identifier such as ``sub_…`` with 120 random bits."""
    return f"{prefix}_{secrets.token_bytes(_LETTERS).translate(_LETTER_OF).decode()}"


def is_id(text: str, prefix: str) -> bool:
    """Say whether ``text`` has the shape of an identifier with this prefix."""
    return text.startswith(f"{prefix}_") and _SHAPE.fullmatch(text) is not None
