"""Impact assessments (PIPL 55, 56): a version for each approval, rejection or revocation, kept for good.

The law asks that an assessment be kept for three years at least. No row is ever deleted or changed: triggers refuse it
on both engines, ``keep_until`` tells until when the law forbids it as well, and nothing in it is about a person.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.register_head import hold_head, move_head
from consent.tables import assessment as assessment_table
from kernel.catalogue import AssessmentText, Catalogue
from kernel.clock import format_instant
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import EntryId

PARTS: Final = ("legality_and_necessity", "impact_and_risk", "protective_measures")
"""What PIPL 56 asks of an assessment."""

MAX_YEARS: Final = 3
"""How long one approval may count at most."""

KEPT_FOR: Final = timedelta(days=3 * 366)
"""After it has ceased to count: PIPL 56 paragraph 2 asks for three years."""

_MAX_CHARS: Final = 64


class AssessmentIncomplete(BadInput):
    """Something that the law asks for is missing from an assessment."""


class AssessmentOutcome(StrEnum):
    """What became of it."""

    APPROVED = "approved"
    REJECTED = "rejected"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Assessment:
    """One version as it is stored.

    Attributes:
        parts: the texts of the three parts.
        approved_at, expires_at: half open, days of the pack's time zone as instants.
        hash: SHA-256 of the canonical JSON, in hexadecimal.
    """

    assessment_id: str
    version: int
    outcome: AssessmentOutcome
    purposes: tuple[str, ...]
    parts: Mapping[str, str]
    approved_by: str
    approved_at: datetime
    expires_at: datetime
    keep_until: datetime
    hash: str
    recorded_at: datetime
    entry_id: EntryId

    def __str__(self) -> str:
        return f"{self.assessment_id}/{self.version}"


def record_assessment(
    connection: Connection,
    text: AssessmentText,
    catalogue: Catalogue,
    *,
    asking: Asking,
    log: EntryLog,
    outcome: AssessmentOutcome = AssessmentOutcome.APPROVED,
) -> Assessment:
    """Record an assessment, as the next version of its id; what stands already changes nothing and leaves no entry.

    Raises:
        AssessmentIncomplete: a part, a purpose, the approver or a possible period is missing; all of it is named.
        BadInput: an unknown purpose.
        Conflict: it was revoked, and nobody has approved it since.
    """
    check_assessment(text, catalogue)
    hold_head(connection)
    newest = find_assessment(connection, text.assessment_id)
    content = canonical_json(_content(text))
    is_known = newest is not None and newest.hash == sha256(content).hexdigest()
    if newest is not None and is_known and newest.outcome is outcome:
        return newest
    approved_at = catalogue.begin_of(text.approved_on)
    if newest is not None and newest.outcome is AssessmentOutcome.REVOKED and approved_at <= newest.recorded_at:
        raise Conflict(
            f"Assessment {text.assessment_id} was revoked after this approval", hint="Approve it anew and give the day."
        )
    row = {
        "assessment_id": text.assessment_id,
        "outcome": outcome.value,
        "purposes": json.dumps(sorted(text.purposes)),
        "content": content,
        "approved_by": text.approved_by,
        "approved_at": approved_at,
        "expires_at": catalogue.begin_of(text.expires_on),
    }
    return _store(connection, row, newest, asking, log)


def revoke_assessment(connection: Connection, assessment_id: str, *, asking: Asking, log: EntryLog) -> Assessment:
    """Take an approval back: every purpose that needs it is inactive with this commit.

    Raises:
        NotFound: there is none of this id.
        Conflict: it is not approved.
    """
    hold_head(connection)
    newest = get_assessment(connection, assessment_id)
    if newest.outcome is not AssessmentOutcome.APPROVED:
        raise Conflict(f"Assessment {newest} is {newest.outcome}", hint="Only an approved one can be revoked.")
    stored = connection.execute(_SELECT.where(_at_version(newest))).one()
    columns = ("assessment_id", "purposes", "content", "approved_by", "approved_at", "expires_at")
    row = {name: getattr(stored, name) for name in columns} | {"outcome": AssessmentOutcome.REVOKED.value}
    return _store(connection, row, newest, asking, log)


def check_assessment(text: AssessmentText, catalogue: Catalogue) -> None:
    """Raise ``AssessmentIncomplete`` naming everything that is missing (R36), ``BadInput`` for an unknown purpose."""
    for purpose in text.purposes:
        catalogue.get_purpose(purpose)
    missing = [f"part {name}" for name in PARTS if not text.parts.get(name, "").strip()]
    if not 0 < len(text.assessment_id.strip()) <= _MAX_CHARS:
        missing.append("an id of 1 to 64 characters")
    if not text.purposes:
        missing.append("purposes")
    if not text.approved_by.strip():
        missing.append("approved_by")
    if not text.approved_on < text.expires_on <= latest_expiry(text.approved_on):
        missing.append(f"an expiry within {MAX_YEARS} years of the approval")
    if missing:
        raise AssessmentIncomplete(
            f"Assessment {text.assessment_id} lacks {', '.join(missing)}", hint="Complete it and record it again."
        )


def latest_expiry(approved_on: date) -> date:
    """Return the last day that an approval may name as its expiry."""
    year = approved_on.year + MAX_YEARS
    try:
        return approved_on.replace(year=year)
    except ValueError:  # the 29th of February
        return date(year, 3, 1)


def get_assessment(connection: Connection, assessment_id: str, version: int | None = None) -> Assessment:
    """Return one version, or the newest.

    Raises:
        NotFound: there is none.
    """
    found = find_assessment(connection, assessment_id, version)
    if found is None:
        raise NotFound(f"Assessment {assessment_id} is not recorded", hint="See `consentry pack load`.")
    return found


def find_assessment(connection: Connection, assessment_id: str, version: int | None = None) -> Assessment | None:
    """Return one version, or the newest; None where there is none."""
    statement = _SELECT.where(assessment_table.c.assessment_id == assessment_id)
    if version is not None:
        statement = statement.where(assessment_table.c.version == version)
    row = connection.execute(statement.order_by(assessment_table.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else _assessment(row)


def last_revoked_at(connection: Connection, assessment_id: str) -> datetime | None:
    """Return when an approval was last taken back; None where none ever was."""
    table = assessment_table.c
    revoked = (table.assessment_id == assessment_id) & (table.outcome == AssessmentOutcome.REVOKED.value)
    statement = select(table.recorded_at).where(revoked).order_by(table.version.desc()).limit(1)
    return connection.scalar(statement)


def list_assessments(connection: Connection, *, as_of: datetime | None = None) -> list[Assessment]:
    """Return the newest version of every id, as recorded by an instant where one is given; in the order of the ids."""
    statement = _SELECT.order_by(assessment_table.c.assessment_id, assessment_table.c.version)
    if as_of is not None:
        statement = statement.where(assessment_table.c.recorded_at <= as_of)
    newest = {row.assessment_id: row for row in connection.execute(statement).all()}
    return [_assessment(row) for row in newest.values()]


def _store(
    connection: Connection, row: Mapping[str, Any], newest: Assessment | None, asking: Asking, log: EntryLog
) -> Assessment:
    version = 1 if newest is None else newest.version + 1
    moved = move_head(connection)
    now = log.now(connection)  # before the entry's own time: whoever decides by the log's time sees the row
    refs = {
        "assessment": f"{row['assessment_id']}/{version}",
        "hash": sha256(row["content"]).hexdigest(),
        "outcome": row["outcome"],
        "recorded_at": format_instant(now),
        **moved,
    }
    entry_id = log.record(connection, replace(event_of(asking, Act.ASSESSMENT_RECORDED), refs=refs))
    kept = {"keep_until": max(row["expires_at"], now) + KEPT_FOR, "recorded_at": now}
    stored = {**row, **kept, "version": version, "hash": refs["hash"], "entry_id": entry_id}
    connection.execute(insert(assessment_table), stored)
    return get_assessment(connection, row["assessment_id"], version)


def _content(text: AssessmentText) -> dict[str, JsonValue]:
    return {
        "assessment_id": text.assessment_id,
        "purposes": sorted(text.purposes),
        "parts": {name: text.parts[name] for name in PARTS},
        "approved_by": text.approved_by,
        "approved_on": text.approved_on.isoformat(),
        "expires_on": text.expires_on.isoformat(),
    }


def _assessment(row: Row[*tuple[Any, ...]]) -> Assessment:
    return Assessment(
        assessment_id=row.assessment_id,
        version=row.version,
        outcome=AssessmentOutcome(row.outcome),
        purposes=tuple(json.loads(row.purposes)),
        parts=MappingProxyType(json.loads(row.content)["parts"]),
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        expires_at=row.expires_at,
        keep_until=row.keep_until,
        hash=row.hash,
        recorded_at=row.recorded_at,
        entry_id=EntryId(row.entry_id),
    )


def _at_version(one: Assessment) -> Any:  # noqa: ANN401 - a condition of SQLAlchemy
    table = assessment_table.c
    return (table.assessment_id == one.assessment_id) & (table.version == one.version)


_SELECT: Final = select(assessment_table)
