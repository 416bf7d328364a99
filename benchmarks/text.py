"""Text detection: characters per second beside presidio with the same patterns; the first scrub."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.figures import Figure

_SEED: Final = 20260101
_SENTENCES: Final = 4_000
_IDENTIFYING_SHARE: Final = 0.2
_LONG_DOCUMENT_CHARACTERS: Final = 84_000
_REPEATS: Final = 3

_PLAIN: Final = (
    "血压一百三十五比八十五，最近三天头晕，偶尔恶心，没有发烧。",
    "空腹血糖6.8mmol/L，餐后2小时9.7mmol/L，二甲双胍0.5g一天两次吃了8个月。",
    "孩子4岁，咳嗽一周，体温38.2度，昨天吃了布洛芬，国药准字H20103456那种。",
    "订单20260315182233445566还没有发货，麻烦看一下，谢谢医生。",
    "上次查的转氨酶ALT 56U/L，谷草转氨酶41U/L，医生说两个月以后复查。",
    "睡不着觉，心慌，晚上要起来三四次，这种情况需要挂哪个科？",
)
_IDENTIFYING: Final = (
    "我的电话是{mobile}请尽快联系我，最近头晕得厉害。",
    "身份证{id_number}，帮我爸爸挂一个心内科的号。",
    "报告发到{email}谢谢，转氨酶偏高两个月了。",
    "退款请打到卡号{card}，药没有收到。",
)


def run() -> list[Figure]:
    """Return the figures of this group; no targets are set yet."""
    sentences = _sentences(random.Random(_SEED))
    document = "".join(sentences)[:_LONG_DOCUMENT_CHARACTERS]
    ours, stock = _ours(), _stock()
    return [
        _speed_row("scrub_sentences", sentences, ours, stock),
        _speed_row("scrub_long_document", [document], ours, stock),
        _first_scrub_row(),
    ]


def _speed_row(
    name: str, texts: Sequence[str], ours: Callable[[str], object], stock: Callable[[str], object]
) -> Figure:
    yardstick = "presidio PatternRecognizers, same patterns, no model"
    return Figure("text", name, _rate(ours, texts), "characters/s", yardstick, _rate(stock, texts))


def _rate(work: Callable[[str], object], texts: Sequence[str]) -> float:
    """Return characters per second, the best of a few runs after one to warm up."""
    work(texts[0])
    seconds = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        for text in texts:
            work(text)
        seconds.append(time.perf_counter() - started)
    return sum(map(len, texts)) / min(seconds)


def _first_scrub_row() -> Figure:
    """Measure a fresh process each: import and one scrub, beside the plain import of presidio."""
    ours = "from deid.text import TextScrubber; TextScrubber().scrub('电话13800138000')"
    stock = "import presidio_analyzer"
    return Figure("text", "first_scrub", _fresh(ours), "s", "import presidio_analyzer", _fresh(stock))


def _fresh(code: str) -> float:
    """Return the seconds that a statement takes in a new interpreter, start of the interpreter left out."""
    timed = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True) for _ in range(_REPEATS)]
    return min(float(run.stdout) for run in runs)


def _ours() -> Callable[[str], object]:
    from deid.text import TextScrubber

    return TextScrubber().scrub


def _stock() -> Callable[[str], object]:
    """Return presidio as it comes: pattern recognizers, lemma context, replacement of what was found."""
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    from deid.text.identifiers import IDENTIFIERS

    recognizers = [
        PatternRecognizer(
            supported_entity=identifier.kind.value,
            name=identifier.name,
            supported_language="zh",
            patterns=[Pattern(identifier.name, identifier.pattern.pattern, 0.6)],
        )
        for identifier in IDENTIFIERS
    ]
    engine = AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=["zh"]),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": "zh", "model_name": ""}]),
        supported_languages=["zh"],
    )
    return lambda text: engine.analyze(text, "zh")


def _sentences(rng: random.Random) -> list[str]:
    """Return clinical sentences, one in five with an identifier glued into it."""
    return [_sentence(rng) for _ in range(_SENTENCES)]


def _sentence(rng: random.Random) -> str:
    from deid.text.checks import id_check_character

    head = (
        f"{rng.choice(('11010', '31010', '44030'))}{rng.randint(1, 9)}{rng.randint(1940, 2015)}{rng.randint(1, 12):02}"
    )
    seventeen = f"{head}{rng.randint(1, 28):02}{rng.randint(0, 999):03}"
    identifying = rng.choice(_IDENTIFYING).format(
        mobile=f"1{rng.randint(3, 9)}{rng.randrange(10**9):09}",
        id_number=seventeen + id_check_character(seventeen),
        email=f"user{rng.randrange(10**5)}@example.com",
        card="6222020200112230004",
    )
    plain = "".join(rng.sample(_PLAIN, 3))
    return identifying + plain if rng.random() < _IDENTIFYING_SHARE else plain
