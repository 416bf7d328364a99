"""Versions and corrections of records."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.create_table(
        "record_change",
        sa.Column("change_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False, comment="whose records they are from then on"),
        sa.Column(
            "from_subject", sa.String(length=40), nullable=True, comment="whose they were; null for a correction"
        ),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("selection", sa.Text(), nullable=True, comment="JSON; which records of a subject that is split"),
        sa.Column(
            "links", sa.Text(), nullable=True, comment="JSON list in hexadecimal; digests of source ids that move"
        ),
        sa.Column(
            "key_ids", sa.Text(), nullable=True, comment="JSON list in hexadecimal; of the keys that the records left"
        ),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.CheckConstraint("kind IN ('correction', 'merge', 'split')", name=op.f("ck_record_change_kind")),
        sa.CheckConstraint("state IN ('started', 'moved', 'done')", name=op.f("ck_record_change_state")),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_record_change")),
    )
    op.create_index(op.f("ix_record_change_subject_id"), "record_change", ["subject_id"])
    op.create_index(op.f("ix_record_change_from_subject"), "record_change", ["from_subject"])
    op.create_index(
        "ix_record_change_open",
        "record_change",
        ["state"],
        sqlite_where=sa.text("state <> 'done'"),
        postgresql_where=sa.text("state <> 'done'"),
    )


def downgrade() -> None:
    """Take this revision back; what was not finished stays unfinished."""
    op.drop_table("record_change")
