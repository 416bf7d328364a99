"""One document under the eyes of whoever asked: its time, and what finders proposed where that is wanted."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deid.text.spans import Hit

LONG: Final = 4_096
"""Characters from which the clock is looked at between finders and hits; what is shorter is done before it moves."""


class CannotJudge(Exception):
    """The document is too long, takes too long, or holds something longer than a window's margin."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A hit as its finder gave it, before conflicts were settled.

    Attributes:
        is_weak: its score is below the threshold of its kind, so that it counted for nothing.
    """

    hit: Hit
    is_weak: bool


class Watch:
    """Watches over one document; not shared between documents.

    Args:
        deadline: when the document must be judged, in seconds of the clock.
        monotonic: seconds of a clock that never goes back.
        notes: whether proposals are kept.
    """

    def __init__(
        self, deadline: float, monotonic: Callable[[], float] = time.monotonic, *, notes: bool = False
    ) -> None:
        self._deadline = deadline
        self._monotonic = monotonic
        self._proposals: list[Proposal] | None = [] if notes else None

    def check(self) -> None:
        """Raise ``CannotJudge`` when the time is over."""
        if self._monotonic() > self._deadline:
            raise CannotJudge

    @property
    def notes(self) -> bool:
        """Whether proposals are wanted."""
        return self._proposals is not None

    def note(self, proposal: Proposal) -> None:
        """Keep a proposal, where they are wanted."""
        if self._proposals is not None:
            self._proposals.append(proposal)

    def taken(self) -> list[Proposal]:
        """Return the proposals since the last call."""
        proposals = self._proposals or []
        if self._proposals:
            self._proposals = []
        return proposals
