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
    UniqueConstraint,
    event,
    false,
    text,
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
    Column("deceased", Boolean, nullable=False, server_default=false()),
    Column("no_kin", Boolean, nullable=False, server_default=false(), comment="of a deceased who directed so: PIPL 49"),
    Column("merged_into", String(40), nullable=True, comment="the subject who turned out to be the same person"),
    CheckConstraint("state IN ('active', 'restricted', 'erasing', 'erased')", name="state"),
    CheckConstraint("age_class IN ('under_14', 'under_18', 'adult', 'unknown')", name="age_class"),
    Index(
        None,
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
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
    Column("renews", String(40), nullable=True, comment="the decision that a renewal follows"),
    Column("valid_from", Instant, nullable=True, comment="null: from decided_at"),
    Column("max_uses", Integer, nullable=True, comment="permits that may rest on it; null: any number"),
    Column("offset_minutes", Integer, nullable=True, comment="of decided_at as its source wrote it, east positive"),
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
    Column("valid_from", Instant, nullable=True),
    Column("max_uses", Integer, nullable=True),
    Column("uses", Integer, nullable=False, server_default="0", comment="permits that rest on it so far"),
    Column("decided_by", String(40), nullable=True, comment="the guardian, kin or agent who decided"),
    Index(
        None,
        "valid_until",
        sqlite_where=text("valid_until IS NOT NULL"),
        postgresql_where=text("valid_until IS NOT NULL"),
    ),
    Index(None, "max_uses", sqlite_where=text("max_uses IS NOT NULL"), postgresql_where=text("max_uses IS NOT NULL")),
    Index(None, "by_guardian", sqlite_where=text("by_guardian"), postgresql_where=text("by_guardian")),
)

decision_use: Final = Table(
    "decision_use",
    metadata,
    Column("decision_id", String(40), primary_key=True),
    Column("permit_id", String(40), primary_key=True),
    Column("used_at", Instant, nullable=False),
    Index(None, "permit_id"),
)

standing_change: Final = Table(
    "standing_change",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("subject_id", ForeignKey("subject_standing.subject_id"), nullable=False),
    Column("state", String(10), nullable=False),
    Column("deceased", Boolean, nullable=False),
    Column("age_class", String(8), nullable=False),
    Column("age_class_until", Date, nullable=True),
    Column("changed_at", Instant, nullable=False),
    Index(None, "subject_id", "position"),
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
    Column("capacity", String(8), nullable=False, server_default="guardian", comment="guardian, or kin of a deceased"),
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

register_head: Final = Table(
    "register_head",
    metadata,
    Column("head_id", Integer, primary_key=True, autoincrement=False, comment="1"),
    Column("revision", Integer, nullable=False, comment="moves with every notice, assessment and recipient"),
    Column("suspended", Text, nullable=True, comment="why the gate refuses everything; null while it does not"),
)

notice_change: Final = Table(
    "notice_change",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("edition", Integer, primary_key=True, comment="grants under earlier editions do not cover the item"),
    Column("purpose", String(32), primary_key=True),
    Column("aspect", String(16), primary_key=True, comment="purpose, field or recipient"),
    Column("item", String(128), primary_key=True, comment="field or recipient code; empty for the whole purpose"),
    Column("published_at", Instant, nullable=False),
)

assessment: Final = Table(
    "assessment",
    metadata,
    Column("assessment_id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("outcome", String(10), nullable=False),
    Column("purposes", Text, nullable=False, comment="JSON list"),
    Column("content", LargeBinary, nullable=False, comment="canonical JSON of the three parts and measures"),
    Column("hash", String(64), nullable=False),
    Column("approved_by", String(120), nullable=False),
    Column("approved_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("keep_until", Instant, nullable=False, comment="deletion before is refused: PIPL 56"),
    Column("recorded_at", Instant, nullable=False),
    Column("entry_id", String(40), nullable=False),
    CheckConstraint("outcome IN ('approved', 'rejected', 'revoked')", name="outcome"),
)

recipient: Final = Table(
    "recipient",
    metadata,
    Column("code", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("content", LargeBinary, nullable=False, comment="canonical JSON: name, contact, scope, contract, mechanism"),
    Column("hash", String(64), nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("entry_id", String(40), nullable=False),
    CheckConstraint("kind IN ('controller', 'joint', 'processor', 'authority')", name="kind"),
)

transfer: Final = Table(
    "transfer",
    metadata,
    Column("year", Integer, primary_key=True),
    Column("recipient", String(128), primary_key=True),
    Column("subject_id", String(40), primary_key=True),
    Column("sensitive", Boolean, nullable=False),
    Column("first_at", Instant, nullable=False),
)

task: Final = Table(
    "task",
    metadata,
    Column("task_id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("subject_id", ForeignKey("subject_standing.subject_id"), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("cause", String(40), nullable=False, comment="entry or decision that it follows"),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("done_at", Instant, nullable=True),
    Column("done_entry", String(40), nullable=True),
    UniqueConstraint("kind", "subject_id", "purpose", "cause"),
    Index(None, "done_at", "due_at"),
    CheckConstraint("kind IN ('notify_emergency', 'ask_again', 'inform', 'close_account')", name="kind"),
)

wake_item: Final = Table(
    "wake_item",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("item_id", String(40), nullable=False, unique=True),
    Column("subject_id", ForeignKey("subject_standing.subject_id"), nullable=False),
    Column("cause", String(16), nullable=False, comment="the act that closed something"),
    Column("decision_id", String(40), nullable=True),
    Column("closing_entry", String(40), nullable=False),
    Column("purpose", String(32), nullable=False, comment="empty for all purposes"),
    Column("recipient", String(128), nullable=False, comment="empty for none"),
    Column("handler", String(32), nullable=False),
    Column("target", String(128), nullable=False, comment="empty where the handler has one only"),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("leased_until", Instant, nullable=True),
    Column("problem", String(80), nullable=True, comment="name of the last error"),
    Column("finished_at", Instant, nullable=True),
    Column("outcome", Text, nullable=True, comment="JSON: counts and references, never a value"),
    Column("finished_entry", String(40), nullable=True),
    Index(None, "state", "next_at"),
    Index(None, "subject_id", "position"),
    CheckConstraint("state IN ('open', 'sending', 'done', 'dead')", name="state"),
)

cohort_check: Final = Table(
    "cohort_check",
    metadata,
    Column("cohort_id", String(40), primary_key=True),
    Column("purpose", String(32), nullable=False),
    Column("recipient", String(128), nullable=False, comment="empty for none"),
    Column("fields", Text, nullable=False, comment="JSON list"),
    Column("asked_at", Instant, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("role", String(40), nullable=False),
    Column("request_id", String(64), nullable=False),
)

cohort_verdict: Final = Table(
    "cohort_verdict",
    metadata,
    Column("cohort_id", String(40), primary_key=True),
    Column("subject_id", String(40), primary_key=True),
    Column("shape", Integer, nullable=False, comment="see cohort_shape"),
    Column("basis_decision", String(40), nullable=True),
    Column("consent_decision", String(40), nullable=True),
    sqlite_with_rowid=False,
)

cohort_shape: Final = Table(
    "cohort_shape",
    metadata,
    Column("cohort_id", String(40), primary_key=True),
    Column("shape", Integer, primary_key=True),
    Column("passed", Text, nullable=False, comment="JSON list of fields"),
    Column("refused", Text, nullable=False, comment="JSON object: field to reason"),
)

cohort_batch: Final = Table(
    "cohort_batch",
    metadata,
    Column("cohort_id", String(40), primary_key=True),
    Column("batch", Integer, primary_key=True, comment="from 1"),
    Column("first_subject", String(40), nullable=False),
    Column("last_subject", String(40), nullable=False),
    Column("permit_entry", String(40), nullable=True),
    Column("refusal_entry", String(40), nullable=True),
)


_STORED: Final[Mapping[Table, str]] = {
    notice: "code = NEW.code AND version = NEW.version AND locale = NEW.locale",
    decision: "position = NEW.position OR decision_id = NEW.decision_id",
    decision_use: "decision_id = NEW.decision_id AND permit_id = NEW.permit_id",
    standing_change: "position = NEW.position",
    notice_change: "code = NEW.code AND edition = NEW.edition AND purpose = NEW.purpose AND aspect = NEW.aspect "
    "AND item = NEW.item",
    assessment: "assessment_id = NEW.assessment_id AND version = NEW.version",
    recipient: "code = NEW.code AND version = NEW.version",
}
"""The append-only tables, each with the condition that finds a stored row under a new row's keys."""


def _sqlite_triggers(table: Table) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, 'table {table.name} is append-only'); END"
    # INSERT OR REPLACE deletes the old row without firing delete triggers (sqlite.org/lang_conflict.html). A row has a
    # number beside its key, by which another one can be replaced too; it is -1 where the statement names none.
    over_a_row = f"WHEN EXISTS (SELECT 1 FROM {table.name} WHERE {_STORED[table]} OR rowid = NEW.rowid)"
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
