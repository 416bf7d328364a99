"""Emergency accesses: who broke the glass, what an officer said of it, and whose account is frozen because of it."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Connection,
    Row,
    String,
    and_,
    any_,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from consentry.stores.readable import read_each
from consentry.stores.tables import emergency_access
from kernel.clock import to_micros
from kernel.errors import NotFound
from kernel.ids import EntryId, PrincipalId, SubjectId
from kernel.prepared import Prepared

INCIDENT: Final = "incident"
"""The verdict that freezes by itself."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """One emergency access.

    Attributes:
        principal: who opened.
        subject: whose record; None once the person was erased.
        due_at: unreviewed from here on, the account is frozen.
        entry_id: of the opening; ``review_entry`` and ``release_entry`` tell of the rest.
        verdict: justified or incident; None while nobody has reviewed it.
        frozen_entry: that tells of the freeze; the freeze itself needs none.
    """

    emergency_id: str
    principal: PrincipalId
    role: str
    subject: SubjectId | None
    purpose: str
    opened_at: datetime
    due_at: datetime
    entry_id: EntryId
    verdict: str | None = None
    reviewed_by: PrincipalId | None = None
    reviewed_at: datetime | None = None
    review_entry: EntryId | None = None
    frozen_entry: EntryId | None = None
    released_by: PrincipalId | None = None
    released_at: datetime | None = None
    release_entry: EntryId | None = None

    def freezes(self, now: datetime) -> bool:
        """Say whether the account is frozen by it: not reviewed in time, or found to be an incident; until released."""
        if self.released_at is not None:
            return False
        return self.verdict == INCIDENT or (now if self.reviewed_at is None else self.reviewed_at) >= self.due_at


def add_emergency(connection: Connection, made: Emergency) -> None:
    """Keep an emergency access that was just opened."""
    row = {
        "emergency_id": made.emergency_id,
        "principal_id": made.principal,
        "role": made.role,
        "subject_id": made.subject,
        "purpose": made.purpose,
        "opened_at": made.opened_at,
        "due_at": made.due_at,
        "entry_id": made.entry_id,
    }
    connection.execute(insert(emergency_access), row)


def change_emergencies(connection: Connection, ids: Collection[str], **values: object) -> None:
    """Set columns of some emergencies."""
    connection.execute(update(emergency_access).where(emergency_access.c.emergency_id.in_(ids)).values(values))


def get_emergency(connection: Connection, emergency_id: str, *, change: bool = False) -> Emergency:
    """Return one, locked where it is about to be changed.

    Raises:
        NotFound: there is none.
    """
    query = select(emergency_access).where(emergency_access.c.emergency_id == emergency_id)
    row = connection.execute(query.with_for_update() if change else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no emergency {emergency_id}", hint="`consentry emergency list` names them.")
    return _emergency(row)


def emergency_of_entry(connection: Connection, entry_id: str) -> Emergency | None:
    """Return the emergency whose opening an entry tells of, or None."""
    row = connection.execute(select(emergency_access).where(emergency_access.c.entry_id == entry_id)).one_or_none()
    return None if row is None else _emergency(row)


def freezing(connection: Connection, principal: str, now: datetime) -> list[Emergency]:
    """Return the emergencies by which an account is frozen at an instant, the oldest first."""
    if not _IS_FROZEN.rows(connection, principal=principal, now=to_micros(now)):
        return []  # as nearly always: asked for every reading
    return [_emergency(row) for row in connection.execute(_FREEZING, {"principal": principal, "now": now})]


def freezing_any(connection: Connection, principals: Collection[str], now: datetime) -> set[str]:
    """Return those whose account is frozen at an instant."""
    dialect = connection.dialect.name
    bound = json.dumps(list(principals)) if dialect == "sqlite" else list(principals)
    return {row[0] for row in _FROZEN_AMONG[dialect].rows(connection, principals=bound, now=to_micros(now))}


def count_since(connection: Connection, principal: str, since: datetime) -> int:
    """Return how often somebody has broken the glass after an instant."""
    table = emergency_access.c
    query = select(func.count()).where(table.principal_id == principal, table.opened_at > since)
    return int(connection.scalar(query) or 0)


def overdue(connection: Connection, now: datetime, *, change: bool = False) -> list[Emergency]:
    """Return those that nobody has reviewed in time and of whose freeze no entry tells yet; locked to be changed."""
    table = emergency_access.c
    query = select(emergency_access).where(
        table.reviewed_at.is_(None), table.frozen_entry.is_(None), table.due_at <= now
    )
    query = query.order_by(table.due_at)
    return [_emergency(row) for row in connection.execute(query.with_for_update() if change else query)]


def newest_emergencies(connection: Connection, *, unreviewed_only: bool = False, limit: int = 100) -> list[Emergency]:
    """Return emergencies, the newest first."""
    query = select(emergency_access).order_by(emergency_access.c.opened_at.desc(), emergency_access.c.emergency_id)
    if unreviewed_only:
        query = query.where(emergency_access.c.reviewed_at.is_(None))
    return [_emergency(row) for row in connection.execute(query.limit(limit))]


def all_emergencies(connection: Connection) -> Iterator[tuple[str, Emergency | None]]:
    """Yield every one by id; None for one whose row cannot be read."""
    return read_each(connection, emergency_access.c.emergency_id, _emergency)


def forget_in_emergencies(connection: Connection, subject: SubjectId) -> None:
    """Take a subject out of every emergency; that somebody's account is frozen stays."""
    of_subject = emergency_access.c.subject_id == subject
    connection.execute(update(emergency_access).where(of_subject).values(subject_id=None))


def _emergency(row: Row[*tuple[Any, ...]]) -> Emergency:
    return Emergency(
        emergency_id=row.emergency_id,
        principal=PrincipalId(row.principal_id),
        role=row.role,
        subject=None if row.subject_id is None else SubjectId(row.subject_id),
        purpose=row.purpose,
        opened_at=row.opened_at,
        due_at=row.due_at,
        entry_id=EntryId(row.entry_id),
        verdict=row.verdict,
        reviewed_by=row.reviewed_by,
        reviewed_at=row.reviewed_at,
        review_entry=row.review_entry,
        frozen_entry=row.frozen_entry,
        released_by=row.released_by,
        released_at=row.released_at,
        release_entry=row.release_entry,
    )


_OF: Final = emergency_access.c
_FREEZES_ANYBODY: Final = and_(
    _OF.released_at.is_(None),
    or_(
        _OF.verdict == literal_column(f"'{INCIDENT}'"),
        _OF.reviewed_at >= _OF.due_at,
        and_(_OF.reviewed_at.is_(None), _OF.due_at <= bindparam("now", type_=_OF.due_at.type)),
    ),
)
_FREEZES: Final = and_(_OF.principal_id == bindparam("principal"), _FREEZES_ANYBODY)
_FREEZING: Final = select(emergency_access).where(_FREEZES).order_by(_OF.opened_at)
_IS_FROZEN: Final = Prepared(select(_OF.emergency_id).where(_FREEZES).limit(literal_column("1")))
_GIVEN: Final = func.json_each(bindparam("principals")).table_valued("value")
_FROZEN: Final = select(_OF.principal_id).where(_FREEZES_ANYBODY)
_FROZEN_AMONG: Final = {
    "sqlite": Prepared(_FROZEN.where(_OF.principal_id.in_(select(_GIVEN.c.value)))),
    "postgresql": Prepared(_FROZEN.where(_OF.principal_id == any_(bindparam("principals", type_=ARRAY(String))))),
}
