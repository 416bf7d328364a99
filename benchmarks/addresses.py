"""Addresses and organisations: planted ones that are covered, false hits in medical talk, social text, speed."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import Bound, Figure, Target
from benchmarks.outside import DIALOGUES, dialogues, outside_folder
from benchmarks.planted_addresses import STYLES, planted_address
from deid.text.addresses import AddressFinder
from deid.text.gold import kinds_of, read_gold
from deid.text.kinds import Kind
from deid.text.organisations import OrganisationFinder
from deid.text.reading import Reading, read
from deid.text.spans import Span, settle

_SOCIAL: Final = ("weibo2_dev.conll", "weibo2_train.conll")
_TYPES: Final = ("GPE.NAM", "LOC.NAM", "ORG.NAM")
_TRIALS: Final = 500
_ROUNDS: Final = 3
_CHARACTERS: Final = 1_000
_FINDERS: Final = (AddressFinder(), OrganisationFinder())


def run() -> list[Figure]:
    """Return the figures; of planted addresses alone without outside data."""
    figures = [_planted(style) for style in STYLES]
    outside = outside_folder()
    if outside is not None:
        figures += [*_social(outside), *_medical(outside)]
    return figures


def _spans(reading: Reading) -> list[Span]:
    return settle(hit for finder in _FINDERS for hit in finder.find(reading))


def _planted(style: str) -> Figure:
    draw = random.Random(style)
    total = covered = 0
    for _ in range(_TRIALS):
        planted = planted_address(style, draw)
        reading = read(planted.text, "zh")
        places: set[int] = set()
        for span in _spans(reading):
            places.update(range(*reading.folded.original_span(span.start, span.end)))
        total += len(planted.address)
        covered += len(places.intersection(range(planted.start, planted.start + len(planted.address))))
    return Figure("text", f"planted addresses, {style}: characters covered", covered / total, "share", "characters",
                  total, Target(Bound.AT_LEAST, 0.9))  # fmt: skip


def _social(outside: Path) -> list[Figure]:
    texts = [text for name in _SOCIAL if (outside / name).is_file() for text in read_gold(outside / name)]
    found, known = Counter[str](), Counter[str]()
    for text in texts:
        reading = read(text.text, "zh")
        spans = [(span.type, *reading.folded.original_span(span.start, span.end)) for span in _spans(reading)]
        for gold in text.spans:
            if gold.type in _TYPES:
                known[gold.type] += 1
                kinds = kinds_of(gold.type)
                found[gold.type] += any(
                    kind in kinds and start < gold.end and gold.start < end for kind, start, end in spans
                )
    return [
        Figure(
            "text", f"social text: {name} that a hit touches", found[name] / known[name], "share", "names", known[name]
        )
        for name in _TYPES
        if known[name]
    ]


def _medical(outside: Path) -> list[Figure]:
    if not (outside / DIALOGUES).is_file():
        return []
    texts = [part for talk in dialogues(outside / DIALOGUES) for part in (talk.title, talk.ask, talk.answer)]
    readings = [read(text, "zh") for text in texts]
    characters = sum(map(len, texts))
    hits = Counter(span.type for reading in readings for span in _spans(reading))
    seconds = min(_seconds(readings) for _ in range(_ROUNDS))
    found = [
        Figure("text", f"medical talk: {kind.value} found, true ones among them", _CHARACTERS * hits[kind] / characters,
               "per 1,000 characters", "characters", characters, Target(Bound.AT_MOST, 0.3))
        for kind in (Kind.ADDRESS, Kind.PLACE, Kind.ORGANIZATION)
    ]  # fmt: skip
    speed = Figure("text", "finders of addresses and organisations together", characters / seconds, "characters/s",
                   target=Target(Bound.AT_LEAST, 400_000))  # fmt: skip
    return [*found, speed]


def _seconds(readings: Sequence[Reading]) -> float:
    """Return processor time: other work on the machine does not count."""
    started = time.process_time()
    for reading in readings:
        for finder in _FINDERS:
            list(finder.find(reading))
    return time.process_time() - started


def main() -> None:
    """Print the figures."""
    for figure in run():
        print(figure.name, figure.value, figure.unit, figure.yardstick_value or "", figure.target or "")


if __name__ == "__main__":
    main()
