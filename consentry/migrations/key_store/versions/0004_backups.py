"""A tombstone says whether its key went with a whole subject, so that an older data store can be told whom to erase."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column(
        "key_tombstone",
        sa.Column(
            "whole",
            sa.Boolean,
            nullable=False,
            server_default=sa.false(),
            comment="went with the erasure of a whole subject",
        ),
    )


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("key_tombstone", "whole")
