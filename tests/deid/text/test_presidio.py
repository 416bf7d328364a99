"""Our recognizers in an analyzer engine of somebody else's, beside presidio's own."""

import pytest
from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from deid.text import presidio_recognizers, settle_results
from deid.text.thresholds import least_scores
from kernel.errors import ConfigurationError


def stock_engine(languages, *more, thresholds=None):
    """Presidio's engine as its documentation builds it, with ours and more recognizers."""
    ours = presidio_recognizers(languages) if thresholds is None else presidio_recognizers(languages, thresholds)
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=[*ours, *more], supported_languages=languages),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": one, "model_name": ""} for one in languages]),
        supported_languages=languages,
    )


def test_one_call_gives_recognizers_for_a_stock_engine():
    """Chinese and English, with the rule and the check digit in the metadata."""
    engine = stock_engine(["zh", "en"])
    text = "身份证11010519491231002X，手机13800138000"
    results = {result.entity_type: result for result in engine.analyze(text, "zh")}
    assert text[results["ID_NUMBER"].start : results["ID_NUMBER"].end] == "11010519491231002X"
    assert results["ID_NUMBER"].recognition_metadata["checked"] is True
    assert results["MOBILE"].recognition_metadata["source"]
    assert {one.entity_type for one in engine.analyze("Mail ann@example.com", "en")} == {"EMAIL"}


def test_kinds_that_are_not_asked_for_are_left_out():
    """As presidio has it with ``entities``."""
    results = stock_engine(["zh"]).analyze("手机13800138000，邮箱a@qq.com", "zh", entities=["EMAIL"])
    assert [result.entity_type for result in results] == ["EMAIL"]


def test_the_reason_is_told_when_it_is_asked_for():
    """The explanation names the rule, and holds no character of the text."""
    (result,) = stock_engine(["zh"]).analyze("手机13800138000", "zh", return_decision_process=True)
    assert result.analysis_explanation.pattern_name == result.recognition_metadata["source"]
    assert "13800138000" not in str(result.analysis_explanation)


def test_thresholds_are_by_kind():
    """What is below the threshold of its kind is no result."""
    assert stock_engine(["zh"], thresholds={"MOBILE": 1.0}).analyze("手机13800138000", "zh") == []


@pytest.mark.parametrize("thresholds", [{"MOBIL": 0.5}, {"MOBILE": 1.5}, {"default": -0.1}])
def test_a_threshold_that_is_none_is_refused(thresholds):
    """A misspelt kind would otherwise keep its default unseen."""
    with pytest.raises(ConfigurationError):
        least_scores(thresholds)


def test_other_languages_are_refused():
    """Rules for two languages would otherwise answer for a third."""
    with pytest.raises(ConfigurationError, match="'fr'"):
        presidio_recognizers(["en", "fr"])


def test_results_of_all_recognizers_are_settled_by_the_same_rules():
    """A stock pattern that overlaps ours loses to the check digit, and what it saw beyond is covered."""
    wide = PatternRecognizer(
        supported_entity="WIDE", supported_language="zh", patterns=[Pattern("wide", "证.{18},.", 0.9)]
    )
    text = "身份证11010519491231002X,甲"
    results = stock_engine(["zh"], wide).analyze(text, "zh")
    assert len(results) == 2
    (settled,) = settle_results(results)
    assert (settled.entity_type, settled.start, settled.end) == ("ID_NUMBER", 2, len(text))
    assert {result.start for result in results} == {2, 3}, "what was given stays as it was"


def test_settling_takes_any_result():
    """Without metadata and of a type that is none of ours; the longer wins, then the surer."""
    settled = settle_results(
        [
            RecognizerResult("B", 4, 6, 0.9),
            RecognizerResult("A", 0, 5, 0.4),
            RecognizerResult("C", 8, 9, 0.4),
            RecognizerResult("D", 8, 9, 0.5),
        ]
    )
    assert [(one.entity_type, one.start, one.end) for one in settled] == [("A", 0, 6), ("D", 8, 9)]
