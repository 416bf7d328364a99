"""Holds, compared with the log by every reconciliation: an erasure and every sweep believe what they say."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select

from audit.events import Act, Outcome
from audit.log import AuditLog
from audit.scanning import ScannedEntry, find_scanned
from audit.tables import leaf
from consent.inspection import Findings
from kernel.errors import IntegrityFailed
from kernel.ids import EntryId
from vault.holds import SEALED, LegalHold, all_holds

_PART: Final = "hold"


def inspect_holds(connection: Connection, log: AuditLog, found: Findings) -> None:
    """Compare every hold with its entries, and every entry of a hold with its row: a deleted one holds nothing."""
    holds = all_holds(connection)
    found.read("holds", len(holds))
    entries = find_scanned(connection, [*(one.entry_id for one in holds), *_releases(holds)])
    for one in holds:
        found.add(_PART, one.hold_id, _differing(connection, log, one, entries))
    rows: Mapping[Act, set[str]] = {
        Act.HOLD_SET: {one.entry_id for one in holds},
        Act.HOLD_RELEASED: set(_releases(holds)),
    }
    for act, known in rows.items():
        for entry_id in connection.scalars(select(leaf.c.entry_id).where(leaf.c.act == act)):
            if entry_id not in known:
                found.add(_PART, entry_id, ("row",))


def _releases(holds: Sequence[LegalHold]) -> list[EntryId]:
    return [one.release_entry for one in holds if one.release_entry is not None]


def _differing(connection: Connection, log: AuditLog, one: LegalHold, entries: Mapping[str, ScannedEntry]) -> list[str]:
    entry = entries.get(one.entry_id)
    if entry is None:
        return ["entry"]
    differs = []
    if entry.members:  # one that was pruned is compared with what prunes it
        differs += _differing_words(connection, log, one, entry)
    released = None if one.release_entry is None else entries.get(one.release_entry)
    if one.release_entry is not None and (released is None or not _is(released, Act.HOLD_RELEASED, one)):
        differs.append("release")
    return differs


def _differing_words(connection: Connection, log: AuditLog, one: LegalHold, entry: ScannedEntry) -> list[str]:
    try:
        details = log.read_details(connection, one.entry_id) or {}
    except IntegrityFailed:
        return ["details"]
    differs = [] if _is(entry, Act.HOLD_SET, one) else ["kind"]
    if entry.members.get("actor") != one.set_by:
        differs.append("set_by")
    return differs if details.get(SEALED) == one.sealed() else [*differs, "details"]


def _is(entry: ScannedEntry, act: Act, one: LegalHold) -> bool:
    if not entry.members:
        return True
    kind = (entry.members.get("act"), entry.members.get("outcome"))
    return kind == (act.value, Outcome.DONE.value) and entry.refs.get("hold") == one.hold_id
