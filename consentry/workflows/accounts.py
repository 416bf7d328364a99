"""Create accounts; each with its entry in the same transaction."""

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal, create_key, create_person, disable


def add_person(platform: Platform, caller: Principal, *, name: str, role: str) -> tuple[Principal, str]:
    """Create a person's account; returns it with the password."""
    check_may_act(platform.catalogue, caller, "principal.manage")
    platform.catalogue.get_role(role)
    with platform.data.write() as connection:
        made, password = create_person(connection, name=name, role=role, clock=platform.clock)
        record_principal(platform, connection, made, platform.asking(caller))
    return made, password


def add_key(
    platform: Platform, caller: Principal, *, name: str, role: str, days: int, subjects_per_day: int | None
) -> tuple[Principal, str]:
    """Create a machine's key; returns it with the bearer secret."""
    check_may_act(platform.catalogue, caller, "principal.manage")
    with platform.data.write() as connection:
        made, bearer = create_key(
            connection, name=name, role=role, days=days, subjects_per_day=subjects_per_day, clock=platform.clock
        )
        record_principal(platform, connection, made, platform.asking(caller))
    return made, bearer


def disable_account(platform: Platform, caller: Principal, name: str) -> Principal:
    """Disable an account or a key; its tokens and secret are refused from this commit on."""
    check_may_act(platform.catalogue, caller, "principal.manage")
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        gone = disable(connection, name)
        refs = {"principal": gone.principal_id, "kind": gone.kind.value, "role": gone.role}
        platform.log.record(
            connection,
            Event(Act.PRINCIPAL_DISABLED, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=refs),
        )
    return gone


def record_principal(platform: Platform, connection: Connection, made: Principal, asking: Asking) -> None:
    """Write the entry of a new principal, in the transaction that makes it."""
    refs = {"principal": made.principal_id, "kind": made.kind.value, "role": made.role}
    platform.log.record(
        connection,
        Event(Act.PRINCIPAL_CREATED, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=refs),
    )
