"""What a part gives to the outbox: a handler for its own consequences of a closing act, and how each ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Protocol

from sqlalchemy import Connection

from consent.outbox import Closing, WakeItem
from kernel.encoding import JsonValue
from kernel.errors import ConsentryError, Unavailable


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a handler left an item that needs nothing more.

    Attributes:
        result: ``done``, ``granted_again`` (the gate allows it again, nothing was touched) or another word for an end
            without work, such as ``not_held``.
        counts: non-negative numbers by name.
        refs: ids, versions and hashes by name; never a value.
    """

    result: str = "done"
    counts: Mapping[str, int] = field(default_factory=dict)
    refs: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, JsonValue]:
        """Return what is stored with the item."""
        return {"result": self.result, "counts": dict(self.counts), "refs": dict(self.refs)}


class NotNow(Unavailable):
    """Something else has to happen first: the item waits, and that counts as no attempt."""

    after: ClassVar[timedelta] = timedelta(hours=1)
    """How long it waits, unless ``Wake.rouse`` says before that it can go on."""


class TargetFailed(Unavailable):
    """The target does not work, whoever the item is about: what else is planned for it waits as well."""


class Hopeless(ConsentryError):
    """No attempt can succeed before an officer has changed something: the item is dead at once."""


class Handler(Protocol):
    """One kind of consequence. Both methods look at the closing only, never at a value."""

    @property
    def name(self) -> str:
        """At most 32 characters; stands in the items and in the log."""
        ...

    def targets(self, connection: Connection, closing: Closing) -> Sequence[str]:
        """Return what has to be worked on, each at most 128 characters; empty when there is nothing to do.

        Called in the transaction of the closing act, under its locks: read little, write nothing.
        """
        ...

    def run(self, item: WakeItem) -> Outcome:
        """Do it, in transactions of its own, and ask the gate again first; to be safe against repetition.

        Raises:
            NotNow: it has to wait for something else.
            TargetFailed: it is tried again, and so is later what else has the same target.
            Hopeless: it cannot succeed.
            ConsentryError: it is tried again, and dead in the end.
        """
        ...


class WakePlanner(Protocol):
    """Plans what a closing act sets in motion, in the transaction of the act."""

    def plan(self, connection: Connection, closings: Sequence[Closing]) -> None:
        """Insert what has to be done."""
        ...
