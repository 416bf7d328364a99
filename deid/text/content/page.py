"""A page as the content rules read it: folded, in small simplified letters, without what is put between characters.

Who wants a word to be overlooked writes 根 治, 根-治 or 根✨治. What stands between two Chinese characters and ends
neither a sentence nor a clause is left out; offsets lead back to the text as it was given.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from deid.text.folding import fold
from deid.text.kinds import Kind
from deid.text.lists.simplified import simplified
from deid.text.spans import Span

_HAN: Final = "[\u3400-\u9fff]"
_SIGN: Final = "[*#~^_+=/\\\\|@&`'·•・.-]"
_PICTURE: Final = "[\u2190-\u2bff\U0001f000-\U0001faff]"
_BETWEEN: Final = re.compile(
    f"(?<={_HAN})(?:[ \\t]{{1,4}}|[ \\t]{{0,2}}(?:{_SIGN}|[*#~_]{{2,4}}|{_PICTURE}{{1,3}})[ \\t]{{0,2}})(?={_HAN})"
)
_SMALL: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}

_MARK: Final = re.compile("〔[^〔〕]{0,6}〕")
"""Marks in place of identifiers; the words in them are ours."""

_CLAUSE_END: Final = re.compile("[。！？!?；;\n，,:]")
_SENTENCE_END: Final = re.compile("[。！？!?；;\n]")


@dataclass(frozen=True)
class Page:
    """A text with the identifiers that were found in it.

    Attributes:
        text: what patterns are matched on.
        origins: for each of its characters the offset of the original one.
        length: characters of the original.
        spans: identifiers, in offsets of the original, sorted.
    """

    text: str = field(repr=False)
    origins: Sequence[int] = field(repr=False)
    length: int
    spans: tuple[Span, ...] = ()

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the original offsets of ``text[start:end]``; an empty stretch is the whole page."""
        if start == end:
            return 0, self.length
        return self.origins[start], self.origins[end - 1] + 1

    def place_of(self, span: Span) -> tuple[int, int]:
        """Return where an identifier stands in ``text``."""
        return bisect_left(self.origins, span.start), bisect_left(self.origins, span.end)

    @cached_property
    def places(self) -> list[tuple[int, int, Kind]]:
        """Where the identifiers stand in ``text``, and their kinds; sorted."""
        return [(*self.place_of(span), span.type) for span in self.spans]

    def clause_around(self, start: int, end: int) -> tuple[int, int]:
        """Return the stretch from the comma or sentence end before to the one behind, that one included."""
        return _between(self._clause_ends, start, end, len(self.text))

    def sentence_around(self, start: int, end: int) -> tuple[int, int]:
        """Return the stretch from the sentence end before to the one behind, that one included."""
        return _between(self._sentence_ends, start, end, len(self.text))

    @cached_property
    def _clause_ends(self) -> list[int]:
        return [match.start() for match in _CLAUSE_END.finditer(self.text)]

    @cached_property
    def _sentence_ends(self) -> list[int]:
        return [match.start() for match in _SENTENCE_END.finditer(self.text)]


def read_page(text: str, spans: Iterable[Span] = ()) -> Page:
    """Return a text as the rules read it.

    Args:
        text: as it was given.
        spans: the identifiers in it, in its offsets.
    """
    folded = fold(text)
    plain = _MARK.sub(lambda mark: "□" * len(mark.group()), simplified(folded.text).translate(_SMALL))
    origins: Sequence[int] = range(len(text)) if folded.origins is None else folded.origins
    kept = list(_kept(plain))
    if len(kept) > 1:
        origins = [origin for start, end in kept for origin in origins[start:end]]
        plain = "".join(plain[start:end] for start, end in kept)
    return Page(plain, origins, len(text), tuple(sorted(spans, key=lambda span: span.start)))


def _kept(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for gap in _BETWEEN.finditer(text):
        yield position, gap.start()
        position = gap.end()
    yield position, len(text)


def _between(ends: Sequence[int], start: int, end: int, length: int) -> tuple[int, int]:
    before, after = bisect_left(ends, start), bisect_left(ends, end)
    return ends[before - 1] + 1 if before else 0, ends[after] + 1 if after < len(ends) else length
