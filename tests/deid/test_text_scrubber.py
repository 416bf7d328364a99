"""Scrubbing documents: offsets, idempotence, long texts and the time bound."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.text import MARKS, Kind, Span, TextScrubber
from deid.text.engine import PresidioDetector
from deid.text.finders import Finder
from deid.text.reading import Reading
from deid.text.scanner import Scanner
from deid.text.scrubber import MAX_CHARACTERS
from deid.text.spans import Hit
from deid.text.watch import Watch

_FRAGMENTS = st.sampled_from(
    [
        "13800138000",
        "+86 138-0013-8000",
        "１３８００１３８０００",
        "11010519491231002X",
        "110105194912310021",
        "6222020200112230004",
        "9400000000000007",
        "010-62345678转801",
        "62345678",
        "zhangsan@qq.com",
        "https://example.com/a?b=13800138000",
        "www.",
        "电话",
        "身份证",
        "卡号",
        "订单号",
        "〔手机〕",
        "〔",
        "〕",
        "\u200b",
        "⑩",
        "，",
        " ",
        "-",
        "@",
        "tel",
        "头晕三天",
    ]
)
_TEXTS = st.lists(_FRAGMENTS | st.text("0123456789 -.@+()Xx中\u200b１⑩", max_size=8), max_size=12).map("".join)


@pytest.fixture(scope="module")
def scrubber() -> TextScrubber:
    """One scrubber with time enough for a slow machine."""
    return TextScrubber(budget_ms=60_000)


class SteppingClock:
    """A monotonic clock that moves by a fixed step each time it is read."""

    def __init__(self, step_seconds: float) -> None:
        self.now = 0.0
        self.step_seconds = step_seconds

    def __call__(self) -> float:
        self.now += self.step_seconds
        return self.now


class Insatiable:
    """A detector that finds the first character of whatever it is given."""

    def detect(self, text: str, language: str = "zh", extra: object = (), watch: object = None) -> list[Hit]:
        return [Hit(len(text) - 1, len(text), Kind.MOBILE, 0.9, checked=False)]


def test_marks_stand_where_the_identifiers_stood(scrubber: TextScrubber) -> None:
    """The text keeps everything else; the spans point into the original."""
    text = "我叫小明，手机１３８-００１３-８０００\u200b，身份证11010519491231002X，头晕三天"
    scrubbed = scrubber.scrub(text)
    assert scrubbed.text == "我叫〔姓名〕，手机〔手机〕，身份证〔身份证〕，头晕三天"
    assert [text[span.start : span.end] for span in scrubbed.spans] == [
        "小明",
        "１３８-００１３-８０００\u200b",
        "11010519491231002X",
    ]


@pytest.mark.parametrize("text", ["", "头晕三天", "血压135/85"])
def test_text_without_identifiers_is_unchanged(scrubber: TextScrubber, text: str) -> None:
    """Nothing found, nothing replaced."""
    assert scrubber.scrub(text).text == text
    assert scrubber.find(text) == []


@settings(max_examples=300, deadline=None)
@given(text=_TEXTS)
def test_scrubbing_twice_is_scrubbing_once(scrubber: TextScrubber, text: str) -> None:
    """In a scrubbed text nothing is found."""
    once = scrubber.scrub(text)
    assert scrubber.scrub(once.text).text == once.text
    assert scrubber.find(once.text) == [] or once.is_withheld


@settings(max_examples=300, deadline=None)
@given(text=_TEXTS)
def test_spans_are_sorted_disjoint_and_lead_from_text_to_marks(scrubber: TextScrubber, text: str) -> None:
    """Replacing the spans of the original by their marks gives the scrubbed text."""
    scrubbed = scrubber.scrub(text)
    rebuilt, position = "", 0
    for span in scrubbed.spans:
        assert position <= span.start < span.end <= len(text)
        rebuilt += text[position : span.start] + MARKS[span.type]
        position = span.end
    assert rebuilt + text[position:] == scrubbed.text


@settings(max_examples=100, deadline=None)
@given(before=st.text("头晕三天，。abc ", max_size=20), after=st.text("头晕三天，。", max_size=20))
def test_identity_number_never_survives(scrubber: TextScrubber, before: str, after: str) -> None:
    """Whatever Chinese or Latin stands around it, a valid number is gone."""
    assert "11010519491231002X" not in scrubber.scrub(f"{before}11010519491231002X{after}").text


def test_long_text_is_read_to_its_end(scrubber: TextScrubber) -> None:
    """Identifiers at every offset around the windows' borders are found exactly, each once."""
    piece = "头晕三天了，打13800138000找我。"
    text = piece * 3_000
    spans = scrubber.find(text)
    start = piece.index("1")
    expected = [len(piece) * place + start for place in range(3_000)]
    assert [span.start for span in spans] == expected
    assert {text[span.start : span.end] for span in spans} == {"13800138000"}


def test_slow_document_becomes_a_single_mark() -> None:
    """When the budget is spent nothing of the text comes back."""
    slow = TextScrubber(budget_ms=2_000, monotonic=SteppingClock(3.0))
    text = "头晕，电话13800138000"
    scrubbed = slow.scrub(text)
    assert scrubbed.text == MARKS[Kind.WITHHELD]
    assert scrubbed.is_withheld
    assert slow.find(text) == [Span(0, len(text), Kind.WITHHELD, 1.0)]


def test_budget_is_checked_within_a_long_document() -> None:
    """A document that is fast enough at first is withheld when a later window is too late."""
    text = "头晕三天，打13800138000。" * 6_000
    assert TextScrubber(budget_ms=60_000, monotonic=SteppingClock(0.001)).scrub(text).is_withheld is False
    assert TextScrubber(budget_ms=3_000, monotonic=SteppingClock(1.0)).scrub(text).is_withheld


def test_budget_is_checked_within_one_window() -> None:
    """A finder that goes on and on in a single window is stopped, and the document withheld."""

    class Endless:
        """Gives a hit for every second that it is let."""

        name = "endless"
        kinds = frozenset((Kind.MOBILE,))
        languages = frozenset(("zh",))

        def find(self, reading: Reading) -> Iterator[Hit]:
            while True:
                yield Hit(0, 11, Kind.MOBILE, 0.9, checked=False)

    slow = TextScrubber(
        budget_ms=50_000, monotonic=SteppingClock(1.0), detector=PresidioDetector([Endless(), Scanner()])
    )
    assert slow.scrub("头" * 5_000).is_withheld


def test_each_document_has_its_own_budget() -> None:
    """Many documents together may take longer than one may."""
    scrubber = TextScrubber(budget_ms=2_500, monotonic=SteppingClock(1.0))
    assert [scrubbed.text for scrubbed in scrubber.scrub_many(["电话13800138000"] * 5)] == ["电话〔手机〕"] * 5


def test_overlong_document_is_withheld_unread() -> None:
    """Beyond the limit a document is not even scanned."""
    assert TextScrubber(detector=Insatiable()).scrub("头" * (MAX_CHARACTERS + 1)).is_withheld


def test_address_longer_than_the_margin_is_withheld(scrubber: TextScrubber) -> None:
    """What runs over a window's edge cannot be judged, and does not slip through."""
    text = "头" * 16_000 + "https://example.com/" + "a" * 9_000
    assert scrubber.scrub(text).text == MARKS[Kind.WITHHELD]


def test_document_that_never_settles_is_withheld() -> None:
    """A text in which every pass finds something new fails closed."""
    assert TextScrubber(detector=Insatiable()).scrub("13800138000").is_withheld


def test_withheld_mark_is_final(scrubber: TextScrubber) -> None:
    """The single mark scrubs to itself and counts as nothing found."""
    assert scrubber.scrub(MARKS[Kind.WITHHELD]).text == MARKS[Kind.WITHHELD]


def test_threads_share_one_scrubber() -> None:
    """The first scrub may come from many threads at once."""
    shared = TextScrubber(budget_ms=60_000)
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda text: shared.scrub(text).text, ["电话13800138000"] * 40))
    assert set(texts) == {"电话〔手机〕"}


def test_a_second_round_reads_only_what_a_mark_has_changed() -> None:
    """Of a long text, the windows around the marks; and nothing at all without a mark."""

    class Counting(PresidioDetector):
        """Notes the windows."""

        def detect(
            self, text: str, language: str = "zh", extra: Sequence[Finder] = (), watch: Watch | None = None
        ) -> list[Hit]:
            windows.append(len(text))
            return super().detect(text, language, extra, watch)

    windows: list[int] = []
    scrubber = TextScrubber(detector=Counting([Scanner()]))
    text = "头晕三天。" * 20_000
    scrubber.find(text)
    plain = len(windows)
    assert plain == -(-len(text) // 16_384)
    assert len(scrubber.find(text[:8_000] + "13800138000" + text[8_000:])) == 1
    assert len(windows) == 2 * plain + 1


def test_what_is_loaded_for_the_first_document_is_not_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has just started, on a busy machine: the first text is judged all the same."""
    now = 0.0

    class Slow(PresidioDetector):
        """Takes a minute to be built, and another to read its first text of a language."""

        def __init__(self) -> None:
            nonlocal now
            super().__init__()
            now += 60
            self.seen: set[str] = set()

        def detect(
            self, text: str, language: str = "zh", extra: Sequence[Finder] = (), watch: Watch | None = None
        ) -> list[Hit]:
            nonlocal now
            now += 0 if language in self.seen else 60
            self.seen.add(language)
            return super().detect(text, language, extra, watch)

    monkeypatch.setattr("deid.text.scrubber.PresidioDetector", Slow)
    scrubber = TextScrubber(budget_ms=2_000, monotonic=lambda: now)
    assert [span.type for span in scrubber.find("电话13800138000")] == [Kind.MOBILE]
    assert [span.type for span in scrubber.find("mail a@b.com")] == [Kind.EMAIL]
