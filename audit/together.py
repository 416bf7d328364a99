"""Accesses of one kind that are entered together: what they look up is looked up once for all who wait.

Whoever enters alone brings its own work, which stays the whole rule. The round only takes over where it comes to the
same: a member of which anything is out of the ordinary is left to its own work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection

from audit.events import Event
from audit.proving import Claim
from audit.receipts import Receipt
from kernel.ids import EntryId
from kernel.shared_writes import Piece


@dataclass(frozen=True, slots=True)
class Draft:
    """What a member of a round enters.

    Attributes:
        events: at least one.
        finish: gets the ids of their entries, and returns what the member's own work would have returned.
    """

    events: Sequence[Event]
    finish: Callable[[Sequence[EntryId]], tuple[Any, Claim]] = field(repr=False)


class Joint(Protocol):
    """What accesses of one kind have in common."""

    def draft(self, connection: Connection, asked: Sequence[Any]) -> Sequence[Draft | None]:
        """Do for all of them what their own works do, but for the entries; None for each that is left to its own.

        Args:
            connection: of a transaction that may write; nothing was done in it.
            asked: what each of them wants.
        """
        ...

    def gather(self, connection: Connection, asked: Sequence[Any], results: Sequence[Any]) -> object:
        """Read, once their entries are proven, what all of them are about to open; still sealed.

        Args:
            connection: of the snapshot in which the entries were proven.
            asked: what each of them wants.
            results: of their works.
        """
        ...


@dataclass(slots=True, eq=False)
class JointPiece(Piece):
    """One member of a round.

    Attributes:
        work: does the same alone.
        is_left: whether the caller has to run the work, in a transaction of its own.
        gathered: what was read for the whole round; None where nothing was, and each reads for itself.
    """

    joint: Joint = field(kw_only=True)
    asked: Any = field(kw_only=True, repr=False)
    is_left: bool = False
    gathered: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of an access.

    Attributes:
        result: of its work.
        receipt: for what the work claims; None where it claims nothing.
        gathered: what its round has read for it; None for nothing.
    """

    result: Any = field(repr=False)
    receipt: Receipt | None
    gathered: Any = field(default=None, repr=False)


def by_kind(pieces: Sequence[JointPiece]) -> list[tuple[Joint, list[JointPiece]]]:
    """Return the members of each kind."""
    found: dict[int, tuple[Joint, list[JointPiece]]] = {}
    for one in pieces:
        found.setdefault(id(one.joint), (one.joint, []))[1].append(one)
    return list(found.values())


def draft_all(connection: Connection, pieces: Sequence[JointPiece]) -> list[tuple[JointPiece, Draft]]:
    """Return what the members enter, without those that are left to their own work."""
    drafts = []
    for joint, members in by_kind(pieces):
        drafted = joint.draft(connection, [one.asked for one in members])
        drafts += [(one, draft) for one, draft in zip(members, drafted, strict=True) if draft is not None]
    return drafts


def gather_all(connection: Connection, pieces: Sequence[JointPiece]) -> None:
    """Read for all members whose entries are proven; where that fails each reads for itself, and meets the error."""
    for joint, members in by_kind(pieces):
        try:
            gathered = joint.gather(connection, [one.asked for one in members], [one.result[0] for one in members])
        except Exception:  # noqa: BLE001, S112 - each caller reads for itself
            continue
        for one in members:
            one.gathered = gathered
