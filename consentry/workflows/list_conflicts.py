"""List the fields on which a person has to decide: sources that disagree, corrections that were overtaken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.events import Act, Event, Outcome
from consent.standing import get_standing
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.denials import check_allowed
from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from vault.records import FieldConflict

_ACT: Final = "record.correct"
"""Whoever may correct may see what there is to correct."""

_AT_ONCE: Final = 200
"""Subjects that one call compares at most; what stands is compared anew each time, and nothing is kept."""


@dataclass(frozen=True, slots=True)
class Conflicts:
    """What was found.

    Attributes:
        after: the last subject that was compared; None when there are no more.
    """

    found: Sequence[FieldConflict]
    compared: int
    after: SubjectId | None


def list_conflicts(
    platform: Platform, caller: Principal, *, subject: SubjectId | None = None, after: str = ""
) -> Conflicts:
    """Compare what stands of some subjects, inside the vault; no value comes out.

    Args:
        platform: every part.
        caller: who may correct.
        subject: whose fields; None for everybody's, page by page.
        after: the subject after which a page begins.

    Raises:
        Denied: the role may not correct.
        NotFound: the subject is not registered.
    """
    check_allowed(platform, caller, _ACT, persons_only=True, subject=subject)
    asking = platform.asking(caller)
    with platform.data.read() as connection:
        if subject is not None:
            get_standing(connection, subject)
            page = [subject]
        else:
            page = platform.vault.subjects(connection, after=after, limit=_AT_ONCE)
    found = platform.vault.find_conflicts(page)
    event = Event(
        Act.CONFLICTS_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, subject=subject,
        cohort=() if subject is not None else tuple(page), counts={"conflicts": len(found), "compared": len(page)},
    )  # fmt: skip
    platform.log.write(event)
    is_last = subject is not None or len(page) < _AT_ONCE
    return Conflicts(found, len(page), None if is_last else page[-1])


def conflict_json(conflict: FieldConflict) -> dict[str, JsonValue]:
    """Return one conflict for programs."""
    return {
        "subject": conflict.subject,
        "field": conflict.field,
        "why": conflict.why.value,
        "sources": list(conflict.sources),
        "records": list(conflict.records),
    }
