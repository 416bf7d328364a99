"""Certificates of erasures and of sweeps: signed by a key of the log, and what they say."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.verifier.failures import VerificationError
from audit.verifier.notes import VerifierKey

PREFIXES: Final = {
    "erasure": b"consentry erasure certificate 1\n",
    "sweep": b"consentry sweep certificate 1\n",
}
"""What stands before the signed bytes, by the member that names what is certified; see ciphertext-format.md."""


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certificate that verified says.

    Attributes:
        what: erasure or sweep.
        name: its id.
        final_at: when nothing can bring back what was sealed, at the latest; empty where that is not said.
        content: all of it.
    """

    what: str
    name: str
    final_at: str
    content: Mapping[str, object]


def verify_certificate(file: bytes, keys: Sequence[VerifierKey]) -> Certified:
    """Return what a certificate says that one of the log's keys signed.

    Args:
        file: JSON with ``certificate``, the signed text, and ``signature``, in base64.
        keys: of the log.

    Raises:
        VerificationError: it is no certificate, or none of the keys signed it.
    """
    try:
        said = json.loads(file)
        content = said["certificate"].encode()
        signature = base64.b64decode(said["signature"], validate=True)
        told = json.loads(content)
        what = next(one for one in PREFIXES if one in told)
        final = told.get("final") or {}
        certified = Certified(what, str(told[what]), str(final.get("at", "")), told)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
        raise VerificationError("malformed", "the file is no certificate") from None
    if not any(_is_signed(key, PREFIXES[what] + content, signature) for key in keys):
        raise VerificationError("signature", "no given key signed the certificate")
    return certified


def _is_signed(key: VerifierKey, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
