"""Find identifiers in Chinese text and replace them by marks; what cannot be judged in time is withheld whole."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Final

from deid.text.engine import Detector, PresidioDetector
from deid.text.finders import Finder
from deid.text.kinds import Kind
from deid.text.reading import language_of
from deid.text.spans import Hit, Scrubbed, Span, Unmasking, mask, masked_places, settle
from deid.text.trace import Trace, traced
from deid.text.watch import CannotJudge, Proposal, Watch

DEFAULT_BUDGET_MS: Final = 2_000

MAX_CHARACTERS: Final = 1_000_000
"""Longer documents are withheld unread: fifteen times the longest value that the vault stores."""

_CORE: Final = 16_384
_MARGIN: Final = 2_048
"""Long texts are read in windows. The margin on both sides holds the context words and the longest plausible hit."""

_MAX_ROUNDS: Final = 8
"""A mark can free a number that stood glued to what it replaced; texts that need more rounds are built to evade."""

_Detect = Callable[[str], list[Hit]]
"""Finds the hits in one window of a document whose language, own identifiers and watch are settled."""

_WITHHELD: Final = "withheld"

_FIRST_TEXTS: Final = {
    "zh": "张三，住在北京市海淀区中关村大街1号，2024年3月5日，13800138000",
    "en": "Mr. John Smith, 12 Main Street, Boston, March 5, 2024, (212) 555-0187",
}
"""What a detector of ours reads first, so that finders have loaded their lists."""


class TextScrubber:
    """Finds and replaces identifiers; safe to share between threads.

    presidio is imported and the engine built on the first text.

    Args:
        budget_ms: time for one document; one that takes longer becomes a single mark.
        monotonic: seconds of a clock that never goes back.
        detector: finds the hits in a window; presidio with the identifiers of this package unless given.
    """

    def __init__(
        self,
        *,
        budget_ms: int = DEFAULT_BUDGET_MS,
        monotonic: Callable[[], float] = time.monotonic,
        detector: Detector | None = None,
    ) -> None:
        self._budget_seconds = budget_ms / 1_000
        self._monotonic = monotonic
        self._detector = detector
        self._cold: set[str] = set()
        self._lock = Lock()

    def find(self, text: str, language: str = "auto", own: Sequence[Finder] = ()) -> list[Span]:
        """Return what ``scrub`` would replace.

        Returns:
            sorted, disjoint spans in offsets of ``text``; one span of kind ``WITHHELD`` over the whole text when it
            could not be judged within the budget.
        """
        return self._judged(text, language, own, _Notes(self._watch(text, language)))

    def scrub(self, text: str, language: str = "auto", own: Sequence[Finder] = ()) -> Scrubbed:
        """Replace every identifier by the mark of its kind, such as ``〔手机〕``.

        Scrubbing the result again changes nothing.
        """
        spans = self.find(text, language, own)
        return Scrubbed(mask(text, spans), tuple(spans))

    def trace(self, text: str, language: str = "auto", own: Sequence[Finder] = ()) -> Trace:
        """Return the spans, and what every rule said on the way to them; no character of the text."""
        notes = _Notes(self._watch(text, language, notes=True))
        spans = self._judged(text, language, own, notes)
        return traced(spans, notes.proposals)

    def scrub_many(self, texts: Iterable[str]) -> list[Scrubbed]:
        """Scrub documents one by one, each with its own budget."""
        return [self.scrub(text) for text in texts]

    def _watch(self, text: str, language: str, *, notes: bool = False) -> Watch:
        """Begin to watch a document; what is loaded once, for the first one of a language, is not of its time."""
        self._ready_detector(language_of(text) if language == "auto" else language)
        return Watch(self._monotonic() + self._budget_seconds, self._monotonic, notes=notes)

    def _ready_detector(self, language: str) -> Detector:
        with self._lock:
            if self._detector is None:
                self._detector, self._cold = PresidioDetector(), set(_FIRST_TEXTS)
            if language in self._cold:
                self._cold.remove(language)
                self._detector.detect(_FIRST_TEXTS[language], language=language)
            return self._detector

    def _judged(self, text: str, language: str, own: Sequence[Finder], notes: "_Notes") -> list[Span]:
        try:
            return self._find_all(text, language, own, notes)
        except CannotJudge:
            return [Span(0, len(text), Kind.WITHHELD, 1.0, _WITHHELD)]

    def _find_all(self, text: str, language: str, own: Sequence[Finder], notes: "_Notes") -> list[Span]:
        """Repeat on the masked text until nothing is found, so that masking twice is masking once."""
        if len(text) > MAX_CHARACTERS:
            raise CannotJudge
        language = language_of(text) if language == "auto" else language
        detect = partial(self._ready_detector(language).detect, language=language, extra=own, watch=notes.watch)
        spans: list[Span] = []
        places: Sequence[int] | None = None
        for _ in range(_MAX_ROUNDS):
            fresh = _find_once(mask(text, spans), detect, notes, places)
            notes.end_round(spans)
            if not fresh:
                return spans
            found = list(_in_original(fresh, spans))
            spans = sorted([*spans, *found], key=lambda span: span.start)
            places = masked_places(spans, found)
        raise CannotJudge


class _Notes:
    """The watch over a document, and what was proposed in its rounds.

    Attributes:
        proposals: of the rounds that ended, in offsets of the document.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.proposals: list[Proposal] = []
        self._of_round: list[Proposal] = []

    def end_window(self, start: int) -> None:
        """Move what was proposed in a window that begins at ``start`` to the text of the round."""
        self._of_round += (_moved(proposal, lambda place: start + place) for proposal in self.watch.taken())

    def end_round(self, spans: Sequence[Span]) -> None:
        """Move it to the document, of which the round saw these spans masked."""
        to = Unmasking(spans).original
        self.proposals += (_moved(proposal, to) for proposal in self._of_round)
        self._of_round = []


def _moved(proposal: Proposal, to: Callable[[int], int]) -> Proposal:
    hit = proposal.hit
    return replace(proposal, hit=replace(hit, start=to(hit.start), end=to(hit.end)))


def _find_once(text: str, detect: _Detect, notes: _Notes, places: Sequence[int] | None) -> list[Span]:
    """Find in all windows, or in those that hold one of the places, which a mark has changed."""
    hits: list[Hit] = []
    for core_start in range(0, len(text), _CORE):
        notes.watch.check()
        if places is None or _is_within(places, core_start - _MARGIN, core_start + _CORE + _MARGIN):
            hits += _window_hits(text, core_start, detect)
            notes.end_window(max(0, core_start - _MARGIN))
    return settle(hits)


def _window_hits(text: str, core_start: int, detect: _Detect) -> Iterator[Hit]:
    """Yield the hits that begin in the core of one window, in offsets of the whole text."""
    start, end = max(0, core_start - _MARGIN), min(len(text), core_start + _CORE + _MARGIN)
    for hit in detect(text[start:end]):
        if not core_start <= start + hit.start < core_start + _CORE:
            continue
        if start + hit.end == end < len(text):
            raise CannotJudge
        yield replace(hit, start=start + hit.start, end=start + hit.end)


def _is_within(places: Sequence[int], start: int, end: int) -> bool:
    """Say whether one of the sorted places lies from start to end."""
    following = bisect_left(places, start)
    return following < len(places) and places[following] <= end


def _in_original(fresh: Iterable[Span], spans: Sequence[Span]) -> Iterator[Span]:
    """Move spans of the masked text to the text in which ``spans`` were masked."""
    to = Unmasking(spans).original
    for span in fresh:
        yield replace(span, start=to(span.start), end=to(span.end))
