"""Frozen accounts (R49): an emergency that nobody reviewed in time, or an incident, closes who broke the glass.

That an account is frozen follows from the emergencies and the log's time alone, at every call and sign-in; the entry
that tells of it comes from whoever notices first, and nothing waits for it.
"""

from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy import Connection

from audit.events import Act, Event
from consent.asking import Asking
from consent.entries import event_of, now_in_log
from consentry.access import RuleDenied
from consentry.alarms import AlarmKind, raise_alarm
from consentry.platform import Platform
from consentry.principals import Principal, find_person, get_person
from consentry.stores.emergencies import Emergency, change_emergencies, freezing, overdue
from consentry.words_said import check_said
from consentry.workflows.denials import check_allowed, record_denial
from kernel.clock import format_instant
from kernel.errors import Conflict, Denied, NotFound

RELEASE = "account.release"


class AccountFrozen(RuleDenied):
    """The account is frozen because of an emergency access."""

    rule = "FROZEN"


def check_not_frozen(connection: Connection, caller: Principal, now: datetime) -> None:
    """Raise ``AccountFrozen`` where an emergency access of the caller freezes its account at an instant."""
    if found := freezing(connection, caller.principal_id, now):
        raise AccountFrozen(
            f"The account is frozen because of emergency access {found[0].emergency_id}",
            hint="Have a compliance officer review it, and release the account.",
        )


def know_person(platform: Platform, token: str) -> Principal:
    """Return the person behind a token.

    Raises:
        NotAuthenticated: the token is not a live one of this deployment.
        AccountFrozen: an emergency access of the person's was not reviewed in time; the try stays in the log.
    """
    principal_id = platform.tokens.verify(token)
    with platform.data.read() as connection:
        person = get_person(connection, principal_id)
        now = platform.log.now(connection)
        is_frozen = bool(freezing(connection, person.principal_id, now))
    if is_frozen:
        check_unfrozen(platform, person)
    return person


def check_unfrozen(platform: Platform, person: Principal) -> None:
    """Raise ``AccountFrozen`` for a frozen account, and leave the entry of the try."""
    try:
        with platform.data.read() as connection:
            check_not_frozen(connection, person, platform.log.now(connection))
    except AccountFrozen:
        record_denial(platform, person, reason=AccountFrozen.rule)
        raise


def mark_frozen(platform: Platform, asking: Asking) -> list[Emergency]:
    """Tell, by entry and alarm, of every emergency that nobody has reviewed in time; for ``consentry serve``'s tender.

    Returns:
        What was told of now; the accounts were frozen without it.
    """
    with platform.data.read() as connection:
        if not overdue(connection, platform.log.now(connection)):
            return []  # nobody waits for a writer that has nothing to write
    with platform.data.write() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        late = overdue(connection, now, change=True)
        for one in late:
            tell_frozen(platform, connection, asking, one, reason="UNREVIEWED", now=now)
    return late


def tell_frozen(
    platform: Platform, connection: Connection, asking: Asking, one: Emergency, *, reason: str, now: datetime
) -> None:
    """Leave the entry that an account is frozen, and raise the alarm, in the caller's transaction."""
    event = replace(
        event_of(asking, Act.ACCOUNT_FROZEN),
        reason=reason,
        refs={"principal": one.principal, "emergency": one.emergency_id},
    )
    entry_id = platform.log.record(connection, event)
    change_emergencies(connection, [one.emergency_id], frozen_entry=entry_id)
    told = {"actor": one.principal, "role": one.role, "emergency": one.emergency_id, "reason": reason}
    raise_alarm(connection, AlarmKind.FROZEN, {**told, "due_at": format_instant(one.due_at)}, now=now)
    structlog.get_logger().error(AlarmKind.FROZEN.value, **told)


def release_account(platform: Platform, caller: Principal, name: str, *, reason: str) -> list[Emergency]:
    """Let a frozen account act again; every emergency that freezes it must have been reviewed first.

    Args:
        platform: every part.
        caller: an officer, and not the account's own person.
        name: of the account.
        reason: sealed beside the entry.

    Raises:
        Denied: the role may not, the caller is no person, or it is the caller's own account.
        NotFound: there is no such account.
        Conflict: it is not frozen, or an emergency is still to be reviewed.
        BadInput: no reason.
    """
    check_allowed(platform, caller, RELEASE, persons_only=True)
    said = check_said(reason, what="A release")
    with platform.data.read() as connection:
        person = find_person(connection, name)
    if person is None:
        raise NotFound("There is no such account", hint="`consentry account list` names them.")
    if person.principal_id == caller.principal_id:
        record_denial(platform, caller, reason="OWN_ACCESS", refs={"act": RELEASE})
        raise Denied("Nobody releases an own account", hint="Ask another compliance officer.")
    with platform.data.write() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        found = freezing(connection, person.principal_id, now)
        _check_reviewed(found)
        asking = platform.asking(caller, reason=said)
        for one in found:
            entry_id = platform.log.record(connection, _released(asking, one))
            released = {"released_by": caller.principal_id, "released_at": now, "release_entry": entry_id}
            change_emergencies(connection, [one.emergency_id], **released)
    platform.log.settle()
    return found


def _released(asking: Asking, one: Emergency) -> Event:
    return replace(
        event_of(asking, Act.ACCOUNT_RELEASED),
        refs={"principal": one.principal, "emergency": one.emergency_id},
        details={"reason": asking.reason},
    )


def _check_reviewed(found: list[Emergency]) -> None:
    if not found:
        raise Conflict("The account is not frozen", hint="`consentry emergency list` tells what is.")
    if waiting := [one.emergency_id for one in found if one.verdict is None]:
        raise Conflict(
            f"Emergency {waiting[0]} has not been reviewed", hint="Review it with `consentry emergency review`."
        )
