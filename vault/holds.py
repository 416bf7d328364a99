"""Holds: what an officer keeps from erasure and expiry, for a dispute or a duty beyond the fields' own floors.

A hold wins over both. What was asked for meanwhile is not lost: an erasure that found something held ends as
``restricted``, and goes on once ``waiting_erasures`` names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, case, exists, func, insert, or_, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of, now_in_log
from consent.standing import Standing, get_standing, lock_subjects, read_kept
from kernel.catalogue import Compartment
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import EntryId, SubjectId, new_id
from kernel.ports import Clock
from vault.scopes import Scope, Why, scope_of
from vault.tables import SEALED_TABLES, erasure, legal_hold

__all__ = ["Holds", "LegalHold", "NewHold"]

SEALED: Final = "hold"
"""The detail of the entry that holds what was set, so that a row can be compared with it."""

_RESTRICTED: Final = "restricted"


@dataclass(frozen=True, slots=True)
class NewHold:
    """What an officer asks for.

    Attributes:
        compartment: only this one; None for all.
        field: only this one; None for all.
        reference: the matter's number where it is kept.
        ends_at: None for until it is released.
    """

    subject: SubjectId
    reference: str
    compartment: Compartment | None = None
    field: str | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold as it stands; its reason is sealed beside its entry."""

    hold_id: str
    wanted: NewHold
    set_by: str
    set_at: datetime
    entry_id: EntryId
    released_by: str | None = None
    released_at: datetime | None = None
    release_entry: EntryId | None = None

    def is_live(self, now: datetime) -> bool:
        """Say whether it keeps anything at an instant."""
        return self.released_at is None and (self.wanted.ends_at is None or self.wanted.ends_at > now)

    def sealed(self) -> dict[str, JsonValue]:
        """Return all that it says, to be sealed beside its entry."""
        wanted = self.wanted
        return {
            "hold": self.hold_id,
            "subject": wanted.subject,
            "compartment": None if wanted.compartment is None else wanted.compartment.value,
            "field": wanted.field,
            "reference": wanted.reference,
            "set_by": self.set_by,
            "set_at": format_instant(self.set_at),
            "ends_at": None if wanted.ends_at is None else format_instant(wanted.ends_at),
        }


class Holds:
    """The holds of one deployment; each change leaves its entry in the same transaction."""

    def __init__(self, log: EntryLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    def set(self, connection: Connection, wanted: NewHold, *, asking: Asking) -> LegalHold:
        """Set a hold.

        Args:
            connection: a write transaction of the data store.
            wanted: its reach, matter and end.
            asking: who sets it; its reason is sealed beside the entry.

        Raises:
            NotFound: the subject is not registered.
            Conflict: the subject is being erased, or is erased.
            BadInput: its end is over, or it names a compartment and a field.
        """
        lock_subjects(connection, [wanted.subject], exclusive=True)
        state = get_standing(connection, wanted.subject).state
        if state in (Standing.ERASING, Standing.ERASED):
            raise Conflict(f"Subject {wanted.subject} is {state}: there is nothing left to hold")
        now = now_in_log(connection, self._log, self._clock)
        if wanted.ends_at is not None and wanted.ends_at <= now:
            raise BadInput("The end of a hold lies in the future", hint="Leave it out for a hold without end.")
        if wanted.compartment is not None and wanted.field is not None:
            raise BadInput("A hold is on a compartment or on a field", hint="Name the narrower of the two.")
        made = LegalHold(new_id("hld"), wanted, asking.actor, now, EntryId(""))
        event = replace(
            event_of(asking, Act.HOLD_SET),
            subject=wanted.subject,
            fields=() if wanted.field is None else (wanted.field,),
            refs={"hold": made.hold_id, "reference": wanted.reference},
            details={"reason": asking.reason, SEALED: made.sealed()},
        )
        made = replace(made, entry_id=self._log.record(connection, event))
        connection.execute(insert(legal_hold), _row(made))
        return made

    def release(self, connection: Connection, hold_id: str, *, asking: Asking) -> LegalHold:
        """Release a hold; what waited for it goes on with the next sweep.

        Raises:
            NotFound: there is no such hold.
            Conflict: it was released before.
        """
        subject = self.get(connection, hold_id).wanted.subject
        lock_subjects(connection, [subject], exclusive=True)
        found = self.get(connection, hold_id)
        if found.released_at is not None:
            raise Conflict(f"Hold {hold_id} was released by {found.released_by}")
        now = now_in_log(connection, self._log, self._clock)
        event = replace(event_of(asking, Act.HOLD_RELEASED), subject=subject, refs={"hold": hold_id})
        entry_id = self._log.record(connection, event)
        changed = {"released_by": asking.actor, "released_at": now, "release_entry": entry_id}
        connection.execute(update(legal_hold).where(legal_hold.c.hold_id == hold_id).values(**changed))
        return replace(found, released_by=asking.actor, released_at=now, release_entry=entry_id)

    def get(self, connection: Connection, hold_id: str) -> LegalHold:
        """Return a hold; raises ``NotFound``."""
        row = connection.execute(select(legal_hold).where(legal_hold.c.hold_id == hold_id)).one_or_none()
        if row is None:
            raise NotFound(f"There is no hold {hold_id}", hint="`consentry hold list` names them.")
        return to_hold(row)

    def list_all(
        self, connection: Connection, *, subject: SubjectId | None = None, after: str = "", limit: int = 100
    ) -> list[LegalHold]:
        """Return holds by id, released and ended ones as well."""
        query = select(legal_hold).where(legal_hold.c.hold_id > after).order_by(legal_hold.c.hold_id).limit(limit)
        if subject is not None:
            query = query.where(legal_hold.c.subject_id == subject)
        return [to_hold(row) for row in connection.execute(query)]


def waiting_erasures(connection: Connection, now: datetime) -> list[SubjectId]:
    """Return subjects whose erasure found something held which may be free by now.

    A floor or a dated hold that has ended, or a hold that was released since: of the newest erasure of each subject.
    What has a shorter floor than the rest goes at the shorter one's end.
    """
    newest = (
        select(erasure.c.subject_id, func.max(erasure.c.started_at).label("started_at"))
        .where(erasure.c.fields.is_(None))
        .group_by(erasure.c.subject_id)
        .subquery()
    )
    mine = and_(newest.c.subject_id == erasure.c.subject_id, newest.c.started_at == erasure.c.started_at)
    query = (
        select(erasure.c.subject_id)
        .join(newest, mine)
        .where(
            erasure.c.fields.is_(None),
            erasure.c.state == _RESTRICTED,
            or_(erasure.c.restricted_until <= now, _has_ended_since(now), _is_free_since(now)),
        )
    )
    return [SubjectId(subject) for subject in connection.scalars(query.order_by(erasure.c.subject_id))]


@dataclass(frozen=True, slots=True)
class WaitingPart:
    """A part erasure that found something held which may be free by now.

    Attributes:
        asked_at: what was collected since is not meant.
    """

    subject: SubjectId
    scope: Scope
    asked_at: datetime


def waiting_parts(connection: Connection, now: datetime) -> list[WaitingPart]:
    """Return the erasures of parts that people asked for and that may go on; the newest of each subject and scope.

    One that has gone on before, and left something held once more, is still of the instant at which it was asked for.
    Who asked and was merged into another subject since has asked for that one: the records are there.
    """
    asked = and_(
        erasure.c.fields.is_not(None), erasure.c.scope.is_not(None), erasure.c.why.in_([Why.REQUEST, Why.HOLD_ENDED])
    )
    asked_at = case((erasure.c.why == Why.REQUEST, erasure.c.started_at))
    newest = (
        select(erasure.c.subject_id, erasure.c.scope, func.max(erasure.c.started_at).label("started_at"))
        .add_columns(func.max(asked_at).label("asked_at"))
        .where(asked)
        .group_by(erasure.c.subject_id, erasure.c.scope)
        .subquery()
    )
    mine = and_(*(newest.c[name] == erasure.c[name] for name in ("subject_id", "scope", "started_at")))
    query = (
        select(erasure.c.subject_id, erasure.c.scope, erasure.c.fields, newest.c.asked_at)
        .join(newest, mine)
        .where(
            asked,
            newest.c.asked_at.is_not(None),
            erasure.c.state == _RESTRICTED,
            or_(erasure.c.restricted_until <= now, _has_ended_since(now), _is_free_since(now)),
        )
        .order_by(erasure.c.erasure_id)
    )
    rows = connection.execute(query).all()
    kept = read_kept(connection, {SubjectId(row.subject_id) for row in rows})
    return [
        WaitingPart(kept.get(row.subject_id, row.subject_id), scope_of(row.scope, row.fields), row.asked_at)
        for row in rows
    ]


def _has_ended_since(now: datetime) -> ColumnElement[bool]:
    """A hold of the subject that stood when its erasure began has ended or was released."""
    held = legal_hold.c
    ended = or_(held.released_at > erasure.c.started_at, and_(held.ends_at > erasure.c.started_at, held.ends_at <= now))
    return exists().where(held.subject_id == erasure.c.subject_id, held.set_at <= erasure.c.started_at, ended)


def _is_free_since(now: datetime) -> ColumnElement[bool]:
    """The floor of a row that the erasure had to leave has ended."""
    return or_(
        *(
            exists().where(
                table.c.subject_id == erasure.c.subject_id,
                table.c.held_until > erasure.c.started_at,
                table.c.held_until <= now,
            )
            for table in SEALED_TABLES
        )
    )


def to_hold(row: Row[Any]) -> LegalHold:
    """Return a stored row as a hold."""
    wanted = NewHold(
        subject=SubjectId(row.subject_id),
        reference=row.reference,
        compartment=None if row.compartment is None else Compartment(row.compartment),
        field=row.field,
        ends_at=row.ends_at,
    )
    return LegalHold(
        row.hold_id,
        wanted,
        row.set_by,
        row.set_at,
        EntryId(row.entry_id),
        row.released_by,
        row.released_at,
        None if row.release_entry is None else EntryId(row.release_entry),
    )


def _row(made: LegalHold) -> dict[str, object]:
    wanted = made.wanted
    return {
        "hold_id": made.hold_id,
        "subject_id": wanted.subject,
        "compartment": wanted.compartment,
        "field": wanted.field,
        "reference": wanted.reference,
        "set_by": made.set_by,
        "set_at": made.set_at,
        "ends_at": wanted.ends_at,
        "entry_id": made.entry_id,
    }


def all_holds(connection: Connection) -> Sequence[LegalHold]:
    """Return every hold, for whoever compares them with the log."""
    return [to_hold(row) for row in connection.execute(select(legal_hold).order_by(legal_hold.c.hold_id))]
