"""The gate's word before anything is taken away: whoever has granted again meanwhile keeps what the grant covers."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from consent.outbox import others_waiting
from consent.wake import REVISED, Closing, WakeItem, system_asking
from consentry.wake.parts import WakeParts
from kernel.ids import SubjectId


def is_allowed(
    parts: WakeParts, subject: SubjectId, purpose: str, *, fields: Collection[str], recipient: str | None = None
) -> bool:
    """Say whether the gate would now let every one of the fields be used; no field means no."""
    if purpose not in parts.catalogue.purposes or not fields:
        return False
    with parts.data.read() as connection:
        said = parts.gate.preview_many(
            connection, asking=system_asking(), purpose=purpose, subjects=[subject], fields=fields, recipient=recipient
        )
    return all(reason is None for reason in said[subject].values())


def touches(closing: Closing, purpose: str) -> bool:
    """Say whether a closing reaches what was made for a purpose; what nobody knows the purpose of, every one does."""
    return not closing.purpose or not purpose or closing.purpose == purpose


def is_revision(closing: Closing) -> bool:
    """Say whether nothing was closed: what is stored has changed, and what was derived before is out of date."""
    return closing.cause == REVISED


def people_of(parts: WakeParts, item: WakeItem) -> list[Mapping[str, str]]:
    """Return the pseudonyms by scope of an item's subject; for a revision also of others who wait for the same.

    A sweep of what has expired revises many people at once: their items follow, and find nothing to rewrite any more.
    """
    subjects = [item.closing.subject]
    if is_revision(item.closing):
        with parts.data.read() as connection:
            subjects += others_waiting(connection, item, limit=_TOGETHER)
    return [parts.products.names_of(subject) for subject in subjects]


def counted(people: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """Return how many people an item's numbers are of, where it is not its subject alone."""
    return {"people": len(people)} if len(people) > 1 else {}


_TOGETHER: Final = 500
"""People whose rows one rewriting of a file takes out."""


def is_erasure(closing: Closing) -> bool:
    """Say whether it is an erasure, which takes the subject out of everything derived by a way of its own."""
    return closing.cause == "erase"
