"""A long log's rows made by SQL, with bodies as the gate's entries have them: for look-ups, with no tree over them."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from audit.tables import CREATE_TRIGGERS

ACTORS: Final = 200
PER_SUBJECT: Final = 100
YEAR: Final = 2026
STEP_MICROS: Final = 2_000_000
"""Between two entries: ten million of them take two thirds of a year."""

_CHUNK: Final = 500_000
_SUBJECTS: Final = """
    INSERT INTO audit_alias (alias, subject_id, year)
    WITH RECURSIVE n(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < {subjects})
    SELECT 'als_' || lower(hex(randomblob(12))), 'sub_' || lower(hex(randomblob(12))), {year} FROM n"""
_ALIASES: Final = "CREATE TEMP TABLE numbered AS SELECT row_number() OVER () - 1 AS k, alias FROM audit_alias"
_KEYED: Final = "CREATE UNIQUE INDEX temp.numbered_k ON numbered (k)"
_LEAVES: Final = """
    INSERT INTO audit_leaf (leaf_index, entry_id, body, leaf_hash, at, act, outcome, actor, role, purpose, request_id,
        alias, level)
    WITH RECURSIVE n(k) AS (SELECT {first} UNION ALL SELECT k + 1 FROM n WHERE k + 1 < {end}),
    made AS MATERIALIZED (
        SELECT n.k, 'ent_' || lower(hex(randomblob(12))) AS id, 'req_' || lower(hex(randomblob(12))) AS request,
            'usr_' || (n.k * 7919 % {actors}) AS actor, {at} + n.k * {step} AS at, numbered.alias AS alias,
            CASE n.k % 10 WHEN 0 THEN 'gate.refusal' ELSE 'gate.permit' END AS act,
            CASE n.k % 10 WHEN 0 THEN 'denied' ELSE 'allowed' END AS outcome
        FROM n JOIN numbered ON numbered.k = n.k * 104729 % {subjects}
    )
    SELECT k, id, CAST('{{"act":"' || act || '","actor":"' || actor || '","at":"'
            || strftime('%Y-%m-%dT%H:%M:%f000Z', at / 1000000, 'unixepoch')
            || '","fields":["birth_date","diagnosis","sex"],"id":"' || id || '","level":3,"outcome":"' || outcome
            || '","purpose":"P02","request_id":"' || request || '","role":"clinician","subject":"' || alias
            || '","v":1}}' AS BLOB),
        randomblob(32), at, act, outcome, actor, 'clinician', 'P02', request, alias, 3
    FROM made ORDER BY k"""
_OF_LEAVES: Final = "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'audit_leaf' AND sql IS NOT NULL AND type = "


def fill(connection: Connection, entries: int, *, at_micros: int) -> None:
    """Insert entries about ``entries / PER_SUBJECT`` people; indexes and guards are made again at the end.

    Args:
        connection: a write transaction of an empty SQLite store.
        entries: how many.
        at_micros: time of the first one.
    """
    subjects = max(1, entries // PER_SUBJECT)
    words = {"subjects": subjects, "actors": ACTORS, "at": at_micros, "step": STEP_MICROS, "year": YEAR}
    indexes = _dropped(connection, "index")
    _dropped(connection, "trigger")
    for statement in (_SUBJECTS, _ALIASES, _KEYED):
        connection.exec_driver_sql(statement.format(**words))
    for first in range(0, entries, _CHUNK):
        connection.exec_driver_sql(_LEAVES.format(first=first, end=min(first + _CHUNK, entries), **words))
    for statement in (*indexes, *CREATE_TRIGGERS["sqlite"]):
        connection.exec_driver_sql(statement)


def _dropped(connection: Connection, kind: str) -> Sequence[str]:
    """Drop what stands beside the table of leaves, and return the statements that make it."""
    rows = connection.exec_driver_sql(f"{_OF_LEAVES}'{kind}'").all()
    for name, _ in rows:
        connection.exec_driver_sql(f"DROP {kind} {name}")
    return [sql for _, sql in rows]
