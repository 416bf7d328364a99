"""Timestamps of checkpoints by an authority outside, verified offline under its root certificates.

Source: RFC 3161, through rfc3161-client.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernel.errors import ConfigurationError, IntegrityFailed, Unavailable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

QUERY_MEDIA_TYPE: Final = "application/timestamp-query"
"""RFC 3161 section 3.4."""

_CERTIFICATE: Final = re.compile(r"Verify error: ([a-z ]{1,80})")


class TimestampRefused(IntegrityFailed):
    """A timestamp does not verify."""


@dataclass(frozen=True, slots=True)
class TimestampRequest:
    """A request over the SHA-256 of some bytes; the answer must repeat the nonce."""

    content: bytes = field(repr=False)
    nonce: int


def request_timestamp(note: bytes) -> TimestampRequest:
    """Return a request for a timestamp over a checkpoint's note, which asks for the certificate as well."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    made = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
    if made.nonce is None:
        raise AssertionError
    return TimestampRequest(made.as_bytes(), made.nonce)


@dataclass(frozen=True, slots=True)
class TimestampRoots:
    """The root certificates that timestamps are believed under."""

    certificates: tuple["Certificate", ...] = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> "TimestampRoots":
        """Read a PEM file.

        Raises:
            Unavailable: the file cannot be read.
            ConfigurationError: it holds no certificates.
        """
        from cryptography.x509 import load_pem_x509_certificates

        try:
            return cls(tuple(load_pem_x509_certificates(path.read_bytes())))
        except OSError as err:
            raise Unavailable(f"The file of timestamp roots cannot be read: {err.strerror}") from None
        except ValueError:
            raise ConfigurationError(
                "The file of timestamp roots holds no certificates", hint="Give PEM; see docs/how-to/witness.md."
            ) from None


def check_timestamp(token: bytes, note: bytes, roots: TimestampRoots, *, nonce: int | None = None) -> datetime:
    """Return the time at which an authority saw a note.

    Certificates must have been valid at that time, not now.

    Args:
        token: the DER timestamp response.
        note: the bytes that it must be over.
        roots: whom to believe; an authority's intermediate certificates come with the response.
        nonce: of the request; None when a stored timestamp is verified later.
    Raises:
        TimestampRefused: not granted, over other bytes, by nobody whom a root vouches for, or an answer to another
            request.
    """
    from cryptography.x509 import InvalidVersion
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    try:
        response = decode_timestamp_response(token)
        VerifierBuilder(roots=list(roots.certificates), nonce=nonce).build().verify_message(response, note)
        at = response.tst_info.gen_time
    except (ValueError, VerificationError, InvalidVersion) as err:
        raise TimestampRefused(f"The timestamp does not verify: {_reason(err)}") from None
    return at


def _reason(err: Exception) -> str:
    """Return what is wrong in the library's words, without what it quotes from the bytes."""
    certificate = _CERTIFICATE.search(str(err))
    return certificate[1] if certificate else str(err).partition(":")[0]
