"""Names in Chinese text: recall on social text, false hits in medical talk, speed of the finder alone."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import Bound, Figure, Target
from benchmarks.outside import DIALOGUES, dialogues, outside_folder
from deid.text.gold import GoldSpan, GoldText, read_gold
from deid.text.lists import compound_surnames, simplified, surname_ranks
from deid.text.names import NameFinder
from deid.text.reading import Reading, read
from deid.text.spans import Hit

_SOCIAL: Final = ("weibo2_dev.conll", "weibo2_train.conll")
_NAMED: Final = "PER.NAM"
_ROUNDS: Final = 3


def run() -> list[Figure]:
    """Return the figures; none without outside data."""
    outside = outside_folder()
    if outside is None:
        return []
    return [*_social(outside), *_medical(outside)]


def _social(outside: Path) -> list[Figure]:
    texts = [text for name in _SOCIAL if (outside / name).is_file() for text in read_gold(outside / name)]
    found = [_hits(text.text) for text in texts]
    named = [_named(text) for text in texts]
    pairs = [(gold, hits) for golds, hits in zip(named, found, strict=True) for gold in golds]
    listed = [
        (gold, hits)
        for text, golds, hits in zip(texts, named, found, strict=True)
        for gold in golds
        if _is_listed(text.text[gold.start : gold.end])
    ]
    ruled = [[hit for hit in hits if hit.source not in _WEAK] for hits in found]
    return [
        _share("names with a listed surname and 1–2 characters, wholly covered", listed, 0.85),
        _share("all names, wholly covered", pairs, 0.65),
        Figure("text", "social text: hits that touch a name", _precision(found, named), "share"),
        Figure("text", "social text: hits that touch a name, without nicknames and mentions", _precision(ruled, named),
               "share"),
    ]  # fmt: skip


_WEAK: Final = frozenset(("person.nickname", "person.mention"))


def _share(name: str, pairs: Sequence[tuple[GoldSpan, Sequence[Hit]]], least: float) -> Figure:
    covered = sum(_is_covered(gold, hits) for gold, hits in pairs)
    share = covered / len(pairs)
    return Figure("text", name, share, "share", "names", len(pairs), Target(Bound.AT_LEAST, least))


def _medical(outside: Path) -> list[Figure]:
    if not (outside / DIALOGUES).is_file():
        return []
    texts = [part for talk in dialogues(outside / DIALOGUES) for part in (talk.title, talk.ask, talk.answer)]
    characters = sum(map(len, texts))
    hits = sum(len(_hits(text)) for text in texts)
    readings = [read(text, "zh") for text in texts]
    seconds = min(_seconds(lambda: _find_all(readings)) for _ in range(_ROUNDS))
    return [
        Figure("text", "names found in medical talk, true ones among them", 1_000 * hits / characters,
               "per 1,000 characters", "characters", characters, Target(Bound.AT_MOST, 0.3)),
        Figure("text", "finder of names alone", characters / seconds, "characters/s", None, None,
               Target(Bound.AT_LEAST, 400_000)),
    ]  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    """Return processor time: other work on the machine does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _find_all(readings: Sequence[Reading]) -> None:
    finder = NameFinder()
    for reading in readings:
        list(finder.find(reading))


def _hits(text: str) -> list[Hit]:
    """Return the hits as the original text's offsets, overlapping ones as their union."""
    reading = read(text, "zh")
    merged: list[Hit] = []
    for hit in sorted(NameFinder().find(reading), key=lambda hit: (hit.start, -hit.end)):
        start, end = reading.folded.original_span(hit.start, hit.end)
        if merged and start < merged[-1].end:
            last = merged.pop()
            start, end = last.start, max(last.end, end)
            hit = last  # noqa: PLW2901 - the longer one at the same place gives the rule
        merged.append(Hit(start, end, hit.kind, hit.score, hit.checked, hit.source))
    return merged


def _named(text: GoldText) -> list[GoldSpan]:
    return [span for span in text.spans if span.type == _NAMED]


def _is_listed(name: str) -> bool:
    plain = simplified(name)
    return (plain[0] in surname_ranks() and len(plain) in (2, 3)) or (
        plain[:2] in compound_surnames() and len(plain) in (3, 4)
    )


def _is_covered(gold: GoldSpan, hits: Sequence[Hit]) -> bool:
    return all(any(hit.start <= place < hit.end for hit in hits) for place in range(gold.start, gold.end))


def _precision(found: Sequence[Sequence[Hit]], named: Sequence[Sequence[GoldSpan]]) -> float:
    touching = sum(
        any(hit.start < gold.end and gold.start < hit.end for gold in golds)
        for hits, golds in zip(found, named, strict=True)
        for hit in hits
    )
    return touching / max(1, sum(map(len, found)))


def main() -> None:
    """Print the figures."""
    for figure in run():
        print(figure.name, figure.value, figure.unit, figure.yardstick_value or "", figure.target or "")


if __name__ == "__main__":
    main()
