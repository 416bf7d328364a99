"""Scores of detection on texts with known spans."""

import json

from deid.text.evaluation import ALL, Measure, evaluate
from deid.text.evaluation_report import COLUMNS, as_json, as_markdown
from deid.text.gold import GoldSpan, GoldText
from deid.text.kinds import Kind
from deid.text.spans import Span


def scored(gold, found, text="0123456789" * 10, types=None, pools=None):
    """Evaluate one text; gold and found are (start, end, type)."""
    spans = [Span(start, end, Kind(kind), 1.0) for start, end, kind in found]
    texts = [GoldText("t", text, tuple(GoldSpan(*span) for span in gold))]
    result = evaluate(texts, lambda _: spans, types, pools)
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


def test_what_answers_nothing_counts_against_the_types_of_its_kind():
    """A false mobile lowers the precision of telephone numbers, as the corpus calls them."""
    _, by = scored([(0, 11, "PHONE_NUMBER")], [(0, 11, "MOBILE"), (20, 31, "LANDLINE")])
    assert by["PHONE_NUMBER"].precision(Measure.EXACT) == 0.5
    assert "LANDLINE" not in by


def test_types_are_pooled():
    """A pool holds the gold spans of its types and what was found of their kinds, each once; others stay outside."""
    gold = [(0, 5, "GPE"), (10, 15, "LOCATION"), (20, 25, "PERSON")]
    found = [(0, 5, "PLACE"), (10, 12, "PLACE"), (20, 25, "PERSON"), (30, 33, "ADDRESS")]
    result, by = scored(gold, found, pools={"places": ["GPE", "LOCATION"], "nothing": ["IBAN_CODE"]})
    assert (by["places"].gold, by["places"].found) == (2, 3)
    assert by["places"].recall(Measure.EXACT) == 0.5
    assert by["places"].precision(Measure.OVERLAP) == 2 / 3
    assert [score.type for score in result.scores] == ["GPE", "LOCATION", "PERSON", "places", ALL]
    assert result.score("nothing").recall(Measure.EXACT) is None


def test_a_withheld_text_has_found_nothing():
    """It is told, its spans are missed, and the mark over all of it is no hit."""
    result, by = scored([(0, 3, "PERSON")], [(0, 100, "WITHHELD")])
    assert result.withheld == 1
    assert by["PERSON"].recall(Measure.COVER) == 0.0
    assert result.false_hits == {}


def test_the_table_says_what_was_measured():
    """One line a type; what was not scored and the false hits stand below; a share of nothing stays empty."""
    result, _ = scored([(0, 3, "PERSON"), (5, 8, "TITLE")], [(0, 3, "PERSON"), (20, 31, "MOBILE")])
    lines = as_markdown(result).splitlines()
    assert lines[0].count("|") == lines[2].count("|") == len(COLUMNS) + 1
    assert "| MOBILE | 0 | 1 |  |  |  | 0.000 | 0.000 | 0.000 |" in lines
    assert "| PERSON | 1 | 1 | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 |" in lines
    assert "False hits: 10.000 per 1,000 characters (MOBILE 1)." in lines[-2]
    assert lines[-1].endswith("TITLE 1.")


def test_the_json_holds_the_same():
    """Counts, shares by measure, null where there is nothing to share; and no character of a text."""
    result, _ = scored([(0, 3, "PERSON")], [(20, 31, "MOBILE")])
    said = json.loads(json.dumps(as_json(result)))
    assert (said["texts"], said["characters"], said["withheld"]) == (1, 100, 0)
    assert said["false_hits"] == {"MOBILE": 1}
    by = {row["type"]: row for row in said["types"]}
    assert by["PERSON"]["recall"] == {"exact": 0.0, "overlap": 0.0, "cover": 0.0}
    assert by["MOBILE"]["recall"]["exact"] is None
    assert "0123456789" not in json.dumps(said)


def test_withheld_texts_are_told_in_the_table():
    """They are what time took away."""
    result, _ = scored([(0, 3, "PERSON")], [(0, 100, "WITHHELD")])
    assert "1 texts" in as_markdown(result).splitlines()[-1]
