"""An explanation has the value, the rule and every input, in both languages, and shows nothing by accident."""

from datetime import timedelta
from decimal import Decimal

import pytest

from kernel.errors import NotFound
from tagging.evaluate import evaluate
from tagging.explain import InputKind, explain
from tagging.words import Locale


@pytest.fixture
def files(views, event, as_of):
    """Views with one hypertensive night user and somebody of whom nothing is known."""
    happened = [event("p1", "login", as_of - timedelta(days=day), 23) for day in range(3)]
    happened += [event("p1", "purchase", as_of, 9, amount=Decimal("2500.00")), event("p2", "login", as_of, 23)]
    happened += [event("p1", "consult_finished", as_of + timedelta(days=1), 9)]
    return views([{"pseudonym": "p1", "diagnosis_groups": ["I10", None]}, {"pseudonym": "p2"}], happened)


@pytest.fixture
def explained(medical_taxonomy, files, as_of):
    """Explain a tag of the medical taxonomy."""
    subjects, events = files
    return lambda code, pseudonym="p1": explain(
        medical_taxonomy, code, pseudonym=pseudonym, subjects=subjects, events=events, as_of=as_of
    )


def test_explanation_agrees_with_the_evaluation(medical_taxonomy, explained, files, as_of):
    """For every tag and subject the explained value is the one that DuckDB computes."""
    subjects, events = files
    for row in evaluate(medical_taxonomy, subjects=subjects, events=events, as_of=as_of).to_pylist():
        for tag in medical_taxonomy.tags:
            assert explained(tag.code, row["pseudonym"]).value == row[tag.code], tag.code


def test_inputs_are_columns_events_and_tags(explained):
    """A rule's inputs are listed once each with their values; a tag brings its own explanation."""
    urgency = explained("urgency")
    assert [(one.kind, one.value) for one in urgency.inputs] == [
        (InputKind.EVENTS, Decimal(0)),
        (InputKind.EVENTS, Decimal(0)),
        (InputKind.EVENTS, Decimal(0)),
        (InputKind.TAG, "hypertension"),
    ]
    (column,) = urgency.inputs[-1].explanation.inputs
    assert (column.kind, column.name, column.value) == (InputKind.COLUMN, "diagnosis_groups", ("I10",))


def test_explanation_names_rule_and_version(explained, medical_taxonomy, as_of):
    """The rule as written, its version, the taxonomy and the day are part of it."""
    night = explained("night_user")
    assert night.rule == "ev_days(at_hours(22, 6), 30) >= 3"
    assert (night.version, night.taxonomy, night.taxonomy_hash) == (1, "medical", medical_taxonomy.hash)
    assert night.as_of == as_of


def test_explanation_in_chinese(explained):
    """The Chinese lines use the labels of tag, value and column."""
    assert (
        explained("chronic_disease").lines(Locale.ZH)[0]
        == "慢病类型：高血压（截至 2026-11-21，规则 chronic_disease 第 1 版）"
    )
    assert explained("chronic_disease").lines(Locale.ZH)[-1] == "  - 诊断类目：I10"
    assert explained("night_user").lines(Locale.ZH) == (
        "夜间用户：是（截至 2026-11-21，规则 night_user 第 1 版）",
        "规则：近 30 天内时刻在 22:00–06:00的天数不小于 3",
        "  - 近 30 天内时刻在 22:00–06:00的天数：3",
    )


def test_explanation_in_english(explained):
    """The English lines say the same; what another tag is made of stands below it."""
    lines = explained("value_tier").lines(Locale.EN)
    assert lines[0] == "Value tier: High value (as of 2026-11-21, rule value_tier version 1)"
    assert "  Churn risk: no (as of 2026-11-21, rule churn_risk version 1)" in lines
    assert "    - the days since the last event where event type is “login”: 0" in lines


def test_unknown_value_is_said_to_be_unknown(explained):
    """Nothing known about somebody is not a no."""
    assert explained("chronic_disease", "p2").value is None
    assert explained("chronic_disease", "p2").lines(Locale.EN)[0].startswith("Chronic disease: unknown (")
    assert explained("chronic_disease", "p2").lines(Locale.ZH)[-1] == "  - 诊断类目：未知"


def test_repr_shows_no_value(explained):
    """Neither the explanation nor its inputs or facts print health data by accident."""
    explanation = explained("urgency")
    shown = repr(explanation) + repr(explanation.inputs)
    assert "('I10',)" not in shown
    assert "value=" not in shown
    assert "value_label=" not in shown


def test_unknown_pseudonym_and_tag_are_not_found(explained):
    """Somebody outside the view cannot be explained, nor a tag that does not exist."""
    with pytest.raises(NotFound, match="no such pseudonym"):
        explained("night_user", "p3' OR TRUE --")
    with pytest.raises(NotFound, match="no tag 'nothing'"):
        explained("nothing")
