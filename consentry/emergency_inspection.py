"""Emergency accesses, compared with the log both ways: by them an account is frozen, or is not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from audit.events import Act
from audit.scanning import ScannedEntry, entries_of
from consent.inspection import Findings
from consentry.stores.emergencies import Emergency, all_emergencies
from kernel.clock import format_instant


@dataclass
class _Told:
    """What the entries say so far, by emergency."""

    opened: dict[str, ScannedEntry] = field(default_factory=dict)
    verdicts: dict[str, ScannedEntry] = field(default_factory=dict)
    released: dict[str, ScannedEntry] = field(default_factory=dict)


def inspect_emergencies(connection: Connection, found: Findings) -> None:
    """Compare every emergency with the entries that opened, reviewed and released it; hold one snapshot."""
    told = _hear(connection)
    names = set()
    for name, one in all_emergencies(connection):
        found.add("emergency", name, ["unreadable"] if one is None else _differing(one, told))
        names.add(name)
    found.read("emergencies", len(names))
    for name in told.opened.keys() - names:
        found.add("emergency", name, ["no row"])


def _hear(connection: Connection) -> _Told:
    told = _Told()
    acts = entries_of(
        connection, [Act.BREAK_GLASS_OPENED.value, Act.BREAK_GLASS_REVIEWED.value, Act.ACCOUNT_RELEASED.value]
    )
    for entry in acts:
        name, act = str(entry.refs.get("emergency")), entry.members.get("act")
        if act == Act.BREAK_GLASS_OPENED.value:
            told.opened[name] = entry
        elif act == Act.BREAK_GLASS_REVIEWED.value:
            told.verdicts[name] = entry
        else:
            told.released[name] = entry
    return told


def _differing(one: Emergency, told: _Told) -> list[str]:
    opened = told.opened.get(one.emergency_id)
    if opened is None:
        return ["no entry"]
    verdict, release = told.verdicts.get(one.emergency_id), told.released.get(one.emergency_id)
    said: Mapping[str, tuple[object, object]] = {
        "principal": (opened.members.get("actor"), one.principal),
        "role": (opened.members.get("role"), one.role),
        "purpose": (opened.members.get("purpose"), one.purpose),
        "due_at": (opened.refs.get("due_at"), format_instant(one.due_at)),
        "entry": (opened.refs.get("reading"), one.entry_id),
        "verdict": (_member(verdict, "reason"), one.verdict),
        "reviewed_by": (_member(verdict, "actor"), one.reviewed_by),
        "reviewed_at": (_ref(verdict, "reviewed_at"), _instant(one.reviewed_at)),
        "released": (_member(release, "id"), one.release_entry),
    }
    return [name for name, (entry, row) in said.items() if entry != row]


def _member(entry: ScannedEntry | None, name: str) -> object:
    return None if entry is None else entry.members.get(name)


def _ref(entry: ScannedEntry | None, name: str) -> object:
    return None if entry is None else entry.refs.get(name)


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)
