"""Tables of the audit log in the data store; what is signed can be added to, never changed or removed."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    event,
)
from sqlalchemy.engine import Dialect

from kernel.database import Instant, new_metadata

metadata: MetaData = new_metadata()


class StoredBytes(TypeDecorator[bytes]):
    """Bytes, read back as bytes even where someone put another type into a SQLite column.

    A log that was changed by hand must still be read, hashed and exported, so that the change can be shown.
    """

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: object | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Return the bytes; text as UTF-8."""
        return value if value is None or isinstance(value, bytes) else str(value).encode()


_AUTO_INTEGER = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only for INTEGER PRIMARY KEY."""

inbox = Table(
    "audit_inbox",
    metadata,
    Column("seq", _AUTO_INTEGER, primary_key=True, autoincrement=True),
    Column("entry_id", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", StoredBytes, nullable=False),
    sqlite_autoincrement=True,
)
"""Entries of committed or still open transactions, not yet in the tree."""

leaf = Table(
    "audit_leaf",
    metadata,
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", String(40), nullable=False, unique=True),
    Column("body", StoredBytes, nullable=False),
    Column("leaf_hash", StoredBytes, nullable=False),
    Column("at", Instant, nullable=False, index=True),
    Column("act", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("role", String(256), nullable=False),
    Column("purpose", String(256)),
    Column("request_id", String(256), nullable=False, index=True),
    Column("alias", String(40)),
    Index(None, "alias", "leaf_index"),
    Index(None, "actor", "leaf_index"),
    Index(None, "act", "leaf_index"),
)
"""The log. ``body`` is authoritative; the columns after ``leaf_hash`` are extracted from it for look-ups only."""

subtree = Table(
    "audit_subtree",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", StoredBytes, nullable=False),
)
"""Roots of complete subtrees of 256^level leaves, so that a proof reads a few rows and not the whole log."""

head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", StoredBytes, nullable=False),
    Column("at", Instant, nullable=False),
)
"""One row: number of leaves, roots of the perfect subtrees from left to right (32 bytes each), latest entry time."""

checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", StoredBytes, nullable=False),
    Column("note", StoredBytes, nullable=False),
)
"""Every signed checkpoint, as the bytes that were handed out."""

alias = Table(
    "audit_alias",
    metadata,
    Column("alias", String(40), primary_key=True),
    Column("subject_id", String(40), nullable=False),
    Column("year", Integer, nullable=False),
    UniqueConstraint("subject_id", "year"),
)
"""Random names under which subjects stand in the log, one per subject and year."""

cohort = Table(
    "audit_cohort",
    metadata,
    Column("entry_id", String(40), primary_key=True),
    Column("salt", StoredBytes, nullable=False),
    Column("size", Integer, nullable=False),
)
"""The salt of each cohort digest."""

cohort_member = Table(
    "audit_cohort_member",
    metadata,
    Column("alias", String(40), primary_key=True),
    Column("entry_id", String(40), primary_key=True, index=True),
)
"""The aliases behind each cohort digest."""

detail = Table(
    "audit_detail",
    metadata,
    Column("entry_id", String(40), primary_key=True),
    Column("sealed", StoredBytes, nullable=False),
)
"""Sealed details beside their entry."""

_APPEND_ONLY: Final = (leaf, subtree, checkpoint)

_POSTGRESQL_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$body$"""

_POSTGRESQL_HEAD_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION audit_head_grows() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.size < OLD.size THEN
        RAISE EXCEPTION 'audit_head only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$body$"""


def _sqlite_triggers() -> tuple[str, ...]:
    create = "CREATE TRIGGER IF NOT EXISTS"
    refuse = "{0}_no_{1} BEFORE {1} ON {0} BEGIN SELECT RAISE(ABORT, '{0} is append-only'); END"
    only_grows = "BEGIN SELECT RAISE(ABORT, 'audit_head only grows'); END"
    return (
        *(f"{create} {refuse.format(table.name, act)}" for table in _APPEND_ONLY for act in ("UPDATE", "DELETE")),
        f"{create} audit_head_no_shrink BEFORE UPDATE ON audit_head WHEN NEW.size < OLD.size {only_grows}",
        f"{create} audit_head_no_delete BEFORE DELETE ON audit_head {only_grows}",
    )


def _postgresql_triggers() -> tuple[str, ...]:
    refuse = " EXECUTE FUNCTION audit_refuse_change()"
    rows = "CREATE OR REPLACE TRIGGER {0}_no_change BEFORE UPDATE OR DELETE ON {0} FOR EACH ROW" + refuse
    whole = "CREATE OR REPLACE TRIGGER {0}_no_truncate BEFORE TRUNCATE ON {0}" + refuse
    grows = (
        "CREATE OR REPLACE TRIGGER audit_head_only_grows BEFORE UPDATE OR DELETE ON audit_head "
        "FOR EACH ROW EXECUTE FUNCTION audit_head_grows()"
    )
    return (
        _POSTGRESQL_FUNCTION,
        _POSTGRESQL_HEAD_FUNCTION,
        *(form.format(table.name) for table in _APPEND_ONLY for form in (rows, whole)),
        whole.format("audit_head"),
        grows,
    )


CREATE_TRIGGERS: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": _sqlite_triggers(),
    "postgresql": _postgresql_triggers(),
}
"""Statements by dialect, for migrations; ``metadata.create_all`` runs them by itself."""

DROP_TRIGGERS: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (),
    "postgresql": ("DROP FUNCTION IF EXISTS audit_refuse_change()", "DROP FUNCTION IF EXISTS audit_head_grows()"),
}
"""Statements to run after the tables are dropped; the triggers themselves go with their tables."""


def _attach(statements: Mapping[str, Sequence[str]], moment: str) -> None:
    for dialect, texts in statements.items():
        for statement in texts:
            ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call] # SQLAlchemy leaves it untyped
            event.listen(metadata, moment, ddl.execute_if(dialect=dialect))


_attach(CREATE_TRIGGERS, "after_create")
_attach(DROP_TRIGGERS, "after_drop")
