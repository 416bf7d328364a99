"""Whatever a text is made of, it is read without an error, and offsets lead into it."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.text import TextScrubber
from deid.text.evaluation import evaluate
from deid.text.gold import GoldSpan, GoldText
from deid.text.kinds import MARKS

EXAMPLES = 3_000 if os.environ.get("CONSENTRY_NIGHTLY") == "1" else 150

_WRITTEN = """我叫|王小明|张|先生|患者|医院|浙江省杭州市|文三路12号|3幢2单元501室|身份证|微信|加V|〔姓名〕|〔|农历八月
92岁|Dr. |John Smith|12 Main Street|St. Mary's Hospital|SSN 123-45-6789|http://|@|阿依古丽·|١٣٨|🄰|ﷺ"""
_WORDS = st.sampled_from([word for line in _WRITTEN.splitlines() for word in line.split("|")])
_TEXTS = st.lists(_WORDS | st.text(max_size=12) | st.text("0123456789-. ", max_size=20), max_size=14).map("".join)
_ANY = _TEXTS | st.text(st.characters(), max_size=80)
"""``characters`` alone holds halves of surrogate pairs too."""


@pytest.fixture(scope="module")
def scrubber():
    """One with time enough."""
    return TextScrubber(budget_ms=60_000)


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=_ANY, language=st.sampled_from(["auto", "zh", "en"]))
def test_any_text_is_read(scrubber, text, language):
    """Spans are sorted and disjoint, the trace agrees with them, and twice changes nothing."""
    trace = scrubber.trace(text, language)
    assert list(trace.spans) == scrubber.find(text, language)
    reached = 0
    for span in trace.spans:
        assert reached <= span.start < span.end <= len(text)
        reached = span.end
    assert all(0 <= one.start < one.end <= len(text) for one in trace.decisions)
    once = scrubber.scrub(text, language).text
    assert scrubber.scrub(once, language).text == once or once == MARKS[trace.spans[0].type]


@settings(max_examples=50, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9), st.sampled_from(["PERSON", "LOCATION", "TITLE"]))),
    text=st.text("我叫王小明在北京 ", min_size=40, max_size=60),
)
def test_any_gold_is_scored(scrubber, spans, text):
    """Shares lie between 0 and 1, and an exact hit is also one that overlaps and covers."""
    gold = GoldText("t", text, tuple(GoldSpan(start, start + length, kind) for start, length, kind in spans))
    for score in evaluate([gold], scrubber.find).scores:
        exact, overlap, cover = score.recalled.values()
        assert 0 <= exact <= min(overlap, cover)
        assert cover <= overlap <= score.gold
        assert all(0 <= right <= score.found for right in score.right.values())
