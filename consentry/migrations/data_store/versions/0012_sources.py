"""Keys are bound to the sources as which they send; those that are there stay bound to none."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; null means any source."""
    op.add_column(
        "principal",
        sa.Column(
            "sources", sa.String(length=256), nullable=True, comment="that this key may state, by comma; null for any"
        ),
    )


def downgrade() -> None:
    """Take it back; every key may then state any source again."""
    op.drop_column("principal", "sources")
