"""The triggers that refuse to change the past, as they stand in a store, against those that were put there.

Whoever owns the tables can drop or disable a trigger, change a row and put the trigger back; what was changed in
between is then found by the hashes. A trigger that is still missing, disabled or altered is found here, before anybody
relies on it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, text

from audit.tables import CREATE_TRIGGERS

_FIRES: Final = frozenset({"O", "A"})
"""``pg_trigger.tgenabled`` of a trigger that fires for everybody: at origin, or always."""

_EVENT_BITS: Final[Mapping[str, int]] = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}
_ROW_BIT: Final = 1
_BEFORE_BIT: Final = 2
"""Bits of ``pg_trigger.tgtype``: src/include/catalog/pg_trigger.h of PostgreSQL."""

_FUNCTION: Final = re.compile(
    r"CREATE OR REPLACE FUNCTION (?P<name>\w+)\(\).*? AS (?P<quote>\$body\$|')(?P<body>.*)(?P=quote)\s*", re.DOTALL
)
_TRIGGER: Final = re.compile(
    r"CREATE (?:OR REPLACE )?TRIGGER (?P<name>\w+) BEFORE (?P<events>[A-Z ]+) ON (?P<table>\w+)"
    r"(?: FOR EACH (?P<each>ROW|STATEMENT))? EXECUTE FUNCTION (?P<function>\w+)\(\)"
)
_SQLITE_TRIGGER: Final = re.compile(r"CREATE TRIGGER (?P<name>\w+) .*? ON (?P<table>\w+)\b.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Guard:
    """One trigger of PostgreSQL: what it fires on, and the body of its function."""

    table: str
    kind: int
    body: str


def missing_guards(connection: Connection, statements: Sequence[str] | None = None) -> list[str]:
    """Return what is dropped, disabled, changed or foreign among the triggers on the guarded tables; empty when whole.

    Args:
        connection: a transaction of the data store.
        statements: that created the triggers and their functions; the audit log's own when left out.
    """
    if connection.dialect.name == "postgresql":
        wanted = statements if statements is not None else CREATE_TRIGGERS["postgresql"]
        return sorted(_postgresql(connection, wanted))
    return sorted(_sqlite(connection, statements if statements is not None else CREATE_TRIGGERS["sqlite"]))


def _sqlite(connection: Connection, statements: Sequence[str]) -> Iterator[str]:
    wanted, tables = {}, set()
    for statement in statements:
        text_of = _normal(statement)
        found = _matched(_SQLITE_TRIGGER, text_of)
        wanted[found["name"]] = text_of
        tables.add(found["table"])
    rows = connection.execute(text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"))
    stored = {row.name: row for row in rows if row.tbl_name in tables or row.name in wanted}
    for name in wanted.keys() | stored.keys():
        if name not in stored:
            yield f"{name} dropped"
        elif name not in wanted:
            yield f"{name} foreign"
        elif _normal(stored[name].sql) != wanted[name]:
            yield f"{name} changed"


def _normal(statement: str) -> str:
    """Return a statement as SQLite keeps it: without IF NOT EXISTS; white space does not count."""
    return " ".join(statement.replace("IF NOT EXISTS ", "", 1).split())


def _postgresql(connection: Connection, statements: Sequence[str]) -> Iterator[str]:
    wanted = _declared(statements)
    stored = {row.name: row for row in connection.execute(_STORED, {"tables": list(_tables(wanted))})}
    for name in wanted.keys() | stored.keys():
        if name not in stored:
            yield f"{name} dropped"
        elif name not in wanted:
            yield f"{name} foreign"
        elif stored[name].enabled not in _FIRES:
            yield f"{name} disabled"
        elif not _is_whole(stored[name], wanted[name]):
            yield f"{name} changed"
    if connection.scalar(text("SELECT current_setting('session_replication_role')")) != "origin":
        yield "session_replication_role changed"


def _declared(statements: Sequence[str]) -> dict[str, _Guard]:
    """Return the triggers that some statements create, by name."""
    bodies: dict[str, str] = {}
    guards: dict[str, _Guard] = {}
    for statement in statements:
        if found := _FUNCTION.fullmatch(statement.strip()):
            is_quoted = found["quote"] == "'"
            bodies[found["name"]] = found["body"].replace("''", "'") if is_quoted else found["body"]
            continue
        trigger = _matched(_TRIGGER, statement)
        events = sum(_EVENT_BITS[name] for name in trigger["events"].split(" OR "))
        kind = events | _BEFORE_BIT | (_ROW_BIT if trigger["each"] == "ROW" else 0)
        guards[trigger["name"]] = _Guard(trigger["table"], kind, bodies[trigger["function"]])
    return guards


def _matched(pattern: re.Pattern[str], statement: str) -> re.Match[str]:
    found = pattern.fullmatch(statement)
    if found is None:
        raise ValueError("the statement creates no trigger of the shape that is compared")
    return found


def _tables(guards: Mapping[str, _Guard]) -> set[str]:
    return {guard.table for guard in guards.values()}


def _is_whole(row: Row[*tuple[Any, ...]], guard: _Guard) -> bool:
    """Say whether a stored trigger fires as it should, always, and with the function that was put there."""
    is_bound = not row.has_condition and not row.has_columns and row.language == "plpgsql"
    return is_bound and (row.table_name, row.kind, row.body) == (guard.table, guard.kind, guard.body)


_STORED: Final = text(
    """
    SELECT t.tgname AS name, c.relname AS table_name, t.tgenabled::text AS enabled, t.tgtype AS kind,
           t.tgqual IS NOT NULL AS has_condition, array_length(t.tgattr::int2[], 1) > 0 AS has_columns,
           p.prosrc AS body, l.lanname AS language
    FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_proc p ON p.oid = t.tgfoid
    JOIN pg_language l ON l.oid = p.prolang
    WHERE NOT t.tgisinternal AND c.oid IN (SELECT to_regclass(given) FROM unnest(CAST(:tables AS text[])) AS given)
    """
).bindparams(bindparam("tables"))
