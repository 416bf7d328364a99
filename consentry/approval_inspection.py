"""Approvals to read a minor's record, compared with the log: before one opens anything, and by every reconciliation.

What an approval grants is sealed beside its entry, bound to it by a key that the data store's owner has not. A row, or
an entry in the inbox, that somebody made with the database's own means has no such words.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Outcome
from audit.log import AuditLog
from audit.queries import find_entries
from audit.scanning import ScannedEntry, find_scanned, waiting_entries
from consent.inspection import Findings
from consentry.stores.approvals import ReadApproval, to_approval
from consentry.stores.readable import read_each
from consentry.stores.tables import read_approval
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId

SEALED: Final = "approval"
"""The detail of the entry that holds what was granted."""

_REVOCATIONS: Final = 1_000
"""Entries about one person that are looked at."""


def granted(made: ReadApproval) -> dict[str, JsonValue]:
    """Return all that an approval grants, to be sealed beside its entry."""
    return {
        "approval": made.approval_id,
        "subject": made.subject,
        "purpose": made.purpose,
        "role": made.role,
        "approved_by": made.approved_by,
        "approved_at": format_instant(made.approved_at),
        "expires_at": format_instant(made.expires_at),
    }


def differing_approval(connection: Connection, log: AuditLog, made: ReadApproval) -> list[str]:
    """Return the names of what the log says otherwise of a stored approval; empty where it says the same."""
    if made.entry_id is None:
        return ["entry"]
    entry = find_scanned(connection, [made.entry_id]).get(made.entry_id)
    if entry is None:
        return ["entry"]
    try:
        named = log.find_subject(connection, str(entry.members.get("subject")))
        details = log.read_details(connection, made.entry_id) or {}
    except IntegrityFailed:
        return ["details"]
    differs = _differing_members(made, entry)
    if named != made.subject:
        differs.append("subject")
    told = is_revoked(connection, Act.READ_REVOKED, made.subject, made.approval_id, since=made.approved_at)
    if (made.revoked_at is not None) != told:
        differs.append("revoked")
    return differs if details.get(SEALED) == granted(made) else [*differs, "details"]


def is_revoked(connection: Connection, act: Act, subject: SubjectId, leave: str, *, since: datetime | None) -> bool:
    """Say whether an entry about a subject tells that a leave was revoked, one that waits for the tree included."""
    told = find_entries(connection, subject=subject, act=act, since=since, limit=_REVOCATIONS)
    named = [refs for view in told if isinstance(refs := view.members.get("refs"), Mapping)]
    named += [entry.refs for entry in waiting_entries(connection) if entry.members.get("act") == act.value]
    return any(leave in (refs.get("approval"), refs.get("case")) for refs in named)


def inspect_approvals(connection: Connection, log: AuditLog, found: Findings) -> None:
    """Compare every approval with its entry.

    One that is older than the sealed words opens nothing any more; of an entry that was pruned nothing is left to
    compare, and whether it was rightly emptied is told by the comparison of the log.
    """
    found.read("approvals", 0)
    for name, made in read_each(connection, read_approval.c.approval_id, to_approval):
        found.read("approvals", 1)
        found.add("approval", name, ["unreadable"] if made is None else _differing_row(connection, log, made))


def _differing_row(connection: Connection, log: AuditLog, made: ReadApproval) -> list[str]:
    entry = None if made.entry_id is None else find_scanned(connection, [made.entry_id]).get(made.entry_id)
    if entry is not None and not entry.members:
        return []
    is_older = entry is not None and "details" not in entry.members
    return [name for name in differing_approval(connection, log, made) if not (is_older and name == "details")]


def _differing_members(made: ReadApproval, entry: ScannedEntry) -> list[str]:
    members, refs = entry.members, entry.refs
    differs = {
        "kind": (members.get("act"), members.get("outcome")) != (Act.READ_APPROVED.value, Outcome.DONE.value),
        "approval": refs.get("approval") != made.approval_id,
        "role": refs.get("for_role") != made.role,
        "purpose": members.get("purpose") != made.purpose,
        "approved_by": members.get("actor") != made.approved_by,
    }
    return [name for name, does in differs.items() if does]
