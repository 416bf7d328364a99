"""Create accounts; each with its entry in the same transaction."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.recipients import RecipientKind, get_recipient
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principal_inspection import stated_refs
from consentry.principals import Principal, create_key, create_person, disable
from consentry.stores.tables import principal
from kernel.errors import BadInput


def add_person(platform: Platform, caller: Principal, *, name: str, role: str) -> tuple[Principal, str]:
    """Create a person's account; returns it with the password."""
    check_may_act(platform.catalogue, caller, "principal.manage")
    platform.catalogue.get_role(role)
    with platform.data.write() as connection:
        made, password = create_person(connection, name=name, role=role, clock=platform.clock)
        record_principal(platform, connection, made, platform.asking(caller))
    return made, password


def add_key(
    platform: Platform,
    caller: Principal,
    *,
    name: str,
    role: str,
    days: int,
    subjects_per_day: int | None,
    processor: str | None = None,
    sources: Collection[str] | None = None,
) -> tuple[Principal, str]:
    """Create a machine's key; returns it with the bearer secret.

    Args:
        processor: the code of the registered processor that gets it, by whose contract the key is bound (R38).
        sources: as which the key may send data or name people; None for any, which no ingest key may.
    Raises:
        NotFound: no such recipient is registered.
        BadInput: it is no processor, or the relation has ended; or as ``create_key`` says.
        Conflict: the name is taken.
    """
    check_may_act(platform.catalogue, caller, "principal.manage")
    with platform.data.write() as connection:
        if processor is not None:
            _check_processor(connection, processor)
        made, bearer = create_key(
            connection, name=name, role=role, days=days, subjects_per_day=subjects_per_day, clock=platform.clock,
            processor=processor, sources=sources,
        )  # fmt: skip
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
    """Write the entry of a new principal, in the transaction that makes it; it says all that the row grants."""
    row = connection.execute(select(principal).where(principal.c.principal_id == made.principal_id)).one()
    refs = {"principal": made.principal_id, "kind": made.kind.value, "role": made.role}
    refs |= stated_refs(row, platform.sealer)
    if row.sources is not None:
        refs["sources"] = row.sources
    event = Event(
        Act.PRINCIPAL_CREATED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
        recipient=made.processor, refs=refs,
    )  # fmt: skip
    platform.log.record(connection, event)


def _check_processor(connection: Connection, code: str) -> None:
    found = get_recipient(connection, code)
    if found.text.kind != RecipientKind.PROCESSOR or found.is_ended:
        raise BadInput(
            f"Recipient {code} is {'ended' if found.is_ended else f'no processor but a {found.text.kind}'}",
            hint="See `consentry register recipient show`.",
        )
