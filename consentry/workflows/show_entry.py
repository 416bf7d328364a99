"""One entry of the log in words: all that it says, what is sealed beside it, and how to prove it."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from audit.queries import EntryView, find_entry
from consent.sentences import Teller
from consent.words import Language
from consentry.access import can_act, check_may_act
from consentry.actors import names_of
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.access_words import reason_label
from consentry.workflows.history import recipient_names
from consentry.workflows.opened_words import open_words
from consentry.workflows.seen_by import pruned_of
from consentry.workflows.watch_lists import REVIEW
from kernel.encoding import JsonValue
from kernel.errors import NotFound

READ: Final = "audit.read"


def show_entry(platform: Platform, caller: Principal, named: str, *, locale: str = "zh-CN") -> dict[str, JsonValue]:
    """Return one entry, codes beside words; the reading leaves its entry first.

    Args:
        platform: every part.
        caller: who may read the log; what is sealed is opened for who reviews accesses, and for nobody else.
        named: the entry's id, or its index in the log.
        locale: whose words.
    Returns:
        ``entry``: its members; ``words``: labels of what has one; ``details``: what was sealed, None where nothing is
        or the caller may not; ``sealed``: whether the caller may not; ``proof``: the command that proves it.
    Raises:
        Denied: the role may not read the log.
        NotFound: no entry has this id or index.
        IntegrityFailed: the details were not sealed for this entry.
    """
    check_may_act(platform.catalogue, caller, READ)
    platform.log.settle()
    with platform.data.read() as connection:
        found = find_entry(connection, named)
    if found is None:
        raise NotFound("No entry of the log has this id or index", hint="See `consentry audit query --wide`.")
    _record_reading(platform, caller, found)
    may_open = can_act(platform.catalogue, caller, REVIEW)
    details = open_words(platform, caller, [found]).get(found.index) if may_open else None
    with platform.data.read() as connection:
        told = _told(platform, connection, found, locale)
    return {**told, "details": None if details is None else dict(details), "sealed": not may_open}


def _record_reading(platform: Platform, caller: Principal, found: EntryView) -> None:
    asking = platform.asking(caller)
    event = Event(
        Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
        counts={"entries": 1}, refs={"what": "entry", "entry": found.entry_id},
    )  # fmt: skip
    with platform.data.write() as connection:
        platform.log.record(connection, event)
    platform.log.settle()


def _told(platform: Platform, connection: Connection, found: EntryView, locale: str) -> dict[str, JsonValue]:
    teller = Teller(platform.catalogue, Language.of(locale), recipient_names(connection))
    is_pruned = not found.body
    return {
        "index": found.index,
        "entry": dict(found.members),
        "words": _labels(platform, connection, teller, found),
        "pruned": pruned_of(connection) if is_pruned else None,
        "proof": None if is_pruned else f"consentry audit proof {found.entry_id}",
    }


def _labels(platform: Platform, connection: Connection, teller: Teller, found: EntryView) -> dict[str, JsonValue]:
    """Return what people read in place of codes and ids; None where an entry has no such member."""
    members, catalogue = found.members, platform.catalogue
    actor, role, purpose = (str(members.get(name)) for name in ("actor", "role", "purpose"))
    fields, recipient, reason = members.get("fields"), members.get("recipient"), members.get("reason")
    return {
        "at": teller.instant(found.at),
        "actor": names_of(connection, [actor]).get(actor),
        "role": teller.label(catalogue.roles[role].label) if role in catalogue.roles else None,
        "purpose": teller.label(catalogue.purposes[purpose].label) if purpose in catalogue.purposes else None,
        "fields": teller.fields([str(code) for code in fields]) if isinstance(fields, list) else None,
        "recipient": teller.recipient(recipient) if isinstance(recipient, str) else None,
        "reason": reason_label(teller, reason) if isinstance(reason, str) else None,
    }


def flat(told: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return an entry for a list of names and values: each code with its words, the parts of refs and details apart."""
    entry, words, details = (_members(told, name) for name in ("entry", "words", "details"))
    shown: dict[str, JsonValue] = {"index": told["index"]}
    for name, value in entry.items():
        if isinstance(value, Mapping):
            shown |= {f"{name} {part}": one for part, one in value.items()}
        else:
            shown[name] = value
            if words.get(name) is not None:
                shown[f"{name}, in words"] = words[name]
    return shown | {f"sealed {name}": value for name, value in details.items()}


def _members(told: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    found = told[name]
    return found if isinstance(found, Mapping) else {}
