"""Accounts and keys with their ids, for whoever reads the log and has to know who is who; the reading is logged."""

from typing import Final

from sqlalchemy import select

from audit.events import Act, Event, Outcome
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.tables import principal
from consentry.workflows.denials import check_allowed
from kernel.clock import format_instant
from kernel.encoding import JsonValue

READ: Final = "audit.read"


def list_accounts(platform: Platform, caller: Principal) -> list[dict[str, JsonValue]]:
    """Return every account and key by name, with role and state; hashes of secrets never leave the store.

    Raises:
        Denied: the role may not read the log, or the caller is no person.
    """
    check_allowed(platform, caller, READ, persons_only=True)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        rows = connection.execute(select(principal).order_by(principal.c.name)).all()
        event = Event(
            Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
            counts={"accounts": len(rows)}, refs={"what": "accounts"},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()
    now = platform.clock.now()
    return [
        {
            "id": row.principal_id,
            "name": row.name,
            "kind": row.kind,
            "role": row.role,
            "state": _state(is_disabled=row.disabled, is_over=row.expires_at is not None and row.expires_at <= now),
            "processor": row.processor,
            "created_at": format_instant(row.created_at),
            "expires_at": None if row.expires_at is None else format_instant(row.expires_at),
        }
        for row in rows
    ]


def _state(*, is_disabled: bool, is_over: bool) -> str:
    if is_disabled:
        return "disabled"
    return "expired" if is_over else "active"
