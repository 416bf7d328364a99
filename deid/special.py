"""Special diseases: what a view never tells, by code, by department and by word."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel.encoding import digest
from kernel.located_yaml import Located, load

_ICD10_ENTRY: Final = re.compile(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?")
_ATC_ENTRY: Final = re.compile(r"[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?")
_INVISIBLE: Final = re.compile(r"[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_GAP: Final = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")


@dataclass(frozen=True, slots=True)
class SpecialDiseases:
    """The pack's list of special diseases (level 5 after GB/T 39725 practice) and of what gives them away.

    Attributes:
        icd10, atc: inclusive ranges of code beginnings, both ends equally long, without dots.
        departments: words in department names. terms: words of topics and texts; Latin ones match as whole words.
        hash: SHA-256 over the list.
    """

    icd10: tuple[tuple[str, str], ...]
    atc: tuple[tuple[str, str], ...]
    departments: re.Pattern[str]
    terms: re.Pattern[str]
    hash: str

    def holds_diagnosis(self, code: str) -> bool:
        """Say whether an ICD-10 code (upper case, no dot) is special, or so coarse that it may be."""
        return _holds(self.icd10, code)

    def holds_medicine(self, code: str) -> bool:
        """Say whether an ATC code (upper case) gives a special disease away, or is so coarse that it may."""
        return _holds(self.atc, code)

    def names_department(self, name: str) -> bool:
        """Say whether a department's name gives a special disease away."""
        return self.departments.search(_folded(name)) is not None

    def names_disease(self, text: str) -> bool:
        """Say whether a text speaks of a special disease."""
        return self.terms.search(_folded(text)) is not None


def load_special_diseases(path: Path) -> SpecialDiseases:
    """Read the list from YAML; raises ``PackError`` with file and line."""
    node = load(path).mapping(required={"icd10", "atc", "departments", "terms"})
    return SpecialDiseases(
        icd10=tuple(_ranges(node["icd10"], _ICD10_ENTRY)),
        atc=tuple(_ranges(node["atc"], _ATC_ENTRY)),
        departments=_any_of(_words(node["departments"]), whole=False),
        terms=_any_of(_words(node["terms"]), whole=True),
        hash=digest(node.value()),
    )


def _ranges(node: Located, shape: re.Pattern[str]) -> Iterable[tuple[str, str]]:
    groups = [group for _kind, group in node.items()]
    for group in groups:
        for entry in group.sequence():
            low, _, high = entry.text().partition("-")
            ends = (low, high or low)
            if not all(shape.fullmatch(end) for end in ends) or len(low) != len(ends[1]) or ends[1] < low:
                raise entry.fail("not a code or a range of codes", expected="such as A50-A64, Z21 or O98.1-O98.3")
            yield ends[0].replace(".", ""), ends[1].replace(".", "")


def _words(node: Located) -> list[str]:
    return [_folded(entry.text()) for entry in node.sequence()]


def _holds(ranges: Iterable[tuple[str, str]], code: str) -> bool:
    """A code shorter than an entry is of unclear sub-class and takes the stricter side."""
    return any(low[: len(code)] <= code[: len(low)] <= high[: len(code)] for low, high in ranges)


def _any_of(words: list[str], *, whole: bool) -> re.Pattern[str]:
    """Latin words end at Latin letters and digits only: Chinese characters beside them are no part of the word."""
    latin = r"(?<![0-9a-z]){}(?![0-9a-z])" if whole else "{}"
    parts = [latin.format(re.escape(word)) if word.isascii() else re.escape(word) for word in words]
    return re.compile("|".join(parts) or r"(?!)")


def _folded(text: str) -> str:
    """Spaces between Chinese characters are no part of a word; between Latin ones they separate words."""
    return _GAP.sub("", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold())
