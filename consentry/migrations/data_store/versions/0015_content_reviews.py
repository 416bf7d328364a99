"""Posts and campaign texts that wait for a physician and a compliance officer, and what both said."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "content_review",
        sa.Column("review_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="post or campaign"),
        sa.Column("author", sa.String(length=16), nullable=False, comment="member, doctor or operator"),
        sa.Column("subject_id", sa.String(length=40), nullable=True, comment="whose post; null where nobody is named"),
        sa.Column("text_mark", sa.String(length=64), nullable=False, comment="keyed hash of the text that may appear"),
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=True,
            comment="the text; null where it is blocked, and of a post that was decided",
        ),
        sa.Column("rules_hash", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False, comment="the severest of the rules'"),
        sa.Column("hits", sa.Text(), nullable=False, comment="JSON: counts by rule"),
        sa.Column("submitted_by", sa.String(length=40), nullable=False, comment="a principal"),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("submit_entry", sa.String(length=40), nullable=False),
        *(
            column
            for part in ("medical", "compliance")
            for column in (
                sa.Column(
                    f"{part}_verdict", sa.String(length=8), nullable=True,
                    comment="approved or rejected; null while nobody has said",
                ),
                sa.Column(f"{part}_by", sa.String(length=40), nullable=True, comment="another principal"),
                sa.Column(f"{part}_at", sa.BigInteger(), nullable=True),
                sa.Column(f"{part}_entry", sa.String(length=40), nullable=True),
            )
        ),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_content_review")),
    )  # fmt: skip
    op.create_index(op.f("ix_content_review_subject_id"), "content_review", ["subject_id"], unique=False)
    op.create_index(op.f("ix_content_review_submitted_at"), "content_review", ["submitted_at"], unique=False)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("content_review")
