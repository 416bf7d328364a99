"""Manifests: what a view or an export was made of, signed, beside its files; ids, hashes and counts, never a value."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kernel.clock import format_instant, parse_instant
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput, IntegrityFailed
from kernel.ports import Signer

if TYPE_CHECKING:
    import pyarrow as pa

FILE_NAME: Final = "manifest.json"
FORMAT: Final = "consentry-manifest/1"
VIEW_GRADE: Final = 2
"""R58 (GB/T 42460): 2, no direct identifier; the least for what tags are computed on."""


class Product(StrEnum):
    """What a manifest stands beside."""

    VIEW = "view"
    EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a data set was made of.

    Attributes:
        code, version, definition_hash: of the view or export definition.
        catalogue_hash: of the pack's catalogue.
        checkpoint: the audit log's signed checkpoint that covers the permits.
        as_of: the last natural day that counts. built_at: when it was built.
        counts: what went in and came out, for example persons_in, persons_out, rows.
        left_out: how many persons or values were left out, by reason.
        level: GB/T 39725. grade: GB/T 42460.
        columns: (name, type) in order. files: SHA-256 by name.
        report: further measurements, for example ``ReleaseReport.to_json()``.
    """

    product: Product
    code: str
    version: str
    definition_hash: str
    catalogue_hash: str
    checkpoint: str
    purpose: str
    scope: str
    as_of: date
    built_at: datetime
    level: int
    grade: int
    columns: tuple[tuple[str, str], ...]
    files: Mapping[str, str]
    counts: Mapping[str, int]
    left_out: Mapping[str, int]
    recipient: str | None = None
    report: Mapping[str, JsonValue] = field(default_factory=dict)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the manifest as JSON values."""
        return {
            "format": FORMAT,
            "product": self.product.value,
            "code": self.code,
            "version": self.version,
            "definition_hash": self.definition_hash,
            "catalogue_hash": self.catalogue_hash,
            "checkpoint": self.checkpoint,
            "purpose": self.purpose,
            "recipient": self.recipient,
            "scope": self.scope,
            "as_of": self.as_of.isoformat(),
            "built_at": format_instant(self.built_at),
            "level": self.level,
            "grade": self.grade,
            "columns": [{"name": name, "type": kind} for name, kind in self.columns],
            "files": dict(self.files),
            "counts": dict(self.counts),
            "left_out": dict(self.left_out),
            "report": dict(self.report),
        }


def parse_manifest(content: Mapping[str, Any]) -> Manifest:
    """Return a manifest from its own JSON values, as ``Manifest.to_json`` gave them; raises ``BadInput`` otherwise."""
    try:
        parsed = {
            "product": Product(content["product"]),
            "as_of": date.fromisoformat(content["as_of"]),
            "built_at": parse_instant(content["built_at"]),
            "columns": tuple((column["name"], column["type"]) for column in content["columns"]),
        }
        return Manifest(**{name: content[name] for name in content if name != "format"} | parsed)
    except (KeyError, TypeError, ValueError):
        raise BadInput("This is no manifest", hint="Build the data set again.") from None


def columns_of(schema: "pa.Schema") -> tuple[tuple[str, str], ...]:
    """Return names and Arrow types of a schema for ``Manifest.columns``."""
    return tuple((column.name, str(column.type)) for column in schema)


def signed_manifest(manifest: Manifest, signer: Signer) -> bytes:
    """Return the manifest's file: canonical JSON of the manifest and an Ed25519 signature over its canonical bytes."""
    content = manifest.to_json()
    signature = b64encode(signer.sign(_signed_bytes(content))).decode()
    return canonical_json({"manifest": content, "signature": {"key": signer.name, "ed25519": signature}}) + b"\n"


def read_manifest(path: Path, verify: Callable[[bytes, bytes], bool]) -> Mapping[str, JsonValue]:
    """Return a manifest whose signature holds.

    Args:
        path: the file.
        verify: says whether a signature (second) over a message (first) is that of the expected key.

    Raises:
        IntegrityFailed: not readable, not canonical, another format, or the signature does not hold.
    """
    try:
        stored = path.read_bytes()
        document = json.loads(stored)
        content = dict(document["manifest"])
        signature = b64decode(document["signature"]["ed25519"], validate=True)
        canonical = canonical_json(document) + b"\n"
    except (OSError, ValueError, KeyError, TypeError, BadInput):
        raise _broken(path, "cannot be read") from None
    if canonical != stored or content.get("format") != FORMAT:
        raise _broken(path, f"is not canonical {FORMAT}")
    if not verify(_signed_bytes(content), signature):
        raise _broken(path, "is not signed by the expected key")
    return content


def _signed_bytes(content: Mapping[str, JsonValue]) -> bytes:
    """The format's name comes first, so that no other document of the same key can pass for a manifest."""
    return FORMAT.encode() + b"\n" + canonical_json(content)


def _broken(path: Path, what: str) -> IntegrityFailed:
    return IntegrityFailed(f"Manifest {path.parent.name}/{path.name} {what}", hint="Build the data set again.")
