"""What the verifier says: sentences with places for values, so that they can be said in another language."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ENGLISH: Final[Mapping[str, str]] = {}
"""No sentence has another form in English."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence; ``{}`` stands where a value belongs, and a value may be a phrase itself."""

    template: str
    values: tuple[object, ...] = ()

    def said(self, words: Mapping[str, str] = ENGLISH) -> str:
        """Return the sentence, by a table of translated templates; one that is not in the table stays as it is."""
        template = words.get(self.template, self.template)
        if not self.values:
            return template
        return template.format(*(value.said(words) if isinstance(value, Phrase) else value for value in self.values))

    def __str__(self) -> str:
        return self.said()


class VerificationError(Exception):
    """Bytes do not verify.

    Attributes:
        kind: what is wrong, one word; docs/reference/audit-format.md lists them.
        phrase: the sentence that says it.
        index: the first bad entry, counted from 0, where one can be named.
        entry_id: its id, as far as its bytes still tell one.
        within: first and last index between which it lies, where the hashes that would tell were altered as well.
    """

    def __init__(
        self,
        kind: str,
        template: str,
        *values: object,
        index: int | None = None,
        entry_id: str | None = None,
        within: tuple[int, int] | None = None,
    ) -> None:
        self.kind = kind
        self.phrase = Phrase(template, values)
        self.index = index
        self.entry_id = entry_id
        self.within = within
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The sentence in English."""
        return self.phrase.said()


class InputError(ValueError):
    """What was given to the verifier cannot be used; this says nothing about the log."""

    def __init__(self, template: str, *values: object) -> None:
        self.phrase = Phrase(template, values)
        super().__init__(self.phrase.said())
