"""Text detection through presidio's analyzer: characters a second, long documents, what an import costs.

The talk is the outside dialogues, or sentences made here without them. Times are processor times of one core, so that
other work on the machine does not count; two pieces of work that are compared take turns.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.figures import Bound, Figure, Target
from benchmarks.outside import DIALOGUES, dialogues, outside_folder
from benchmarks.planted_kinds import PLANTS, planted
from benchmarks.timing import run_child

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer, RecognizerResult

_SEED: Final = 20260101
_ROUNDS: Final = 3
_MANY_ROUNDS: Final = 12
"""Where two fast pieces of work are compared; a machine that others use gives neither its best at once."""
_STOCK_SHARE: Final = 10
"""One text in so many is read with presidio's own recognizers, which take their time."""

_LONG: Final = 100_000

_PLAIN: Final = (
    "血压一百三十五比八十五，最近三天头晕，偶尔恶心，没有发烧。",
    "空腹血糖6.8mmol/L，餐后2小时9.7mmol/L，二甲双胍0.5g一天两次吃了8个月。",
    "孩子4岁，咳嗽一周，体温38.2度，昨天吃了布洛芬，国药准字H20103456那种。",
    "订单20260315182233445566还没有发货，麻烦看一下，谢谢医生。",
    "上次查的转氨酶ALT 56U/L，谷草转氨酶41U/L，医生说两个月以后复查。",
    "睡不着觉，心慌，晚上要起来三四次，这种情况需要挂哪个科？",
)
_WRITTEN_HERE: Final = 4_000

_FAST: Final = Target(Bound.AT_LEAST, 2_000_000)

_Work = Callable[[str], object]


def run(most: int | None = None, length: int = _LONG, *, starts: bool = True) -> list[Figure]:
    """Return the figures.

    Args:
        most: texts that are read; all unless given.
        length: characters of a long document.
        starts: whether fresh processes are measured as well.
    """
    draw = random.Random(_SEED)
    talk = _talk(draw)[:most]
    hits = [_with_a_hit(text, draw) for text in talk[::_STOCK_SHARE]]
    return [*_speeds(talk, hits), *_long_documents(talk, length), *(_starts() if starts else ())]


def _talk(draw: random.Random) -> list[str]:
    outside = outside_folder()
    if outside is None or not (outside / DIALOGUES).is_file():
        return ["".join(draw.sample(_PLAIN, 3)) for _ in range(_WRITTEN_HERE)]
    return [part for talk in dialogues(outside / DIALOGUES) for part in (talk.title, talk.ask, talk.answer) if part]


def _with_a_hit(text: str, draw: random.Random) -> str:
    """Put an identifier of some kind behind a text."""
    return planted(draw.choice(list(PLANTS)), draw, text.replace("{", "").replace("}", "") + "，{}。").text


def _speeds(talk: Sequence[str], hits: Sequence[str]) -> list[Figure]:
    from deid.text import presidio_recognizers
    from deid.text.finders import structured_finders

    ours_alone = presidio_recognizers(["zh"], finders=structured_finders())
    structured, everything = _analyzer(ours_alone), _analyzer(presidio_recognizers(["zh"]))
    kinds = ours_alone[0].supported_entities
    known: dict[str, Any] = {text: structured(text) for text in hits}
    empty, stock = _analyzer([_returning(known, kinds)]), _analyzer(_stock())
    assert all(len(empty(text)) == len(structured(text)) for text in hits)
    some = talk[::_STOCK_SHARE]
    ours, theirs = _rates((structured, some), (stock, some))
    with_hits, returned = _rates((structured, hits), (empty, hits))
    natural: dict[str, Any] = {text: structured(text) for text in talk}
    plain, same = _rates((structured, talk), (_analyzer([_returning(natural, kinds)]), talk), rounds=_MANY_ROUNDS)
    (all_of,) = _rates((everything, talk))
    unit = "characters/s"
    return [
        Figure("text", "structured kinds through presidio, medical talk", plain, unit, target=_FAST),
        Figure("text", "structured kinds through presidio, medical talk with its hits", plain, unit,
               "a recognizer that returns the same results", same, Target(Bound.AT_LEAST, 0.6, of_ratio=True)),
        Figure("text", "structured kinds through presidio, a hit put into every text", with_hits, unit,
               "a recognizer that returns the same results", returned),
        Figure("text", "structured kinds through presidio, a tenth of the talk", ours, unit,
               "presidio's PatternRecognizers with the same patterns", theirs,
               Target(Bound.AT_LEAST, 8, of_ratio=True)),
        Figure("text", "all kinds through presidio, medical talk", all_of, unit,
               target=Target(Bound.AT_LEAST, 150_000)),
    ]  # fmt: skip


def _rates(*pairs: tuple[_Work, Sequence[str]], rounds: int = _ROUNDS) -> list[float]:
    """Return characters a second of each, the best of a few rounds in which they take turns."""
    best = [float("inf")] * len(pairs)
    for work, texts in pairs:
        for text in texts[:200]:
            work(text)
    for _ in range(rounds):
        for number, (work, texts) in enumerate(pairs):
            best[number] = min(best[number], _seconds(work, texts))
    return [sum(map(len, texts)) / seconds for seconds, (_, texts) in zip(best, pairs, strict=True)]


def _seconds(work: _Work, texts: Sequence[str]) -> float:
    started = time.process_time()
    for text in texts:
        work(text)
    return time.process_time() - started


def _long_documents(talk: Sequence[str], length: int) -> list[Figure]:
    from deid.text import TextScrubber, presidio_recognizers
    from deid.text.finders import structured_finders

    once = "".join(talk)[: 4 * length - 1] + "。"
    text = once * (4 * length // len(once) + 1)
    analyze = _analyzer(presidio_recognizers(["zh"], finders=structured_finders()))
    (structured, structured_4), (scrubbing, scrubbing_4) = (
        [1_000 * min(_seconds(work, [text[:size]]) for _ in range(_ROUNDS)) for size in (length, 4 * length)]
        for work in (analyze, TextScrubber(budget_ms=60_000).scrub)
    )
    four = "four times as long, a quarter of the time"
    return [
        Figure("text", f"structured kinds, one document of {length:,} characters", structured, "ms", four,
               structured_4 / 4, Target(Bound.AT_MOST, 60)),
        Figure("text", f"scrubbing, one document of {length:,} characters", scrubbing, "ms", four, scrubbing_4 / 4),
    ]  # fmt: skip


def _starts() -> list[Figure]:
    """Measure fresh processes: an import, and an import with one scrub, beside the plain import of presidio."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"

        def fresh(code: str) -> tuple[float, float]:
            took = [run_child([sys.executable, "-c", code], log=log) for _ in range(_ROUNDS)]
            return min(one.cpu_seconds for one in took), min(one.peak_mb for one in took)

        nothing, _ = fresh("pass")
        seconds, peak = fresh("from deid.text import TextScrubber; TextScrubber().scrub('电话13800138000，我叫王小明')")
        stock, stock_peak = fresh("import presidio_analyzer")
    return [
        Figure("text", "import and first scrub, start of Python left out", seconds - nothing, "s",
               "import presidio_analyzer", stock - nothing, Target(Bound.AT_MOST, 1.2)),
        Figure("text", "import and first scrub, peak memory", peak, "MB", "import presidio_analyzer", stock_peak,
               Target(Bound.AT_MOST, 200)),
    ]  # fmt: skip


def _analyzer(recognizers: "Sequence[EntityRecognizer]") -> "Callable[[str], list[RecognizerResult]]":
    """Return the analysis of Chinese text by an engine as presidio's documentation builds it."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    engine: AnalyzerEngine = AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=list(recognizers), supported_languages=["zh"]),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": "zh", "model_name": ""}]),
        supported_languages=["zh"],
    )
    return lambda text: engine.analyze(text, "zh")


def _returning(known: "Mapping[str, list[RecognizerResult]]", kinds: Sequence[str]) -> "EntityRecognizer":
    """Return a recognizer that looks for nothing and returns what is known of a text."""
    from presidio_analyzer import EntityRecognizer, RecognizerResult

    class Empty(EntityRecognizer):
        """Costs what presidio itself costs."""

        def load(self) -> None:
            """Nothing to load."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: object) -> "list[RecognizerResult]":  # noqa: ARG002
            """Return what is known."""
            return known.get(text, [])

    empty = Empty(list(kinds), supported_language="zh")
    mine = {RecognizerResult.RECOGNIZER_NAME_KEY: empty.name, RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: empty.id}
    for result in (result for results in known.values() for result in results):
        result.recognition_metadata = dict(mine)  # presidio drops results of a recognizer that it did not ask
    return empty


def _stock() -> "list[EntityRecognizer]":
    """Return presidio's pattern recognizers with our patterns; dates, whose patterns are no single ones, left out."""
    from presidio_analyzer import Pattern, PatternRecognizer

    from deid.text.identifiers import ACROSS, IDENTIFIERS
    from deid.text.labelled import LABELLED

    patterns = [(one.name, one.kind, one.pattern.pattern) for one in (*IDENTIFIERS, *ACROSS)]
    patterns += [(one.name, one.kind, f"(?:{one.words})[ :：是为]{{0,3}}(?:{one.value.pattern})") for one in LABELLED]
    return [
        PatternRecognizer(kind.value, name=name, supported_language="zh", patterns=[Pattern(name, pattern, 0.6)])
        for name, kind, pattern in patterns
    ]
