"""What every start does for the log: it is the one that was signed, its guards stand, its key's hand-overs are told."""

from typing import Final

from sqlalchemy import insert, select

from audit.events import Act, Event, Outcome
from audit.handovers import handover_keys
from audit.origins import current_origin
from audit.tables import handover
from consent.wake import system_asking
from consentry.platform import Platform
from consentry.stores.triggers import missing_triggers
from consentry.workflows.configure_log import check_configured
from consentry.workflows.recover_log import finish_recovery
from kernel.errors import IntegrityFailed, Unavailable

_NAMED: Final = 3


def check_log(platform: Platform) -> None:
    """Refuse to start on a log that was rolled back, rewritten, unguarded, or configured to prove less.

    Raises:
        IntegrityFailed: the head lies behind the signer or has another past, or a guard of the store is missing.
        ConfigurationError: see ``check_configured``.
        Unavailable: the signer cannot be used.
    """
    if finish_recovery(platform):
        raise Unavailable("The key of the new origin is in place now", hint="Start again: it is read then.")
    platform.log.checkpointer.check()
    with platform.data.read() as connection:
        missing = missing_triggers(connection)
    if missing:
        raise IntegrityFailed(
            f"The store's guards are not whole: {', '.join(missing[:_NAMED])}",
            hint="Somebody changed the store's schema. Export the log, verify it, run `consentry audit reconcile`.",
        )
    tell_handovers(platform)
    check_configured(platform)


def tell_handovers(platform: Platform) -> int:
    """Write hand-overs of the signing key that the log does not know yet, with their entries; returns how many."""
    notes = {handover_keys(note)[2]: note for note in platform.signer.handovers()}
    if not notes:
        return 0
    asking = system_asking()
    with platform.data.write() as connection:
        origin = current_origin(connection)
        known = set(connection.scalars(select(handover.c.size).where(handover.c.origin_no == origin.number)))
        new = {size: note for size, note in notes.items() if size not in known}
        for size, note in new.items():
            connection.execute(insert(handover), {"origin_no": origin.number, "size": size, "note": note})
            old, following, _ = handover_keys(note)
            refs = {"old_key": old.key_id.hex(), "new_key": following.key_id.hex()}
            event = Event(
                Act.LOG_KEY_ROTATED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
                counts={"size": size}, refs=refs,
            )  # fmt: skip
            platform.log.record(connection, event)
    return len(new)
