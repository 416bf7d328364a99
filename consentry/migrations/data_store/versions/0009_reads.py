"""Case grants, emergencies and limits of reading."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new; approvals can be revoked."""
    with op.batch_alter_table("read_approval") as table:
        table.add_column(sa.Column("revoked_at", sa.BigInteger(), nullable=True, comment="null while it was not"))
        table.add_column(sa.Column("revoked_by", sa.String(length=40), nullable=True))
        table.add_column(sa.Column("revoked_entry", sa.String(length=40), nullable=True))
    _create_cases()
    _create_emergencies()
    _create_counts()
    op.create_table(
        "alarm",
        sa.Column("alarm_id", sa.String(length=40), nullable=False),
        sa.Column("target_id", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="JSON: codes, ids and instants"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column(
            "next_at", sa.BigInteger(), nullable=True, comment="null once it was told, or its target is disabled"
        ),
        sa.ForeignKeyConstraint(["target_id"], ["webhook_target.target_id"], name=op.f("fk_alarm_target_id")),
        sa.PrimaryKeyConstraint("alarm_id", name=op.f("pk_alarm")),
    )
    op.create_index(op.f("ix_alarm_next_at"), "alarm", ["next_at"], unique=False)


def _create_cases() -> None:
    op.create_table(
        "case_grant",
        sa.Column("case_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False, comment="JSON: codes in order"),
        sa.Column("role", sa.String(length=32), nullable=False, comment="of who asked"),
        sa.Column("asked_by", sa.String(length=40), nullable=False, comment="a principal, who alone opens under it"),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False, comment="from the decision on"),
        sa.Column("ticket", sa.String(length=64), nullable=True),
        sa.Column("asked_entry", sa.String(length=40), nullable=False),
        sa.Column(
            "verdict", sa.String(length=8), nullable=True, comment="granted or refused; null while nobody has decided"
        ),
        sa.Column("decided_by", sa.String(length=40), nullable=True, comment="another principal"),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True, comment="of a grant"),
        sa.Column("decided_entry", sa.String(length=40), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.String(length=40), nullable=True),
        sa.Column("revoked_entry", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_case_grant")),
    )
    op.create_index(op.f("ix_case_grant_subject_id"), "case_grant", ["subject_id"], unique=False)
    op.create_index(op.f("ix_case_grant_asked_by"), "case_grant", ["asked_by"], unique=False)


def _create_emergencies() -> None:
    op.create_table(
        "emergency_access",
        sa.Column("emergency_id", sa.String(length=40), nullable=False),
        sa.Column("principal_id", sa.String(length=40), nullable=False, comment="who opened"),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=True, comment="null once the person was erased"),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "due_at", sa.BigInteger(), nullable=False, comment="unreviewed from here on, the account is frozen"
        ),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column(
            "verdict", sa.String(length=16), nullable=True,
            comment="justified or incident; null while nobody has reviewed it",
        ),
        sa.Column("reviewed_by", sa.String(length=40), nullable=True),
        sa.Column("reviewed_at", sa.BigInteger(), nullable=True),
        sa.Column("review_entry", sa.String(length=40), nullable=True),
        sa.Column(
            "frozen_entry", sa.String(length=40), nullable=True,
            comment="that tells of the freeze; the freeze itself needs none",
        ),
        sa.Column("released_by", sa.String(length=40), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("release_entry", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("emergency_id", name=op.f("pk_emergency_access")),
    )  # fmt: skip
    op.create_index(op.f("ix_emergency_access_subject_id"), "emergency_access", ["subject_id"], unique=False)
    op.create_index(
        op.f("ix_emergency_access_principal_id_opened_at"),
        "emergency_access",
        ["principal_id", "opened_at"],
        unique=False,
    )


def _create_counts() -> None:
    op.create_table(
        "reading_count",
        sa.Column("principal_id", sa.String(length=40), nullable=False),
        *(
            column
            for window in ("minute", "hour", "day")
            for column in (
                sa.Column(f"{window}_at", sa.BigInteger(), nullable=False, comment="when the window began"),
                *(
                    sa.Column(f"{window}_{what}", sa.Integer(), nullable=False)
                    for what in ("reads", "fields", "subjects")
                ),
            )
        ),
        sa.Column("refused_at", sa.BigInteger(), nullable=True, comment="when a limit was last told of as reached"),
        sa.PrimaryKeyConstraint("principal_id", name=op.f("pk_reading_count")),
    )
    op.create_table(
        "reading_subject",
        sa.Column("principal_id", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False, comment="last"),
        sa.PrimaryKeyConstraint("principal_id", "subject_id", name=op.f("pk_reading_subject")),
    )
    op.create_index(op.f("ix_reading_subject_subject_id"), "reading_subject", ["subject_id"], unique=False)


def downgrade() -> None:
    """Take this revision back."""
    for table in ("alarm", "reading_subject", "reading_count", "emergency_access", "case_grant"):
        op.drop_table(table)
    with op.batch_alter_table("read_approval") as approvals:
        for column in ("revoked_entry", "revoked_by", "revoked_at"):
            approvals.drop_column(column)
