"""What refuses to change the past."""

from typing import Final

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TRIGGERS: Final = {
    "sqlite": [
        "CREATE TRIGGER notice_no_update BEFORE UPDATE ON notice BEGIN SELECT RAISE(ABORT, 'table notice "
        "is append-only'); END",
        "CREATE TRIGGER notice_no_delete BEFORE DELETE ON notice BEGIN SELECT RAISE(ABORT, 'table notice "
        "is append-only'); END",
        "CREATE TRIGGER notice_no_replace BEFORE INSERT ON notice WHEN EXISTS (SELECT 1 FROM notice "
        "WHERE code = NEW.code AND version = NEW.version AND locale = NEW.locale) BEGIN SELECT "
        "RAISE(ABORT, 'table notice is append-only'); END",
        "CREATE TRIGGER decision_no_update BEFORE UPDATE ON decision BEGIN SELECT RAISE(ABORT, 'table "
        "decision is append-only'); END",
        "CREATE TRIGGER decision_no_delete BEFORE DELETE ON decision BEGIN SELECT RAISE(ABORT, 'table "
        "decision is append-only'); END",
        "CREATE TRIGGER decision_no_replace BEFORE INSERT ON decision WHEN EXISTS (SELECT 1 FROM "
        "decision WHERE position = NEW.position OR decision_id = NEW.decision_id) BEGIN SELECT "
        "RAISE(ABORT, 'table decision is append-only'); END",
        "CREATE TRIGGER IF NOT EXISTS audit_leaf_no_UPDATE BEFORE UPDATE ON audit_leaf BEGIN SELECT "
        "RAISE(ABORT, 'audit_leaf is append-only'); END",
        "CREATE TRIGGER IF NOT EXISTS audit_leaf_no_DELETE BEFORE DELETE ON audit_leaf BEGIN SELECT "
        "RAISE(ABORT, 'audit_leaf is append-only'); END",
        "CREATE TRIGGER IF NOT EXISTS audit_subtree_no_UPDATE BEFORE UPDATE ON audit_subtree BEGIN "
        "SELECT RAISE(ABORT, 'audit_subtree is append-only'); END",
        "CREATE TRIGGER IF NOT EXISTS audit_subtree_no_DELETE BEFORE DELETE ON audit_subtree BEGIN "
        "SELECT RAISE(ABORT, 'audit_subtree is append-only'); END",
        "CREATE TRIGGER IF NOT EXISTS audit_checkpoint_no_UPDATE BEFORE UPDATE ON audit_checkpoint BEGIN "
        "SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END",
        "CREATE TRIGGER IF NOT EXISTS audit_checkpoint_no_DELETE BEFORE DELETE ON audit_checkpoint BEGIN "
        "SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END",
        "CREATE TRIGGER IF NOT EXISTS audit_head_no_shrink BEFORE UPDATE ON audit_head WHEN NEW.size < "
        "OLD.size BEGIN SELECT RAISE(ABORT, 'audit_head only grows'); END",
        "CREATE TRIGGER IF NOT EXISTS audit_head_no_delete BEFORE DELETE ON audit_head BEGIN SELECT "
        "RAISE(ABORT, 'audit_head only grows'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION notice_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
        "RAISE EXCEPTION ''table notice is append-only'' USING ERRCODE = ''insufficient_privilege''; "
        "END'",
        "CREATE TRIGGER notice_no_change BEFORE UPDATE OR DELETE ON notice FOR EACH ROW EXECUTE "
        "FUNCTION notice_append_only()",
        "CREATE TRIGGER notice_no_truncate BEFORE TRUNCATE ON notice FOR EACH STATEMENT EXECUTE "
        "FUNCTION notice_append_only()",
        "CREATE OR REPLACE FUNCTION decision_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''table decision is append-only'' USING ERRCODE = "
        "''insufficient_privilege''; END'",
        "CREATE TRIGGER decision_no_change BEFORE UPDATE OR DELETE ON decision FOR EACH ROW EXECUTE "
        "FUNCTION decision_append_only()",
        "CREATE TRIGGER decision_no_truncate BEFORE TRUNCATE ON decision FOR EACH STATEMENT EXECUTE "
        "FUNCTION decision_append_only()",
        "CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$body$\n"
        "BEGIN\n"
        "    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = "
        "'insufficient_privilege';\n"
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
        "CREATE OR REPLACE TRIGGER audit_leaf_no_change BEFORE UPDATE OR DELETE ON audit_leaf FOR "
        "EACH ROW EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_leaf_no_truncate BEFORE TRUNCATE ON audit_leaf EXECUTE "
        "FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_subtree_no_change BEFORE UPDATE OR DELETE ON audit_subtree "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_subtree_no_truncate BEFORE TRUNCATE ON audit_subtree "
        "EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_checkpoint_no_change BEFORE UPDATE OR DELETE ON "
        "audit_checkpoint FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_checkpoint_no_truncate BEFORE TRUNCATE ON audit_checkpoint "
        "EXECUTE FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON audit_head EXECUTE "
        "FUNCTION audit_refuse_change()",
        "CREATE OR REPLACE TRIGGER audit_head_only_grows BEFORE UPDATE OR DELETE ON audit_head FOR "
        "EACH ROW EXECUTE FUNCTION audit_head_grows()",
    ],
}
"""By dialect; the audit log's and the consent registry's tables are append-only."""

DROPS: Final = {
    "sqlite": [
        "DROP TRIGGER notice_no_update",
        "DROP TRIGGER notice_no_delete",
        "DROP TRIGGER notice_no_replace",
        "DROP TRIGGER decision_no_update",
        "DROP TRIGGER decision_no_delete",
        "DROP TRIGGER decision_no_replace",
        "DROP TRIGGER audit_leaf_no_UPDATE",
        "DROP TRIGGER audit_leaf_no_DELETE",
        "DROP TRIGGER audit_subtree_no_UPDATE",
        "DROP TRIGGER audit_subtree_no_DELETE",
        "DROP TRIGGER audit_checkpoint_no_UPDATE",
        "DROP TRIGGER audit_checkpoint_no_DELETE",
        "DROP TRIGGER audit_head_no_shrink",
        "DROP TRIGGER audit_head_no_delete",
    ],
    "postgresql": [
        "DROP TRIGGER notice_no_change ON notice",
        "DROP TRIGGER notice_no_truncate ON notice",
        "DROP TRIGGER decision_no_change ON decision",
        "DROP TRIGGER decision_no_truncate ON decision",
        "DROP TRIGGER audit_leaf_no_change ON audit_leaf",
        "DROP TRIGGER audit_leaf_no_truncate ON audit_leaf",
        "DROP TRIGGER audit_subtree_no_change ON audit_subtree",
        "DROP TRIGGER audit_subtree_no_truncate ON audit_subtree",
        "DROP TRIGGER audit_checkpoint_no_change ON audit_checkpoint",
        "DROP TRIGGER audit_checkpoint_no_truncate ON audit_checkpoint",
        "DROP TRIGGER audit_head_no_truncate ON audit_head",
        "DROP TRIGGER audit_head_only_grows ON audit_head",
        "DROP FUNCTION notice_append_only()",
        "DROP FUNCTION decision_append_only()",
        "DROP FUNCTION audit_refuse_change()",
        "DROP FUNCTION audit_head_grows()",
    ],
}


def upgrade() -> None:
    """Create the triggers."""
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Drop the triggers."""
    for statement in DROPS[op.get_bind().dialect.name]:
        op.execute(statement)
