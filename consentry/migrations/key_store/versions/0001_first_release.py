"""First release of the key store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "blind_index",
        sa.Column("field", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="of the index key"),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column(
            "batch_id",
            sa.String(length=40),
            nullable=True,
            comment="the only batch that vouches for it; null for more than one",
        ),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("field", "version", "digest", "subject_id", name=op.f("pk_blind_index")),
    )
    op.create_index(op.f("ix_blind_index_batch_id"), "blind_index", ["batch_id"], unique=False)
    op.create_index(op.f("ix_blind_index_subject_id"), "blind_index", ["subject_id"], unique=False)
    op.create_index(
        "uq_blind_index_one_person",
        "blind_index",
        ["field", "version", "digest"],
        unique=True,
        sqlite_where=sa.text("field <> 'mobile'"),
        postgresql_where=sa.text("field <> 'mobile'"),
    )
    op.create_table(
        "doubtful_identity",
        sa.Column("doubt_id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column(
            "digest",
            sa.LargeBinary(length=16),
            nullable=False,
            comment="keyed digest of source and source id, or of the ID number",
        ),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("candidates", sa.Text(), nullable=False, comment="subject ids, separated by spaces"),
        sa.Column("batch_id", sa.String(length=40), nullable=True),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("doubt_id", name=op.f("pk_doubtful_identity")),
        sa.UniqueConstraint("source", "digest", "rule", name=op.f("uq_doubtful_identity_source_digest_rule")),
    )
    op.create_index(op.f("ix_doubtful_identity_batch_id"), "doubtful_identity", ["batch_id"], unique=False)
    op.create_table(
        "epoch",
        sa.Column("epoch_id", sa.String(length=40), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True, comment="by the custodian; null once destroyed"),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=True),
        sa.Column("rewrapped", sa.Integer(), nullable=True, comment="keys that moved to the next epoch"),
        sa.Column(
            "entry_id",
            sa.String(length=40),
            nullable=True,
            comment="audit entry of its end; null while open or not yet logged",
        ),
        sa.CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name=op.f("ck_epoch_destroyed")),
        sa.PrimaryKeyConstraint("epoch_id", name=op.f("pk_epoch")),
    )
    op.create_table(
        "identity_fact",
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("fact", sa.String(length=16), nullable=False),
        sa.Column(
            "digest",
            sa.LargeBinary(length=16),
            nullable=False,
            comment="bound to the subject, so that equal values differ",
        ),
        sa.Column("batch_id", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "fact", name=op.f("pk_identity_fact")),
    )
    op.create_index(op.f("ix_identity_fact_batch_id"), "identity_fact", ["batch_id"], unique=False)
    op.create_table(
        "key_tombstone",
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("erasure_id", sa.String(length=40), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_tombstone")),
    )
    op.create_index(op.f("ix_key_tombstone_erasure_id"), "key_tombstone", ["erasure_id"], unique=False)
    op.create_table(
        "pseudonym",
        sa.Column("scope", sa.String(length=128), nullable=False),
        sa.Column("pseudonym", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("scope", "pseudonym", name=op.f("pk_pseudonym")),
        sa.UniqueConstraint("subject_id", "scope", name=op.f("uq_pseudonym_subject_id_scope")),
    )
    op.create_table(
        "data_key",
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("compartment", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False, comment="the highest seals, every one opens"),
        sa.Column("epoch_id", sa.String(length=40), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("batch_id", sa.String(length=40), nullable=True, comment="the batch that first needed it"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epoch.epoch_id"], name=op.f("fk_data_key_epoch_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_data_key")),
        sa.UniqueConstraint(
            "subject_id", "compartment", "generation", name=op.f("uq_data_key_subject_id_compartment_generation")
        ),
    )
    op.create_index(op.f("ix_data_key_batch_id"), "data_key", ["batch_id"], unique=False)
    op.create_table(
        "named_key",
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("epoch_id", sa.String(length=40), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epoch.epoch_id"], name=op.f("fk_named_key_epoch_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_named_key")),
        sa.UniqueConstraint("kind", "name", "version", name=op.f("uq_named_key_kind_name_version")),
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("named_key")
    op.drop_index(op.f("ix_data_key_batch_id"), table_name="data_key")
    op.drop_table("data_key")
    op.drop_table("pseudonym")
    op.drop_index(op.f("ix_key_tombstone_erasure_id"), table_name="key_tombstone")
    op.drop_table("key_tombstone")
    op.drop_index(op.f("ix_identity_fact_batch_id"), table_name="identity_fact")
    op.drop_table("identity_fact")
    op.drop_table("epoch")
    op.drop_index(op.f("ix_doubtful_identity_batch_id"), table_name="doubtful_identity")
    op.drop_table("doubtful_identity")
    op.drop_index(
        "uq_blind_index_one_person",
        table_name="blind_index",
        sqlite_where=sa.text("field <> 'mobile'"),
        postgresql_where=sa.text("field <> 'mobile'"),
    )
    op.drop_index(op.f("ix_blind_index_subject_id"), table_name="blind_index")
    op.drop_index(op.f("ix_blind_index_batch_id"), table_name="blind_index")
    op.drop_table("blind_index")
