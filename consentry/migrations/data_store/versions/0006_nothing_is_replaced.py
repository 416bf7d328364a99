"""INSERT OR REPLACE takes no row away: by no unique column, by no row number; a head keeps its origin."""

from typing import Final

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

APPEND_ONLY: Final = {
    "audit_leaf": "leaf_index = NEW.leaf_index OR entry_id = NEW.entry_id",
    "audit_subtree": "origin_no = NEW.origin_no AND level = NEW.level AND position = NEW.position",
    "audit_checkpoint": "origin_no = NEW.origin_no AND size = NEW.size",
    "audit_origin": "origin_no = NEW.origin_no",
    "audit_handover": "origin_no = NEW.origin_no AND size = NEW.size",
    "audit_anchor": "origin_no = NEW.origin_no AND size = NEW.size AND kind = NEW.kind AND name = NEW.name",
    "audit_prune": "below = NEW.below",
}
"""Which rows revision 0004 protected."""

ALIAS: Final = "alias = NEW.alias"
"""Which row revision 0005 protected."""

ALIAS_IN_YEAR: Final = f"{ALIAS} OR subject_id = NEW.subject_id AND year = NEW.year"
BY_NUMBER: Final = " OR rowid = NEW.rowid"

SHRINKS: Final = "NEW.size < OLD.size"
MOVES: Final = f"{SHRINKS} OR NEW.id <> OLD.id"

HEAD_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION audit_head_grows() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'DELETE' OR {} THEN
        RAISE EXCEPTION 'audit_head only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$body$"""


def upgrade() -> None:
    """Apply this revision."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(HEAD_FUNCTION.format(MOVES))
        return
    for table, keys in APPEND_ONLY.items():
        _refuse_replacing(table, keys + BY_NUMBER, "is append-only")
    _refuse_replacing("audit_alias", ALIAS_IN_YEAR + BY_NUMBER, "is only forgotten")
    _refuse_replacing("audit_head", "id = NEW.id" + BY_NUMBER, "only grows")
    _refuse_shrinking(MOVES)


def downgrade() -> None:
    """Take this revision back."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(HEAD_FUNCTION.format(SHRINKS))
        return
    for table, keys in APPEND_ONLY.items():
        _refuse_replacing(table, keys, "is append-only")
    _refuse_replacing("audit_alias", ALIAS, "is only forgotten")
    op.execute("DROP TRIGGER IF EXISTS audit_head_no_replace")
    _refuse_shrinking(SHRINKS)


def _refuse_replacing(table: str, rows: str, said: str) -> None:
    op.execute(f"DROP TRIGGER IF EXISTS {table}_no_replace")
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} "
        f"WHERE {rows}) BEGIN SELECT RAISE(ABORT, '{table} {said}'); END"
    )


def _refuse_shrinking(when: str) -> None:
    op.execute("DROP TRIGGER IF EXISTS audit_head_no_shrink")
    op.execute(
        f"CREATE TRIGGER audit_head_no_shrink BEFORE UPDATE ON audit_head WHEN {when} "
        "BEGIN SELECT RAISE(ABORT, 'audit_head only grows'); END"
    )
