"""Identifiers: random, opaque, prefixed by what they name, so that a log line says what it points at."""

import re
import secrets
from base64 import b32encode
from typing import Final, NewType

SubjectId = NewType("SubjectId", str)
RecordId = NewType("RecordId", str)
BatchId = NewType("BatchId", str)
DecisionId = NewType("DecisionId", str)
EntryId = NewType("EntryId", str)
PermitId = NewType("PermitId", str)
RequestId = NewType("RequestId", str)
PrincipalId = NewType("PrincipalId", str)

_RANDOM_BYTES: Final = 15
"""120 random bits: 24 base32 letters without padding; a collision among 10^12 ids is a 10^-12 event."""

_SHAPE: Final = re.compile(r"[a-z]{2,8}_[a-z2-7]{24}")


def new_id(prefix: str) -> str:
    """Return a fresh random identifier such as ``sub_…`` with 120 random bits."""
    return f"{prefix}_{b32encode(secrets.token_bytes(_RANDOM_BYTES)).decode().lower()}"


def is_id(text: str, prefix: str) -> bool:
    """Say whether ``text`` has the shape of an identifier with this prefix."""
    return text.startswith(f"{prefix}_") and _SHAPE.fullmatch(text) is not None
