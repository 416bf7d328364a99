"""Ingest records that arrive over HTTP; they pass the same cleaning, gate and batch rules as a file."""

from collections.abc import Iterator, Sequence
from typing import Any

from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.sources.context import open_context
from consentry.sources.posted import read_posted
from consentry.sources.records import Reading
from consentry.workflows.ingest import IngestReport, ingest
from kernel.encoding import canonical_json


def ingest_posted(
    platform: Platform, caller: Principal, source: str, records: Sequence[dict[str, Any]]
) -> IngestReport:
    """Ingest one posted batch; the same batch again changes nothing."""
    context = open_context(platform.catalogue, pack=pack_folder(platform.settings.pack), clock=platform.clock)

    def read() -> Reading:
        return read_posted(records, context, source=source)

    digest = platform.batches.digest(_pieces(platform.catalogue.hash, source, records))
    report = ingest(platform, caller, kind="http", input_digest=digest, read=read)
    platform.log.settle()
    return report


def _pieces(catalogue_hash: str, source: str, records: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    yield f"{catalogue_hash}\0{source}\0".encode()
    for record in records:
        yield canonical_json(_plain(record))


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Return a posted record with its secrets and times as text."""
    identity = record.get("identity") or {}
    opened = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else None if value is None else str(value)
        for name, value in identity.items()
    }
    return {**record, "observed_at": record["observed_at"].isoformat(), "identity": opened}
