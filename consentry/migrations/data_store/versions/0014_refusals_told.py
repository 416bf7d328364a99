"""A refusal at a limit of reading is told of once for each window; the mark that stood for all three goes."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_WINDOWS = ("minute", "hour", "day")


def upgrade() -> None:
    """Apply this revision; what was told of before is told of once more at most."""
    for window in _WINDOWS:
        told = "when a limit of this window was last told of as reached"
        op.add_column("reading_count", sa.Column(f"{window}_told_at", sa.BigInteger(), nullable=True, comment=told))
    op.drop_column("reading_count", "refused_at")


def downgrade() -> None:
    """Take this revision back."""
    told = "when a limit was last told of as reached"
    op.add_column("reading_count", sa.Column("refused_at", sa.BigInteger(), nullable=True, comment=told))
    for window in _WINDOWS:
        op.drop_column("reading_count", f"{window}_told_at")
