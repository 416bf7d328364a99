"""The difference between two editions of a notice, and what follows from it for what was granted before.

What the law ties consent to is purpose, method and category of the data (PIPL 14 paragraph 2, 网络数据安全管理条例
22(6)); with whom they are shared names the recipient (PIPL 23). A change there ends what older grants cover, for a
purpose, a field or a recipient and no further. Another controller, contact or right is told and ends nothing
(PIPL 17, 22). What is taken away, or kept for a shorter time, needs nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from consent.notice_content import audience_of
from consent.register_facts import WHOLE_NOTICE, Aspect

Content: TypeAlias = Mapping[str, Any]
"""A stored content, parsed."""

Row: TypeAlias = Mapping[str, str]
"""A row of one of its two tables."""

MATERIAL_SECTIONS: Final = ("purpose", "method", "categories")
"""A change of another section is told."""

_GIVEN: Final = ("purpose", "method", "categories")
"""The columns of a third party that consent is tied to; its contact is told."""


class ChangeKind(StrEnum):
    """What differs."""

    PURPOSE_ADDED = "purpose_added"
    PURPOSE_REMOVED = "purpose_removed"
    SECTION = "section"
    COLLECTED_ADDED = "collected_added"
    COLLECTED_REMOVED = "collected_removed"
    THIRD_PARTY_ADDED = "third_party_added"
    THIRD_PARTY_REMOVED = "third_party_removed"
    THIRD_PARTY_CONTACT = "third_party_contact"
    FIELD_ADDED = "field_added"
    FIELD_REMOVED = "field_removed"
    KEPT_LONGER = "kept_longer"
    KEPT_SHORTER = "kept_shorter"
    RECIPIENT_ADDED = "recipient_added"
    RECIPIENT_REMOVED = "recipient_removed"
    BASES = "bases"
    NECESSITY = "necessity"
    IMPACT = "impact"
    AUDIENCE = "audience"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        purpose: the purpose that it concerns; ``WHOLE_NOTICE`` for every one of the notice.
        item: a section, field or recipient, or the first cell of a table's row; empty where there is nothing to name.
        before, after: the texts or periods on both sides; None where a side has none.
        aspect: what follows for older grants: the purpose, field or recipient is asked for anew, people are told
            (``INFORM``), or None for nothing.
    """

    kind: ChangeKind
    purpose: str
    item: str = ""
    before: str | None = None
    after: str | None = None
    aspect: Aspect | None = None

    @property
    def row(self) -> tuple[str, Aspect, str] | None:
        """Purpose, aspect and item for ``notice_change``; None where nothing follows."""
        match self.aspect:
            case None:
                return None
            case Aspect.INFORM:
                return WHOLE_NOTICE, Aspect.INFORM, ""
            case Aspect.PURPOSE:
                return self.purpose, Aspect.PURPOSE, ""
            case _:
                return self.purpose, self.aspect, self.item


def compare(before: bytes | None, after: bytes) -> tuple[Change, ...]:
    """Return every difference between two stored contents of one code and locale, older first.

    Nothing to compare with, or an older content without facts, counts as a change of every purpose: the stricter side.
    """
    if before is None:
        return (Change(ChangeKind.UNKNOWN, WHOLE_NOTICE, aspect=Aspect.PURPOSE),)
    old, new = json.loads(before), json.loads(after)
    return (
        *_purposes(old, new),
        *_sections(old, new),
        *_collected(old["collected"], new["collected"]),
        *_third_parties(old, new),
        *_facts(old, new),
        *_audience(old, new),
    )


def rows_of(changes: Iterable[Change]) -> list[tuple[str, Aspect, str]]:
    """Return what ``notice_change`` has to hold: purpose, aspect, item; each once, in order."""
    return sorted({change.row for change in changes if change.row is not None})


def _purposes(old: Content, new: Content) -> Iterator[Change]:
    known = {purpose["code"]: purpose for purpose in old["purposes"]}
    told = {purpose["code"]: purpose for purpose in new["purposes"]}
    for code, purpose in told.items():
        if code not in known:
            yield Change(ChangeKind.PURPOSE_ADDED, code, after=purpose["label"], aspect=Aspect.PURPOSE)
            continue
        for kind in (ChangeKind.NECESSITY, ChangeKind.IMPACT):
            texts = known[code].get(kind.value), purpose.get(kind.value)
            if texts[0] != texts[1]:
                yield Change(kind, code, kind.value, *texts, aspect=Aspect.INFORM)
    for code in sorted(known.keys() - told.keys()):
        yield Change(ChangeKind.PURPOSE_REMOVED, code, before=known[code]["label"])


def _sections(old: Content, new: Content) -> Iterator[Change]:
    for name in {**old["sections"], **new["sections"]}:
        before, after = old["sections"].get(name), new["sections"].get(name)
        if before != after:
            aspect = Aspect.PURPOSE if name in MATERIAL_SECTIONS else Aspect.INFORM
            yield Change(ChangeKind.SECTION, WHOLE_NOTICE, name, before, after, aspect)


def _collected(old: Sequence[Row], new: Sequence[Row]) -> Iterator[Change]:
    for row in new:
        if row not in old:
            item = next(iter(row.values()))
            yield Change(ChangeKind.COLLECTED_ADDED, WHOLE_NOTICE, item, after=_told(row), aspect=Aspect.PURPOSE)
    for row in old:
        if row not in new:
            item = next(iter(row.values()))
            yield Change(ChangeKind.COLLECTED_REMOVED, WHOLE_NOTICE, item, before=_told(row))


def _third_parties(old: Content, new: Content) -> Iterator[Change]:
    """A new or changed row concerns the purposes of its recipient where the facts name it, else the whole notice."""
    known = {row.get("recipient", ""): row for row in old["third_parties"]}
    told = {row["recipient"]: row for row in new["third_parties"]}
    for name, row in told.items():
        before = known.get(name)
        if before is None or any(before.get(column) != row[column] for column in _GIVEN):
            for purpose, code in _declared(new, name):
                yield Change(
                    ChangeKind.THIRD_PARTY_ADDED,
                    purpose,
                    code or name,
                    None if before is None else _told(before),
                    _told(row),
                    Aspect.RECIPIENT if code else Aspect.PURPOSE,
                )
        elif before.get("contact") != row["contact"]:
            contacts = before.get("contact"), row["contact"]
            yield Change(ChangeKind.THIRD_PARTY_CONTACT, WHOLE_NOTICE, name, *contacts, aspect=Aspect.INFORM)
    for name in sorted(known.keys() - told.keys()):
        yield Change(ChangeKind.THIRD_PARTY_REMOVED, WHOLE_NOTICE, name, before=_told(known[name]))


def _declared(content: Content, name: str) -> list[tuple[str, str]]:
    """Return the purposes for which a recipient of this name is declared, with its code; the whole notice for none."""
    facts = content.get("facts", {})
    found = [
        (purpose, code)
        for purpose, fact in facts.items()
        for code, called in fact["recipients"].items()
        if name in (called, code)
    ]
    return found or [(WHOLE_NOTICE, "")]


def _facts(old: Content, new: Content) -> Iterator[Change]:
    if "facts" not in new:
        return
    if "facts" not in old:
        yield Change(ChangeKind.UNKNOWN, WHOLE_NOTICE, aspect=Aspect.PURPOSE)
        return
    for purpose, told in new["facts"].items():
        known = old["facts"].get(purpose)
        if known is not None:
            yield from _fields(purpose, known["fields"], told["fields"])
            yield from _recipients(purpose, known["recipients"], told["recipients"])
            if known["bases"] != told["bases"]:
                bases = ", ".join(known["bases"]), ", ".join(told["bases"])
                yield Change(ChangeKind.BASES, purpose, "", *bases, aspect=Aspect.INFORM)


def _fields(purpose: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for code in new.keys() - old.keys():
        yield Change(ChangeKind.FIELD_ADDED, purpose, code, aspect=Aspect.FIELD)
    for code in old.keys() - new.keys():
        yield Change(ChangeKind.FIELD_REMOVED, purpose, code)
    for code in new.keys() & old.keys():
        before, after = old[code]["keep_days"], new[code]["keep_days"]
        if before == after:
            continue
        if before is not None and (after is None or after > before):
            yield Change(ChangeKind.KEPT_LONGER, purpose, code, _days(before), _days(after), Aspect.FIELD)
        else:
            yield Change(ChangeKind.KEPT_SHORTER, purpose, code, _days(before), _days(after))


def _recipients(purpose: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for code in new.keys() - old.keys():
        yield Change(ChangeKind.RECIPIENT_ADDED, purpose, code, after=new[code], aspect=Aspect.RECIPIENT)
    for code in old.keys() - new.keys():
        yield Change(ChangeKind.RECIPIENT_REMOVED, purpose, code, before=old[code])


def _audience(old: Content, new: Content) -> Iterator[Change]:
    before, after = audience_of(old), audience_of(new)
    if before != after:
        yield Change(ChangeKind.AUDIENCE, WHOLE_NOTICE, "", before, after, Aspect.PURPOSE)


def _days(days: int | None) -> str | None:
    """Return a period as ISO 8601; None for the life of the account."""
    return None if days is None else f"P{days}D"


def _told(row: Row) -> str:
    return "; ".join(f"{name}: {cell}" for name, cell in row.items())
