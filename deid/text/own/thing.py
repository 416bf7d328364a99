"""What each kind of own identifier is to the finder."""

from collections.abc import Iterator
from typing import Protocol

from deid.text.kinds import Kind
from deid.text.own.forms import Page


class OwnThing(Protocol):
    """One value of the subject in all its spellings."""

    @property
    def kind(self) -> Kind:
        """What its hits are."""
        ...

    @property
    def source(self) -> str:
        """``record.`` and what it is."""
        ...

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield start and end of each place where it stands, in offsets of the window."""
        ...
