"""Certificates of sweeps: what went at the end of its keeping, signed; no value and no subject."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kernel.clock import format_instant
from kernel.encoding import canonical_json
from kernel.ports import Signer
from vault.certificates import Certificate
from vault.finality import Finality
from vault.scopes import BASES, Why

SWEEP_CERTIFICATE_VERSION: Final = 1

SWEEP_SIGNED_PREFIX: Final = b"consentry sweep certificate 1\n"
"""Stands before the signed bytes, so that no signature of the same key over anything else can pass for one."""


@dataclass(frozen=True, slots=True)
class SweepDone:
    """What a certificate states.

    Attributes:
        key_ids: of the destroyed data keys; the certificate holds their number and a digest, the log their names.
        counts: rows, attachments, values and keys that went, and rows that are left.
        fields: values by field. kinds: rows by kind of record.
        entries: ids in the audit log by step.
    """

    sweep_id: str
    deployment: str
    started_at: datetime
    finished_at: datetime
    final: Finality
    key_ids: Sequence[bytes]
    counts: Mapping[str, int]
    fields: Mapping[str, int]
    kinds: Mapping[str, int]
    entries: Mapping[str, str]


def certify_sweep(done: SweepDone, signer: Signer) -> Certificate:
    """Write and sign the certificate."""
    content = canonical_json(
        {
            "v": SWEEP_CERTIFICATE_VERSION,
            "sweep": done.sweep_id,
            "deployment": done.deployment,
            "why": Why.RETENTION.value,
            "basis": BASES[Why.RETENTION],
            "started_at": format_instant(done.started_at),
            "finished_at": format_instant(done.finished_at),
            "final": done.final.as_json(),
            "keys": {"count": len(done.key_ids), "sha256": keys_digest(done.key_ids)},
            "counts": done.counts,
            "fields": done.fields,
            "kinds": done.kinds,
            "entries": done.entries,
            "signer": signer.name,
        }
    )
    return Certificate(content, signer.sign(SWEEP_SIGNED_PREFIX + content))


def keys_digest(key_ids: Sequence[bytes]) -> str:
    """Return SHA-256 over the ids in order, in hexadecimal."""
    return hashlib.sha256(b"".join(sorted(key_ids))).hexdigest()
