"""Case grants, compared with the log as approvals are: before one opens anything, and by every reconciliation."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Outcome
from audit.log import AuditLog
from audit.scanning import ScannedEntry, find_scanned
from consent.inspection import Findings
from consentry.approval_inspection import is_revoked
from consentry.stores.cases import Case, all_cases
from kernel.clock import format_instant, parse_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput, IntegrityFailed

SEALED: Final = "case"
"""The detail of the deciding entry that holds what was granted."""

GRANTED: Final = "granted"
REFUSED: Final = "refused"
_ACTS: Final = {GRANTED: Act.CASE_GRANTED, REFUSED: Act.CASE_REFUSED}


def decided(case: Case) -> dict[str, JsonValue]:
    """Return all that a decision on a case says, to be sealed beside its entry."""
    return {
        "case": case.case_id,
        "subject": case.subject,
        "purpose": case.purpose,
        "fields": sorted(case.fields),
        "role": case.role,
        "asked_by": case.asked_by,
        "verdict": case.verdict,
        "decided_by": case.decided_by,
        "expires_at": None if case.expires_at is None else format_instant(case.expires_at),
    }


def differing_case(connection: Connection, log: AuditLog, case: Case) -> list[str]:
    """Return the names of what the log says otherwise of a stored case; empty where it says the same.

    A case that nobody has decided opens nothing, and is not compared.
    """
    if case.verdict is None:
        return []
    entry = (
        None if case.decided_entry is None else find_scanned(connection, [case.decided_entry]).get(case.decided_entry)
    )
    if entry is None or case.decided_entry is None:
        return ["entry"]
    if not entry.members:
        return []  # pruned, long after the case was over
    try:
        details = log.read_details(connection, case.decided_entry) or {}
    except IntegrityFailed:
        return ["details"]
    differs = _differing_members(case, entry)
    since = _told_at(entry)  # the row's own times can have been moved behind a revocation
    if (case.revoked_at is not None) != is_revoked(
        connection, Act.CASE_REVOKED, case.subject, case.case_id, since=since
    ):
        differs.append("revoked")
    return differs if details.get(SEALED) == decided(case) else [*differs, "details"]


def inspect_cases(connection: Connection, log: AuditLog, found: Findings) -> None:
    """Compare every case that was decided with its entry."""
    found.read("cases", 0)
    for case_id, case in all_cases(connection):
        found.read("cases", 1)
        found.add("case", case_id, ["unreadable"] if case is None else differing_case(connection, log, case))


def _told_at(entry: ScannedEntry) -> datetime | None:
    try:
        return parse_instant(str(entry.members.get("at")))
    except BadInput:
        return None


def _differing_members(case: Case, entry: ScannedEntry) -> list[str]:
    members, refs = entry.members, entry.refs
    act = _ACTS.get(case.verdict or "")
    differs = {
        "kind": act is None or (members.get("act"), members.get("outcome")) != (act.value, Outcome.DONE.value),
        "case": refs.get("case") != case.case_id,
        "purpose": members.get("purpose") != case.purpose,
        "decided_by": members.get("actor") != case.decided_by,
    }
    return [name for name, does in differs.items() if does]
