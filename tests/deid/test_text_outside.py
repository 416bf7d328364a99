"""Real medical talk from outside: few false hits, and planted identifiers found in it."""

import csv
import random
from collections import Counter
from pathlib import Path

import pytest

from deid.text import Kind, TextScrubber

_MOST_HITS_PER_1000_CHARACTERS = 0.01
"""The texts hold next to no contact data, so that nearly every hit is false; a bound, not a target."""

_MENTIONED = (Kind.PERSON, Kind.PLACE, Kind.ADDRESS, Kind.ORGANIZATION, Kind.DATE)
_MOST_MENTIONED_PER_1000_CHARACTERS = 0.3
"""Of each kind that talk really has: doctors and hospitals by name, where somebody comes from, days of examinations."""


@pytest.fixture(scope="module")
def talk(outside_data: Path) -> list[str]:
    """Questions and answers of internal medicine, one text a field."""
    path = outside_data / "med_dialogue_dev.csv"
    if not path.is_file():
        pytest.skip("outside data: med_dialogue_dev.csv is not in the folder that CONSENTRY_OUTSIDE_DATA names")
    with path.open(encoding="utf-8", newline="") as lines:
        return [row[column] for row in csv.DictReader(lines) for column in ("title", "ask", "answer")]


def test_false_hits_are_rare(talk: list[str]) -> None:
    """Hits per 1,000 characters stay under the bound, and no document is withheld."""
    spans = [span for scrubbed in TextScrubber().scrub_many(talk) for span in scrubbed.spans]
    assert all(span.type is not Kind.WITHHELD for span in spans)
    rates = {kind: 1_000 * count / sum(map(len, talk)) for kind, count in Counter(span.type for span in spans).items()}
    assert all(rates.get(kind, 0) <= _MOST_MENTIONED_PER_1000_CHARACTERS for kind in _MENTIONED)
    assert sum(rate for kind, rate in rates.items() if kind not in _MENTIONED) <= _MOST_HITS_PER_1000_CHARACTERS


def test_identifiers_planted_into_real_talk_are_found(talk: list[str]) -> None:
    """Glued into the middle of a sentence, every planted identifier is gone."""
    rng = random.Random(20260302)
    scrubber = TextScrubber()
    for text in rng.sample([text for text in talk if len(text) > 20], 500):
        for value in ("13912345678", "11010519491231002X", "6222020200112230004", "wang.wu@163.com"):
            place = next(at for at in range(len(text) // 2, len(text) + 1) if _stands_in_chinese(text, at))
            assert value not in scrubber.scrub(text[:place] + value + text[place:]).text


def _stands_in_chinese(text: str, place: int) -> bool:
    """Say whether no digit or Latin letter stands on either side, as it would in talk."""
    return not any(character.isascii() and character.isalnum() for character in text[max(0, place - 1) : place + 1])
