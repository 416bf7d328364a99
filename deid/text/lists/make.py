"""Makes ``words.txt``, ``given.txt`` and ``simplified.txt`` from packages whose licences permit it; see SOURCES.md.

Run by a maintainer, never at run time: ``python -m deid.text.lists.make FOLDER``, where the folder holds, as
SOURCES.md says, ``dict.txt`` (jieba), ``word_distribution.json`` (jionlp) and ``TSCharacters.txt`` (OpenCC).

A word's cost is ten times the negative natural logarithm of its share, so that the cheapest path over a stretch of
text is its likeliest reading. Names are told from words by the characters after the surname: their shares in names
and in words are estimated in turn (expectation maximisation) from what begins with an unmistakable surname.
"""

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from deid.text.lists.reading import sections_of, surname_cost, surname_ranks
from deid.text.names.model import A_NAME, UNSEEN

_HERE: Final = Path(__file__).parent
_HAN: Final = re.compile("[\u4e00-\u9fff]{1,5}")

_UNMISTAKABLE: Final = 160
"""So many of the commonest surnames train the statistics, without those that are common words themselves."""

_WORDLIKE: Final = frozenset(
    "高时方万金白明和常成安文向何那能都从于田石马黄江林夏付连花水关龙牛羊包平温严武段简易施左右项车谷路党宫米全"
    "满国计门云来相边强盖帅权查储原管解毛任余单兰古康章季欧"
)
_NO_GIVEN: Final = {
    "first": frozenset("老大斯尔克先总某氏姓家女帮校院教局县副"),
    "second": frozenset("县镇姐斯尔特村庄区市路街厂店局院校长总说在是为某氏姓的了和与兄弟哥爷嫂婶叔伯爸妈公婆队系"),
    "only": frozenset("某氏姓家村总说庄在是为桥的了和与也都被就对将一二三四五六七八九十大县区市路街店厂院队导局处教"),
}
"""What follows a surname often without being a given name: titles, places, grammar. Written by hand."""

_LATELY: Final = {
    "first": "梓子雨欣诗宇浩俊思语奕沐若依一艺心佳嘉可昕芷泽子锦晨紫雅乐铭钰静婉书妙",
    "second": "涵轩萱怡彤琪瑶妍雯婷悦琳欣然诺晴辰睿博宸霖泽熙瑞阳烁恬晗桐沫汐玥芮蕊萌豪航",
    "only": "轩睿晨萱彤涵悦诺宸熙瑶晗玥妍",
}
"""Characters of given names since about 2000, which the sources know less of. Written by hand."""

_WHOLE: Final = 3
_SHORT: Final = 2
"""Characters of a surname of one character with a given name of two or of one."""

_NAMES_A_CHARACTER: Final = 12.0
_ROUNDS: Final = 8
_WORD_COUNT: Final = 700
_JIEBA_COUNT: Final = 15
_SMALLEST: Final = 0.15


_UNMISTAKABLE_NEEDS: Final = -3.0
_WORDLIKE_NEEDS: Final = 1.5
_FAMOUS_NEEDS: Final = 4.0
"""How much evidence the given name must bring, in nats, that a listed word is a name: less after a surname that is
hardly ever a word, more where the word is commoner than names like it are.
"""

_FAME: Final = 25
"""A word that is commoner by more than this cost than names like it are is famous, or no name."""


class _Sources(NamedTuple):
    counts: Mapping[str, int]
    dictionary: Mapping[str, tuple[int, str]]


class _Given(NamedTuple):
    """By the place in the given name: costs, and how much more likely in names than in words, in nats."""

    costs: Mapping[str, Mapping[str, int]]
    evidence: Mapping[str, Mapping[str, float]]


def main(folder: Path, into: Path = _HERE) -> None:
    """Write the three files into a folder, this package's unless given."""
    sources = _read(folder)
    given = _given(sources)
    words = {word: cost for word, cost in _words(sources) if not _is_name(word, cost, sources, given)}
    _write(into / "words.txt", _by_cost(words))
    _write(
        into / "given.txt", (f"{slot}\t{line}" for slot, costs in given.costs.items() for line in _by_cost(costs, ""))
    )
    _write(into / "simplified.txt", _pairs(folder / "TSCharacters.txt"))


def _read(folder: Path) -> _Sources:
    lines = (folder / "word_distribution.json").read_text("utf-8").splitlines()
    counts = {word: count for word, count in map(json.loads, lines) if _HAN.fullmatch(word)}
    dictionary = {}
    for line in (folder / "dict.txt").read_text("utf-8").splitlines():
        word, count, tag = line.split(" ")
        if _HAN.fullmatch(word):
            dictionary[word] = (int(count), tag)
    return _Sources(counts, dictionary)


def _words(sources: _Sources) -> Iterator[tuple[str, int]]:
    """Yield words and costs: the mean of the two sources' shares, so that neither news nor novels rule."""
    counts, dictionary = sources
    counted = sum(counts.values())
    listed = sum(count for count, _ in dictionary.values())
    for word in counts.keys() | dictionary.keys():
        seen, (known, tag) = counts.get(word, 0), dictionary.get(word, (0, ""))
        rare = 2 if len(word) > _WHOLE else 1
        if len(word) == 1 or known >= rare * _JIEBA_COUNT or seen >= rare * _WORD_COUNT * (1 if tag else 3):
            share = (seen / counted + known / listed) / 2
            yield word, min(round(-10 * math.log(share)), 255)


def _given(sources: _Sources) -> _Given:
    """Return what is known of the first of two, the second of two and the only character of a given name."""
    ranks = surname_ranks()
    surnames = {name for name, rank in ranks.items() if rank < _UNMISTAKABLE} - _WORDLIKE
    seen = [word for word in sources.counts if word[0] in surnames and _may_be_name(word, sources)]
    background = _background(sources)
    first, second = _shares([word[1:] for word in seen if len(word) == _WHOLE], ("first", "second"), background, 0.85)
    (only,) = _shares([word[1:] for word in seen if len(word) == _SHORT], ("only",), background, 0.6)
    shares = {"first": first, "second": second, "only": only}
    costs = {slot: {c: min(round(-10 * math.log(p)), 255) for c, p in of.items()} for slot, of in shares.items()}
    evidence = {slot: {c: math.log(p / background.get(c, 1e-5)) for c, p in of.items()} for slot, of in shares.items()}
    return _Given(costs, evidence)


def _may_be_name(word: str, sources: _Sources) -> bool:
    return sources.dictionary.get(word, (0, "nr"))[1] == "nr"


def _background(sources: _Sources) -> dict[str, float]:
    """Return the shares of characters in words of two characters that are no names."""
    seen = Counter(
        character
        for word in sources.counts
        if len(word) == _SHORT and sources.dictionary.get(word, (0, "nr"))[1] != "nr"
        for character in word
    )
    total = seen.total()
    return {character: (count + 0.5) / (total + 3_000) for character, count in seen.items()}


def _shares(
    given: Sequence[str], slots: Sequence[str], background: Mapping[str, float], prior: float
) -> list[dict[str, float]]:
    """Return for each slot the characters' shares among those of the words that are names."""
    belief = [prior] * len(given)
    odds = math.log(prior / (1 - prior))
    for _ in range(_ROUNDS):
        sums = [Counter[str]() for _ in slots]
        for name, weight in zip(given, belief, strict=True):
            for counter, character in zip(sums, name, strict=True):
                counter[character] += weight  # type: ignore[assignment]
        totals = [float(counter.total()) for counter in sums]
        for place, name in enumerate(given):
            gain = odds
            for counter, total, character in zip(sums, totals, name, strict=True):
                share = (counter[character] - belief[place] + _SMALLEST) / (total + 600)
                gain += math.log(share / background.get(character, 1e-5))
            belief[place] = 1 / (1 + math.exp(-max(-30.0, min(30.0, gain))))
    return [_cleaned(counter, slot) for counter, slot in zip(sums, slots, strict=True)]


def _cleaned(sums: Mapping[str, float], slot: str) -> dict[str, float]:
    kept = {c: s for c, s in sums.items() if s >= _SMALLEST and c not in _NO_GIVEN[slot]}
    for character in _LATELY[slot]:
        kept[character] = kept.get(character, 0.0) + _NAMES_A_CHARACTER
    total = sum(kept.values())
    return {character: weight / total for character, weight in kept.items()}


def _is_name(word: str, cost: int, sources: _Sources, given: _Given) -> bool:
    """Whether a word is rather somebody's name: its characters are those of names, and it is no commoner than one."""
    rank = surname_ranks().get(word[0])
    if rank is None or not _may_be_name(word, sources) or len(word) not in (_SHORT, _WHOLE):
        return False
    is_wordlike = rank >= _UNMISTAKABLE or word[0] in _WORDLIKE
    if not is_wordlike and word[1:] in sections_of("titles.txt")["title"]:
        return True
    slots = ("only",) if len(word) == _SHORT else ("first", "second")
    gain = sum(given.evidence[slot].get(character, -4.0) for slot, character in zip(slots, word[1:], strict=True))
    expected = sum(given.costs[slot].get(c, UNSEEN) for slot, c in zip(slots, word[1:], strict=True))
    is_famous = cost <= surname_cost(rank) + A_NAME + expected - _FAME
    if len(word) == _SHORT:
        return gain > (_WORDLIKE_NEEDS if is_wordlike else 0) and not is_famous
    if is_wordlike:
        return gain > (_FAMOUS_NEEDS if is_famous else _WORDLIKE_NEEDS)
    return gain > _UNMISTAKABLE_NEEDS


def _by_cost(costs: Mapping[str, int], separator: str = " ") -> Iterator[str]:
    lines: dict[int, list[str]] = {}
    for word, cost in costs.items():
        lines.setdefault(cost, []).append(word)
    for cost in sorted(lines):
        yield f"{cost}\t{separator.join(sorted(lines[cost]))}"


def _pairs(path: Path) -> Iterator[str]:
    """Yield the traditional characters, then in the same order their simplified forms, where these are one each."""
    pairs = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    chosen = sorted((old, new.split(" ")[0]) for old, new in pairs if _HAN.fullmatch(old) and old != new.split(" ")[0])
    chosen = [(old, new) for old, new in chosen if len(old) == len(new) == 1 and _HAN.fullmatch(new)]
    yield "".join(old for old, _ in chosen)
    yield "".join(new for _, new in chosen)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
