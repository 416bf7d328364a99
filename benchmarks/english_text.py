"""English text: recall and precision by type on texts with known spans, and the speed of the finder alone."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import Bound, Figure, Target
from benchmarks.outside import outside_folder
from deid.text import TextScrubber
from deid.text.english import EnglishFinder
from deid.text.evaluation import Measure, Score, evaluate
from deid.text.gold import read_gold
from deid.text.reading import Reading, read

_TEXTS: Final = "presidio_synth_dev.json"
_TYPES: Final = ("PERSON", "STREET_ADDRESS", "GPE", "ORGANIZATION", "DATE_TIME", "ZIP_CODE", "US_DRIVER_LICENSE")
_ROUNDS: Final = 3


def run() -> list[Figure]:
    """Return the figures; none without outside data."""
    outside = outside_folder()
    if outside is None or not (outside / _TEXTS).is_file():
        return []
    return [*_quality(outside / _TEXTS), _speed(outside / _TEXTS)]


def _quality(path: Path) -> list[Figure]:
    scores = {score.type: score for score in evaluate(read_gold(path), TextScrubber(budget_ms=60_000).find).scores}
    return [figure for name in _TYPES if name in scores for figure in _figures(scores[name])]


def _figures(score: Score) -> list[Figure]:
    said = f"English text: {score.type}"
    shares = {
        "found exactly": score.recall(Measure.EXACT),
        "wholly covered": score.recall(Measure.COVER),
        "found spans that touch one": score.precision(Measure.OVERLAP),
    }
    return [
        Figure("text", f"{said}: {name}", share, "share", "spans", score.gold)
        for name, share in shares.items()
        if share is not None
    ]


def _speed(path: Path) -> Figure:
    readings = [read(text.text) for text in read_gold(path)]
    characters = sum(len(reading.text) for reading in readings)
    _find_all(readings)
    seconds = min(_seconds(readings) for _ in range(_ROUNDS))
    return Figure("text", "finder of English alone", characters / seconds, "characters/s", None, None,
                  Target(Bound.AT_LEAST, 150_000))  # fmt: skip


def _seconds(readings: Sequence[Reading]) -> float:
    """Return processor time: other work on the machine does not count."""
    started = time.process_time()
    _find_all(readings)
    return time.process_time() - started


def _find_all(readings: Sequence[Reading]) -> None:
    finder = EnglishFinder()
    for reading in readings:
        list(finder.find(reading))


def main() -> None:
    """Print the figures."""
    for figure in run():
        print(figure.name, round(figure.value, 3), figure.unit, figure.yardstick_value or "", figure.target or "")


if __name__ == "__main__":
    main()
