"""The register deepened: periods, uses, notices' differences, assessments, recipients, tasks, the wake of a withdrawal."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TRIGGERS: Final = {
    "sqlite": [
        "CREATE TRIGGER decision_use_no_update BEFORE UPDATE ON decision_use BEGIN SELECT RAISE(ABORT, "
        "'table decision_use is append-only'); END",
        "CREATE TRIGGER decision_use_no_delete BEFORE DELETE ON decision_use BEGIN SELECT RAISE(ABORT, "
        "'table decision_use is append-only'); END",
        "CREATE TRIGGER decision_use_no_replace BEFORE INSERT ON decision_use WHEN EXISTS (SELECT 1 FROM "
        "decision_use WHERE decision_id = NEW.decision_id AND permit_id = NEW.permit_id) BEGIN SELECT "
        "RAISE(ABORT, 'table decision_use is append-only'); END",
        "CREATE TRIGGER notice_change_no_update BEFORE UPDATE ON notice_change BEGIN SELECT RAISE(ABORT, "
        "'table notice_change is append-only'); END",
        "CREATE TRIGGER notice_change_no_delete BEFORE DELETE ON notice_change BEGIN SELECT RAISE(ABORT, "
        "'table notice_change is append-only'); END",
        "CREATE TRIGGER notice_change_no_replace BEFORE INSERT ON notice_change WHEN EXISTS (SELECT 1 "
        "FROM notice_change WHERE code = NEW.code AND edition = NEW.edition AND purpose = NEW.purpose "
        "AND aspect = NEW.aspect AND item = NEW.item) BEGIN SELECT RAISE(ABORT, 'table notice_change is "
        "append-only'); END",
        "CREATE TRIGGER assessment_no_update BEFORE UPDATE ON assessment BEGIN SELECT RAISE(ABORT, "
        "'table assessment is append-only'); END",
        "CREATE TRIGGER assessment_no_delete BEFORE DELETE ON assessment BEGIN SELECT RAISE(ABORT, "
        "'table assessment is append-only'); END",
        "CREATE TRIGGER assessment_no_replace BEFORE INSERT ON assessment WHEN EXISTS (SELECT 1 FROM "
        "assessment WHERE assessment_id = NEW.assessment_id AND version = NEW.version) BEGIN SELECT "
        "RAISE(ABORT, 'table assessment is append-only'); END",
        "CREATE TRIGGER recipient_no_update BEFORE UPDATE ON recipient BEGIN SELECT RAISE(ABORT, 'table "
        "recipient is append-only'); END",
        "CREATE TRIGGER recipient_no_delete BEFORE DELETE ON recipient BEGIN SELECT RAISE(ABORT, 'table "
        "recipient is append-only'); END",
        "CREATE TRIGGER recipient_no_replace BEFORE INSERT ON recipient WHEN EXISTS (SELECT 1 FROM "
        "recipient WHERE code = NEW.code AND version = NEW.version) BEGIN SELECT RAISE(ABORT, 'table "
        "recipient is append-only'); END",
        "CREATE TRIGGER standing_change_no_update BEFORE UPDATE ON standing_change BEGIN SELECT "
        "RAISE(ABORT, 'table standing_change is append-only'); END",
        "CREATE TRIGGER standing_change_no_delete BEFORE DELETE ON standing_change BEGIN SELECT "
        "RAISE(ABORT, 'table standing_change is append-only'); END",
        "CREATE TRIGGER standing_change_no_replace BEFORE INSERT ON standing_change WHEN EXISTS (SELECT "
        "1 FROM standing_change WHERE position = NEW.position) BEGIN SELECT RAISE(ABORT, 'table "
        "standing_change is append-only'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION decision_use_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''table decision_use is append-only'' USING ERRCODE = "
        "''insufficient_privilege''; END'",
        "CREATE TRIGGER decision_use_no_change BEFORE UPDATE OR DELETE ON decision_use FOR EACH ROW "
        "EXECUTE FUNCTION decision_use_append_only()",
        "CREATE TRIGGER decision_use_no_truncate BEFORE TRUNCATE ON decision_use FOR EACH STATEMENT "
        "EXECUTE FUNCTION decision_use_append_only()",
        "CREATE OR REPLACE FUNCTION notice_change_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''table notice_change is append-only'' USING ERRCODE = "
        "''insufficient_privilege''; END'",
        "CREATE TRIGGER notice_change_no_change BEFORE UPDATE OR DELETE ON notice_change FOR EACH "
        "ROW EXECUTE FUNCTION notice_change_append_only()",
        "CREATE TRIGGER notice_change_no_truncate BEFORE TRUNCATE ON notice_change FOR EACH "
        "STATEMENT EXECUTE FUNCTION notice_change_append_only()",
        "CREATE OR REPLACE FUNCTION assessment_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''table assessment is append-only'' USING ERRCODE = "
        "''insufficient_privilege''; END'",
        "CREATE TRIGGER assessment_no_change BEFORE UPDATE OR DELETE ON assessment FOR EACH ROW "
        "EXECUTE FUNCTION assessment_append_only()",
        "CREATE TRIGGER assessment_no_truncate BEFORE TRUNCATE ON assessment FOR EACH STATEMENT "
        "EXECUTE FUNCTION assessment_append_only()",
        "CREATE OR REPLACE FUNCTION recipient_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''table recipient is append-only'' USING ERRCODE = "
        "''insufficient_privilege''; END'",
        "CREATE TRIGGER recipient_no_change BEFORE UPDATE OR DELETE ON recipient FOR EACH ROW "
        "EXECUTE FUNCTION recipient_append_only()",
        "CREATE TRIGGER recipient_no_truncate BEFORE TRUNCATE ON recipient FOR EACH STATEMENT "
        "EXECUTE FUNCTION recipient_append_only()",
        "CREATE OR REPLACE FUNCTION standing_change_append_only() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RAISE EXCEPTION ''table standing_change is append-only'' USING ERRCODE = "
        "''insufficient_privilege''; END'",
        "CREATE TRIGGER standing_change_no_change BEFORE UPDATE OR DELETE ON standing_change FOR "
        "EACH ROW EXECUTE FUNCTION standing_change_append_only()",
        "CREATE TRIGGER standing_change_no_truncate BEFORE TRUNCATE ON standing_change FOR EACH "
        "STATEMENT EXECUTE FUNCTION standing_change_append_only()",
    ],
}
"""By dialect: what refuses to change the past."""

DROPS: Final = {
    "sqlite": [
        "DROP TRIGGER decision_use_no_update",
        "DROP TRIGGER decision_use_no_delete",
        "DROP TRIGGER decision_use_no_replace",
        "DROP TRIGGER notice_change_no_update",
        "DROP TRIGGER notice_change_no_delete",
        "DROP TRIGGER notice_change_no_replace",
        "DROP TRIGGER assessment_no_update",
        "DROP TRIGGER assessment_no_delete",
        "DROP TRIGGER assessment_no_replace",
        "DROP TRIGGER recipient_no_update",
        "DROP TRIGGER recipient_no_delete",
        "DROP TRIGGER recipient_no_replace",
        "DROP TRIGGER standing_change_no_update",
        "DROP TRIGGER standing_change_no_delete",
        "DROP TRIGGER standing_change_no_replace",
    ],
    "postgresql": [
        "DROP TRIGGER decision_use_no_change ON decision_use",
        "DROP TRIGGER decision_use_no_truncate ON decision_use",
        "DROP TRIGGER notice_change_no_change ON notice_change",
        "DROP TRIGGER notice_change_no_truncate ON notice_change",
        "DROP TRIGGER assessment_no_change ON assessment",
        "DROP TRIGGER assessment_no_truncate ON assessment",
        "DROP TRIGGER recipient_no_change ON recipient",
        "DROP TRIGGER recipient_no_truncate ON recipient",
        "DROP TRIGGER standing_change_no_change ON standing_change",
        "DROP TRIGGER standing_change_no_truncate ON standing_change",
        "DROP FUNCTION decision_use_append_only()",
        "DROP FUNCTION notice_change_append_only()",
        "DROP FUNCTION assessment_append_only()",
        "DROP FUNCTION recipient_append_only()",
        "DROP FUNCTION standing_change_append_only()",
    ],
}

FILLED: Final = (
    "INSERT INTO standing_change (subject_id, state, deceased, age_class, age_class_until, changed_at) "
    "SELECT subject_id, state, deceased, age_class, age_class_until, registered_at FROM subject_standing",
    "INSERT INTO register_head (head_id, revision, suspended) VALUES (1, 1, NULL)",
    "INSERT INTO notice_change (code, edition, purpose, aspect, item, published_at) "
    "SELECT code, edition, '*', 'purpose', '', MIN(published_at) FROM notice WHERE material GROUP BY code, edition",
)
"""What was stored before these tables were there; a material edition then concerned every purpose of its notice."""


def upgrade() -> None:
    """Add tables and columns, fill what follows from the old ones, and guard the past."""
    op.create_table(
        "assessment",
        sa.Column("assessment_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False, comment="JSON list"),
        sa.Column(
            "content", sa.LargeBinary(), nullable=False, comment="canonical JSON of the three parts and measures"
        ),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.String(length=120), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("keep_until", sa.BigInteger(), nullable=False, comment="deletion before is refused: PIPL 56"),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.CheckConstraint("outcome IN ('approved', 'rejected', 'revoked')", name=op.f("ck_assessment_outcome")),
        sa.PrimaryKeyConstraint("assessment_id", "version", name=op.f("pk_assessment")),
    )
    op.create_table(
        "cohort_batch",
        sa.Column("cohort_id", sa.String(length=40), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False, comment="from 1"),
        sa.Column("first_subject", sa.String(length=40), nullable=False),
        sa.Column("last_subject", sa.String(length=40), nullable=False),
        sa.Column("permit_entry", sa.String(length=40), nullable=True),
        sa.Column("refusal_entry", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("cohort_id", "batch", name=op.f("pk_cohort_batch")),
    )
    op.create_table(
        "cohort_check",
        sa.Column("cohort_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False, comment="empty for none"),
        sa.Column("fields", sa.Text(), nullable=False, comment="JSON list"),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("cohort_id", name=op.f("pk_cohort_check")),
    )
    op.create_table(
        "cohort_shape",
        sa.Column("cohort_id", sa.String(length=40), nullable=False),
        sa.Column("shape", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Text(), nullable=False, comment="JSON list of fields"),
        sa.Column("refused", sa.Text(), nullable=False, comment="JSON object: field to reason"),
        sa.PrimaryKeyConstraint("cohort_id", "shape", name=op.f("pk_cohort_shape")),
    )
    op.create_table(
        "cohort_verdict",
        sa.Column("cohort_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("shape", sa.Integer(), nullable=False, comment="see cohort_shape"),
        sa.Column("basis_decision", sa.String(length=40), nullable=True),
        sa.Column("consent_decision", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("cohort_id", "subject_id", name=op.f("pk_cohort_verdict")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "decision_use",
        sa.Column("decision_id", sa.String(length=40), nullable=False),
        sa.Column("permit_id", sa.String(length=40), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", "permit_id", name=op.f("pk_decision_use")),
    )
    op.create_index(op.f("ix_decision_use_permit_id"), "decision_use", ["permit_id"], unique=False)
    op.create_table(
        "notice_change",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column(
            "edition", sa.Integer(), nullable=False, comment="grants under earlier editions do not cover the item"
        ),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("aspect", sa.String(length=16), nullable=False, comment="purpose, field or recipient"),
        sa.Column(
            "item",
            sa.String(length=128),
            nullable=False,
            comment="field or recipient code; empty for the whole purpose",
        ),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", "edition", "purpose", "aspect", "item", name=op.f("pk_notice_change")),
    )
    op.create_table(
        "recipient",
        sa.Column("code", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column(
            "content",
            sa.LargeBinary(),
            nullable=False,
            comment="canonical JSON: name, contact, scope, contract, mechanism",
        ),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.CheckConstraint("kind IN ('controller', 'joint', 'processor', 'authority')", name=op.f("ck_recipient_kind")),
        sa.PrimaryKeyConstraint("code", "version", name=op.f("pk_recipient")),
    )
    op.create_table(
        "register_head",
        sa.Column("head_id", sa.Integer(), autoincrement=False, nullable=False, comment="1"),
        sa.Column(
            "revision", sa.Integer(), nullable=False, comment="moves with every notice, assessment and recipient"
        ),
        sa.Column(
            "suspended", sa.Text(), nullable=True, comment="why the gate refuses everything; null while it does not"
        ),
        sa.PrimaryKeyConstraint("head_id", name=op.f("pk_register_head")),
    )
    op.create_table(
        "transfer",
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("sensitive", sa.Boolean(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("year", "recipient", "subject_id", name=op.f("pk_transfer")),
    )
    op.create_table(
        "standing_change",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("deceased", sa.Boolean(), nullable=False),
        sa.Column("age_class", sa.String(length=8), nullable=False),
        sa.Column("age_class_until", sa.Date(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject_standing.subject_id"], name=op.f("fk_standing_change_subject_id")
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_standing_change")),
    )
    op.create_index(
        op.f("ix_standing_change_subject_id_position"), "standing_change", ["subject_id", "position"], unique=False
    )
    op.create_table(
        "task",
        sa.Column("task_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False, comment="entry or decision that it follows"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("done_entry", sa.String(length=40), nullable=True),
        sa.CheckConstraint("kind IN ('notify_emergency', 'ask_again', 'inform')", name=op.f("ck_task_kind")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject_standing.subject_id"], name=op.f("fk_task_subject_id")),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_task")),
        sa.UniqueConstraint(
            "kind", "subject_id", "purpose", "cause", name=op.f("uq_task_kind_subject_id_purpose_cause")
        ),
    )
    op.create_index(op.f("ix_task_done_at_due_at"), "task", ["done_at", "due_at"], unique=False)
    op.create_table(
        "wake_item",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False, comment="the act that closed something"),
        sa.Column("decision_id", sa.String(length=40), nullable=True),
        sa.Column("closing_entry", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False, comment="empty for all purposes"),
        sa.Column("recipient", sa.String(length=128), nullable=False, comment="empty for none"),
        sa.Column("handler", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=128), nullable=False, comment="empty where the handler has one only"),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(length=80), nullable=True, comment="name of the last error"),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True, comment="JSON: counts and references, never a value"),
        sa.Column("finished_entry", sa.String(length=40), nullable=True),
        sa.CheckConstraint("state IN ('open', 'sending', 'done', 'dead')", name=op.f("ck_wake_item_state")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject_standing.subject_id"], name=op.f("fk_wake_item_subject_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_wake_item")),
        sa.UniqueConstraint("item_id", name=op.f("uq_wake_item_item_id")),
    )
    op.create_index(op.f("ix_wake_item_state_next_at"), "wake_item", ["state", "next_at"], unique=False)
    op.create_index(op.f("ix_wake_item_subject_id_position"), "wake_item", ["subject_id", "position"], unique=False)
    op.create_table(
        "read_approval",
        sa.Column("approval_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False, comment="of those who may read"),
        sa.Column("approved_by", sa.String(length=40), nullable=False, comment="a principal, who may not read"),
        sa.Column("approved_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("approval_id", name=op.f("pk_read_approval")),
    )
    op.create_index(op.f("ix_read_approval_subject_id"), "read_approval", ["subject_id"], unique=False)
    op.create_table(
        "webhook_target",
        sa.Column("target_id", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False, comment="its code, or *joint"),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False, comment="sealed, bound to target_id"),
        sa.Column("former", sa.LargeBinary(), nullable=True, comment="the secret before it, sealed"),
        sa.Column("former_until", sa.BigInteger(), nullable=True, comment="until then both sign"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("disabled_why", sa.String(length=16), nullable=True, comment="operator or gone"),
        sa.PrimaryKeyConstraint("target_id", name=op.f("pk_webhook_target")),
    )
    op.add_column("consent_current", sa.Column("valid_from", sa.BigInteger(), nullable=True))
    op.add_column("consent_current", sa.Column("max_uses", sa.Integer(), nullable=True))
    op.add_column(
        "consent_current",
        sa.Column("uses", sa.Integer(), server_default="0", nullable=False, comment="permits that rest on it so far"),
    )
    op.add_column(
        "consent_current",
        sa.Column("decided_by", sa.String(length=40), nullable=True, comment="the guardian, kin or agent who decided"),
    )
    op.create_index(
        op.f("ix_consent_current_by_guardian"),
        "consent_current",
        ["by_guardian"],
        unique=False,
        sqlite_where=sa.text("by_guardian"),
        postgresql_where=sa.text("by_guardian"),
    )
    op.create_index(
        op.f("ix_consent_current_max_uses"),
        "consent_current",
        ["max_uses"],
        unique=False,
        sqlite_where=sa.text("max_uses IS NOT NULL"),
        postgresql_where=sa.text("max_uses IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_consent_current_valid_until"),
        "consent_current",
        ["valid_until"],
        unique=False,
        sqlite_where=sa.text("valid_until IS NOT NULL"),
        postgresql_where=sa.text("valid_until IS NOT NULL"),
    )
    op.add_column(
        "decision",
        sa.Column("renews", sa.String(length=40), nullable=True, comment="the decision that a renewal follows"),
    )
    op.add_column("decision", sa.Column("valid_from", sa.BigInteger(), nullable=True, comment="null: from decided_at"))
    op.add_column(
        "decision",
        sa.Column("max_uses", sa.Integer(), nullable=True, comment="permits that may rest on it; null: any number"),
    )
    op.add_column(
        "decision",
        sa.Column(
            "offset_minutes", sa.Integer(), nullable=True, comment="of decided_at as its source wrote it, east positive"
        ),
    )
    op.add_column(
        "erasure", sa.Column("fields", sa.Text(), nullable=True, comment="JSON list; null for the whole subject")
    )
    op.add_column(
        "erasure",
        sa.Column(
            "key_ids",
            sa.Text(),
            nullable=True,
            comment="JSON list in hexadecimal; of the keys that go with chosen fields",
        ),
    )
    op.add_column(
        "guardian",
        sa.Column(
            "capacity",
            sa.String(length=8),
            server_default="guardian",
            nullable=False,
            comment="guardian, or kin of a deceased",
        ),
    )
    op.add_column(
        "principal",
        sa.Column(
            "processor",
            sa.String(length=128),
            nullable=True,
            comment="code of the recipient whose contract binds this key",
        ),
    )
    op.add_column("subject_standing", sa.Column("deceased", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column(
        "subject_standing",
        sa.Column(
            "no_kin",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="of a deceased who directed so: PIPL 49",
        ),
    )
    op.add_column(
        "subject_standing",
        sa.Column(
            "merged_into",
            sa.String(length=40),
            nullable=True,
            comment="the subject who turned out to be the same person",
        ),
    )
    op.create_index(
        op.f("ix_subject_standing_merged_into"),
        "subject_standing",
        ["merged_into"],
        unique=False,
        sqlite_where=sa.text("merged_into IS NOT NULL"),
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )

    for statement in (*FILLED, *TRIGGERS[op.get_bind().dialect.name]):
        op.execute(statement)


def downgrade() -> None:
    """Take it back; decisions of acts that only this revision knows must not be there."""
    for statement in DROPS[op.get_bind().dialect.name]:
        op.execute(statement)

    op.drop_index(
        op.f("ix_subject_standing_merged_into"),
        table_name="subject_standing",
        sqlite_where=sa.text("merged_into IS NOT NULL"),
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.drop_column("subject_standing", "merged_into")
    op.drop_column("subject_standing", "no_kin")
    op.drop_column("subject_standing", "deceased")
    op.drop_column("principal", "processor")
    op.drop_column("guardian", "capacity")
    op.drop_column("erasure", "key_ids")
    op.drop_column("erasure", "fields")
    op.drop_column("decision", "offset_minutes")
    op.drop_column("decision", "max_uses")
    op.drop_column("decision", "valid_from")
    op.drop_column("decision", "renews")
    op.drop_index(
        op.f("ix_consent_current_valid_until"),
        table_name="consent_current",
        sqlite_where=sa.text("valid_until IS NOT NULL"),
        postgresql_where=sa.text("valid_until IS NOT NULL"),
    )
    op.drop_index(
        op.f("ix_consent_current_max_uses"),
        table_name="consent_current",
        sqlite_where=sa.text("max_uses IS NOT NULL"),
        postgresql_where=sa.text("max_uses IS NOT NULL"),
    )
    op.drop_index(
        op.f("ix_consent_current_by_guardian"),
        table_name="consent_current",
        sqlite_where=sa.text("by_guardian"),
        postgresql_where=sa.text("by_guardian"),
    )
    op.drop_column("consent_current", "decided_by")
    op.drop_column("consent_current", "uses")
    op.drop_column("consent_current", "max_uses")
    op.drop_column("consent_current", "valid_from")
    op.drop_table("webhook_target")
    op.drop_index(op.f("ix_read_approval_subject_id"), table_name="read_approval")
    op.drop_table("read_approval")
    op.drop_index(op.f("ix_wake_item_subject_id_position"), table_name="wake_item")
    op.drop_index(op.f("ix_wake_item_state_next_at"), table_name="wake_item")
    op.drop_table("wake_item")
    op.drop_index(op.f("ix_task_done_at_due_at"), table_name="task")
    op.drop_table("task")
    op.drop_index(op.f("ix_standing_change_subject_id_position"), table_name="standing_change")
    op.drop_table("standing_change")
    op.drop_table("transfer")
    op.drop_table("register_head")
    op.drop_table("recipient")
    op.drop_table("notice_change")
    op.drop_index(op.f("ix_decision_use_permit_id"), table_name="decision_use")
    op.drop_table("decision_use")
    op.drop_table("cohort_verdict")
    op.drop_table("cohort_shape")
    op.drop_table("cohort_check")
    op.drop_table("cohort_batch")
    op.drop_table("assessment")
