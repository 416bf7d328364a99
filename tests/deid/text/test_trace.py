"""Why a text was marked as it was."""

import json

import pytest

from deid.text import Kind, TextScrubber
from deid.text.engine import PresidioDetector
from deid.text.spans import Hit
from deid.text.trace import Outcome


class Says:
    """A finder that gives what it is told where a word stands."""

    languages = frozenset(("zh", "en"))
    kinds = frozenset(Kind)

    def __init__(self, word, *hits):
        self.name, self._word, self._hits = "says", word, hits

    def find(self, reading):
        place = reading.text.find(self._word)
        while place >= 0:
            for kind, length, score, checked, source in self._hits:
                yield Hit(place, place + length, kind, score, checked, source)
            place = reading.text.find(self._word, place + 1)


def trace_of(text, *finders):
    scrubber = TextScrubber(detector=PresidioDetector(finders), budget_ms=60_000)
    trace = scrubber.trace(text)
    assert list(trace.spans) == scrubber.find(text)
    return trace


def outcomes(trace):
    return {decision.source: (decision.outcome, decision.lost_to) for decision in trace.decisions}


def test_each_hit_is_told_with_what_became_of_it():
    """The winner was kept, the others lost to it, and what was too weak never counted."""
    finder = Says(
        "甲乙丙丁",
        (Kind.PERSON, 4, 0.9, False, "long"),
        (Kind.MOBILE, 2, 0.6, True, "proved"),
        (Kind.PLACE, 2, 0.2, False, "weak"),
    )
    trace = trace_of("前面甲乙丙丁后面", finder)
    assert outcomes(trace) == {
        "long": (Outcome.LOST, "proved"),
        "proved": (Outcome.KEPT, ""),
        "weak": (Outcome.WEAK, ""),
    }
    assert [(one.start, one.end) for one in trace.decisions] == [(2, 4), (2, 4), (2, 6)]


def test_own_identifiers_are_told_too():
    """With the rule that they come from."""
    scrubber = TextScrubber(detector=PresidioDetector([Says("甲乙", (Kind.PERSON, 2, 0.9, False, "person.cue"))]))
    own = Says("甲", (Kind.RECORD_NUMBER, 1, 0.9, False, "record.number"))
    trace = scrubber.trace("前面甲乙", own=[own])
    assert outcomes(trace) == {
        "person.cue": (Outcome.LOST, "record.number"),
        "record.number": (Outcome.KEPT, ""),
    }
    assert [span.type for span in trace.spans] == [Kind.RECORD_NUMBER]


def test_later_rounds_and_windows_lead_back_to_the_text():
    """A hit in a text with marks, beyond the first window, stands where it stands in the original."""
    first = Says("甲" * 9, (Kind.PERSON, 9, 0.9, False, "first"))
    second = Says("〕乙", (Kind.PLACE, 2, 0.1, False, "second"))
    text = "头" * 20_000 + "甲" * 9 + "乙"
    trace = trace_of(text, first, second)
    by = {one.source: one for one in trace.decisions}
    assert (by["first"].start, by["first"].end) == (20_000, 20_009)
    assert by["second"].end == len(text)


def test_folded_text_is_traced_in_the_original():
    """Offsets count the invisible characters too."""
    text = "电话１３８\u200b００１３８０００"
    trace = TextScrubber().trace(text)
    (kept,) = [one for one in trace.decisions if one.outcome is Outcome.KEPT]
    assert text[kept.start : kept.end] == text[2:]


def test_a_trace_holds_no_character_of_the_text():
    """Neither as JSON nor in its repr."""
    trace = TextScrubber().trace("我叫王小明，手机13800138000，邮箱wang@qq.com")
    said = json.dumps([decision.as_json() for decision in trace.decisions], ensure_ascii=False) + repr(trace)
    assert len(trace.decisions) >= 3
    for value in ("王", "小明", "13800138000", "wang"):
        assert value not in said


def test_what_is_withheld_says_so():
    """All hits until then lost to the mark over the whole text."""
    trace = TextScrubber(budget_ms=-1).trace("电话13800138000")
    assert [span.source for span in trace.spans] == ["withheld"]
    assert trace.decisions == ()


@pytest.mark.parametrize("count", [1, 40])
def test_nothing_is_told_twice(count):
    """Windows overlap, and a text is read again after it was masked."""
    text = ("头晕" * 600 + "打13800138000，") * count
    kept = [one for one in TextScrubber(budget_ms=60_000).trace(text).decisions if one.outcome is Outcome.KEPT]
    assert len({(one.start, one.end, one.source) for one in kept}) == len(kept) == count
