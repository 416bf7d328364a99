"""Tag runs and their values under scope and pseudonym; a run adds rows, nothing is overwritten (bitemporal)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, delete, func, insert, select

from consentry.stores.tables import tag_run, tag_value
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import NotFound

_CHUNK = 5_000
_IDS = 500
"""Bounds the variables of one statement."""


@dataclass(frozen=True, slots=True)
class TagRun:
    """One evaluation of the taxonomy on one pair of view builds."""

    run_id: str
    scope: str
    taxonomy: str
    taxonomy_hash: str
    as_of: date
    subjects_build: str
    events_build: str
    recorded_at: datetime


def add_run(connection: Connection, run: TagRun) -> None:
    """Remember a run."""
    row = {name: getattr(run, name) for name in TagRun.__slots__}
    connection.execute(insert(tag_run), row)


def list_runs(connection: Connection, *, scope: str | None = None) -> list[TagRun]:
    """Return the runs, newest first."""
    query = select(*(tag_run.c[name] for name in TagRun.__slots__)).order_by(tag_run.c.position.desc())
    if scope is not None:
        query = query.where(tag_run.c.scope == scope)
    return [TagRun(**row) for row in connection.execute(query).mappings()]


def get_newest_run(connection: Connection, scope: str) -> TagRun:
    """Return the newest run of a scope; raises ``NotFound`` when there is none."""
    found = list_runs(connection, scope=scope)
    if not found:
        raise NotFound("No tags were computed yet", hint="Run `consentry tags run`.")
    return found[0]


def add_values(connection: Connection, run_id: str, rows: Iterable[tuple[str, str, JsonValue, str]]) -> None:
    """Add the (pseudonym, tag, value, version) rows of one run."""
    made = [
        {
            "run_id": run_id,
            "pseudonym": pseudonym,
            "tag": tag,
            "value": None if value is None else canonical_json(value).decode(),
            "version": version,
        }
        for pseudonym, tag, value, version in rows
    ]
    for start in range(0, len(made), _CHUNK):
        connection.execute(insert(tag_value), made[start : start + _CHUNK])


def newest_values(connection: Connection, *, scope: str, pseudonym: str) -> tuple[date | None, Mapping[str, JsonValue]]:
    """Return the day and the values of the newest run that covers this pseudonym; unknown values are None."""
    mine = (tag_value.c.pseudonym == pseudonym, tag_run.c.scope == scope)
    joined = tag_run.join(tag_value, tag_value.c.run_id == tag_run.c.run_id)
    newest = select(func.max(tag_run.c.position)).select_from(joined).where(*mine).scalar_subquery()
    rows = connection.execute(
        select(tag_value.c.tag, tag_value.c.value, tag_run.c.as_of)
        .select_from(joined)
        .where(*mine, tag_run.c.position == newest)
        .order_by(tag_value.c.tag)
    ).all()
    if not rows:
        return None, {}
    return rows[0].as_of, {row.tag: None if row.value is None else json.loads(row.value) for row in rows}


def forget_in_runs(connection: Connection, run_ids: Sequence[str], *, pseudonym: str) -> int:
    """Delete a pseudonym's values in some runs; returns how many."""
    gone = 0
    for start in range(0, len(run_ids), _IDS):
        some = tag_value.c.run_id.in_(run_ids[start : start + _IDS])
        gone += connection.execute(delete(tag_value).where(tag_value.c.pseudonym == pseudonym, some)).rowcount
    return gone
