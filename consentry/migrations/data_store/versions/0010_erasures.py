"""Erasures say their scope, why, and when they are final; no row of the register is replaced by its number.

A tombstone names an erasure that need not be there: where an older data store is restored beside today's key store, its
tombstones come from there, and from the log.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from kernel.database import NAMING, Instant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COLUMNS: Final = (
    ("scope", sa.Text, "JSON object: what was asked for; null: older, see fields"),
    ("why", sa.String(16), "vault.scopes.Why; null: older"),
    ("epoch_id", sa.String(40), "key epoch whose end makes it final"),
    ("final_at", Instant, "when it is final at the latest"),
    ("final_entry", sa.String(40), "audit entry that says so"),
)

SAID: Final = "its row may be newer than a restored store"
KEY: Final = "fk_tombstone_erasure_id"

APPEND_ONLY: Final = {
    "notice": "code = NEW.code AND version = NEW.version AND locale = NEW.locale",
    "decision": "position = NEW.position OR decision_id = NEW.decision_id",
    "decision_use": "decision_id = NEW.decision_id AND permit_id = NEW.permit_id",
    "standing_change": "position = NEW.position",
    "notice_change": "code = NEW.code AND edition = NEW.edition AND purpose = NEW.purpose AND aspect = NEW.aspect "
    "AND item = NEW.item",
    "assessment": "assessment_id = NEW.assessment_id AND version = NEW.version",
    "recipient": "code = NEW.code AND version = NEW.version",
}
"""Which rows revisions 0002 and 0003 protected."""


def upgrade() -> None:
    """Apply this revision."""
    for name, kind, comment in COLUMNS:
        op.add_column("erasure", sa.Column(name, kind, nullable=True, comment=comment))
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(KEY, "tombstone", type_="foreignkey")
        op.alter_column("tombstone", "erasure_id", comment=SAID)
        return
    with op.batch_alter_table("tombstone", naming_convention=NAMING) as batch:
        batch.drop_constraint(KEY, type_="foreignkey")
    for table, keys in APPEND_ONLY.items():
        _refuse_replacing(table, f"{keys} OR rowid = NEW.rowid")


def downgrade() -> None:
    """Take this revision back; tombstones whose erasure the store does not know go, the key store has them."""
    op.execute("DELETE FROM tombstone WHERE erasure_id NOT IN (SELECT erasure_id FROM erasure)")
    if op.get_bind().dialect.name == "postgresql":
        op.create_foreign_key(KEY, "tombstone", "erasure", ["erasure_id"], ["erasure_id"])
        op.alter_column("tombstone", "erasure_id", comment=None)
    else:
        with op.batch_alter_table("tombstone", naming_convention=NAMING) as batch:
            batch.create_foreign_key(KEY, "erasure", ["erasure_id"], ["erasure_id"])
        for table, keys in APPEND_ONLY.items():
            _refuse_replacing(table, keys)
    for name, _, _ in reversed(COLUMNS):
        op.drop_column("erasure", name)


def _refuse_replacing(table: str, rows: str) -> None:
    op.execute(f"DROP TRIGGER IF EXISTS {table}_no_replace")
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} "
        f"WHERE {rows}) BEGIN SELECT RAISE(ABORT, 'table {table} is append-only'); END"
    )
