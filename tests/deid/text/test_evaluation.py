"""Scores of detection on texts with known spans."""

from deid.text.evaluation import ALL, Measure, evaluate
from deid.text.gold import GoldSpan, GoldText
from deid.text.kinds import Kind
from deid.text.spans import Span


def scored(gold, found, text="0123456789" * 10, types=None):
    """Evaluate one text; gold and found are (start, end, type)."""
    spans = [Span(start, end, Kind(kind), 1.0) for start, end, kind in found]
    texts = [GoldText("t", text, tuple(GoldSpan(*span) for span in gold))]
    result = evaluate(texts, lambda _: spans, types)
    return result, {score.type: score for score in result.scores}


def recalls(score):
    return tuple(score.recall(measure) for measure in Measure)


def precisions(score):
    return tuple(score.precision(measure) for measure in Measure)


def test_the_same_stretch_is_everything():
    """Exact hits overlap and cover."""
    _, by = scored([(0, 3, "PERSON")], [(0, 3, "PERSON")])
    assert recalls(by["PERSON"]) == precisions(by["PERSON"]) == (1.0, 1.0, 1.0)


def test_more_than_the_gold_covers_and_less_overlaps():
    """A hit that is too wide covers, one that is too narrow leaves something standing."""
    _, wide = scored([(2, 5, "PERSON")], [(1, 6, "PERSON")])
    _, narrow = scored([(2, 5, "PERSON")], [(3, 5, "PERSON")])
    assert recalls(wide["PERSON"]) == precisions(wide["PERSON"]) == (0.0, 1.0, 1.0)
    assert recalls(narrow["PERSON"]) == precisions(narrow["PERSON"]) == (0.0, 1.0, 0.0)


def test_several_hits_cover_together():
    """Two halves leave nothing; with a gap between them they do."""
    _, halves = scored([(0, 6, "LOCATION")], [(0, 3, "PLACE"), (3, 6, "ADDRESS")])
    _, gap = scored([(0, 6, "LOCATION")], [(0, 2, "PLACE"), (3, 6, "ADDRESS")])
    assert halves["LOCATION"].recall(Measure.COVER) == 1.0
    assert gap["LOCATION"].recall(Measure.COVER) == 0.0


def test_another_kind_finds_nothing_and_is_wrong():
    """A name that is taken for an organisation is neither recalled nor right; it touches gold and is no false hit."""
    result, by = scored([(0, 3, "PERSON")], [(0, 3, "ORGANIZATION")])
    assert by["PERSON"].recall(Measure.OVERLAP) == 0.0
    assert by["ORGANIZATION"].precision(Measure.OVERLAP) == 0.0
    assert result.false_hits == {}


def test_what_touches_nothing_is_a_false_hit():
    """Told by kind, and for a thousand characters."""
    result, by = scored([], [(0, 3, "PERSON"), (5, 8, "MOBILE")])
    assert result.false_hits == {Kind.PERSON: 1, Kind.MOBILE: 1}
    assert result.false_hits_per_1000 == 20.0
    assert by[ALL].recall(Measure.EXACT) is None
    assert by[ALL].precision(Measure.EXACT) == 0.0


def test_types_that_we_do_not_find_are_left_out():
    """They are told; what is found within them is neither right nor wrong."""
    result, by = scored([(0, 3, "TITLE")], [(0, 3, "PERSON")])
    assert result.unscored == {"TITLE": 1}
    assert ALL not in by
    _, mapped = scored([(0, 3, "TITLE")], [(0, 3, "PERSON")], types={"TITLE": ["PERSON"]})
    assert mapped["TITLE"].recall(Measure.EXACT) == 1.0


def test_all_types_together_come_last():
    """In one row."""
    result, by = scored([(0, 3, "PERSON"), (5, 8, "MOBILE")], [(0, 3, "PERSON")])
    assert [score.type for score in result.scores] == ["MOBILE", "PERSON", ALL]
    assert (by[ALL].gold, by[ALL].found, by[ALL].recall(Measure.EXACT)) == (2, 1, 0.5)


def test_no_text_at_all():
    """Nothing is divided by nothing."""
    result = evaluate([], lambda _: [])
    assert (result.texts, result.scores, result.false_hits_per_1000) == (0, (), 0.0)
