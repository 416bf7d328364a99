"""Approvals to read an under-18's record, each for one subject, purpose and role, until an instant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from consentry.stores.tables import read_approval
from kernel.ids import EntryId, PrincipalId, SubjectId


@dataclass(frozen=True, slots=True)
class ReadApproval:
    """One approval.

    Attributes:
        role: of those who may read under it.
        approved_by: a person, who may not read under it.
        expires_at: half open.
        entry_id: of the entry that tells of it; None before it is stored.
        revoked_at: from here on nobody reads under it; None while nobody has revoked it.
    """

    approval_id: str
    subject: SubjectId
    purpose: str
    role: str
    approved_by: PrincipalId
    approved_at: datetime
    expires_at: datetime
    entry_id: EntryId | None = None
    revoked_at: datetime | None = None
    revoked_by: PrincipalId | None = None
    revoked_entry: EntryId | None = None

    def is_live(self, now: datetime) -> bool:
        """Say whether it opens anything at an instant."""
        return self.revoked_at is None and now < self.expires_at


def add_approval(connection: Connection, made: ReadApproval, entry_id: EntryId) -> None:
    """Keep an approval; its stated reason is sealed beside its entry."""
    row = {
        "approval_id": made.approval_id,
        "subject_id": made.subject,
        "purpose": made.purpose,
        "role": made.role,
        "approved_by": made.approved_by,
        "approved_at": made.approved_at,
        "expires_at": made.expires_at,
        "entry_id": entry_id,
    }
    connection.execute(insert(read_approval), row)


def find_approval(connection: Connection, approval_id: str, *, hold: bool = False) -> ReadApproval | None:
    """Return an approval, or None; held, it cannot be revoked before the transaction ends."""
    query = select(read_approval).where(read_approval.c.approval_id == approval_id)
    found = connection.execute(query.with_for_update(read=True) if hold else query).one_or_none()
    return None if found is None else to_approval(found)


def revoke(connection: Connection, approval_id: str, *, by: PrincipalId, at: datetime, entry_id: EntryId) -> None:
    """Note that an approval is over."""
    ended = {"revoked_at": at, "revoked_by": by, "revoked_entry": entry_id}
    connection.execute(update(read_approval).where(read_approval.c.approval_id == approval_id).values(ended))


def to_approval(row: Row[*tuple[Any, ...]]) -> ReadApproval:
    """Return a stored row as an approval."""
    return ReadApproval(
        row.approval_id,
        SubjectId(row.subject_id),
        row.purpose,
        row.role,
        PrincipalId(row.approved_by),
        row.approved_at,
        row.expires_at,
        EntryId(row.entry_id),
        row.revoked_at,
        row.revoked_by,
        row.revoked_entry,
    )


def forget_approvals(connection: Connection, subject: SubjectId) -> None:
    """Delete every approval to read a subject's record; the log keeps that they were given."""
    connection.execute(delete(read_approval).where(read_approval.c.subject_id == subject))
