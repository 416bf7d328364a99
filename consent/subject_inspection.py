"""What stands for each subject against its decisions, and its standing against its history and the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

import audit.tables
from audit.events import Act
from audit.scanning import ScannedEntry, find_scanned, waiting_entries
from consent.comparing import Names
from consent.inspection import BATCH, Findings, names_behind, pages
from consent.rebuilding import differing, rebuilt
from consent.rows import read_all_current, to_decision
from consent.setwise import among_subjects, bind_subjects
from consent.standing import Standing
from consent.tables import decision, decision_use, notice, standing_change, subject_standing
from kernel.database import Database
from kernel.ids import SubjectId


def inspect_subjects(database: Database, found: Findings) -> None:
    """Compare what stands with what the decisions lead to, and each standing with its history and the log."""
    with database.read() as connection:
        rows = connection.execute(select(notice.c.code, notice.c.version, notice.c.edition))
        editions = {(row.code, row.version): row.edition for row in rows}
    for connection, rows in pages(database, select(subject_standing), subject_standing.c.subject_id):
        found.read("subjects", len(rows))
        _current_rows(connection, [SubjectId(row.subject_id) for row in rows], editions, found)
        _standings(connection, rows, found)


def _current_rows(
    connection: Connection, subjects: Sequence[SubjectId], editions: Mapping[tuple[str, str], int], found: Findings
) -> None:
    dialect = connection.dialect.name
    bound = bind_subjects(connection, subjects)
    about = select(decision).where(among_subjects(decision.c.subject_id, dialect)).order_by(decision.c.position)
    made = []
    for row in connection.execute(about, bound):
        try:
            made.append(to_decision(row))
        except (KeyError, ValueError):
            continue  # told of by the comparison with its entry
    limited = [one.decision_id for one in made if one.max_uses is not None]
    wanted = rebuilt(made, editions, _uses(connection, limited))
    try:
        stored = {(s, p, row.recipient, row.track): row for s, p, row in read_all_current(connection, subjects)}
    except (KeyError, ValueError):
        found.add("current", f"{subjects[0]}…{subjects[-1]}", ("unreadable",))
        return
    found.read("current", len(stored))
    for place in sorted({*stored, *wanted}):
        differs = differing(stored.get(place), wanted.get(place))
        found.add("current", " ".join(part for part in place if part), differs)


def _uses(connection: Connection, decisions: Sequence[str]) -> dict[str, int]:
    counted = select(decision_use.c.decision_id, func.count()).group_by(decision_use.c.decision_id)
    counts: dict[str, int] = {}
    for start in range(0, len(decisions), BATCH):
        some = decisions[start : start + BATCH]
        rows = connection.execute(counted.where(decision_use.c.decision_id.in_(some)))
        counts.update((decision_id, number) for decision_id, number in rows)
    return counts


_STANDING_AFTER: Final = {
    Act.SUBJECT_RESTRICTED.value: Standing.RESTRICTED.value,
    Act.SUBJECT_RELEASED.value: Standing.ACTIVE.value,
    Act.ERASURE_STARTED.value: Standing.ERASING.value,
    Act.ERASURE_COMPLETED.value: Standing.ERASED.value,
}


def _standings(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]], found: Findings) -> None:
    """Compare each standing with the last row of its history, and with the last entry that tells of it."""
    subjects = [SubjectId(row.subject_id) for row in rows]
    dialect, bound = connection.dialect.name, bind_subjects(connection, subjects)
    about = among_subjects(standing_change.c.subject_id, dialect)
    history = select(standing_change).where(about).order_by(standing_change.c.position)
    last = {change.subject_id: change for change in connection.execute(history, bound)}
    logged = _logged_standings(connection, subjects)
    for row in rows:
        change, told = last.get(row.subject_id), logged.get(row.subject_id, _Logged())
        differs = [] if change is None else [name for name in _STANDING if getattr(row, name) != getattr(change, name)]
        differs += ["logged state"] if row.state != told.state else []
        differs += ["logged death"] if row.deceased != told.deceased else []
        differs += ["logged directive"] if told.no_kin not in (None, row.no_kin) else []
        differs += ["logged merge"] if told.merged_into not in (_FORGOTTEN, row.merged_into) else []
        found.add("standing", row.subject_id, differs)


_STANDING: Final = ("state", "deceased", "age_class", "age_class_until")


_FORGOTTEN: Final = ""
"""Stands for a subject whose alias was destroyed after the log's floor."""


@dataclass(frozen=True, slots=True)
class _Logged:
    """What the log tells of a subject's standing.

    Attributes:
        no_kin: None where the entry of the death is older than this word.
        merged_into: None while it was not merged; ``_FORGOTTEN`` where nobody can say into whom.
    """

    state: str = Standing.ACTIVE.value
    deceased: bool = False
    no_kin: bool | None = False
    merged_into: str | None = None

    def after(self, entry: ScannedEntry, names: Names) -> "_Logged":
        """Return what it tells with one entry more."""
        act = str(entry.members.get("act"))
        told = replace(self, state=_STANDING_AFTER.get(act, self.state))
        if act == Act.SUBJECT_DECEASED.value:
            said = entry.refs.get("no_kin")
            return replace(told, deceased=True, no_kin=None if said is None else said == "true")
        if act == Act.SUBJECT_RESTRICTED.value and "kept" in entry.refs:
            return replace(told, merged_into=names.subjects.get(str(entry.refs["kept"]), _FORGOTTEN))
        return told


def _logged_standings(connection: Connection, subjects: Sequence[SubjectId]) -> dict[str, _Logged]:
    """Return what the log tells of the standing of those subjects of whom it tells anything."""
    alias, leaf = audit.tables.alias.c, audit.tables.leaf.c
    acts = [*_STANDING_AFTER, Act.SUBJECT_DECEASED.value]
    statement = (
        select(alias.subject_id, leaf.entry_id)
        .join(audit.tables.leaf, leaf.alias == alias.alias)
        .where(among_subjects(alias.subject_id, connection.dialect.name), leaf.act.in_(acts))
        .order_by(leaf.leaf_index)
    )
    rows = connection.execute(statement, bind_subjects(connection, subjects)).all()
    stored = find_scanned(connection, [row.entry_id for row in rows])
    waiting = [entry for entry in waiting_entries(connection) if entry.members.get("act") in acts]
    names = names_behind(connection, [*stored.values(), *waiting])
    told = [(row.subject_id, stored[row.entry_id]) for row in rows]
    told += [(names.subjects.get(str(entry.members.get("subject"))), entry) for entry in waiting]
    found: dict[str, _Logged] = {}
    for subject, entry in told:
        found[subject] = found.get(subject, _Logged()).after(entry, names)
    return found
