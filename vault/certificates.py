"""Certificates of erasure: what was destroyed, why, and from when on it is final, signed; no value and no subject."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kernel.clock import format_instant
from kernel.encoding import JsonValue, canonical_json
from kernel.ports import Signer
from vault.finality import Finality
from vault.scopes import BASES, Scope, Why

CERTIFICATE_VERSION: Final = 2

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

    def as_file(self) -> bytes:
        """Return the bytes of a file that `consentry-verify certificate` takes."""
        said = {"certificate": self.content.decode(), "signature": base64.b64encode(self.signature).decode()}
        return json.dumps(said, ensure_ascii=False, indent=1).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Held:
    """What the law still holds of what was asked for.

    Attributes:
        count: rows of a whole subject, values of a part.
    """

    count: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Destruction:
    """What a certificate states.

    Attributes:
        scope: what was asked for.
        fields: codes of which something was erased, where the subject stays.
        key_ids: of the destroyed data keys.
        counts: keys, rows and held rows, or values.
        tables: rows deleted, by table.
        entries: ids in the audit log by step.
        held: None where nothing is held.
    """

    erasure_id: str
    deployment: str
    scope: Scope
    why: Why
    started_at: datetime
    finished_at: datetime
    final: Finality
    key_ids: Sequence[bytes]
    counts: Mapping[str, int]
    tables: Mapping[str, int]
    entries: Mapping[str, str]
    fields: Sequence[str] = ()
    held: Held | None = None


def certify(destruction: Destruction, signer: Signer) -> Certificate:
    """Write and sign the certificate."""
    content = canonical_json(_content(destruction) | {"signer": signer.name})
    return Certificate(content, signer.sign(SIGNED_PREFIX + content))


def _content(destruction: Destruction) -> dict[str, JsonValue]:
    held = destruction.held
    return {
        "v": CERTIFICATE_VERSION,
        "erasure": destruction.erasure_id,
        "deployment": destruction.deployment,
        "scope": destruction.scope.as_json(),
        "fields": list(destruction.fields),
        "why": destruction.why.value,
        "basis": BASES[destruction.why],
        "started_at": format_instant(destruction.started_at),
        "finished_at": format_instant(destruction.finished_at),
        "final": destruction.final.as_json(),
        "keys": [key_id.hex() for key_id in destruction.key_ids],
        "counts": dict(destruction.counts),
        "tables": dict(destruction.tables),
        "held": None if held is None else {"count": held.count, "until": format_instant(held.until)},
        "entries": dict(destruction.entries),
    }
