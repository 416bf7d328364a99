"""Certificates of erasure: what was destroyed and where the log says so, signed; no value and no subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kernel.clock import format_instant
from kernel.encoding import canonical_json
from kernel.ports import Signer

CERTIFICATE_VERSION: Final = 1

SIGNED_PREFIX: Final = b"consentry erasure certificate 1\n"
"""Stands before the signed bytes, so that no signature of the same key over anything else can pass for one."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed statement of an erasure.

    Attributes:
        content: canonical JSON; see docs/reference/ciphertext-format.md.
        signature: Ed25519 (RFC 8032) over ``SIGNED_PREFIX`` and the content.
    """

    content: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Destruction:
    """What a certificate states.

    Attributes:
        key_ids: of the destroyed data keys.
        counts: keys, rows and held rows.
        entries: ids in the audit log by step.
    """

    erasure_id: str
    deployment: str
    started_at: datetime
    finished_at: datetime
    key_ids: Sequence[bytes]
    counts: Mapping[str, int]
    entries: Mapping[str, str]


def certify(destruction: Destruction, signer: Signer) -> Certificate:
    """Write and sign the certificate."""
    content = canonical_json(
        {
            "v": CERTIFICATE_VERSION,
            "erasure": destruction.erasure_id,
            "deployment": destruction.deployment,
            "started_at": format_instant(destruction.started_at),
            "finished_at": format_instant(destruction.finished_at),
            "keys": [key_id.hex() for key_id in destruction.key_ids],
            "counts": destruction.counts,
            "entries": destruction.entries,
            "signer": signer.name,
        }
    )
    return Certificate(content, signer.sign(SIGNED_PREFIX + content))
