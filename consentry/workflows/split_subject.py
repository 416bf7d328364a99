"""Split a subject: some of its records are another person's, who begins with every no and no yes."""

from dataclasses import dataclass, replace
from typing import Final

from consent.decisions import Decision
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.words_said import check_said
from consentry.workflows.denials import check_allowed
from consentry.workflows.two_people import check_second_person
from kernel.errors import BadInput, Conflict
from kernel.ids import BatchId, RecordId, SubjectId, new_id
from vault.moving import MoveOutcome, Selection

ACT: Final = "subject.identify"
"""What a role must be allowed to say who is who: merging, splitting and placing doubtful records."""


@dataclass(frozen=True, slots=True)
class Split:
    """A split that was carried out.

    Attributes:
        fresh: the new subject.
        decisions: that were recorded for it.
    """

    fresh: SubjectId
    decisions: tuple[Decision, ...]
    outcome: MoveOutcome


def split_subject(
    platform: Platform,
    caller: Principal,
    *,
    origin: SubjectId,
    selection: Selection,
    reason: str,
    accepted_by: Principal | None,
) -> Split:
    """Give some records of a subject to a new one, sealed under its own keys, with what finds the person.

    What was derived of the former is cleared away, as it was of two people.

    Args:
        platform: every part.
        caller: who splits.
        origin: who was two people.
        selection: what is the other person's.
        reason: in words; sealed beside the entries.
        accepted_by: a second person, who has seen that they are two.

    Raises:
        Denied: the role of the caller or of the second person may not.
        BadInput: no reason, or no second person.
        NotFound: the subject is not registered, or nothing of it is selected.
        Conflict: it is erased, held, was merged away or is being moved; or a source id is not its own.
    """
    check_allowed(platform, caller, ACT, persons_only=True, subject=origin)
    said = check_said(reason, what="A split")
    second = check_second_person(platform, caller, accepted_by, ACT)
    asking = replace(platform.asking(caller, reason=said), accepted_by=second.principal_id)
    _check_own(platform, origin, selection)
    fresh = SubjectId(new_id("sub"))
    with platform.data.write() as connection:
        made = platform.registry.split(connection, origin=origin, fresh=fresh, asking=asking)
        change = platform.mover.begin_split(connection, origin=origin, fresh=fresh, selection=selection, asking=asking)
    outcome = platform.mover.finish(change)
    platform.log.settle()
    return Split(fresh, made, outcome)


def selection_of(
    *, sources: tuple[str, ...], batches: tuple[str, ...], records: tuple[str, ...], source_ids: tuple[str, ...]
) -> Selection:
    """Return what was selected.

    Args:
        source_ids: each as ``source:id``.

    Raises:
        BadInput: one of them is not written so.
    """
    pairs = []
    for text in source_ids:
        source, colon, name = text.partition(":")
        if not (source and colon and name):
            raise BadInput("A source id is written as SOURCE:ID", hint="For example app:u-000042.")
        pairs.append((source, name))
    return Selection(
        frozenset(sources),
        frozenset(BatchId(one) for one in batches),
        frozenset(RecordId(one) for one in records),
        tuple(pairs),
    )


def _check_own(platform: Platform, origin: SubjectId, selection: Selection) -> None:
    for source, name in selection.source_ids:
        if platform.resolver.find(source, name) != origin:
            raise Conflict(
                f"Subject {origin} is not known to {source!a} by one of these ids", hint="Look the ids up first."
            )
