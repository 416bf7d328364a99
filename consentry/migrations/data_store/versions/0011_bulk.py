"""The bulk path: how PostgreSQL lays sealed rows out.

What is sealed does not get smaller, so that no time is spent on trying. A row stays in one piece as long as it fits
into a page: the payload of a record of usual width is read and written without a second table.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep payloads as they are and, up to a page, in their row; rows that are there stay where they lie."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE sealed_record ALTER COLUMN payload SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE sealed_record SET (toast_tuple_target = 8160)")


def downgrade() -> None:
    """Take this revision back."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE sealed_record RESET (toast_tuple_target)")
        op.execute("ALTER TABLE sealed_record ALTER COLUMN payload SET STORAGE EXTENDED")
