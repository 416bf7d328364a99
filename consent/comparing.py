"""Stored rows against their entries in the log, as pure functions: the names of what differs, never a value."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row

from audit.events import Act
from audit.scanning import ScannedEntry
from consent.assessments import KEPT_FOR
from consent.decisions import Decision
from consent.recording import DECISION_ACTS
from consent.representatives import NO_END
from consent.rules import track_of
from kernel.catalogue import Catalogue
from kernel.clock import format_instant, parse_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import SubjectId

NO_ENTRY: Final = "entry"
"""Stands for an entry that is not in the log."""


NEAR: Final = timedelta(hours=1)
"""How far a row's instant may lie from its entry's time where the entry does not name it: one transaction's length."""


@dataclass(frozen=True, slots=True)
class Names:
    """The subjects behind the aliases that some entries hold.

    Attributes:
        subjects: by alias; an alias whose mapping was destroyed is missing.
    """

    subjects: Mapping[str, SubjectId]

    def stands_for(self, said: JsonValue, wanted: str | None) -> bool:
        """Say whether a member stands for a subject, or for nobody where nobody is wanted."""
        if wanted is None or not isinstance(said, str):
            return said is None and wanted is None
        return self.subjects.get(said) == wanted


def differing_decision(made: Decision, entry: ScannedEntry | None, names: Names) -> list[str]:
    """Return what a decision's entry says otherwise, of all that the gate reads."""
    if entry is None:
        return [NO_ENTRY]
    members, refs = entry.members, entry.refs
    wanted: dict[str, JsonValue] = {
        "decision": made.decision_id,
        "act": made.act.value,
        "actor_kind": made.actor_kind.value,
        "decided_at": format_instant(made.decided_at),
        "notice": None if made.notice is None else str(made.notice),
        "notice_hash": made.notice_hash,
        "valid_from": None if made.valid_from is None else format_instant(made.valid_from),
        "valid_until": None if made.valid_until is None else format_instant(made.valid_until),
        "renews": made.renews,
        "max_uses": None if made.max_uses is None else str(made.max_uses),
    }
    differs = {name: refs.get(name) != value for name, value in wanted.items()}
    differs |= {
        "kind": members.get("act") != DECISION_ACTS[made.act].value,
        "subject": not names.stands_for(members.get("subject"), made.subject),
        "purpose": members.get("purpose") != made.purpose,
        "recipient": members.get("recipient") != made.recipient,
        "fields": list(_listed(members.get("fields"))) != sorted(made.fields or ()),
        "actor_subject": not names.stands_for(refs.get("actor_subject"), made.actor_subject),
        "offset": refs.get("offset", "0") != str(made.offset_minutes or 0),
        "track": made.track is not track_of(made.act),
        "no field": made.fields == frozenset(),
        "request": members.get("request_id") != made.request_id,
        "recorded_at": not is_told_at(entry, "recorded_at", made.recorded_at),
    }
    return _named(differs)


def differing_notice(row: Row[*tuple[Any, ...]], entry: ScannedEntry | None) -> list[str]:
    """Return what is not as it was published: the text against its hash, hash and name against the entry."""
    if entry is None:
        return [NO_ENTRY]
    name = f"{row.code}/{row.version}/{row.locale}"
    return _named(
        {
            "text": hash_of_stored(row.content) != row.hash,
            "kind": entry.members.get("act") != Act.NOTICE_PUBLISHED.value,
            "notice": entry.refs.get("notice") != name,
            "hash": entry.refs.get("hash") != row.hash,
            "edition": _count(entry.members, "edition") != row.edition,
            "material": _count(entry.members, "material") != int(row.material),
            "published_at": not is_told_at(entry, "published_at", row.published_at),
        }
    )


def differing_assessment(row: Row[*tuple[Any, ...]], entry: ScannedEntry | None, catalogue: Catalogue) -> list[str]:
    """Return what of an assessment is not as it was recorded."""
    if entry is None:
        return [NO_ENTRY]
    content = _parsed(row.content)
    return _named(
        {
            "text": hash_of_stored(row.content) != row.hash,
            "kind": entry.members.get("act") != Act.ASSESSMENT_RECORDED.value,
            "assessment": entry.refs.get("assessment") != f"{row.assessment_id}/{row.version}",
            "hash": entry.refs.get("hash") != row.hash,
            "outcome": entry.refs.get("outcome") != row.outcome,
            "purposes": content.get("purposes") != _parsed_list(row.purposes),
            "approved_by": content.get("approved_by") != row.approved_by,
            "approved_at": _begin(content, "approved_on", catalogue) != row.approved_at,
            "expires_at": _begin(content, "expires_on", catalogue) != row.expires_at,
            "keep_until": row.keep_until != max(row.expires_at, row.recorded_at) + KEPT_FOR,
            "recorded_at": not is_told_at(entry, "recorded_at", row.recorded_at),
        }
    )


def differing_recipient(row: Row[*tuple[Any, ...]], entry: ScannedEntry | None) -> list[str]:
    """Return what of a recipient is not as it was recorded."""
    if entry is None:
        return [NO_ENTRY]
    content = _parsed(row.content)
    return _named(
        {
            "text": hash_of_stored(row.content) != row.hash,
            "kind": entry.members.get("act") != Act.RECIPIENT_RECORDED.value or content.get("kind") != row.kind,
            "recipient": entry.refs.get("recipient") != f"{row.code}/{row.version}",
            "hash": entry.refs.get("hash") != row.hash,
            "ended": _count(entry.members, "ended") != int(row.ended),
            "recorded_at": not is_told_at(entry, "recorded_at", row.recorded_at),
        }
    )


def differing_representative(
    row: Row[*tuple[Any, ...]], entry: ScannedEntry | None, names: Names, *, representative: str
) -> list[str]:
    """Return what of a guardian, kin or agent is not as it was recorded.

    Args:
        row: of ``guardian`` or ``agent``.
        entry: that of the recording.
        names: behind the aliases of the entry.
        representative: the name of the row's column, ``guardian`` or ``agent``.
    """
    if entry is None:
        return [NO_ENTRY]
    refs = entry.refs
    act = Act.GUARDIAN_RECORDED if representative == "guardian" else Act.AGENT_RECORDED
    differs = {
        "kind": entry.members.get("act") != act.value,
        "relation": refs.get("relation") != row.relation_id,
        "subject": not names.stands_for(entry.members.get("subject"), row.subject_id),
        representative: not names.stands_for(refs.get(representative), getattr(row, representative)),
        "recorded_at": not is_told_at(entry, "recorded_at", row.recorded_at),
    }
    if representative == "agent":
        differs["purposes"] = refs.get("purposes") != ",".join(_parsed_list(row.purposes))
        differs["expires_at"] = refs.get("expires_at", format_instant(row.expires_at)) != format_instant(row.expires_at)
    else:
        differs["verification"] = refs.get("verification") != row.verification
        differs["capacity"] = refs.get("capacity", row.capacity) != row.capacity
        ends_on = NO_END if row.ends_on is None else row.ends_on.isoformat()
        differs["ends_on"] = refs.get("ends_on", ends_on) != ends_on
    return _named(differs)


def is_told_at(entry: ScannedEntry, name: str, instant: datetime) -> bool:
    """Say whether an instant is the one that an entry names; without a name, one near the entry's own time."""
    said = entry.refs.get(name)
    if said is not None:
        return said == format_instant(instant)
    try:
        at = parse_instant(str(entry.members.get("at")))
    except BadInput:
        return False
    return abs(at - instant) <= NEAR


def hash_of_stored(content: object) -> str:
    """Return the SHA-256 of stored bytes; also where somebody put text into a SQLite column, so that it can be told."""
    stored = content if isinstance(content, bytes) else str(content).encode()
    return hashlib.sha256(stored).hexdigest()


def aliases_in(entry: ScannedEntry) -> set[str]:
    """Return the texts of an entry that may be aliases."""
    texts = [entry.members.get("subject"), *entry.refs.values()]
    return {text for text in texts if isinstance(text, str) and text.startswith("als_")}


def _named(differs: Mapping[str, bool]) -> list[str]:
    return [name for name, does in differs.items() if does]


def _listed(value: JsonValue) -> list[JsonValue]:
    return list(value) if isinstance(value, list) else []


def _count(members: Mapping[str, JsonValue], name: str) -> JsonValue:
    counts = members.get("counts")
    return counts.get(name) if isinstance(counts, Mapping) else None


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _parsed_list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def _begin(content: Mapping[str, Any], name: str, catalogue: Catalogue) -> datetime | None:
    try:
        return catalogue.begin_of(date.fromisoformat(str(content.get(name))))
    except ValueError:
        return None
