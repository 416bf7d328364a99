"""An entry of the log in the form that the writers for other systems share: its members, and where its proof lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from audit.entries import decode_entry
from audit.events import Act, Outcome
from audit.ranges import PlacedEntry
from kernel.encoding import JsonValue


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One entry, read from its bytes.

    Attributes:
        placed: bytes, leaf hash, origin and index.
        fields: catalogue codes, sorted.
        cohort_size: number of the subjects of a batch; None where the entry is about one or nobody.
    """

    placed: PlacedEntry
    entry_id: str
    at: str
    act: Act
    outcome: Outcome
    actor: str
    role: str
    request_id: str
    purpose: str | None = None
    basis: str | None = None
    reason: str | None = None
    recipient: str | None = None
    subject: str | None = None
    level: int | None = None
    cohort_size: int | None = None
    cohort_digest: str | None = None
    fields: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    refs: Mapping[str, str] = field(default_factory=dict)

    @property
    def object(self) -> tuple[str, str]:
        """The name and id of the thing that the act was about: what is referred to first, else the entry itself."""
        things = {name: text for name, text in self.refs.items() if name not in _NO_THINGS}
        return next(iter(things.items()), ("entry", self.entry_id))


def read_entry(placed: PlacedEntry) -> LoggedEntry:
    """Return what an entry's bytes say.

    Raises:
        ValueError: the bytes are no entry, or name an act or outcome that this version does not know.
    """
    members = decode_entry(placed.body)
    cohort = members.get("cohort")
    size, digest = (cohort.get("size"), cohort.get("digest")) if isinstance(cohort, Mapping) else (None, None)
    level = members.get("level")
    return LoggedEntry(
        placed=placed,
        entry_id=_text(members["id"]),
        at=_text(members["at"]),
        act=Act(_text(members["act"])),
        outcome=Outcome(_text(members["outcome"])),
        actor=_text(members["actor"]),
        role=_text(members["role"]),
        request_id=_text(members["request_id"]),
        level=level if isinstance(level, int) else None,
        cohort_size=size if isinstance(size, int) else None,
        cohort_digest=digest if isinstance(digest, str) else None,
        fields=_texts(members.get("fields")),
        counts={name: number for name, number in _members(members.get("counts")) if isinstance(number, int)},
        refs={name: text for name, text in _members(members.get("refs")) if isinstance(text, str)},
        **{name: _text(members[name]) for name in _OPTIONAL if name in members},
    )


def _text(member: JsonValue) -> str:
    if not isinstance(member, str):
        raise ValueError("a member of the entry is no text")  # noqa: TRY004 - wrong bytes, not a wrong call
    return member


def _texts(member: JsonValue) -> tuple[str, ...]:
    return tuple(_text(one) for one in member) if isinstance(member, Sequence) and not isinstance(member, str) else ()


def _members(member: JsonValue) -> Sequence[tuple[str, JsonValue]]:
    return tuple(member.items()) if isinstance(member, Mapping) else ()


_OPTIONAL = ("purpose", "basis", "reason", "recipient", "subject")
_NO_THINGS = frozenset({"act", "catalogue", "what", "kind", "role", "for_role", "definition", "format"})
"""References that say how, and not what."""
