"""What stands for each subject against its decisions, and the order of these against the log."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

from sqlalchemy import Connection, Row, func, select

import audit.tables
from consent.inspection import BATCH, Findings, pages
from consent.rebuilding import differing, rebuilt
from consent.rows import read_all_current, to_decision
from consent.setwise import among_subjects, bind_subjects
from consent.standing_inspection import inspect_standings
from consent.tables import decision, decision_use, notice, subject_standing
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
        inspect_standings(connection, rows, found)


def _current_rows(
    connection: Connection, subjects: Sequence[SubjectId], editions: Mapping[tuple[str, str], int], found: Findings
) -> None:
    dialect = connection.dialect.name
    bound = bind_subjects(connection, subjects)
    leaf = audit.tables.leaf
    placed = select(decision, leaf.c.leaf_index).outerjoin(leaf, leaf.c.entry_id == decision.c.entry_id)
    about = placed.where(among_subjects(decision.c.subject_id, dialect)).order_by(decision.c.position)
    rows = connection.execute(about, bound).all()
    for decision_id in _out_of_order(rows):
        found.add("decision", decision_id, ("position",))
    made = []
    for row in rows:
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


def _out_of_order(rows: Iterable[Row[*tuple[Any, ...]]]) -> Iterator[str]:
    """Yield the decisions of a subject that stand after one whose entry is later; what waits for the log is last.

    Decisions of several subjects that were recorded at the same time may stand in another order than their entries.
    """
    latest: dict[str, float] = {}
    for row in rows:
        index = inf if row.leaf_index is None else row.leaf_index
        if index < latest.get(row.subject_id, -1):
            yield row.decision_id
        latest[row.subject_id] = max(index, latest.get(row.subject_id, -1))


def _uses(connection: Connection, decisions: Sequence[str]) -> dict[str, int]:
    counted = select(decision_use.c.decision_id, func.count()).group_by(decision_use.c.decision_id)
    counts: dict[str, int] = {}
    for start in range(0, len(decisions), BATCH):
        some = decisions[start : start + BATCH]
        rows = connection.execute(counted.where(decision_use.c.decision_id.in_(some)))
        counts.update((decision_id, number) for decision_id, number in rows)
    return counts
