"""The entry: an event as canonical bytes, checked so that neither a person nor a forged line can hide in it."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from audit.events import Event
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import EntryId, SubjectId, is_id

ENTRY_VERSION: Final = 1
ENTRY_MAX_BYTES: Final = 16 * 1024
TEXT_MAX_CHARS: Final = 256
LEVELS: Final = range(1, 6)

_MAX_SAFE_INTEGER: Final = 2**53 - 1
"""RFC 8785 section 3.2.2.3."""

_CANONICAL: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
"""The form of ``kernel.encoding.canonical_json``, for members whose names are ASCII and whose values were checked."""

_instant_text: Final = lru_cache(maxsize=64)(format_instant)
"""All entries of one transaction have one time."""

_SUBJECT: Final = re.compile(rb"sub_[a-z2-7]{24}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/\-]{0,127}")
"""Rule names, catalogue codes and keys: ASCII, so that they sort alike everywhere and hold nobody's words."""

_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, bidirectional and invisible marks, surrogates, line breaks: they make one line look like another."""


def mentioned_subjects(event: Event) -> tuple[SubjectId, ...]:
    """Return the subjects that an event names outside ``subject`` and ``cohort``: as actor, recipient or reference."""
    texts = (event.actor, event.recipient or "", *event.refs.values())
    return tuple(dict.fromkeys(SubjectId(text) for text in texts if is_id(text, "sub")))


def mentioned_aliases(members: Mapping[str, JsonValue]) -> set[str]:
    """Return the aliases that an entry's members hold: as subject, actor, recipient or reference."""
    refs = members.get("refs")
    texts = [members.get(name) for name in ("subject", "actor", "recipient")]
    texts += refs.values() if isinstance(refs, Mapping) else ()
    return {text for text in texts if isinstance(text, str) and is_id(text, "als")}


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Entry bytes that are to become a leaf.

    Attributes:
        members: what the bytes say, where they were made in this process; else they are parsed.
    """

    entry_id: str
    at: datetime
    body: bytes
    members: Mapping[str, JsonValue] | None = field(default=None, repr=False)


def encode_entry(
    event: Event,
    entry_id: EntryId,
    at: datetime,
    *,
    aliases: Mapping[SubjectId, str],
    cohort: Mapping[str, JsonValue] | None,
    details: str | None = None,
) -> NewEntry:
    """Return the entry with the canonical bytes that become a leaf.

    Args:
        event: what happened.
        entry_id: the entry's own id.
        at: the entry's time.
        aliases: the alias of every subject that the event names outside its cohort.
        cohort: ``{"size", "digest"}``, or None without a cohort.
        details: ``details_digest`` of the sealed details, or None without any.
    Raises:
        BadInput: a text with control characters, a name that is none, a subject id where no alias can stand, or an
            entry beyond 16 KiB.
    Source: docs/reference/audit-format.md.
    """
    document = _document(event, entry_id, at, aliases)
    document["cohort"] = cohort
    document["details"] = details
    members = {name: value for name, value in document.items() if value}  # an absent member is left out
    body = _CANONICAL.encode(members).encode()
    if len(body) > ENTRY_MAX_BYTES:
        raise BadInput(f"An audit entry for {event.act.value} exceeds 16 KiB", hint="Put the rest into its details.")
    if b"sub_" in body and _SUBJECT.search(body):
        raise BadInput(
            f"An audit entry for {event.act.value} would hold a subject id", hint="Give it as subject or cohort."
        )
    return NewEntry(entry_id, at, body, members)


def decode_entry(body: bytes) -> Mapping[str, JsonValue]:
    """Return the members of stored entry bytes; the bytes stay authoritative."""
    members = json.loads(body)
    if not isinstance(members, dict):
        raise BadInput("Stored bytes are no audit entry", hint="Verify the log.")
    return members


def cohort_digest(salt: bytes, aliases: Iterable[str]) -> str:
    """Return the salted SHA-256 over the sorted aliases of a cohort, in hexadecimal.

    Source: docs/reference/audit-format.md, "Cohorts".
    """
    lines = b"".join(alias.encode() + b"\n" for alias in sorted(aliases))
    return hashlib.sha256(b"consentry cohort v1\n" + salt + lines).hexdigest()


def details_digest(sealed: bytes) -> str:
    """Return the SHA-256 over the sealed details of an entry, in hexadecimal."""
    return hashlib.sha256(sealed).hexdigest()


def _document(event: Event, entry_id: EntryId, at: datetime, aliases: Mapping[SubjectId, str]) -> dict[str, JsonValue]:
    return {
        "v": ENTRY_VERSION,
        "id": entry_id,
        "at": _instant_text(at),
        "act": event.act.value,
        "outcome": event.outcome.value,
        "actor": _text("actor", _aliased(event.actor, aliases)),
        "role": _text("role", event.role),
        "request_id": _text("request_id", event.request_id),
        "purpose": _name("purpose", event.purpose),
        "recipient": None if event.recipient is None else _text("recipient", _aliased(event.recipient, aliases)),
        "subject": None if event.subject is None else aliases[event.subject],
        "fields": sorted({_checked_name("fields", code) for code in event.fields}),
        "level": _level(event.level),
        "basis": _name("basis", event.basis),
        "reason": _name("reason", event.reason),
        "counts": {_checked_name("counts", key): _count(value) for key, value in event.counts.items()},
        "refs": {
            _checked_name("refs", key): _text("refs", _aliased(value, aliases)) for key, value in event.refs.items()
        },
    }


def _aliased(text: str, aliases: Mapping[SubjectId, str]) -> str:
    return aliases[SubjectId(text)] if is_id(text, "sub") else text


def _text(member: str, text: str) -> str:
    if not 0 < len(text) <= TEXT_MAX_CHARS:
        raise BadInput(f"The {member} of an audit entry must have 1 to {TEXT_MAX_CHARS} characters", hint="Shorten it.")
    if not text.isascii() or not text.isprintable():
        _check_characters(member, text)
    return text


def _check_characters(member: str, text: str) -> None:
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text):
        raise BadInput(f"The {member} of an audit entry holds control characters", hint="Remove them.")


def _name(member: str, text: str | None) -> str | None:
    return None if text is None else _checked_name(member, text)


def _checked_name(member: str, text: str) -> str:
    if not _is_name(text):
        raise BadInput(
            f"The {member} of an audit entry must be a code or an id",
            hint="Put a person's words into the event's details, which are sealed.",
        )
    return text


@lru_cache(maxsize=4_096)
def _is_name(text: str) -> bool:
    """Say whether a text is a code or an id; the same few hundred come again and again."""
    return _NAME.fullmatch(text) is not None


def _level(level: int | None) -> int | None:
    if level is not None and level not in LEVELS:
        raise BadInput("The level of an audit entry must be 1 to 5", hint="Give the highest level of its fields.")
    return level


def _count(value: int) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_SAFE_INTEGER:
        raise BadInput("A count of an audit entry must be a non-negative number", hint="Count from zero.")
    return value
