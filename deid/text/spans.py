"""What text detection finds: spans, and one answer where hits overlap."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from deid.text.kinds import MARKS, Kind

OWN: Final = "record."
"""What the sources of hits begin with that come from the subject's own record."""


_SURER: Final = frozenset((Kind.ID_NUMBER, Kind.USCC))
"""A check digit beside a region that exists and a day that was proves more than one that one number in ten has."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where an identifier stands: ``text[start:end]`` of the text as it was given, end-exclusive.

    Attributes:
        score: 0 to 1; 1 for a verified check digit.
        source: which rule found it, such as ``id_number``, ``person.cue``, ``record.name`` or ``model:NAME``; never a
            value.
        checked: whether a check digit of the value was verified.
    """

    start: int
    end: int
    type: Kind
    score: float
    source: str = field(default="", compare=False)
    checked: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A text with its identifiers replaced by marks; still a person's words, therefore hidden from repr.

    Attributes:
        text: the text with marks.
        spans: what was replaced, in offsets of the original, sorted and disjoint.
    """

    text: str = field(repr=False)
    spans: tuple[Span, ...]

    @property
    def is_withheld(self) -> bool:
        """Whether the whole document was replaced, because it could not be judged in time."""
        return any(span.type is Kind.WITHHELD for span in self.spans)


@dataclass(frozen=True, slots=True)
class Hit:
    """A span before conflicts are settled.

    Attributes:
        checked: whether a check digit of the value was verified.
        source: which rule found it; never a value.
    """

    start: int
    end: int
    kind: Kind
    score: float
    checked: bool
    source: str = field(default="", compare=False)

    @property
    def rank(self) -> tuple[bool, bool, int, float, bool]:
        """The order among overlapping hits: the subject's own record, check digit, length, score, surer proof."""
        surer = self.kind in _SURER
        return (self.source.startswith(OWN), self.checked, self.end - self.start, self.score, surer)


def settle(hits: Iterable[Hit]) -> list[Span]:
    """Turn overlapping hits into disjoint spans.

    The highest rank gives type and score; the span covers every hit that overlapped, so that nothing a losing hit
    saw (the host of an address, the tail of a number) is left standing.
    """
    return [_merged(group) for group in overlapping(sorted(hits, key=lambda hit: (hit.start, hit.end, hit.kind)))]


class Stretch(Protocol):
    """Anything that stands from start to end, end-exclusive."""

    @property
    def start(self) -> int:
        """Its first character."""
        ...

    @property
    def end(self) -> int:
        """One past its last."""
        ...


_Stretch = TypeVar("_Stretch", bound=Stretch)


def overlapping(stretches: Iterable[_Stretch]) -> list[list[_Stretch]]:
    """Group stretches, sorted by their start, so that each overlaps another of its group and none of the rest."""
    groups: list[list[_Stretch]] = []
    reach = -1
    for stretch in stretches:
        if stretch.start < reach:
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
        reach = max(reach, stretch.end)
    return groups


def mask(text: str, spans: Iterable[Span]) -> str:
    """Replace each of the sorted, disjoint spans by its mark."""
    parts: list[str] = []
    position = 0
    for span in spans:
        parts += (text[position : span.start], MARKS[span.type])
        position = span.end
    return "".join((*parts, text[position:]))


def masked_places(spans: Iterable[Span], chosen: Iterable[Span]) -> list[int]:
    """Return where the marks of some of the sorted spans stand in ``mask(text, spans)``, sorted."""
    wanted = {span.start for span in chosen}
    places: list[int] = []
    shift = 0
    for span in spans:
        if span.start in wanted:
            places.append(span.start + shift)
        shift += len(MARKS[span.type]) - (span.end - span.start)
    return places


class Unmasking:
    """Leads from ``mask(text, spans)`` back to the text; a look-up takes no longer where there are many spans.

    Args:
        spans: sorted and disjoint.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        self._places: list[int] = []
        self._shifts = [0]
        for span in spans:
            shift = self._shifts[-1]
            self._places.append(span.start + shift)
            self._shifts.append(shift + len(MARKS[span.type]) - (span.end - span.start))

    def original(self, masked_offset: int) -> int:
        """Return where a place outside the marks stands in the text."""
        return masked_offset - self._shifts[bisect_left(self._places, masked_offset)]


def _merged(group: list[Hit]) -> Span:
    winner = max(group, key=lambda hit: hit.rank)
    return Span(group[0].start, max(hit.end for hit in group), winner.kind, winner.score, winner.source, winner.checked)
