"""Erasures of whole subjects, compared with the log both ways: by them what the law holds stays closed, and goes on.

Whoever deletes the row of one, or calls it complete, would have what is left opened again, or kept for good.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from audit.aliases import read_names
from audit.events import Act
from audit.scanning import entries_of
from consent.inspection import Findings
from vault.tables import erasure

_PART: Final = "erasure"

_STATES: Final = {
    Act.ERASURE_STARTED.value: "started",
    Act.SUBJECT_RESTRICTED.value: "restricted",
    Act.ERASURE_COMPLETED.value: "erased",
}
"""The state that each act leaves an erasure in; these acts are never pruned."""


@dataclass(slots=True)
class _Told:
    """What the entries say of one erasure: where it stands, of whom, and which entry began it."""

    state: str
    alias: str
    started: str


def inspect_erasures(connection: Connection, found: Findings) -> None:
    """Compare every erasure of a whole subject with the entries that began and ended it; hold one snapshot."""
    told = _hear(connection)
    names = read_names(connection, {one.alias for one in told.values()})
    subjects = {name.alias: name.subject for name in names if not name.is_forgotten}
    columns = erasure.c
    query = select(columns.erasure_id, columns.state, columns.subject_id, columns.started_entry)
    rows = connection.execute(query.where(columns.fields.is_(None)).order_by(columns.erasure_id)).all()
    found.read("erasures", len(rows))
    for row in rows:
        said = told.pop(row.erasure_id, None)
        differs = {
            "entry": said is None or said.started != row.started_entry,
            "state": said is not None and said.state != row.state,
            "subject": said is not None and subjects.get(said.alias, row.subject_id) != row.subject_id,
        }
        found.add(_PART, row.erasure_id, [name for name, does in differs.items() if does])
    for name in sorted(told):
        found.add(_PART, name, ["row"])


def _hear(connection: Connection) -> dict[str, _Told]:
    told: dict[str, _Told] = {}
    acts = [Act.ERASURE_STARTED.value, Act.SUBJECT_RESTRICTED.value, Act.ERASURE_COMPLETED.value]
    for entry in entries_of(connection, acts):
        name, state = entry.refs.get("erasure"), _STATES[str(entry.members.get("act"))]
        if not isinstance(name, str):
            continue  # a restriction that no erasure left
        one = told.setdefault(name, _Told(state, str(entry.members.get("subject")), entry.entry_id))
        one.state = state
    return told
