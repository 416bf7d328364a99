"""Tables of the audit log in the data store; what is signed can be added to, never changed or removed."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

from audit.triggers import DROP_STATEMENTS, attach, create_statements, triggers_of
from kernel.database import Instant, new_metadata

metadata: MetaData = new_metadata()


def as_bytes(stored: object) -> bytes:
    """Return a stored value as bytes, as ``StoredBytes`` does, for statements at the driver's level."""
    return stored if isinstance(stored, bytes) else str(stored).encode()


class StoredBytes(TypeDecorator[bytes]):
    """Bytes, read back as bytes even where someone put another type into a SQLite column.

    A log that was changed by hand must still be read, hashed and exported, so that the change can be shown.
    """

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: object | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Return the bytes; text as UTF-8."""
        return None if value is None else as_bytes(value)


_AUTO_INTEGER = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only for INTEGER PRIMARY KEY."""

inbox = Table(
    "audit_inbox",
    metadata,
    Column("seq", _AUTO_INTEGER, primary_key=True, autoincrement=True),
    Column("entry_id", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", StoredBytes, nullable=False),
    sqlite_autoincrement=True,
)
"""Entries of committed or still open transactions, not yet in the tree."""

leaf = Table(
    "audit_leaf",
    metadata,
    Column("leaf_index", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", String(40), nullable=False, unique=True),
    Column("body", StoredBytes, nullable=False),
    Column("leaf_hash", StoredBytes, nullable=False),
    Column("at", Instant, nullable=False, index=True),
    Column("act", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("role", String(256), nullable=False),
    Column("purpose", String(256)),
    Column("request_id", String(256), nullable=False, index=True),
    Column("alias", String(40)),
    Column("level", Integer),
    Index(None, "alias", "leaf_index"),
    Index(None, "actor", "leaf_index"),
    Index(None, "act", "leaf_index"),
)
"""The log. ``body`` is authoritative; the columns after ``leaf_hash`` are extracted from it for look-ups only.

``leaf_index`` counts on over all origins; an entry's index in its own tree is ``leaf_index`` minus the origin's base. A
pruned entry keeps index, id, hash and time; its body is empty.
"""

origin = Table(
    "audit_origin",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("name", String(256), nullable=False),
    Column("base", BigInteger, nullable=False),
    Column("entry_id", String(40), nullable=False),
    Column("at", Instant, nullable=False),
)
"""Origins that were opened after a loss, from 2 on; the first one, whose base is 0, has no row."""

subtree = Table(
    "audit_subtree",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", StoredBytes, nullable=False),
)
"""Roots of complete subtrees of 256^level leaves, so that a proof reads a few rows and not the whole log."""

head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", StoredBytes, nullable=False),
    Column("at", Instant, nullable=False),
)
"""One row an origin (``id`` is its number): number of leaves, roots of the perfect subtrees from left to right (32
bytes each), latest entry time."""

checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", StoredBytes, nullable=False),
    Column("note", StoredBytes, nullable=False),
)
"""Signed checkpoints, as the bytes that were handed out."""

handover = Table(
    "audit_handover",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", StoredBytes, nullable=False),
)
"""Hand-overs from one signing key to the next, signed by both."""

anchor = Table(
    "audit_anchor",
    metadata,
    Column("origin_no", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("token", StoredBytes, nullable=False),
    Column("at", Instant, nullable=False),
)
"""What outside parties said of a checkpoint: kind ``witness`` (a signature line) or ``timestamp`` (RFC 3161, DER)."""

prune = Table(
    "audit_prune",
    metadata,
    Column("below", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", String(40), nullable=False),
    Column("at", Instant, nullable=False),
)
"""Up to where entries were pruned when their time of keeping was over: all with ``leaf_index`` < ``below``."""

alias = Table(
    "audit_alias",
    metadata,
    Column("alias", String(40), primary_key=True),
    Column("subject_id", String(40), nullable=False),
    Column("year", Integer, nullable=False),
    Column("mark", StoredBytes, nullable=True),
    UniqueConstraint("subject_id", "year"),
)
"""Random names under which subjects stand in the log, one per subject and year.

``mark`` binds the other columns under a key of the key store; see ``audit.aliases``. A name that was destroyed keeps
its row while an entry may mention it, with the alias itself where the subject was.
"""

cohort = Table(
    "audit_cohort",
    metadata,
    Column("entry_id", String(40), primary_key=True),
    Column("salt", StoredBytes, nullable=False),
    Column("size", Integer, nullable=False),
)
"""The salt of each cohort digest."""

cohort_member = Table(
    "audit_cohort_member",
    metadata,
    Column("alias", String(40), primary_key=True),
    Column("entry_id", String(40), primary_key=True, index=True),
)
"""The aliases behind each cohort digest."""

detail = Table(
    "audit_detail",
    metadata,
    Column("entry_id", String(40), primary_key=True),
    Column("sealed", StoredBytes, nullable=False),
)
"""Sealed details beside their entry."""

TRIGGERS: Final = triggers_of((leaf, subtree, checkpoint, origin, handover, anchor, prune), head, alias)
"""Statements by dialect and trigger name: what refuses to change the past."""

CREATE_TRIGGERS: Final = create_statements(TRIGGERS)
"""Statements by dialect; ``metadata.create_all`` runs them by itself on tables that it has just made."""

attach(metadata, CREATE_TRIGGERS, "after_create")
attach(metadata, DROP_STATEMENTS, "after_drop")
