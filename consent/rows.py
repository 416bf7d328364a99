"""Rows of the decision tables, to and from values; every read is one statement, however many subjects it names."""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, select

from consent.decisions import ActorKind, Decision
from consent.notices import NoticeRef
from consent.rules import Current, DecisionAct, Track
from consent.setwise import among_subjects, bind_subjects
from consent.tables import consent_current, decision
from kernel.ids import DecisionId, EntryId, SubjectId

CURRENT_COLUMNS: Final = (
    consent_current.c.decision_id,
    consent_current.c.recipient,
    consent_current.c.track,
    consent_current.c.act,
    consent_current.c.by_guardian,
    consent_current.c.decided_at,
    consent_current.c.valid_until,
    consent_current.c.notice_code,
    consent_current.c.notice_edition,
    consent_current.c.fields,
    consent_current.c.valid_from,
    consent_current.c.max_uses,
    consent_current.c.uses,
    consent_current.c.decided_by,
)
"""The columns that make a ``Current``, in its order."""


class ConsentAct(NamedTuple):
    """One past act on a consent; ``at`` is when it counts from, ``guardian`` who of the guardians made it."""

    act: DecisionAct
    at: datetime
    guardian: SubjectId | None


def read_all_current(
    connection: Connection, subjects: Collection[SubjectId]
) -> Iterator[tuple[SubjectId, str, Current]]:
    """Yield the current rows of the subjects for every purpose, each with subject and purpose."""
    statement = _all_current(connection.dialect.name)
    for subject, purpose, *current in connection.execute(statement, bind_subjects(connection, subjects)).all():
        yield SubjectId(subject), purpose, to_current(current)


def find_decision(connection: Connection, decision_id: DecisionId) -> Decision | None:
    """Return one decision, or None."""
    row = connection.execute(select(decision).where(decision.c.decision_id == decision_id)).one_or_none()
    return None if row is None else to_decision(row)


def read_history(connection: Connection, subject: SubjectId, *, as_of: datetime | None = None) -> list[Decision]:
    """Return every decision of a subject in the order of recording; with ``as_of`` those recorded by then."""
    statement = select(decision).where(decision.c.subject_id == subject).order_by(decision.c.position)
    if as_of is not None:
        statement = statement.where(decision.c.recorded_at <= as_of)
    return [to_decision(row) for row in connection.execute(statement)]


def read_evidence_bytes(connection: Connection, decision_id: DecisionId) -> bytes | None:
    """Return the sealed evidence of one decision, or None where there is no such decision."""
    sealed: bytes | None = connection.scalar(select(decision.c.evidence).where(decision.c.decision_id == decision_id))
    return sealed


def read_standing_decisions(connection: Connection, subject: SubjectId) -> list[Decision]:
    """Return the decisions of a subject that stand now, in the order of recording; some may have expired."""
    statement = (
        select(decision)
        .join(consent_current, consent_current.c.decision_id == decision.c.decision_id)
        .where(consent_current.c.subject_id == subject)
        .order_by(decision.c.position)
    )
    return [to_decision(row) for row in connection.execute(statement)]


def decision_row(made: Decision, evidence: bytes) -> dict[str, object]:
    """Return the row of one decision with its sealed evidence."""
    return {
        "decision_id": made.decision_id,
        "subject_id": made.subject,
        "purpose": made.purpose,
        "recipient": made.recipient or "",
        "track": made.track.value,
        "act": made.act.value,
        "notice_code": made.notice.code if made.notice else None,
        "notice_version": made.notice.version if made.notice else None,
        "notice_locale": made.notice.locale if made.notice else None,
        "notice_hash": made.notice_hash,
        "actor_kind": made.actor_kind.value,
        "actor_subject": made.actor_subject,
        "fields": _packed(made.fields),
        "decided_at": made.decided_at,
        "valid_until": made.valid_until,
        "recorded_at": made.recorded_at,
        "evidence": evidence,
        "request_id": made.request_id,
        "entry_id": made.entry_id,
        "renews": made.renews,
        "valid_from": made.valid_from,
        "max_uses": made.max_uses,
        "offset_minutes": made.offset_minutes,
    }


def current_row(subject: SubjectId, purpose: str, row: Current) -> dict[str, object]:
    """Return the row of what stands on one track for a subject, purpose and recipient."""
    return {
        "subject_id": subject,
        "purpose": purpose,
        "recipient": row.recipient,
        "track": row.track.value,
        "act": row.act.value,
        "decision_id": row.decision_id,
        "by_guardian": row.by_guardian,
        "decided_at": row.decided_at,
        "valid_until": row.valid_until,
        "notice_code": row.notice_code,
        "notice_edition": row.notice_edition,
        "fields": _packed(row.fields),
        "valid_from": row.valid_from,
        "max_uses": row.max_uses,
        "uses": row.uses,
        "decided_by": row.decided_by,
    }


def to_current(values: Sequence[Any]) -> Current:
    """Return one row of ``consent_current`` from the values of ``CURRENT_COLUMNS``."""
    head, (fields, valid_from, max_uses, uses, decided_by) = values[:9], values[9:]
    decision_id, recipient, track, act, by_guardian, decided_at, valid_until, code, edition = head
    return Current(
        decision_id,
        recipient,
        _TRACKS[track],
        _ACTS[act],
        by_guardian,
        decided_at,
        valid_until,
        code,
        edition,
        None if fields is None else _unpacked(fields),
        valid_from,
        max_uses,
        uses,
        decided_by,
    )


def to_decision(row: Row[*tuple[Any, ...]]) -> Decision:
    """Return one row of ``decision`` as a value; raises ``KeyError`` or ``ValueError`` where it holds none."""
    has_notice = row.notice_code is not None
    return Decision(
        decision_id=DecisionId(row.decision_id),
        subject=SubjectId(row.subject_id),
        purpose=row.purpose,
        recipient=row.recipient or None,
        track=_TRACKS[row.track],
        act=_ACTS[row.act],
        notice=NoticeRef(row.notice_code, row.notice_version, row.notice_locale) if has_notice else None,
        notice_hash=row.notice_hash,
        actor_kind=ActorKind(row.actor_kind),
        actor_subject=None if row.actor_subject is None else SubjectId(row.actor_subject),
        fields=None if row.fields is None else _unpacked(row.fields),
        decided_at=row.decided_at,
        valid_until=row.valid_until,
        recorded_at=row.recorded_at,
        request_id=row.request_id,
        entry_id=EntryId(row.entry_id),
        renews=None if row.renews is None else DecisionId(row.renews),
        valid_from=row.valid_from,
        max_uses=row.max_uses,
        offset_minutes=row.offset_minutes,
    )


def read_consent_acts(
    connection: Connection, subjects: Collection[SubjectId]
) -> Iterator[tuple[SubjectId, str, str, ConsentAct]]:
    """Yield what the subjects' consents went through, in the order of recording: subject, purpose, recipient, act."""
    statement = _consent_acts(connection.dialect.name)
    for row in connection.execute(statement, bind_subjects(connection, subjects)).all():
        by = SubjectId(row.actor_subject) if row.actor_kind == ActorKind.GUARDIAN else None
        at = max(row.decided_at, row.recorded_at)
        yield SubjectId(row.subject_id), row.purpose, row.recipient, ConsentAct(_ACTS[row.act], at, by)


@cache
def _all_current(dialect: str) -> Select[*tuple[Any, ...]]:
    columns = consent_current.c
    return select(columns.subject_id, columns.purpose, *CURRENT_COLUMNS).where(
        among_subjects(columns.subject_id, dialect)
    )


@cache
def _consent_acts(dialect: str) -> Select[*tuple[Any, ...]]:
    columns = decision.c
    chosen = select(
        columns.subject_id,
        columns.purpose,
        columns.recipient,
        columns.act,
        columns.actor_kind,
        columns.actor_subject,
        columns.decided_at,
        columns.recorded_at,
    )
    of_them = chosen.where(among_subjects(columns.subject_id, dialect), columns.track == Track.CONSENT.value)
    return of_them.order_by(columns.position)


def _packed(fields: frozenset[str] | None) -> str | None:
    return None if fields is None else json.dumps(sorted(fields))


@lru_cache(maxsize=1024)
def _unpacked(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


_TRACKS: Final = {track.value: track for track in Track}
_ACTS: Final = {act.value: act for act in DecisionAct}
