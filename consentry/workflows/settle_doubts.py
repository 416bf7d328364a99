"""Doubtful identities: listed for a person, who says about whom a record is."""

from collections.abc import Sequence

from audit.events import Act, Event, Outcome
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.words_said import check_said
from consentry.workflows.denials import check_allowed
from consentry.workflows.split_subject import ACT
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from vault.doubts import SettledDoubt, settle_doubt
from vault.subjects import Doubt


def list_doubts(platform: Platform, caller: Principal, *, after: str = "", limit: int = 100) -> Sequence[Doubt]:
    """Return listed doubts by id, those after the given one; the entry of this reading counts whom they name.

    Raises:
        Denied: the role may not.
    """
    check_allowed(platform, caller, ACT, persons_only=True)
    asking = platform.asking(caller)
    found = platform.resolver.doubtful(after=after, limit=limit)
    named = tuple(dict.fromkeys(one for doubt in found for one in doubt.candidates))
    event = Event(
        Act.CONFLICTS_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
        cohort=named, counts={"doubts": len(found)}, refs={"what": "doubts"},
    )  # fmt: skip
    platform.log.write(event)
    return found


def settle(
    platform: Platform, caller: Principal, *, doubt_id: str, subject: SubjectId | None, reason: str
) -> SettledDoubt:
    """Say about whom a source's records are: a candidate, or a person of its own.

    The link is written first and its entry at once afterwards: a crash between leaves a settled doubt without an entry,
    which the next call for it answers as not found.

    Raises:
        Denied: the role may not.
        NotFound, BadInput, Conflict: see ``vault.doubts.settle_doubt``.
    """
    check_allowed(platform, caller, ACT, persons_only=True, subject=subject)
    asking = platform.asking(caller)
    details = {"reason": check_said(reason, what="A decision about a doubt")}
    settled = settle_doubt(platform.keystore, doubt_id, subject)
    refs = {"doubt": doubt_id, "rule": settled.rule.value, "source": settled.source}
    event = Event(
        Act.SUBJECT_SETTLED, Outcome.DONE, asking.actor, asking.role, asking.request_id, subject=subject,
        refs=refs if settled.was is None else {**refs, "was": settled.was}, details=details,
    )  # fmt: skip
    platform.log.write(event)
    platform.log.settle()
    return settled


def doubt_json(doubt: Doubt) -> dict[str, JsonValue]:
    """Return one doubt for programs."""
    return {
        "doubt": doubt.doubt_id,
        "source": doubt.source,
        "rule": doubt.rule.value,
        "candidates": list(doubt.candidates),
        "noted_at": format_instant(doubt.noted_at),
    }
