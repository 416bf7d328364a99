"""Attachments, holds, and the deletion of what has expired."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KINDS: Final = "kind IN ('notify_emergency', 'ask_again', 'inform')"
"""Of tasks, before."""

KINDS_NOW: Final = "kind IN ('notify_emergency', 'ask_again', 'inform', 'close_account')"


def upgrade() -> None:
    """Add what is new."""
    _add_attachments()
    _add_holds_and_sweeps()
    op.create_index(op.f("ix_sealed_record_expires_at"), "sealed_record", ["expires_at"])
    _set_kinds(KINDS_NOW)


def downgrade() -> None:
    """Take this revision back; attachments are lost with their tables, and tasks to close accounts."""
    op.execute("DELETE FROM task WHERE kind = 'close_account'")
    _set_kinds(KINDS)
    op.drop_index(op.f("ix_sealed_record_expires_at"), "sealed_record")
    for name in ("retiring_key", "sweep", "legal_hold", "attachment_chunk", "attachment"):
        op.drop_table(name)


def _set_kinds(condition: str) -> None:
    """Say which kinds of tasks there are."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_task_kind"), "task", type_="check")
        op.create_check_constraint(op.f("ck_task_kind"), "task", condition)
        return
    with op.batch_alter_table("task", recreate="always") as task:  # a table that is made anew has lost its conditions
        task.create_check_constraint(op.f("ck_task_kind"), condition)


def _add_attachments() -> None:
    op.create_table(
        "attachment",
        sa.Column("record_id", sa.String(length=40), nullable=False, comment="of the attachment"),
        sa.Column("row_no", sa.BigInteger(), nullable=False, comment="negative and random: no record's number"),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False, comment="code; the payload names it, too"),
        sa.Column("record_key", sa.String(length=22), nullable=False, comment="as of a record"),
        sa.Column(
            "content_key",
            sa.LargeBinary(length=16),
            nullable=True,
            comment="keyed digest of the content; null while it comes",
        ),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("compartment", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False, comment="of collection"),
        sa.Column("permit_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("observed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True, comment="null: with the account"),
        sa.Column("held_until", sa.BigInteger(), nullable=True, comment="end of the legal hold; null: none"),
        sa.Column("schema_version", sa.SmallInteger(), nullable=False),
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=True, comment="null while it comes"),
        sa.Column(
            "payload",
            sa.LargeBinary(),
            nullable=True,
            comment="its content key, sealed like a field; null while it comes",
        ),
        sa.Column(
            "details",
            sa.LargeBinary(),
            nullable=True,
            comment="name, media type, size and digest, under the content key",
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state = 'open' OR (key_id IS NOT NULL AND payload IS NOT NULL AND details IS NOT NULL)",
            name=op.f("ck_attachment_complete"),
        ),
        sa.CheckConstraint("row_no < 0", name=op.f("ck_attachment_row_no")),
        sa.CheckConstraint("state IN ('open', 'complete')", name=op.f("ck_attachment_state")),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_attachment")),
        sa.UniqueConstraint("row_no", name=op.f("uq_attachment_row_no")),
    )
    op.create_index(op.f("ix_attachment_expires_at"), "attachment", ["expires_at"])
    op.create_index(
        op.f("ix_attachment_open"),
        "attachment",
        ["opened_at"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(op.f("uq_attachment_content"), "attachment", ["subject_id", "content_key"], unique=True)
    op.create_table(
        "attachment_chunk",
        sa.Column("record_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False, comment="from 0"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="see docs/reference/ciphertext-format.md"),
        sa.ForeignKeyConstraint(
            ["record_id"], ["attachment.record_id"], name=op.f("fk_attachment_chunk_record_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("record_id", "number", name=op.f("pk_attachment_chunk")),
    )


def _add_holds_and_sweeps() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("hold_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("compartment", sa.String(length=16), nullable=True, comment="null: all"),
        sa.Column("field", sa.String(length=64), nullable=True, comment="null: all"),
        sa.Column("reference", sa.String(length=64), nullable=False, comment="the matter's number where it is kept"),
        sa.Column("set_by", sa.String(length=256), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True, comment="null: until it is released"),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("released_by", sa.String(length=256), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("release_entry", sa.String(length=40), nullable=True),
        sa.CheckConstraint("(released_at IS NULL) = (release_entry IS NULL)", name=op.f("ck_legal_hold_released")),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_legal_hold")),
    )
    op.create_index(op.f("ix_legal_hold_subject_id"), "legal_hold", ["subject_id"])
    op.create_table(
        "sweep",
        sa.Column("sweep_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("started_entry", sa.String(length=40), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False, comment="what went so far: in all, by field and by kind"),
        sa.Column("certificate", sa.LargeBinary(), nullable=True, comment="canonical JSON"),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=True),
        sa.CheckConstraint("state IN ('started', 'finished')", name=op.f("ck_sweep_state")),
        sa.PrimaryKeyConstraint("sweep_id", name=op.f("pk_sweep")),
    )
    op.create_index(
        op.f("uq_sweep_started"),
        "sweep",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'started'"),
        postgresql_where=sa.text("state = 'started'"),
    )
    op.create_table(
        "retiring_key",
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("sweep_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("compartment", sa.String(length=16), nullable=False),
        sa.Column(
            "fields",
            sa.Text(),
            nullable=False,
            comment="JSON list; of the subject's, those that had values that went",
        ),
        sa.ForeignKeyConstraint(["sweep_id"], ["sweep.sweep_id"], name=op.f("fk_retiring_key_sweep_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_retiring_key")),
    )
