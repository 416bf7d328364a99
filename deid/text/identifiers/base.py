r"""What an identifier is: a pattern, and a judge that looks at check digits and at the words around.

No ``\b`` and no ``\w``: both are blind between a Chinese character and a digit. Patterns have no open repetition
inside another, so that matching is linear; what they cannot say, the judges do.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from deid.text.candidates import Candidate
from deid.text.kinds import Kind
from deid.text.spans import Hit


class Verdict(NamedTuple):
    """A judge's yes: how sure, whether a check digit proved it, and the kind where the words say another."""

    score: float
    checked: bool = False
    kind: Kind | None = None


Judge = Callable[[Candidate], Verdict | None]


@dataclass(frozen=True, slots=True)
class Identifier:
    """One kind in one spelling.

    Attributes:
        judge: returns None when the candidate is no identifier.
        trim: characters that end a sentence rather than the identifier, dropped from the right.
        digits: that a stretch must hold at least, before the pattern is tried on it.
        run: of digits that it must hold in a row.
        sign: that it must hold.
        has_letter: whether it must hold a Latin letter.
    """

    name: str
    kind: Kind
    pattern: re.Pattern[str]
    judge: Judge
    trim: str = ""
    digits: int = 0
    run: int = 0
    sign: str = ""
    has_letter: bool = False

    def hits(self, text: str, start: int, end: int) -> Iterator[Hit]:
        """Yield the hits in ``text[start:end]``; a rejected candidate gives way to one that begins later."""
        position = start
        while (match := self.pattern.search(text, position, end)) is not None:
            match_end = match.start() + len(match.group().rstrip(self.trim)) if self.trim else match.end()
            verdict = self.judge(Candidate(text, match.start(), match_end))
            if verdict is None:
                position = match.start() + 1
                continue
            kind = verdict.kind or self.kind
            yield Hit(match.start(), match_end, kind, verdict.score, verdict.checked, self.name)
            position = match_end
