"""Suites of keys: what was made before is of suite 1, AES-256-GCM."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COMMENTS = {
    "data_key": "of what the key seals",
    "named_key": "of what the key seals or digests",
    "epoch": "of what wraps its keys",
}


def upgrade() -> None:
    """Say for each key which algorithms it is for."""
    for table, comment in _COMMENTS.items():
        op.add_column(table, sa.Column("suite", sa.SmallInteger(), nullable=False, server_default="1", comment=comment))


def downgrade() -> None:
    """Take this revision back; a store with keys of another suite has no way back."""
    bind = op.get_bind()
    for table in _COMMENTS:
        if bind.execute(sa.text(f"SELECT 1 FROM {table} WHERE suite <> 1")).first() is not None:
            raise ValueError(f"{table} holds what revision 0001 cannot express")
    for table in _COMMENTS:
        op.drop_column(table, "suite")
