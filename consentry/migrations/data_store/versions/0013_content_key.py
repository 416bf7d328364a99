"""Digests of contents are blinded by a key of their subject; rows that are there keep theirs, under the service key."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES = ("sealed_record", "attachment")


def upgrade() -> None:
    """Apply this revision."""
    for table in _TABLES:
        op.add_column(
            table,
            sa.Column(
                "blinding_id",
                sa.LargeBinary(length=8),
                nullable=True,
                comment="key that blinds content_key; null: older, or random",
            ),
        )


def downgrade() -> None:
    """Take this revision back; what is sent again is then stored once more."""
    for table in _TABLES:
        op.drop_column(table, "blinding_id")
