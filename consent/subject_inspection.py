"""What stands for each subject against its decisions, and its standing against its history and the log."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

import audit.tables
from audit.events import Act
from audit.scanning import waiting_entries
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
        change = last.get(row.subject_id)
        state, deceased = logged.get(row.subject_id, (Standing.ACTIVE.value, False))
        differs = [] if change is None else [name for name in _STANDING if getattr(row, name) != getattr(change, name)]
        differs += ["logged state"] if row.state != state else []
        differs += ["logged death"] if row.deceased != deceased else []
        found.add("standing", row.subject_id, differs)


_STANDING: Final = ("state", "deceased", "age_class", "age_class_until")


def _logged_standings(connection: Connection, subjects: Sequence[SubjectId]) -> dict[str, tuple[str, bool]]:
    """Return the state and whether dead, as the log tells it, of those subjects of whom it tells anything."""
    alias, leaf = audit.tables.alias.c, audit.tables.leaf.c
    acts = [*_STANDING_AFTER, Act.SUBJECT_DECEASED.value]
    statement = (
        select(alias.subject_id, leaf.act)
        .join(audit.tables.leaf, leaf.alias == alias.alias)
        .where(among_subjects(alias.subject_id, connection.dialect.name), leaf.act.in_(acts))
        .order_by(leaf.leaf_index)
    )
    bound = bind_subjects(connection, subjects)
    told = [(row.subject_id, row.act) for row in connection.execute(statement, bound)]
    waiting = [entry for entry in waiting_entries(connection) if entry.members.get("act") in acts]
    names = names_behind(connection, waiting)
    told += [(names.subjects.get(str(e.members.get("subject"))), str(e.members["act"])) for e in waiting]
    found: dict[str, tuple[str, bool]] = {}
    for subject, act in told:
        state, deceased = found.get(subject, (Standing.ACTIVE.value, False))
        found[subject] = (_STANDING_AFTER.get(act, state), deceased or act == Act.SUBJECT_DECEASED.value)
    return found
