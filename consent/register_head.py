"""The head of the register: its revision moves with every notice, assessment and recipient, and it can be suspended.

Checks hold it shared, whoever publishes holds it exclusively, so that in the log's order no permit under old terms
follows the entry that changed them.
"""

from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.setwise import insert_missing
from consent.tables import register_head
from consent.turnstile import NOTICES, queue
from kernel.errors import BadInput
from kernel.ids import EntryId

_HEAD_ID: Final = 1

_FIRST: Final = {"head_id": _HEAD_ID, "revision": 1, "suspended": None}

_SELECT: Final = select(register_head.c.revision, register_head.c.suspended).where(register_head.c.head_id == _HEAD_ID)
_SHARED: Final = _SELECT.with_for_update(read=True)
_EXCLUSIVE: Final = _SELECT.with_for_update()
_UPDATE: Final = update(register_head).where(register_head.c.head_id == _HEAD_ID)

_MOVED: Final = "consentry_head_moved_by"
"""Under this name a connection remembers the transaction that moved the head."""


MOVING_ACTS: Final = (
    Act.NOTICE_PUBLISHED,
    Act.ASSESSMENT_RECORDED,
    Act.RECIPIENT_RECORDED,
    Act.REGISTER_SUSPENDED,
    Act.REGISTER_RELEASED,
)
"""Whose entries say that the head was moved, once each."""


def read_head(connection: Connection) -> tuple[int, str | None]:
    """Return the revision and why the gate is suspended; 0 and None before anything was recorded."""
    row = connection.execute(_SELECT).one_or_none()
    return (0, None) if row is None else (row.revision, row.suspended)


def lock_terms(connection: Connection) -> None:
    """Hold off everything that moves the head until the transaction ends; on SQLite the transaction is the lock."""
    if connection.dialect.name != "sqlite":
        queue(connection, [NOTICES], exclusive=False)
        connection.execute(_SHARED).all()


def hold_head(connection: Connection) -> None:
    """Hold the head exclusively until the transaction ends, before anything is compared with what is recorded."""
    _hold(connection)


def move_head(connection: Connection) -> dict[str, str]:
    """Hold the head exclusively and move its revision; every snapshot of the terms that others keep is then old.

    Returns:
        What the entry of the move says of it; each move has one entry.
    """
    revision = logged_revision(_hold(connection).revision) + 1
    connection.execute(_UPDATE.values(revision=revision))
    connection.info[_MOVED] = connection.get_transaction()
    return {"revision": str(revision)}


def has_moved(connection: Connection) -> bool:
    """Say whether this very transaction moved the head: what it reads may still be rolled back."""
    moved_by = connection.info.get(_MOVED)
    return moved_by is not None and moved_by is connection.get_transaction()


def suspend(connection: Connection, reason: str, *, asking: Asking, log: EntryLog) -> EntryId | None:
    """Make the gate refuse everything until ``release``; for the same reason again nothing happens.

    Args:
        connection: a write transaction of the data store.
        reason: what was found, in names of rules and ids; it is shown to everybody who asks the gate.

    Raises:
        BadInput: no reason.
    """
    if not reason.strip():
        raise BadInput("A suspension needs its reason", hint="Say what was found.")
    return None if _hold(connection).suspended == reason else _set(connection, reason, asking, log)


def suspend_unlogged(connection: Connection, reason: str) -> None:
    """Make the gate refuse everything, without an entry: the log is lost, and nothing may be added to it.

    The revision becomes another one, so that no snapshot of the terms lasts; see ``logged_revision``.
    """
    held = _hold(connection)
    if held.revision > 0:
        connection.execute(_UPDATE.values(revision=-held.revision - 1, suspended=reason))


def logged_revision(revision: int) -> int:
    """Return the revision that the log tells of: a negative one was made of it by a suspension without an entry."""
    return revision if revision >= 0 else -revision - 1


def release(connection: Connection, *, asking: Asking, log: EntryLog) -> EntryId | None:
    """Let the gate answer again; where it is not suspended nothing happens."""
    return None if _hold(connection).suspended is None else _set(connection, None, asking, log)


def _set(connection: Connection, reason: str | None, asking: Asking, log: EntryLog) -> EntryId:
    refs = move_head(connection)
    connection.execute(_UPDATE.values(suspended=reason))
    event = event_of(asking, Act.REGISTER_RELEASED if reason is None else Act.REGISTER_SUSPENDED)
    details = dict(event.details or {}) | ({} if reason is None else {"suspended": reason})
    return log.record(connection, replace(event, refs=refs, details=details or None))


def _hold(connection: Connection) -> Row[*tuple[Any, ...]]:
    queue(connection, [NOTICES], exclusive=True)
    insert_missing(connection, register_head, _FIRST)
    return connection.execute(_EXCLUSIVE).one()
