"""Names of the log bear a mark that only the key store's holder can make, and are forgotten, never moved or removed.

Marks of the names that are there need the key store: `consentry upgrade` sets them in this revision's transaction.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TRIGGERS: Final = {
    "sqlite": [
        "CREATE TRIGGER audit_alias_no_update BEFORE UPDATE ON audit_alias WHEN NOT (NEW.alias = "
        "OLD.alias AND NEW.year = OLD.year AND (NEW.subject_id = OLD.alias OR (NEW.subject_id = "
        "OLD.subject_id AND OLD.mark IS NULL))) BEGIN SELECT RAISE(ABORT, 'audit_alias is only "
        "forgotten'); END",
        "CREATE TRIGGER audit_alias_no_delete BEFORE DELETE ON audit_alias WHEN OLD.subject_id <> "
        "OLD.alias BEGIN SELECT RAISE(ABORT, 'audit_alias is only forgotten'); END",
        "CREATE TRIGGER audit_alias_no_replace BEFORE INSERT ON audit_alias WHEN EXISTS (SELECT 1 FROM "
        "audit_alias WHERE alias = NEW.alias) BEGIN SELECT RAISE(ABORT, 'audit_alias is only "
        "forgotten'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION audit_alias_only_forgotten() RETURNS trigger LANGUAGE plpgsql AS "
        "$body$\n"
        "BEGIN\n"
        "    IF TG_OP = 'UPDATE' THEN\n"
        "        IF NEW.alias = OLD.alias AND NEW.year = OLD.year AND (NEW.subject_id = OLD.alias OR "
        "(NEW.subject_id = OLD.subject_id AND OLD.mark IS NULL)) THEN\n"
        "            RETURN NEW;\n"
        "        END IF;\n"
        "    ELSIF OLD.subject_id = OLD.alias THEN\n"
        "        RETURN OLD;\n"
        "    END IF;\n"
        "    RAISE EXCEPTION 'audit_alias is only forgotten' USING ERRCODE = 'insufficient_privilege';\n"
        "END\n"
        "$body$",
        "CREATE OR REPLACE TRIGGER audit_alias_no_change BEFORE UPDATE OR DELETE ON audit_alias FOR EACH"
        " ROW EXECUTE FUNCTION audit_alias_only_forgotten()",
        "CREATE OR REPLACE TRIGGER audit_alias_no_truncate BEFORE TRUNCATE ON audit_alias EXECUTE "
        "FUNCTION audit_refuse_change()",
    ],
}
"""By dialect; what refuses to move or remove a name."""


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("audit_alias", sa.Column("mark", sa.LargeBinary(), nullable=True))
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Take this revision back; names that were forgotten meanwhile go."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("update", "delete", "replace"):
            op.execute(f"DROP TRIGGER audit_alias_no_{name}")
    else:
        op.execute("DROP TRIGGER audit_alias_no_change ON audit_alias")
        op.execute("DROP TRIGGER audit_alias_no_truncate ON audit_alias")
        op.execute("DROP FUNCTION audit_alias_only_forgotten()")
    op.execute("DELETE FROM audit_alias WHERE subject_id = alias")
    op.drop_column("audit_alias", "mark")
