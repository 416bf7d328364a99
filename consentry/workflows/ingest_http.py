"""Ingest records that arrive over HTTP; they pass the same cleaning, gate and batch rules as a file."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from consentry.access import check_may_act
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.sources.context import open_context
from consentry.sources.posted import Posted, read_posted
from consentry.sources.records import BadRow, Reading
from consentry.workflows.answered import Repeatable, answer_once
from consentry.workflows.denials import check_source
from consentry.workflows.ingest import IngestReport, ingest
from kernel.encoding import JsonValue
from kernel.ids import BatchId

_ACT: Final = "records.ingest"


def ingest_posted(
    platform: Platform, caller: Principal, source: str, records: Sequence[Posted], *, key: str | None = None
) -> tuple[Mapping[str, JsonValue], bool]:
    """Ingest one posted batch; the same batch again changes nothing and gets the same answer.

    Args:
        key: names the request for its sender. Records that come again under a new key pass the gate once more, for
            decisions may have been made since; what is stored already counts as a duplicate.
    Returns:
        What became of the batch, by count, place and reason; and whether it was answered before.
    Raises:
        ForeignSource: the key is bound to other sources; nothing was looked at, and the refusal stays in the log.
        Denied: the role may not ingest, or the key's daily cap is reached; nothing of the batch stays.
        Conflict: the key was used for another batch, or another batch with these records is on its way.
        Unavailable: a store is locked or full; the same request goes on where it stopped.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    check_source(platform, caller, source, act=_ACT)
    content = f"{source}\0{json.dumps(records, sort_keys=True)}".encode()
    bound = [] if caller.processor is None else [caller.processor.encode()]  # its contract decides what is stored
    digest = platform.batches.digest([platform.catalogue.hash.encode(), content, *bound])

    def act() -> Mapping[str, JsonValue]:
        context = open_context(platform.catalogue, pack=pack_folder(platform.settings.pack), clock=platform.clock)
        report = ingest(
            platform, caller, kind="http", input_digest=digest, again=key is not None,
            read=lambda: read_posted(records, context, source=source),
        )  # fmt: skip
        if report.repeated:
            _tell_again(platform, report, read_posted(records, context, source=source))
        return _answer(report)

    answer, was_given = answer_once(
        platform, caller, Repeatable("records", digest if key is None else key, content), act
    )
    return answer, was_given or answer["repeated"] is True


def _tell_again(platform: Platform, report: IngestReport, rows: Reading) -> None:
    """Fill in what another call stored: the batch's own counts, and the records that cleaning refuses."""
    with platform.data.read() as connection:
        report.take(platform.batches.get(connection, BatchId(report.batch_id)).counts)
    for row in rows:
        if isinstance(row, BadRow):
            report.add_bad(row)
    report.unmapped.update(rows.unmapped)


def _answer(report: IngestReport) -> dict[str, JsonValue]:
    refused: dict[str, dict[str, int]] = {}
    for (code, why), count in sorted(report.refused.items()):
        refused.setdefault(code, {})[why] = count
    return {
        "batch_id": report.batch_id,
        "repeated": report.repeated,
        "stored_records": report.stored_records,
        "stored_fields": report.stored_fields,
        "duplicates": report.duplicates,
        "refused": refused,
        "unmapped": dict(report.unmapped),
        "quarantined": [
            {"locator": row.locator, "reason": str(row.reason), "field": row.field} for row in report.bad_rows
        ],
    }
