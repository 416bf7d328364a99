"""A key for each subject, by which the digests of its contents are stored."""

import sqlalchemy as sa
from alembic import op

from kernel.database import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision; keys are made as subjects get new records."""
    op.create_table(
        "blinding_key",
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False, comment="the highest blinds"),
        sa.Column("epoch_id", sa.String(length=40), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("suite", sa.SmallInteger(), nullable=False, comment="of the block cipher that blinds"),
        sa.ForeignKeyConstraint(["epoch_id"], ["epoch.epoch_id"], name=op.f("fk_blinding_key_epoch_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_blinding_key")),
        sa.UniqueConstraint("subject_id", "generation", name=op.f("uq_blinding_key_subject_id_generation")),
        postgresql_with={"fillfactor": 50},
    )


def downgrade() -> None:
    """Take this revision back; what is sent again is then stored once more."""
    op.drop_table("blinding_key")
