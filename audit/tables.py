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


def as_bytes(stored: object) -> bytes:
    """Return a stored value as bytes, as ``StoredBytes`` does, for statements at the driver's level."""
    return stored if isinstance(stored, bytes) else str(stored).encode()


class StoredBytes(TypeDecorator[bytes]):
    """Bytes, read back as bytes even where someone put another type into a SQLite column.

    A log that was changed by hand must still be read, hashed and exported, so that the change can be shown.
    """

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: object | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Return the bytes; text as UTF-8."""
        return None if value is None else as_bytes(value)


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
    Column("level", Integer),
    Index(None, "alias", "leaf_index"),
    Index(None, "actor", "leaf_index"),
    Index(None, "act", "leaf_index"),
)
"""The log. ``body`` is authoritative; the columns after ``leaf_hash`` are extracted from it for look-ups only.

``leaf_index`` counts on over all origins; an entry's index in its own tree is ``leaf_index`` minus the origin's base. A
pruned entry keeps index, id, hash and time; its body is empty.
"""

origin = Table(
    "audit_origin",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("name", String(256), nullable=False),
    Column("base", BigInteger, nullable=False),
    Column("entry_id", String(40), nullable=False),
    Column("at", Instant, nullable=False),
)
"""Origins that were opened after a loss, from 2 on; the first one, whose base is 0, has no row."""

subtree = Table(
    "audit_subtree",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
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
"""One row an origin (``id`` is its number): number of leaves, roots of the perfect subtrees from left to right (32
bytes each), latest entry time."""

checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", StoredBytes, nullable=False),
    Column("note", StoredBytes, nullable=False),
)
"""Signed checkpoints, as the bytes that were handed out."""

handover = Table(
    "audit_handover",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", StoredBytes, nullable=False),
)
"""Hand-overs from one signing key to the next, signed by both."""

anchor = Table(
    "audit_anchor",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("token", StoredBytes, nullable=False),
    Column("at", Instant, nullable=False),
)
"""What outside parties said of a checkpoint: kind ``witness`` (a signature line) or ``timestamp`` (RFC 3161, DER)."""

prune = Table(
    "audit_prune",
    metadata,
    Column("below", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", String(40), nullable=False),
    Column("at", Instant, nullable=False),
)
"""Up to where entries were pruned when their time of keeping was over: all with ``leaf_index`` < ``below``."""

alias = Table(
    "audit_alias",
    metadata,
    Column("alias", String(40), primary_key=True),
    Column("subject_id", String(40), nullable=False),
    Column("year", Integer, nullable=False),
    Column("mark", StoredBytes, nullable=True),
    UniqueConstraint("subject_id", "year"),
)
"""Random names under which subjects stand in the log, one per subject and year.

``mark`` binds the other columns under a key of the key store; see ``audit.aliases``. A name that was destroyed keeps
its row while an entry may mention it, with the alias itself where the subject was.
"""

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

_APPEND_ONLY: Final = (leaf, subtree, checkpoint, origin, handover, anchor, prune)
_PRUNABLE: Final = leaf.name
"""The one table of these in which a body may become empty, below what ``audit_prune`` says."""

_PRUNES: Final = """
NEW.leaf_index = OLD.leaf_index AND NEW.entry_id = OLD.entry_id AND NEW.leaf_hash = OLD.leaf_hash
AND NEW.at = OLD.at AND length(NEW.body) = 0
AND OLD.leaf_index < COALESCE((SELECT MAX(below) FROM audit_prune), 0)"""

_FORGETS: Final = (
    "NEW.alias = OLD.alias AND NEW.year = OLD.year AND (NEW.subject_id = OLD.alias OR (NEW.subject_id = OLD.subject_id "
    "AND OLD.mark IS NULL))"
)
"""What may change of a name: it leads nowhere any more, and only then may its row go; or it gets the mark it lacks."""

_POSTGRESQL_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$body$"""

_POSTGRESQL_LEAF_FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION audit_leaf_only_pruned() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF {" ".join(_PRUNES.split())} THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_leaf is append-only' USING ERRCODE = 'insufficient_privilege';
END
$body$"""

_POSTGRESQL_ALIAS_FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION audit_alias_only_forgotten() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF {_FORGETS} THEN
            RETURN NEW;
        END IF;
    ELSIF OLD.subject_id = OLD.alias THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_alias is only forgotten' USING ERRCODE = 'insufficient_privilege';
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

_REPLACED: Final = {leaf.name: "leaf_index = NEW.leaf_index OR entry_id = NEW.entry_id"}
"""What else than the primary key makes SQLite's INSERT OR REPLACE take away another row."""


def _sqlite_triggers() -> dict[str, str]:
    """Return the statements by trigger name."""
    only_grows = "BEGIN SELECT RAISE(ABORT, 'audit_head only grows'); END"
    only_forgotten = "BEGIN SELECT RAISE(ABORT, 'audit_alias is only forgotten'); END"
    statements = {
        "audit_head_no_shrink": f"BEFORE UPDATE ON audit_head WHEN NEW.size < OLD.size {only_grows}",
        "audit_head_no_delete": f"BEFORE DELETE ON audit_head {only_grows}",
        "audit_alias_no_update": f"BEFORE UPDATE ON audit_alias WHEN NOT ({_FORGETS}) {only_forgotten}",
        "audit_alias_no_delete": f"BEFORE DELETE ON audit_alias WHEN OLD.subject_id <> OLD.alias {only_forgotten}",
        "audit_alias_no_replace": "BEFORE INSERT ON audit_alias WHEN EXISTS (SELECT 1 FROM audit_alias "
        f"WHERE alias = NEW.alias) {only_forgotten}",
    }
    for table in _APPEND_ONLY:
        name = table.name
        refuse = f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        keys = " AND ".join(f"{column.name} = NEW.{column.name}" for column in table.primary_key)
        there = f"WHEN EXISTS (SELECT 1 FROM {name} WHERE {_REPLACED.get(name, keys)})"
        pruned = f"WHEN NOT ({' '.join(_PRUNES.split())}) " if name == _PRUNABLE else ""
        statements |= {
            f"{name}_no_update": f"BEFORE UPDATE ON {name} {pruned}{refuse}",
            f"{name}_no_delete": f"BEFORE DELETE ON {name} {refuse}",
            f"{name}_no_replace": f"BEFORE INSERT ON {name} {there} {refuse}",
        }
    return {name: f"CREATE TRIGGER IF NOT EXISTS {name} {rest}" for name, rest in statements.items()}


def _postgresql_triggers() -> dict[str, str]:
    """Return the statements by trigger name."""
    statements = {
        "audit_head_no_truncate": "BEFORE TRUNCATE ON audit_head EXECUTE FUNCTION audit_refuse_change()",
        "audit_head_only_grows": "BEFORE UPDATE OR DELETE ON audit_head FOR EACH ROW "
        "EXECUTE FUNCTION audit_head_grows()",
        "audit_alias_no_change": "BEFORE UPDATE OR DELETE ON audit_alias FOR EACH ROW "
        "EXECUTE FUNCTION audit_alias_only_forgotten()",
        "audit_alias_no_truncate": "BEFORE TRUNCATE ON audit_alias EXECUTE FUNCTION audit_refuse_change()",
    }
    for table in _APPEND_ONLY:
        name = table.name
        function = "audit_leaf_only_pruned" if name == _PRUNABLE else "audit_refuse_change"
        statements |= {
            f"{name}_no_change": f"BEFORE UPDATE OR DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION {function}()",
            f"{name}_no_truncate": f"BEFORE TRUNCATE ON {name} EXECUTE FUNCTION audit_refuse_change()",
        }
    return {name: f"CREATE OR REPLACE TRIGGER {name} {rest}" for name, rest in statements.items()}


TRIGGERS: Final[Mapping[str, Mapping[str, str]]] = {
    "sqlite": _sqlite_triggers(),
    "postgresql": _postgresql_triggers(),
}
"""Statements by dialect and trigger name: what refuses to change the past."""

CREATE_TRIGGERS: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": tuple(TRIGGERS["sqlite"].values()),
    "postgresql": (
        _POSTGRESQL_FUNCTION,
        _POSTGRESQL_LEAF_FUNCTION,
        _POSTGRESQL_ALIAS_FUNCTION,
        _POSTGRESQL_HEAD_FUNCTION,
        *TRIGGERS["postgresql"].values(),
    ),
}
"""Statements by dialect; ``metadata.create_all`` runs them by itself on tables that it has just made."""

DROP_TRIGGERS: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (),
    "postgresql": tuple(
        f"DROP FUNCTION IF EXISTS {name}()"
        for name in ("audit_refuse_change", "audit_leaf_only_pruned", "audit_alias_only_forgotten", "audit_head_grows")
    ),
}
"""Statements to run after the tables are dropped; the triggers themselves go with their tables."""


def _attach(statements: Mapping[str, Sequence[str]], moment: str) -> None:
    for dialect, texts in statements.items():
        for statement in texts:
            ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call] # SQLAlchemy leaves it untyped
            event.listen(metadata, moment, ddl.execute_if(dialect=dialect))


_attach(CREATE_TRIGGERS, "after_create")
_attach(DROP_TRIGGERS, "after_drop")
