"""Versions of the blind indexes, and rotations that resume."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ONE_PERSON: Final = "uq_blind_index_one_person"


def upgrade() -> None:
    """Let two epochs and several index versions live, and keep identifiers sealed beside their digests."""
    op.add_column(
        "epoch",
        sa.Column(
            "closing_at",
            sa.BigInteger(),
            nullable=True,
            comment="since when its keys move to a newer one; null while open",
        ),
    )
    op.add_column(
        "epoch",
        sa.Column(
            "closing_entry", sa.String(length=40), nullable=True, comment="audit entry of that; null until it is logged"
        ),
    )
    _comment_progress("keys that moved to the next epoch, so far", "keys that moved to the next epoch")
    _on_postgresql("ALTER TABLE data_key SET (fillfactor = 50)")
    op.add_column(
        "named_key",
        sa.Column(
            "retired_at",
            sa.BigInteger(),
            nullable=True,
            comment="of an index key: since when nobody asks it any more",
        ),
    )
    op.add_column(
        "blind_index",
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="the identifier, under the subject's own key; null: unknown",
        ),
    )
    op.add_column(
        "identity_fact",
        sa.Column("version", sa.Integer(), nullable=False, server_default="1", comment="of the index key"),
    )
    op.add_column(
        "identity_fact",
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=True, comment="the fact, under the subject's own key; null: unknown"
        ),
    )
    _one_person("field IN ('id_number', 'source_subject')")
    op.create_table(
        "rotation",
        sa.Column("rotation_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False, comment="which keys; ids and names only"),
        sa.Column("position", sa.Text(), nullable=False, comment="where its pass goes on"),
        sa.Column("counts", sa.JSON(), nullable=False, comment="what is done so far"),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("started_entry", sa.String(length=40), nullable=True, comment="audit entry; null until it is logged"),
        sa.Column(
            "finished_entry", sa.String(length=40), nullable=True, comment="audit entry; null until it is logged"
        ),
        sa.CheckConstraint("kind IN ('data', 'index')", name=op.f("ck_rotation_kind")),
        sa.CheckConstraint("state IN ('started', 'done')", name=op.f("ck_rotation_state")),
        sa.PrimaryKeyConstraint("rotation_id", name=op.f("pk_rotation")),
    )


def downgrade() -> None:
    """Take the tables and columns back; finish every rotation first."""
    op.drop_table("rotation")
    _one_person("field <> 'mobile'")
    op.drop_column("identity_fact", "sealed")
    op.drop_column("identity_fact", "version")
    op.drop_column("blind_index", "sealed")
    op.drop_column("named_key", "retired_at")
    _on_postgresql("ALTER TABLE data_key RESET (fillfactor)")
    _comment_progress("keys that moved to the next epoch", "keys that moved to the next epoch, so far")
    op.drop_column("epoch", "closing_entry")
    op.drop_column("epoch", "closing_at")


def _comment_progress(comment: str, before: str) -> None:
    """SQLite keeps no comments."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column(
            "epoch",
            "rewrapped",
            existing_type=sa.Integer(),
            existing_nullable=True,
            comment=comment,
            existing_comment=before,
        )


def _on_postgresql(statement: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(statement)


def _one_person(where: str) -> None:
    """Make the index anew that lets an identifier lead to one person only."""
    op.drop_index(_ONE_PERSON, table_name="blind_index")
    op.create_index(
        _ONE_PERSON,
        "blind_index",
        ["field", "version", "digest"],
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
