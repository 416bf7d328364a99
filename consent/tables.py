"""Tables of the data store that this package owns; notices and decisions are append-only on both engines."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    event,
)

from kernel.database import Instant, new_metadata

metadata: Final = new_metadata()

_Position: Final = BigInteger().with_variant(Integer, "sqlite")

notice: Final = Table(
    "notice",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("locale", String(16), primary_key=True),
    Column("edition", Integer, nullable=False, comment="counts the versions of a code, from 1"),
    Column("material", Boolean, nullable=False, comment="grants of earlier editions do not cover it"),
    Column("hash", String(64), nullable=False, comment="SHA-256 of content"),
    Column("content", LargeBinary, nullable=False, comment="canonical JSON of the exact text"),
    Column("published_at", Instant, nullable=False),
    Column("entry_id", String(40), nullable=False),
)

notice_head: Final = Table(
    "notice_head",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("edition", Integer, nullable=False, comment="the newest"),
    Column("material_edition", Integer, nullable=False, comment="the newest material one; older grants do not count"),
)

subject_standing: Final = Table(
    "subject_standing",
    metadata,
    Column("subject_id", String(40), primary_key=True),
    Column("revision", Integer, nullable=False, comment="moves with every decision, restriction and guardian change"),
    Column("state", String(10), nullable=False),
    Column("age_class", String(8), nullable=False, comment="as of registration; see consent.ages"),
    Column("age_class_until", Date, nullable=True, comment="first of the month after the class ends"),
    Column("registered_at", Instant, nullable=False),
    CheckConstraint("state IN ('active', 'restricted', 'erasing', 'erased')", name="state"),
    CheckConstraint("age_class IN ('under_14', 'under_18', 'adult', 'unknown')", name="age_class"),
)

decision: Final = Table(
    "decision",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("decision_id", String(40), nullable=False, unique=True),
    Column("subject_id", ForeignKey("subject_standing.subject_id"), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("recipient", String(128), nullable=False, comment="empty for none"),
    Column("track", String(8), nullable=False),
    Column("act", String(8), nullable=False),
    Column("notice_code", String(64), nullable=True),
    Column("notice_version", String(32), nullable=True),
    Column("notice_locale", String(16), nullable=True),
    Column("notice_hash", String(64), nullable=True),
    Column("actor_kind", String(8), nullable=False),
    Column("actor_subject", String(40), nullable=True),
    Column("fields", Text, nullable=True, comment="JSON list; null for all fields of the purpose"),
    Column("decided_at", Instant, nullable=False),
    Column("valid_until", Instant, nullable=True),
    Column("recorded_at", Instant, nullable=False),
    Column("evidence", LargeBinary, nullable=False, comment="sealed, bound to decision_id"),
    Column("request_id", String(64), nullable=False),
    Column("entry_id", String(40), nullable=False),
    Index(None, "subject_id", "position"),
)

consent_current: Final = Table(
    "consent_current",
    metadata,
    Column("subject_id", ForeignKey("subject_standing.subject_id"), primary_key=True),
    Column("purpose", String(32), primary_key=True),
    Column("recipient", String(128), primary_key=True, comment="empty for none"),
    Column("track", String(8), primary_key=True, comment="basis (contract, duty) or consent (grant, refuse, withdraw)"),
    Column("act", String(8), nullable=False),
    Column("decision_id", String(40), nullable=False),
    Column("by_guardian", Boolean, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("valid_until", Instant, nullable=True),
    Column("notice_code", String(64), nullable=True),
    Column("notice_edition", Integer, nullable=True),
    Column("fields", Text, nullable=True, comment="JSON list; null for all fields of the purpose"),
)

guardian: Final = Table(
    "guardian",
    metadata,
    Column("relation_id", String(40), primary_key=True),
    Column("subject_id", ForeignKey("subject_standing.subject_id"), nullable=False),
    Column("guardian", ForeignKey("subject_standing.subject_id"), nullable=False),
    Column("verification", String(64), nullable=False, comment="the method's name"),
    Column("recorded_at", Instant, nullable=False),
    Column("ends_on", Date, nullable=True, comment="a minor's majority"),
    Column("ended_at", Instant, nullable=True),
    Column("entry_id", String(40), nullable=False),
    Index(None, "subject_id"),
)

agent: Final = Table(
    "agent",
    metadata,
    Column("relation_id", String(40), primary_key=True),
    Column("subject_id", ForeignKey("subject_standing.subject_id"), nullable=False),
    Column("agent", ForeignKey("subject_standing.subject_id"), nullable=False),
    Column("purposes", Text, nullable=False, comment="JSON list"),
    Column("recorded_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=True),
    Column("entry_id", String(40), nullable=False),
    Index(None, "subject_id"),
)


_STORED: Final[Mapping[Table, str]] = {
    notice: "code = NEW.code AND version = NEW.version AND locale = NEW.locale",
    decision: "position = NEW.position OR decision_id = NEW.decision_id",
}
"""The append-only tables, each with the condition that finds a stored row under a new row's keys."""


def _sqlite_triggers(table: Table) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, 'table {table.name} is append-only'); END"
    # INSERT OR REPLACE deletes the old row without firing delete triggers (sqlite.org/lang_conflict.html).
    over_a_row = f"WHEN EXISTS (SELECT 1 FROM {table.name} WHERE {_STORED[table]})"
    return (
        f"CREATE TRIGGER {table.name}_no_update BEFORE UPDATE ON {table.name} {refuse}",
        f"CREATE TRIGGER {table.name}_no_delete BEFORE DELETE ON {table.name} {refuse}",
        f"CREATE TRIGGER {table.name}_no_replace BEFORE INSERT ON {table.name} {over_a_row} {refuse}",
    )


def _postgresql_triggers(table: Table) -> tuple[str, ...]:
    function = f"{table.name}_append_only()"
    refuse = f"RAISE EXCEPTION ''table {table.name} is append-only'' USING ERRCODE = ''insufficient_privilege''"
    rows, whole = f"ON {table.name} FOR EACH ROW", f"ON {table.name} FOR EACH STATEMENT"
    return (
        f"CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {refuse}; END'",
        f"CREATE TRIGGER {table.name}_no_change BEFORE UPDATE OR DELETE {rows} EXECUTE FUNCTION {function}",
        f"CREATE TRIGGER {table.name}_no_truncate BEFORE TRUNCATE {whole} EXECUTE FUNCTION {function}",
    )


CREATE_TRIGGERS: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": tuple(statement for table in _STORED for statement in _sqlite_triggers(table)),
    "postgresql": tuple(statement for table in _STORED for statement in _postgresql_triggers(table)),
}
"""Statements by dialect, for migrations; ``metadata.create_all`` runs them by itself when it creates a table."""

DROP_TRIGGERS: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (),
    "postgresql": tuple(f"DROP FUNCTION IF EXISTS {table.name}_append_only()" for table in _STORED),
}
"""Statements to run after the tables are dropped; the triggers themselves go with their tables."""


def _attach(table: Table, moment: str, dialect: str, statements: Sequence[str]) -> None:
    for statement in statements:
        ddl = DDL(statement)  # type: ignore[no-untyped-call]  # SQLAlchemy 2.1 ships it without annotations
        event.listen(table, moment, ddl.execute_if(dialect=dialect))


for _table in _STORED:
    _attach(_table, "after_create", "sqlite", _sqlite_triggers(_table))
    _attach(_table, "after_create", "postgresql", _postgresql_triggers(_table))
    _attach(_table, "after_drop", "postgresql", (f"DROP FUNCTION IF EXISTS {_table.name}_append_only()",))
