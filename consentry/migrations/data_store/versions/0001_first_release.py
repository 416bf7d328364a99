"""First release of the data store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "notice",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("locale", sa.String(length=16), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False, comment="counts the versions of a code, from 1"),
        sa.Column("material", sa.Boolean(), nullable=False, comment="grants of earlier editions do not cover it"),
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256 of content"),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="canonical JSON of the exact text"),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("code", "version", "locale", name=op.f("pk_notice")),
    )
    op.create_table(
        "notice_head",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False, comment="the newest"),
        sa.Column(
            "material_edition",
            sa.Integer(),
            nullable=False,
            comment="the newest material one; older grants do not count",
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_notice_head")),
    )
    op.create_table(
        "subject_standing",
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column(
            "revision",
            sa.Integer(),
            nullable=False,
            comment="moves with every decision, restriction and guardian change",
        ),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("age_class", sa.String(length=8), nullable=False, comment="as of registration; see consent.ages"),
        sa.Column("age_class_until", sa.Date(), nullable=True, comment="first of the month after the class ends"),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "age_class IN ('under_14', 'under_18', 'adult', 'unknown')", name=op.f("ck_subject_standing_age_class")
        ),
        sa.CheckConstraint(
            "state IN ('active', 'restricted', 'erasing', 'erased')", name=op.f("ck_subject_standing_state")
        ),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_subject_standing")),
    )
    op.create_table(
        "agent",
        sa.Column("relation_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("agent", sa.String(length=40), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False, comment="JSON list"),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["subject_standing.subject_id"], name=op.f("fk_agent_agent")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject_standing.subject_id"], name=op.f("fk_agent_subject_id")),
        sa.PrimaryKeyConstraint("relation_id", name=op.f("pk_agent")),
    )
    op.create_index(op.f("ix_agent_subject_id"), "agent", ["subject_id"], unique=False)
    op.create_table(
        "consent_current",
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False, comment="empty for none"),
        sa.Column(
            "track",
            sa.String(length=8),
            nullable=False,
            comment="basis (contract, duty) or consent (grant, refuse, withdraw)",
        ),
        sa.Column("act", sa.String(length=8), nullable=False),
        sa.Column("decision_id", sa.String(length=40), nullable=False),
        sa.Column("by_guardian", sa.Boolean(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("notice_code", sa.String(length=64), nullable=True),
        sa.Column("notice_edition", sa.Integer(), nullable=True),
        sa.Column("fields", sa.Text(), nullable=True, comment="JSON list; null for all fields of the purpose"),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject_standing.subject_id"], name=op.f("fk_consent_current_subject_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", "purpose", "recipient", "track", name=op.f("pk_consent_current")),
    )
    op.create_table(
        "decision",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("decision_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False, comment="empty for none"),
        sa.Column("track", sa.String(length=8), nullable=False),
        sa.Column("act", sa.String(length=8), nullable=False),
        sa.Column("notice_code", sa.String(length=64), nullable=True),
        sa.Column("notice_version", sa.String(length=32), nullable=True),
        sa.Column("notice_locale", sa.String(length=16), nullable=True),
        sa.Column("notice_hash", sa.String(length=64), nullable=True),
        sa.Column("actor_kind", sa.String(length=8), nullable=False),
        sa.Column("actor_subject", sa.String(length=40), nullable=True),
        sa.Column("fields", sa.Text(), nullable=True, comment="JSON list; null for all fields of the purpose"),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False, comment="sealed, bound to decision_id"),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["subject_id"], ["subject_standing.subject_id"], name=op.f("fk_decision_subject_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_decision")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_decision_decision_id")),
    )
    op.create_index(op.f("ix_decision_subject_id_position"), "decision", ["subject_id", "position"], unique=False)
    op.create_table(
        "guardian",
        sa.Column("relation_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("guardian", sa.String(length=40), nullable=False),
        sa.Column("verification", sa.String(length=64), nullable=False, comment="the method's name"),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True, comment="a minor's majority"),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["guardian"], ["subject_standing.subject_id"], name=op.f("fk_guardian_guardian")),
        sa.ForeignKeyConstraint(["subject_id"], ["subject_standing.subject_id"], name=op.f("fk_guardian_subject_id")),
        sa.PrimaryKeyConstraint("relation_id", name=op.f("pk_guardian")),
    )
    op.create_index(op.f("ix_guardian_subject_id"), "guardian", ["subject_id"], unique=False)

    op.create_table(
        "audit_alias",
        sa.Column("alias", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_audit_alias")),
        sa.UniqueConstraint("subject_id", "year", name=op.f("uq_audit_alias_subject_id_year")),
    )
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_audit_checkpoint")),
    )
    op.create_table(
        "audit_cohort",
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_cohort")),
    )
    op.create_table(
        "audit_cohort_member",
        sa.Column("alias", sa.String(length=40), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("alias", "entry_id", name=op.f("pk_audit_cohort_member")),
    )
    op.create_index(op.f("ix_audit_cohort_member_entry_id"), "audit_cohort_member", ["entry_id"], unique=False)
    op.create_table(
        "audit_detail",
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_detail")),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "audit_inbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_inbox")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit_leaf",
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=256), nullable=False),
        sa.Column("purpose", sa.String(length=256), nullable=True),
        sa.Column("request_id", sa.String(length=256), nullable=False),
        sa.Column("alias", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("leaf_index", name=op.f("pk_audit_leaf")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_leaf_entry_id")),
    )
    op.create_index(op.f("ix_audit_leaf_act_leaf_index"), "audit_leaf", ["act", "leaf_index"], unique=False)
    op.create_index(op.f("ix_audit_leaf_actor_leaf_index"), "audit_leaf", ["actor", "leaf_index"], unique=False)
    op.create_index(op.f("ix_audit_leaf_alias_leaf_index"), "audit_leaf", ["alias", "leaf_index"], unique=False)
    op.create_index(op.f("ix_audit_leaf_at"), "audit_leaf", ["at"], unique=False)
    op.create_index(op.f("ix_audit_leaf_request_id"), "audit_leaf", ["request_id"], unique=False)
    op.create_table(
        "audit_subtree",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position", name=op.f("pk_audit_subtree")),
    )

    op.create_table(
        "batch",
        sa.Column("batch_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("input_digest", sa.String(length=64), nullable=False, comment="keyed, in hexadecimal"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="units of the input that are done"),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'complete', 'discarding', 'discarded')", name=op.f("ck_batch_state")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch")),
    )
    op.create_index(
        "uq_batch_open_input",
        "batch",
        ["kind", "input_digest"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("started_entry", sa.String(length=40), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("restricted_until", sa.BigInteger(), nullable=True, comment="of what a legal hold keeps"),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=True, comment="canonical JSON"),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=True),
        sa.CheckConstraint("state IN ('started', 'restricted', 'erased')", name=op.f("ck_erasure_state")),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erasure")),
    )
    op.create_index(
        "ix_erasure_started",
        "erasure",
        ["state"],
        unique=False,
        sqlite_where=sa.text("state = 'started'"),
        postgresql_where=sa.text("state = 'started'"),
    )
    op.create_index(op.f("ix_erasure_subject_id"), "erasure", ["subject_id"], unique=False)
    op.create_table(
        "sealed_record",
        sa.Column("row_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("record_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column(
            "record_key",
            sa.String(length=22),
            nullable=False,
            comment="base64; keyed digest of whose record of which source",
        ),
        sa.Column(
            "content_key",
            sa.LargeBinary(length=16),
            nullable=False,
            comment="keyed digest of the whole record's content",
        ),
        sa.Column("part", sa.SmallInteger(), nullable=False, comment="rows of one record count from 0"),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("compartment", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False, comment="of collection"),
        sa.Column("permit_id", sa.String(length=40), nullable=False),
        sa.Column("batch_id", sa.String(length=40), nullable=False),
        sa.Column("observed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True, comment="null: with the account"),
        sa.Column("held_until", sa.BigInteger(), nullable=True, comment="end of the legal hold; null: none"),
        sa.Column("schema_version", sa.SmallInteger(), nullable=False),
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False, comment="see docs/reference/ciphertext-format.md"),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.batch_id"], name=op.f("fk_sealed_record_batch_id")),
        sa.PrimaryKeyConstraint("row_no", name=op.f("pk_sealed_record")),
    )
    op.create_index(op.f("ix_sealed_record_batch_id"), "sealed_record", ["batch_id"], unique=False)
    op.create_index(
        "uq_sealed_record_content", "sealed_record", ["subject_id", "record_key", "content_key", "part"], unique=True
    )
    op.create_table(
        "tombstone",
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("erasure_id", sa.String(length=40), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.erasure_id"], name=op.f("fk_tombstone_erasure_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_tombstone")),
    )

    op.create_table(
        "answered_act",
        sa.Column("act_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("act_key", name=op.f("pk_answered_act")),
    )
    op.create_index(op.f("ix_answered_act_subject_id"), "answered_act", ["subject_id"], unique=False)
    op.create_table(
        "export_release",
        sa.Column("export_id", sa.String(length=40), nullable=False),
        sa.Column("definition", sa.String(length=80), nullable=False),
        sa.Column("recipient", sa.String(length=120), nullable=False),
        sa.Column("scope", sa.String(length=120), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=False),
        sa.Column("recalled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("export_id", name=op.f("pk_export_release")),
        sa.UniqueConstraint("scope", name=op.f("uq_export_release_scope")),
    )
    op.create_table(
        "principal",
        sa.Column("principal_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("secret_hash", sa.String(length=200), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("subjects_per_day", sa.Integer(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal_id", name=op.f("pk_principal")),
        sa.UniqueConstraint("name", name=op.f("uq_principal_name")),
    )
    op.create_table(
        "principal_subject_day",
        sa.Column("principal_id", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "day", "subject_id", name=op.f("pk_principal_subject_day")),
    )
    op.create_table(
        "tag_run",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
            comment="order of running",
        ),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=120), nullable=False),
        sa.Column("taxonomy", sa.String(length=80), nullable=False),
        sa.Column("taxonomy_hash", sa.String(length=64), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("subjects_build", sa.String(length=40), nullable=False),
        sa.Column("events_build", sa.String(length=40), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_tag_run")),
        sa.UniqueConstraint("run_id", name=op.f("uq_tag_run_run_id")),
    )
    op.create_index(op.f("ix_tag_run_scope_position"), "tag_run", ["scope", "position"], unique=False)
    op.create_table(
        "view_build",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
            comment="order of building",
        ),
        sa.Column("build_id", sa.String(length=40), nullable=False),
        sa.Column("view", sa.String(length=80), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("built_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_view_build")),
        sa.UniqueConstraint("build_id", name=op.f("uq_view_build_build_id")),
    )
    op.create_index(op.f("ix_view_build_view_position"), "view_build", ["view", "position"], unique=False)
    op.create_table(
        "tag_value",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("pseudonym", sa.String(length=64), nullable=False),
        sa.Column("tag", sa.String(length=80), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["tag_run.run_id"], name=op.f("fk_tag_value_run_id")),
        sa.PrimaryKeyConstraint("run_id", "pseudonym", "tag", name=op.f("pk_tag_value")),
    )
    op.create_index(op.f("ix_tag_value_pseudonym"), "tag_value", ["pseudonym"], unique=False)


def downgrade() -> None:
    """Drop every table."""
    op.drop_index(op.f("ix_tag_value_pseudonym"), table_name="tag_value")
    op.drop_table("tag_value")
    op.drop_index(op.f("ix_view_build_view_position"), table_name="view_build")
    op.drop_table("view_build")
    op.drop_index(op.f("ix_tag_run_scope_position"), table_name="tag_run")
    op.drop_table("tag_run")
    op.drop_table("principal_subject_day")
    op.drop_table("principal")
    op.drop_table("export_release")
    op.drop_index(op.f("ix_answered_act_subject_id"), table_name="answered_act")
    op.drop_table("answered_act")

    op.drop_table("tombstone")
    op.drop_index("uq_sealed_record_content", table_name="sealed_record")
    op.drop_index(op.f("ix_sealed_record_batch_id"), table_name="sealed_record")
    op.drop_table("sealed_record")
    op.drop_index(op.f("ix_erasure_subject_id"), table_name="erasure")
    op.drop_index(
        "ix_erasure_started",
        table_name="erasure",
        sqlite_where=sa.text("state = 'started'"),
        postgresql_where=sa.text("state = 'started'"),
    )
    op.drop_table("erasure")
    op.drop_index(
        "uq_batch_open_input",
        table_name="batch",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.drop_table("batch")

    op.drop_table("audit_subtree")
    op.drop_index(op.f("ix_audit_leaf_request_id"), table_name="audit_leaf")
    op.drop_index(op.f("ix_audit_leaf_at"), table_name="audit_leaf")
    op.drop_index(op.f("ix_audit_leaf_alias_leaf_index"), table_name="audit_leaf")
    op.drop_index(op.f("ix_audit_leaf_actor_leaf_index"), table_name="audit_leaf")
    op.drop_index(op.f("ix_audit_leaf_act_leaf_index"), table_name="audit_leaf")
    op.drop_table("audit_leaf")
    op.drop_table("audit_inbox")
    op.drop_table("audit_head")
    op.drop_table("audit_detail")
    op.drop_index(op.f("ix_audit_cohort_member_entry_id"), table_name="audit_cohort_member")
    op.drop_table("audit_cohort_member")
    op.drop_table("audit_cohort")
    op.drop_table("audit_checkpoint")
    op.drop_table("audit_alias")

    op.drop_index(op.f("ix_guardian_subject_id"), table_name="guardian")
    op.drop_table("guardian")
    op.drop_index(op.f("ix_decision_subject_id_position"), table_name="decision")
    op.drop_table("decision")
    op.drop_table("consent_current")
    op.drop_index(op.f("ix_agent_subject_id"), table_name="agent")
    op.drop_table("agent")
    op.drop_table("subject_standing")
    op.drop_table("notice_head")
    op.drop_table("notice")
