"""Case grants: asked for by one person, given by another, for some hours and some of the most sensitive fields."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from consentry.stores.readable import read_each
from consentry.stores.tables import case_grant
from kernel.errors import NotFound
from kernel.ids import EntryId, PrincipalId, SubjectId


class CaseState(StrEnum):
    """Where a case stands at an instant."""

    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        fields: codes that it opens.
        asked_by: who alone opens under it, in this role.
        hours: how long it lasts from the decision on.
        verdict: granted or refused; None while nobody has decided.
        decided_by: somebody else.
        expires_at: of a grant; half open.
    """

    case_id: str
    subject: SubjectId
    purpose: str
    fields: frozenset[str]
    role: str
    asked_by: PrincipalId
    asked_at: datetime
    hours: int
    asked_entry: EntryId
    ticket: str | None = None
    verdict: str | None = None
    decided_by: PrincipalId | None = None
    decided_at: datetime | None = None
    expires_at: datetime | None = None
    decided_entry: EntryId | None = None
    revoked_at: datetime | None = None
    revoked_by: PrincipalId | None = None
    revoked_entry: EntryId | None = None

    def state(self, now: datetime) -> CaseState:
        """Return where it stands at an instant."""
        if self.revoked_at is not None:
            return CaseState.REVOKED
        if self.verdict is None:
            return CaseState.ASKED
        if self.expires_at is not None and now >= self.expires_at:
            return CaseState.EXPIRED
        return CaseState(self.verdict)


def add_case(connection: Connection, made: Case) -> None:
    """Keep a case that was asked for; its stated reason is sealed beside its entry."""
    row = {
        "case_id": made.case_id,
        "subject_id": made.subject,
        "purpose": made.purpose,
        "fields": json.dumps(sorted(made.fields)),
        "role": made.role,
        "asked_by": made.asked_by,
        "asked_at": made.asked_at,
        "hours": made.hours,
        "ticket": made.ticket,
        "asked_entry": made.asked_entry,
    }
    connection.execute(insert(case_grant), row)


def change_case(connection: Connection, case_id: str, **values: object) -> None:
    """Set columns of a case."""
    connection.execute(update(case_grant).where(case_grant.c.case_id == case_id).values(values))


def get_case(connection: Connection, case_id: str, *, change: bool = False) -> Case:
    """Return one case, locked where it is about to be changed.

    Raises:
        NotFound: there is none.
    """
    query = select(case_grant).where(case_grant.c.case_id == case_id)
    row = connection.execute(query.with_for_update() if change else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no case {case_id}", hint="`consentry case list` names them.")
    return to_case(row)


def hold_case(connection: Connection, case_id: str) -> Case | None:
    """Return one case, or None; it cannot be revoked before the transaction ends."""
    query = select(case_grant).where(case_grant.c.case_id == case_id).with_for_update(read=True)
    row = connection.execute(query).one_or_none()
    return None if row is None else to_case(row)


def cases_of(connection: Connection, *, asked_by: PrincipalId, subject: SubjectId, purpose: str) -> list[Case]:
    """Return what one person has asked for about another, the newest first."""
    query = select(case_grant).where(
        case_grant.c.asked_by == asked_by, case_grant.c.subject_id == subject, case_grant.c.purpose == purpose
    )
    return [to_case(row) for row in connection.execute(query.order_by(case_grant.c.asked_at.desc()))]


def newest_cases(
    connection: Connection, *, asked_by: PrincipalId | None = None, undecided_only: bool = False, limit: int = 100
) -> list[Case]:
    """Return cases, the newest first."""
    query = select(case_grant).order_by(case_grant.c.asked_at.desc(), case_grant.c.case_id).limit(limit)
    if asked_by is not None:
        query = query.where(case_grant.c.asked_by == asked_by)
    if undecided_only:
        query = query.where(case_grant.c.verdict.is_(None), case_grant.c.revoked_at.is_(None))
    return [to_case(row) for row in connection.execute(query)]


def all_cases(connection: Connection) -> Iterator[tuple[str, Case | None]]:
    """Yield every case by id; None for one whose row cannot be read."""
    return read_each(connection, case_grant.c.case_id, to_case)


def forget_cases(connection: Connection, subject: SubjectId) -> None:
    """Delete every case about a subject; the log keeps that they were given."""
    connection.execute(delete(case_grant).where(case_grant.c.subject_id == subject))


def to_case(row: Row[*tuple[Any, ...]]) -> Case:
    """Return a stored row as a case."""
    return Case(
        case_id=row.case_id,
        subject=SubjectId(row.subject_id),
        purpose=row.purpose,
        fields=frozenset(json.loads(row.fields)),
        role=row.role,
        asked_by=PrincipalId(row.asked_by),
        asked_at=row.asked_at,
        hours=row.hours,
        asked_entry=EntryId(row.asked_entry),
        ticket=row.ticket,
        verdict=row.verdict,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        expires_at=row.expires_at,
        decided_entry=row.decided_entry,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        revoked_entry=row.revoked_entry,
    )
