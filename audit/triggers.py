"""What the store itself refuses: the triggers on the log's tables, as statements of each dialect."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import DDL, MetaData, Table, event

_PRUNABLE: Final = "audit_leaf"
"""The one append-only table in which a body may become empty, below what ``audit_prune`` says."""

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
    IF TG_OP = 'DELETE' OR NEW.size < OLD.size OR NEW.id <> OLD.id THEN
        RAISE EXCEPTION 'audit_head only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$body$"""

_ALSO_REPLACED: Final = {
    "audit_leaf": "entry_id = NEW.entry_id",
    "audit_alias": "subject_id = NEW.subject_id AND year = NEW.year",
}
"""What else than the primary key is unique."""

_FUNCTION_NAMES: Final = (
    "audit_refuse_change",
    "audit_leaf_only_pruned",
    "audit_alias_only_forgotten",
    "audit_head_grows",
)


def triggers_of(append_only: Sequence[Table], head: Table, alias: Table) -> Mapping[str, Mapping[str, str]]:
    """Return the statements by dialect and trigger name: what refuses to change the past.

    Args:
        append_only: tables whose rows stay as they are.
        head: only grows.
        alias: is only forgotten.
    """
    return {"sqlite": _sqlite_triggers(append_only, head, alias), "postgresql": _postgresql_triggers(append_only)}


def create_statements(triggers: Mapping[str, Mapping[str, str]]) -> Mapping[str, Sequence[str]]:
    """Return what creates the triggers and their functions, by dialect."""
    functions = (
        _POSTGRESQL_FUNCTION,
        _POSTGRESQL_LEAF_FUNCTION,
        _POSTGRESQL_ALIAS_FUNCTION,
        _POSTGRESQL_HEAD_FUNCTION,
    )
    return {
        "sqlite": tuple(triggers["sqlite"].values()),
        "postgresql": (*functions, *triggers["postgresql"].values()),
    }


DROP_STATEMENTS: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (),
    "postgresql": tuple(f"DROP FUNCTION IF EXISTS {name}()" for name in _FUNCTION_NAMES),
}
"""Statements to run after the tables are dropped; the triggers themselves go with their tables."""


def attach(metadata: MetaData, statements: Mapping[str, Sequence[str]], moment: str) -> None:
    """Have ``metadata`` run statements by itself, ``after_create`` or ``after_drop`` of its tables."""
    for dialect, texts in statements.items():
        for statement in texts:
            ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call] # SQLAlchemy leaves it untyped
            event.listen(metadata, moment, ddl.execute_if(dialect=dialect))


def _replacing(table: Table) -> str:
    """Return when an INSERT OR REPLACE would take away a row: SQLite fires no delete trigger for it.

    A row has a number beside its primary key, by which another one can be replaced too; it is -1 where the statement
    names none.
    """
    keys = " AND ".join(f"{column.name} = NEW.{column.name}" for column in table.primary_key)
    unique = f" OR {_ALSO_REPLACED[table.name]}" if table.name in _ALSO_REPLACED else ""
    return f"WHEN EXISTS (SELECT 1 FROM {table.name} WHERE {keys}{unique} OR rowid = NEW.rowid)"


def _sqlite_triggers(append_only: Sequence[Table], head: Table, alias: Table) -> dict[str, str]:
    only_grows = "BEGIN SELECT RAISE(ABORT, 'audit_head only grows'); END"
    only_forgotten = "BEGIN SELECT RAISE(ABORT, 'audit_alias is only forgotten'); END"
    statements = {
        "audit_head_no_shrink": "BEFORE UPDATE ON audit_head WHEN NEW.size < OLD.size OR NEW.id <> OLD.id "
        f"{only_grows}",
        "audit_head_no_delete": f"BEFORE DELETE ON audit_head {only_grows}",
        "audit_head_no_replace": f"BEFORE INSERT ON audit_head {_replacing(head)} {only_grows}",
        "audit_alias_no_update": f"BEFORE UPDATE ON audit_alias WHEN NOT ({_FORGETS}) {only_forgotten}",
        "audit_alias_no_delete": f"BEFORE DELETE ON audit_alias WHEN OLD.subject_id <> OLD.alias {only_forgotten}",
        "audit_alias_no_replace": f"BEFORE INSERT ON audit_alias {_replacing(alias)} {only_forgotten}",
    }
    for table in append_only:
        name = table.name
        refuse = f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        pruned = f"WHEN NOT ({' '.join(_PRUNES.split())}) " if name == _PRUNABLE else ""
        statements |= {
            f"{name}_no_update": f"BEFORE UPDATE ON {name} {pruned}{refuse}",
            f"{name}_no_delete": f"BEFORE DELETE ON {name} {refuse}",
            f"{name}_no_replace": f"BEFORE INSERT ON {name} {_replacing(table)} {refuse}",
        }
    return {name: f"CREATE TRIGGER IF NOT EXISTS {name} {rest}" for name, rest in statements.items()}


def _postgresql_triggers(append_only: Sequence[Table]) -> dict[str, str]:
    statements = {
        "audit_head_no_truncate": "BEFORE TRUNCATE ON audit_head EXECUTE FUNCTION audit_refuse_change()",
        "audit_head_only_grows": "BEFORE UPDATE OR DELETE ON audit_head FOR EACH ROW "
        "EXECUTE FUNCTION audit_head_grows()",
        "audit_alias_no_change": "BEFORE UPDATE OR DELETE ON audit_alias FOR EACH ROW "
        "EXECUTE FUNCTION audit_alias_only_forgotten()",
        "audit_alias_no_truncate": "BEFORE TRUNCATE ON audit_alias EXECUTE FUNCTION audit_refuse_change()",
    }
    for table in append_only:
        name = table.name
        function = "audit_leaf_only_pruned" if name == _PRUNABLE else "audit_refuse_change"
        statements |= {
            f"{name}_no_change": f"BEFORE UPDATE OR DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION {function}()",
            f"{name}_no_truncate": f"BEFORE TRUNCATE ON {name} EXECUTE FUNCTION audit_refuse_change()",
        }
    return {name: f"CREATE OR REPLACE TRIGGER {name} {rest}" for name, rest in statements.items()}
