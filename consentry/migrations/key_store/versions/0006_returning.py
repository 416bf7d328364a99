"""Returning people: whose identifiers lead to a fresh subject since an erasure left what the law holds."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "returned",
        sa.Column("subject_id", sa.String(40), nullable=False, comment="the fresh subject"),
        sa.Column("from_subject", sa.String(40), nullable=False, comment="what the erasure left"),
        sa.Column("erasure_id", sa.String(40), nullable=False, comment="in the data store"),
        sa.Column("returned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_returned")),
    )
    op.create_index(op.f("ix_returned_from_subject"), "returned", ["from_subject"])


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("returned")
