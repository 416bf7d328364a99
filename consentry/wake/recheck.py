"""The gate's word before anything is taken away: whoever has granted again meanwhile keeps what the grant covers."""

from collections.abc import Collection

from consent.wake import REVISED, Closing, system_asking
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


def is_erasure(closing: Closing) -> bool:
    """Say whether it is an erasure, which takes the subject out of everything derived by a way of its own."""
    return closing.cause == "erase"
