"""The log deepened: levels to look up, origins after a loss, hand-overs, anchors, pruning; replacing is refused too."""

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TRIGGERS: Final = {
    "sqlite": [
        "CREATE TRIGGER audit_head_no_shrink BEFORE UPDATE ON audit_head WHEN NEW.size < OLD.size BEGIN "
        "SELECT RAISE(ABORT, 'audit_head only grows'); END",
        "CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head BEGIN SELECT RAISE(ABORT, "
        "'audit_head only grows'); END",
        "CREATE TRIGGER audit_leaf_no_update BEFORE UPDATE ON audit_leaf WHEN NOT (NEW.leaf_index = "
        "OLD.leaf_index AND NEW.entry_id = OLD.entry_id AND NEW.leaf_hash = OLD.leaf_hash AND NEW.at = OLD.at"
        " AND length(NEW.body) = 0 AND OLD.leaf_index < COALESCE((SELECT MAX(below) FROM audit_prune), 0)) "
        "BEGIN SELECT RAISE(ABORT, 'audit_leaf is append-only'); END",
        "CREATE TRIGGER audit_leaf_no_delete BEFORE DELETE ON audit_leaf BEGIN SELECT RAISE(ABORT, "
        "'audit_leaf is append-only'); END",
        "CREATE TRIGGER audit_leaf_no_replace BEFORE INSERT ON audit_leaf WHEN EXISTS (SELECT 1 FROM "
        "audit_leaf WHERE leaf_index = NEW.leaf_index OR entry_id = NEW.entry_id) BEGIN SELECT RAISE(ABORT, "
        "'audit_leaf is append-only'); END",
        "CREATE TRIGGER audit_subtree_no_update BEFORE UPDATE ON audit_subtree BEGIN SELECT RAISE(ABORT, "
        "'audit_subtree is append-only'); END",
        "CREATE TRIGGER audit_subtree_no_delete BEFORE DELETE ON audit_subtree BEGIN SELECT RAISE(ABORT, "
        "'audit_subtree is append-only'); END",
        "CREATE TRIGGER audit_subtree_no_replace BEFORE INSERT ON audit_subtree WHEN EXISTS (SELECT 1 FROM "
        "audit_subtree WHERE origin_no = NEW.origin_no AND level = NEW.level AND position = NEW.position) "
        "BEGIN SELECT RAISE(ABORT, 'audit_subtree is append-only'); END",
        "CREATE TRIGGER audit_checkpoint_no_update BEFORE UPDATE ON audit_checkpoint BEGIN SELECT "
        "RAISE(ABORT, 'audit_checkpoint is append-only'); END",
        "CREATE TRIGGER audit_checkpoint_no_delete BEFORE DELETE ON audit_checkpoint BEGIN SELECT "
        "RAISE(ABORT, 'audit_checkpoint is append-only'); END",
        "CREATE TRIGGER audit_checkpoint_no_replace BEFORE INSERT ON audit_checkpoint WHEN EXISTS (SELECT 1 "
        "FROM audit_checkpoint WHERE origin_no = NEW.origin_no AND size = NEW.size) BEGIN SELECT RAISE(ABORT,"
        " 'audit_checkpoint is append-only'); END",
        "CREATE TRIGGER audit_origin_no_update BEFORE UPDATE ON audit_origin BEGIN SELECT RAISE(ABORT, "
        "'audit_origin is append-only'); END",
        "CREATE TRIGGER audit_origin_no_delete BEFORE DELETE ON audit_origin BEGIN SELECT RAISE(ABORT, "
        "'audit_origin is append-only'); END",
        "CREATE TRIGGER audit_origin_no_replace BEFORE INSERT ON audit_origin WHEN EXISTS (SELECT 1 FROM "
        "audit_origin WHERE origin_no = NEW.origin_no) BEGIN SELECT RAISE(ABORT, 'audit_origin is append-"
        "only'); END",
        "CREATE TRIGGER audit_handover_no_update BEFORE UPDATE ON audit_handover BEGIN SELECT RAISE(ABORT, "
        "'audit_handover is append-only'); END",
        "CREATE TRIGGER audit_handover_no_delete BEFORE DELETE ON audit_handover BEGIN SELECT RAISE(ABORT, "
        "'audit_handover is append-only'); END",
        "CREATE TRIGGER audit_handover_no_replace BEFORE INSERT ON audit_handover WHEN EXISTS (SELECT 1 FROM "
        "audit_handover WHERE origin_no = NEW.origin_no AND size = NEW.size) BEGIN SELECT RAISE(ABORT, "
        "'audit_handover is append-only'); END",
        "CREATE TRIGGER audit_anchor_no_update BEFORE UPDATE ON audit_anchor BEGIN SELECT RAISE(ABORT, "
        "'audit_anchor is append-only'); END",
        "CREATE TRIGGER audit_anchor_no_delete BEFORE DELETE ON audit_anchor BEGIN SELECT RAISE(ABORT, "
        "'audit_anchor is append-only'); END",
        "CREATE TRIGGER audit_anchor_no_replace BEFORE INSERT ON audit_anchor WHEN EXISTS (SELECT 1 FROM "
        "audit_anchor WHERE origin_no = NEW.origin_no AND size = NEW.size AND kind = NEW.kind AND name = "
        "NEW.name) BEGIN SELECT RAISE(ABORT, 'audit_anchor is append-only'); END",
        "CREATE TRIGGER audit_prune_no_update BEFORE UPDATE ON audit_prune BEGIN SELECT RAISE(ABORT, "
        "'audit_prune is append-only'); END",
        "CREATE TRIGGER audit_prune_no_delete BEFORE DELETE ON audit_prune BEGIN SELECT RAISE(ABORT, "
        "'audit_prune is append-only'); END",
        "CREATE TRIGGER audit_prune_no_replace BEFORE INSERT ON audit_prune WHEN EXISTS (SELECT 1 FROM "
        "audit_prune WHERE below = NEW.below) BEGIN SELECT RAISE(ABORT, 'audit_prune is append-only'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $body$\n"
        "BEGIN\n"
        "    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';\n"
        "END\n"
        "$body$",
        "CREATE OR REPLACE FUNCTION audit_leaf_only_pruned() RETURNS trigger LANGUAGE plpgsql AS $body$\n"
        "BEGIN\n"
        "    IF TG_OP = 'UPDATE' THEN\n"
        "        IF NEW.leaf_index = OLD.leaf_index AND NEW.entry_id = OLD.entry_id AND NEW.leaf_hash = OLD.leaf_hash AND NEW.at = OLD.at AND length(NEW.body) = 0 AND OLD.leaf_index < COALESCE((SELECT MAX(below) FROM audit_prune), 0) THEN\n"
        "            RETURN NEW;\n"
        "        END IF;\n"
        "    END IF;\n"
        "    RAISE EXCEPTION 'audit_leaf is append-only' USING ERRCODE = 'insufficient_privilege';\n"
        "END\n"
        "$body$",
        "CREATE OR REPLACE FUNCTION audit_head_grows() RETURNS trigger LANGUAGE plpgsql AS $body$\n"
        "BEGIN\n"
        "    IF TG_OP = 'DELETE' OR NEW.size < OLD.size THEN\n"
        "        RAISE EXCEPTION 'audit_head only grows' USING ERRCODE = 'insufficient_privilege';\n"
        "    END IF;\n"
        "    RETURN NEW;\n"
        "END\n"
        "$body$",
        "CREATE OR REPLACE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON audit_head EXECUTE FUNCTION "
        "audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_head_only_grows BEFORE UPDATE OR DELETE ON audit_head FOR EACH ROW "
        "EXECUTE FUNCTION audit_head_grows()",
        "CREATE OR REPLACE TRIGGER audit_leaf_no_change BEFORE UPDATE OR DELETE ON audit_leaf FOR EACH ROW "
        "EXECUTE FUNCTION audit_leaf_only_pruned()",
        "CREATE OR REPLACE TRIGGER audit_leaf_no_truncate BEFORE TRUNCATE ON audit_leaf EXECUTE FUNCTION "
        "audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_subtree_no_change BEFORE UPDATE OR DELETE ON audit_subtree FOR EACH "
        "ROW EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_subtree_no_truncate BEFORE TRUNCATE ON audit_subtree EXECUTE "
        "FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_checkpoint_no_change BEFORE UPDATE OR DELETE ON audit_checkpoint FOR"
        " EACH ROW EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_checkpoint_no_truncate BEFORE TRUNCATE ON audit_checkpoint EXECUTE "
        "FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_origin_no_change BEFORE UPDATE OR DELETE ON audit_origin FOR EACH "
        "ROW EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_origin_no_truncate BEFORE TRUNCATE ON audit_origin EXECUTE FUNCTION "
        "audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_handover_no_change BEFORE UPDATE OR DELETE ON audit_handover FOR "
        "EACH ROW EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_handover_no_truncate BEFORE TRUNCATE ON audit_handover EXECUTE "
        "FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_anchor_no_change BEFORE UPDATE OR DELETE ON audit_anchor FOR EACH "
        "ROW EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_anchor_no_truncate BEFORE TRUNCATE ON audit_anchor EXECUTE FUNCTION "
        "audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_prune_no_change BEFORE UPDATE OR DELETE ON audit_prune FOR EACH ROW "
        "EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_prune_no_truncate BEFORE TRUNCATE ON audit_prune EXECUTE FUNCTION "
        "audit_refuse_change()",
    ],
}
"""By dialect; what refuses to change the past."""

OLD_TRIGGERS: Final = {
    "sqlite": [
        *(
            f"CREATE TRIGGER {table}_no_{act} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for table in ("audit_leaf", "audit_subtree", "audit_checkpoint")
            for act in ("UPDATE", "DELETE")
        ),
        "CREATE TRIGGER audit_head_no_shrink BEFORE UPDATE ON audit_head WHEN NEW.size < OLD.size "
        "BEGIN SELECT RAISE(ABORT, 'audit_head only grows'); END",
        "CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head BEGIN SELECT RAISE(ABORT, "
        "'audit_head only grows'); END",
    ],
    "postgresql": [
        *(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()"
            for table in ("audit_leaf", "audit_subtree", "audit_checkpoint")
        ),
        *(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION audit_refuse_change()"
            for table in ("audit_leaf", "audit_subtree", "audit_checkpoint", "audit_head")
        ),
        "CREATE TRIGGER audit_head_only_grows BEFORE UPDATE OR DELETE ON audit_head FOR EACH ROW "
        "EXECUTE FUNCTION audit_head_grows()",
    ],
}
"""Those of revision 0002, for the way back."""

LEVELS: Final = {
    "sqlite": "UPDATE audit_leaf SET level = json_extract(CAST(body AS TEXT), '$.level') "
    "WHERE json_valid(CAST(body AS TEXT))",
    "postgresql": "UPDATE audit_leaf SET level = (convert_from(body, 'UTF8')::json ->> 'level')::integer",
}
"""Levels of the entries that are there."""


def upgrade() -> None:
    """Apply this revision."""
    dialect = op.get_bind().dialect.name
    _drop_triggers(dialect, "audit_leaf", "audit_subtree", "audit_checkpoint", "audit_head")
    op.add_column("audit_leaf", sa.Column("level", sa.Integer(), nullable=True))
    op.execute(LEVELS[dialect])
    _rebuild("audit_subtree", ("level", "position", "hash"), _subtree)
    _rebuild("audit_checkpoint", ("size", "root", "note"), _checkpoint)
    op.create_table(
        "audit_origin",
        sa.Column("origin_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin_no", name=op.f("pk_audit_origin")),
    )
    op.create_table(
        "audit_handover",
        sa.Column("origin_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin_no", "size", name=op.f("pk_audit_handover")),
    )
    op.create_table(
        "audit_anchor",
        sa.Column("origin_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin_no", "size", "kind", "name", name=op.f("pk_audit_anchor")),
    )
    op.create_table(
        "audit_prune",
        sa.Column("below", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("below", name=op.f("pk_audit_prune")),
    )
    for statement in TRIGGERS[dialect]:
        op.execute(statement)


def downgrade() -> None:
    """Take this revision back; a log with a second origin, or with pruned entries, has no way back."""
    bind = op.get_bind()
    dialect = bind.dialect.name
    for table in ("audit_origin", "audit_prune"):
        if bind.execute(sa.text(f"SELECT 1 FROM {table}")).first() is not None:
            raise ValueError(f"{table} holds what revision 0003 cannot express")
    _drop_triggers(dialect, "audit_leaf", "audit_subtree", "audit_checkpoint", "audit_head")
    for table in ("audit_prune", "audit_anchor", "audit_handover", "audit_origin"):
        op.drop_table(table)
    if dialect == "postgresql":
        op.execute("DROP FUNCTION audit_leaf_only_pruned()")
    _rebuild("audit_checkpoint", ("size", "root", "note"), _old_checkpoint)
    _rebuild("audit_subtree", ("level", "position", "hash"), _old_subtree)
    op.drop_column("audit_leaf", "level")
    for statement in OLD_TRIGGERS[dialect]:
        op.execute(statement)


def _drop_triggers(dialect: str, *tables: str) -> None:
    bind = op.get_bind()
    if dialect == "sqlite":
        found = bind.execute(sa.text("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"))
    else:
        found = bind.execute(sa.text("SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"))
    for name, table in found.all():
        if table in tables:
            op.execute(f'DROP TRIGGER "{name}"' if dialect == "sqlite" else f'DROP TRIGGER "{name}" ON {table}')


def _rebuild(table: str, columns: tuple[str, ...], make: Callable[[], None]) -> None:
    """Make a table anew with its rows; the number of the one origin comes in or goes out."""
    old, named = f"{table}_old", ", ".join(columns)
    op.rename_table(table, old)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER INDEX pk_{table} RENAME TO pk_{old}")
    make()
    has_origin = "origin_no" in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    into, values = (f"origin_no, {named}", f"1, {named}") if has_origin else (named, named)
    op.execute(f"INSERT INTO {table} ({into}) SELECT {values} FROM {old}")
    op.drop_table(old)


def _subtree() -> None:
    op.create_table(
        "audit_subtree",
        sa.Column("origin_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin_no", "level", "position", name=op.f("pk_audit_subtree")),
    )


def _checkpoint() -> None:
    op.create_table(
        "audit_checkpoint",
        sa.Column("origin_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin_no", "size", name=op.f("pk_audit_checkpoint")),
    )


def _old_subtree() -> None:
    op.create_table(
        "audit_subtree",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position", name=op.f("pk_audit_subtree")),
    )


def _old_checkpoint() -> None:
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_audit_checkpoint")),
    )
