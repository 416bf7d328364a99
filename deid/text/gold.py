"""Texts with known spans, to measure detection by: readers for three formats, and which of our kinds a gold type is.

Formats: JSON lines ``{"id", "text", "spans": [{"start", "end", "type"}]}``; the JSON of presidio-research; CoNLL with a
BIO label at the end of each line and, at its beginning, a character (with a digit behind it in the Weibo corpus) or a
word.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final

from deid.text.kinds import STANDARD_NAMES, Kind
from kernel.errors import BadInput

_PHONES: Final = frozenset((Kind.MOBILE, Kind.LANDLINE, Kind.SERVICE_NUMBER, Kind.FAX))
_SCORED: Final = frozenset(Kind) - {Kind.WITHHELD}
_PLACES: Final = frozenset((Kind.ADDRESS, Kind.PLACE))

_ALIASES: Final[dict[str, frozenset[Kind]]] = {
    **{kind.value: frozenset({kind}) for kind in _SCORED},
    **{
        name: frozenset(kind for kind, standard in STANDARD_NAMES.items() if standard == name)
        for name in STANDARD_NAMES.values()
    },
    "PHONE_NUMBER": _PHONES,
    "STREET_ADDRESS": _PLACES,
    "LOCATION": _PLACES,
    "GPE": _PLACES,
    "DOMAIN_NAME": frozenset({Kind.URL}),
    "US_DRIVER_LICENSE": frozenset({Kind.DRIVER_LICENCE}),
    "US_PASSPORT": frozenset({Kind.PASSPORT}),
    "MEDICAL_RECORD": frozenset({Kind.RECORD_NUMBER}),
    "US_BANK_NUMBER": frozenset({Kind.ACCOUNT_NUMBER}),
    "PER": frozenset({Kind.PERSON}),
    "ORG": frozenset({Kind.ORGANIZATION}),
    "LOC": _PLACES,
    "PER.NAM": frozenset({Kind.PERSON}),
    "ORG.NAM": frozenset({Kind.ORGANIZATION}),
    "LOC.NAM": _PLACES,
    "GPE.NAM": _PLACES,
}
"""What gold types of several corpora are among our kinds; types that are not here are not scored."""


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """Where something stands, in characters, end-exclusive."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class GoldText:
    """A text with all that stands in it; hidden from repr."""

    id: str
    text: str = field(repr=False)
    spans: tuple[GoldSpan, ...]


def kinds_of(type_name: str, more: Mapping[str, Sequence[str]] | None = None) -> frozenset[Kind]:
    """Return which of our kinds count as a gold type; none where it is not scored.

    Args:
        type_name: as the corpus says it.
        more: types of one's own, or others than the usual, by the names of our kinds.

    Raises:
        BadInput: one of those names is no kind.
    """
    if more is None or type_name not in more:
        return _ALIASES.get(type_name, frozenset())
    unknown = [name for name in more[type_name] if name not in _SCORED]
    if unknown:
        hint = f"Kinds are {', '.join(sorted(_SCORED))}."
        raise BadInput(f"{unknown[0]!r} is no kind, for the gold type {type_name!r}", hint=hint)
    return frozenset(map(Kind, more[type_name]))


def read_types(path: Path) -> dict[str, list[str]]:
    """Return what gold types stand for, from a JSON file ``{"GOLD TYPE": ["KIND", …]}``; an empty list is not scored.

    Raises:
        BadInput: the file cannot be read as that, or names what is no kind.
    """
    hint = 'The file holds {"GOLD TYPE": ["KIND", …]}.'
    try:
        said = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as err:
        raise BadInput(f"{path.name} cannot be read: {type(err).__name__}", hint=hint) from None
    if not isinstance(said, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in said.values()
    ):
        raise BadInput(f"{path.name} does not map gold types to kinds", hint=hint)
    for type_name in said:
        kinds_of(type_name, said)
    return said


def read_gold(path: Path) -> list[GoldText]:
    """Return the texts of a file; the ending says the format: ``.jsonl``, ``.json`` or ``.conll``.

    Raises:
        BadInput: the file cannot be read as what its ending says, with the place.
    """
    readers = {".jsonl": _read_lines, ".json": _read_research, ".conll": _read_conll}
    if path.suffix not in readers:
        raise BadInput(f"{path.name} has no known ending", hint=f"Known are {', '.join(readers)}.")
    try:
        content = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise BadInput(f"{path.name} cannot be read: {type(err).__name__}", hint="Give a readable UTF-8 file.") from err
    return list(readers[path.suffix](content, path.name))


def _read_lines(content: str, name: str) -> Iterator[GoldText]:
    for number, line in enumerate(content.split("\n"), start=1):  # a text may hold the other signs that end lines
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            spans = tuple(GoldSpan(span["start"], span["end"], str(span["type"])) for span in said["spans"])
            text = _checked(GoldText(str(said["id"]), said["text"], spans))
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            hint = 'Lines are {"id", "text", "spans": [{"start", "end", "type"}]}.'
            raise BadInput(f"{name}, line {number}: no gold text ({type(err).__name__})", hint=hint) from None
        yield text


def _read_research(content: str, name: str) -> Iterator[GoldText]:
    try:
        for number, said in enumerate(json.loads(content)):
            spans = tuple(
                GoldSpan(span["start_position"], span["end_position"], str(span["entity_type"]))
                for span in said["spans"]
            )
            yield _checked(GoldText(str(number), said["full_text"], spans))
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        hint = "The file is a list of {full_text, spans} as presidio-research writes it."
        raise BadInput(f"{name} holds no gold texts ({type(err).__name__})", hint=hint) from None


def _checked(text: GoldText) -> GoldText:
    """Refuse spans that are not in the text."""
    places = [place for span in text.spans for place in (span.start, span.end)]
    if not isinstance(text.text, str) or not all(type(place) is int for place in places):
        raise TypeError
    if not all(0 <= span.start < span.end <= len(text.text) for span in text.spans):
        raise ValueError
    return text


_CHARACTER: Final = re.compile(".[0-9]{0,3}", re.DOTALL)
"""A token that is one character, with its number in a run of Latin letters or digits."""


def _read_conll(content: str, name: str) -> Iterator[GoldText]:
    blocks = [
        [line.split("\t") if "\t" in line else line.split() for line in block.split("\n") if line.strip()]
        for block in content.replace("\r\n", "\n").split("\n\n")
    ]
    for number, rows in enumerate(blocks, start=1):
        if any(len(row) < 2 or not row[0] for row in rows):  # noqa: PLR2004 - a token and its label
            raise BadInput(f"{name}, block {number}: no token and label", hint="Lines are TOKEN<tab>LABEL.")
    tokens = [row[0] for rows in blocks for row in rows]
    has_words = 2 * sum(_CHARACTER.fullmatch(token) is not None for token in tokens) < len(tokens)
    for number, rows in enumerate(blocks):
        if rows:
            yield _joined(str(number), rows, has_words=has_words)


def _plain(token: str) -> str:
    """Return a character without its number; what was several characters before it was spoilt stays several."""
    return token[0] if _CHARACTER.fullmatch(token) else token.rstrip("0123456789") or token


def _joined(name: str, rows: Sequence[Sequence[str]], *, has_words: bool) -> GoldText:
    """Put words together with spaces between them, characters without."""
    tokens = [row[0] if has_words else _plain(row[0]) for row in rows]
    gap = " " if has_words else ""
    begins = list(accumulate((len(token) + len(gap) for token in tokens[:-1]), initial=0))
    spans = (
        GoldSpan(begins[span.start], begins[span.end - 1] + len(tokens[span.end - 1]), span.type)
        for span in _labelled(row[-1] for row in rows)
    )
    return GoldText(name, gap.join(tokens), tuple(spans))


def _labelled(labels: Iterator[str]) -> Iterator[GoldSpan]:
    """Yield the spans of BIO labels, counted in tokens; an ``I-`` that continues nothing begins one."""
    begun, running = 0, ""
    position = -1
    for position, label in enumerate(labels):
        mark, _, kind = label.partition("-")
        if running and (mark != "I" or kind != running):
            yield GoldSpan(begun, position, running)
            running = ""
        if mark in ("B", "I") and not running:
            begun, running = position, kind
    if running:
        yield GoldSpan(begun, position + 1, running)
