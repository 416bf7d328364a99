"""Accounts and keys with their ids, for whoever reads the log and has to know who is who; the reading is logged.

Also which live ingest keys are older than the binding to sources and may still send as any of them.
"""

from typing import Final

import structlog
from sqlalchemy import select

from audit.events import Act, Event, Outcome
from consentry.bound_sources import read_sources
from consentry.platform import Platform
from consentry.principals import INGEST_ROLE, Principal, PrincipalKind
from consentry.stores.tables import principal
from consentry.workflows.denials import check_allowed
from kernel.clock import format_instant
from kernel.encoding import JsonValue

READ: Final = "audit.read"

ANY_SOURCE: Final = "any"
"""What is shown for a key that is bound to none."""

UNBOUND: Final = "key.any_source"
"""Event of the process's own log: a live ingest key may send as any source."""


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
            "sources": _sources(row.kind, read_sources(row.sources)),
            "created_at": format_instant(row.created_at),
            "expires_at": None if row.expires_at is None else format_instant(row.expires_at),
        }
        for row in rows
    ]


def warn_of_unbound_keys(platform: Platform) -> None:
    """Warn in the process's own log of each live ingest key that may send as any source."""
    is_live = ~principal.c.disabled & (principal.c.expires_at > platform.clock.now())
    wanted = is_live & (principal.c.role == INGEST_ROLE) & principal.c.sources.is_(None)
    with platform.data.read() as connection:
        names = list(connection.scalars(select(principal.c.name).where(wanted).order_by(principal.c.name)))
    for name in names:
        structlog.get_logger().warning(UNBOUND, key=name, hint="Make a new key with --source and disable this one.")


def _sources(kind: str, sources: frozenset[str] | None) -> JsonValue:
    if kind != PrincipalKind.KEY:
        return None
    return ANY_SOURCE if sources is None else sorted(sources)


def _state(*, is_disabled: bool, is_over: bool) -> str:
    if is_disabled:
        return "disabled"
    return "expired" if is_over else "active"
