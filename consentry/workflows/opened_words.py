"""The words that are sealed beside entries, opened for a compliance officer; the opening leaves its entry first."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from audit.events import Act, Event, Outcome
from audit.queries import EntryView, get_entries
from consentry.access import can_act
from consentry.breaches import CASE_ACTS
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.breach import MANAGE_ACT
from consentry.workflows.denials import check_allowed
from consentry.workflows.watch_lists import REVIEW
from kernel.encoding import JsonValue
from kernel.ids import SubjectId

_SPOKEN: Final = ("reason", "note")
"""Members of the details that are somebody's own words about an access."""


def check_may_open_words(platform: Platform, caller: Principal, *, subject: SubjectId | None = None) -> None:
    """Raise ``Denied`` unless the caller is a person who reviews accesses; the try stays in the log.

    The words may name third parties, so that neither the person nor its guardian is told them.
    """
    check_allowed(platform, caller, REVIEW, persons_only=True, subject=subject)


def open_words(
    platform: Platform, caller: Principal, entries: Sequence[EntryView], *, subject: SubjectId | None = None
) -> dict[int, Mapping[str, JsonValue]]:
    """Return the opened details of some entries by index; those without details, or whose are gone, are left out.

    Args:
        platform: every part.
        caller: who reads; words of breach cases are opened for who manages cases.
        entries: of the tree.
        subject: whom the entries are about, for the entry of this reading; it counts how many entries were opened.
    Raises:
        Denied: the role may not.
        IntegrityFailed: details were not sealed for their entry.
    """
    check_may_open_words(platform, caller, subject=subject)
    asking = platform.asking(caller)
    event = Event(
        Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
        subject=subject, counts={"entries": len(entries)}, refs={"what": "words"},
    )  # fmt: skip
    with platform.data.write() as connection:
        platform.log.record(connection, event)
    platform.log.settle()
    may_manage = can_act(platform.catalogue, caller, MANAGE_ACT)
    opened: dict[int, Mapping[str, JsonValue]] = {}
    with platform.data.read() as connection:
        for entry in entries:
            if entry.members.get("act") in CASE_ACTS and not may_manage:
                continue
            details = platform.log.read_details(connection, entry.entry_id)
            if details is not None:
                opened[entry.index] = details
    return opened


def add_words(
    platform: Platform, caller: Principal, rows: Sequence[dict[str, JsonValue]], *, subject: SubjectId
) -> None:
    """Add ``words`` to rows of accesses: the stated reasons beside their entries; None where nobody stated one."""
    places = [_indexes(row) for row in rows]
    with platform.data.read() as connection:
        entries = get_entries(connection, {index for indexes in places for index in indexes})
    opened = open_words(platform, caller, entries, subject=subject)
    for row, indexes in zip(rows, places, strict=True):
        row["words"] = _spoken(opened, indexes)


def _indexes(row: Mapping[str, JsonValue]) -> list[int]:
    entries = row["entries"]
    return [index for index in entries if isinstance(index, int)] if isinstance(entries, list) else []


def _spoken(opened: Mapping[int, Mapping[str, JsonValue]], indexes: Collection[int]) -> str | None:
    said = [opened[index].get(name) for index in indexes if index in opened for name in _SPOKEN]
    return "; ".join(dict.fromkeys(text for text in said if isinstance(text, str))) or None
