"""Approvals to read an under-18's record, each for one subject, purpose and role, until an instant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

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
    """

    approval_id: str
    subject: SubjectId
    purpose: str
    role: str
    approved_by: PrincipalId
    approved_at: datetime
    expires_at: datetime
    entry_id: EntryId | None = None


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


def find_approval(connection: Connection, approval_id: str) -> ReadApproval | None:
    """Return an approval, or None."""
    found = connection.execute(select(read_approval).where(read_approval.c.approval_id == approval_id)).one_or_none()
    return None if found is None else to_approval(found)


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
    )


def forget_approvals(connection: Connection, subject: SubjectId) -> None:
    """Delete every approval to read a subject's record; the log keeps that they were given."""
    connection.execute(delete(read_approval).where(read_approval.c.subject_id == subject))
