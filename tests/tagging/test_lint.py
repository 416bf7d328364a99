"""The review of a taxonomy: law, sensitivity, values, the pack's catalogue, and the tests inside the file."""

import pytest

from deid.special import load_special_diseases
from kernel.pack import builtin_pack_path
from tagging.lint import LintRule, lint


@pytest.fixture(scope="session")
def special():
    """The medical pack's special diseases."""
    return load_special_diseases(builtin_pack_path("medical") / "special_diseases.yaml")


@pytest.fixture
def findings(taxonomy_of, tag_yaml, medical, special):
    """Review a taxonomy of one tag; findings about its tests are left out, because it has none."""

    def review(rule: str, type_: str = "bool", **more: str):
        taxonomy = taxonomy_of(tag_yaml("a", rule, type_, **more))
        found = lint(taxonomy, catalogue=medical, special=special)
        return [(one.rule, one.message) for one in found if one.rule is not LintRule.EXAMPLE]

    return review


def test_medical_taxonomy_has_no_findings(medical_taxonomy, medical, special):
    """The taxonomy that ships passes its own review, tests included."""
    assert [str(one) for one in lint(medical_taxonomy, catalogue=medical, special=special)] == []


@pytest.mark.parametrize(
    "more",
    [
        {"label": "{zh: 少数民族, en: Minority}"},
        {"label": "{zh: 标签, en: Religion of the user}"},
        {"group": "genetic"},
        {"goal": "{zh: 了解宗教信仰, en: Goal}"},
    ],
)
def test_tag_that_speaks_of_denied_things_is_found(more, findings):
    """A label, group or goal about what no tag may be made of is a finding of R33."""
    (found,) = findings("TRUE", **more)
    assert found[0] is LintRule.R33


def test_constant_that_speaks_of_denied_things_is_found(findings):
    """So is a constant in a rule."""
    assert findings("ev_count(topic = 'religion', 30) > 3") == [
        (LintRule.R33, "a tag may not speak of religion (宗教信仰)")
    ]


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("has(diagnosis_groups, 'B20')", "B20"),
        ("has_any(diagnosis_groups, 'I10', 'F32')", "F32"),
        ("has_prefix(diagnosis_groups, 'C')", "C"),
        ("has(medication_groups, 'N06A')", "N06A"),
        ("ev_count(topic = '抑郁', 30) > 3", "抑郁"),
        ("ev_count(department IN ('内科', '肿瘤科'), 30) > 3", "肿瘤科"),
        ("ev_count(starts_with(topic, '乙肝'), 30) > 3", "乙肝"),
    ],
)
def test_rule_about_a_special_disease_is_found(rule, named, findings):
    """Codes, topics and departments of special diseases never reach a view, and no rule may ask for them."""
    (found,) = findings(rule)
    assert found[0] is LintRule.R33
    assert named in found[1]


def test_other_lists_are_no_diseases(findings):
    """A class of allergy is compared with no list of codes."""
    assert findings("has(allergy_classes, 'food')") == []


@pytest.mark.parametrize(
    ("rule", "given", "least"),
    [
        ("TRUE", "2", 3),
        ("has(diagnosis_groups, 'I10')", "2", 3),
        ("reproductive_state = 'pregnant'", "3", 4),
        ("ev_count(topic = 'x', 3) > 1", "2", 3),
    ],
)
def test_sensitivity_below_the_inputs_is_found(rule, given, least, findings):
    """A tag is at least as sensitive as the most sensitive column that it reads, event filters included."""
    assert findings(rule, sensitivity=given) == [
        (LintRule.SENSITIVITY, f"sensitivity {given}, expected at least {least}")
    ]


def test_sensitivity_is_inherited_from_tags(taxonomy_of, tag_yaml):
    """A reference passes the other tag's sensitivity on."""
    taxonomy = taxonomy_of(tag_yaml("a", "TRUE", sensitivity="4"), tag_yaml("b", "tag('a')", sensitivity="3"))
    assert (LintRule.SENSITIVITY, "b") in [(one.rule, one.tag) for one in lint(taxonomy)]


VALUES = {"values": "{x: {zh: 甲, en: A}, y: {zh: 乙, en: B}}"}


def test_values_that_are_given_are_fine(findings):
    """CASE, coalesce and constants together give exactly the declared values."""
    rule = "CASE WHEN sex = 'female' THEN 'x' WHEN sex IS NULL THEN NULL ELSE coalesce('y', 'x') END"
    assert findings(rule, "enum", **VALUES) == []


def test_unused_and_undeclared_values_are_found(findings):
    """A value that the rule never gives, and one that it gives without saying so."""
    assert findings("CASE WHEN sex = 'female' THEN 'x' ELSE 'z' END", "enum", **VALUES) == [
        (LintRule.VALUE, "the value 'z' is not declared"),
        (LintRule.VALUE, "the value 'y' is never given"),
    ]


def test_open_values_are_found(findings):
    """An enum cannot pass on a column whose values nobody listed."""
    assert findings("CASE WHEN TRUE THEN 'x' ELSE membership END", "enum", **VALUES) == [
        (LintRule.VALUE, "the rule can give values that nobody listed; expected constants")
    ]


@pytest.mark.parametrize(
    "rule",
    ["sex = 'femal'", "'femal' <> sex", "sex IN ('male', 'femal')", "ev_count(format = 'femal', 3) > 1"],
)
def test_comparison_with_a_value_that_never_occurs_is_found(rule, findings):
    """A misspelt value of a closed list would make a rule silently false."""
    assert findings(rule) == [(LintRule.VALUE, "'femal' never occurs there")]


def test_misspelt_value_of_a_tag_is_found(taxonomy_of, tag_yaml):
    """The values of another tag are a closed list too; a bool has none."""
    taxonomy = taxonomy_of(
        tag_yaml("a", "CASE WHEN TRUE THEN 'x' ELSE 'y' END", "enum", **VALUES),
        tag_yaml("b", "tag('a') = 'z' OR tag('c') = TRUE"),
        tag_yaml("c", "membership = 'x'"),
    )
    assert [str(one.message) for one in lint(taxonomy) if one.rule is LintRule.VALUE] == ["'z' never occurs there"]


def test_names_that_the_pack_lacks_are_found(findings):
    """Purpose, owner and event types are looked up in the pack."""
    rule = "ev_count(event_type IN ('login', 'logn') AND topic = 'x', 30) > 1"
    assert findings(rule, purpose="P99", owner="nobody") == [
        (LintRule.CATALOGUE, "purpose 'P99' is unknown or names no assessment"),
        (LintRule.CATALOGUE, "the owner 'nobody' is no role of the pack"),
        (LintRule.CATALOGUE, "the event type 'logn' is not in the pack"),
    ]


def test_pack_is_not_asked_where_none_is_given(taxonomy_of, tag_yaml):
    """Without a catalogue and special diseases only the taxonomy itself is reviewed."""
    taxonomy = taxonomy_of(tag_yaml("a", "has(diagnosis_groups, 'B20')", purpose="P99"))
    assert [one.rule for one in lint(taxonomy)] == [LintRule.EXAMPLE]


@pytest.mark.parametrize(("expect", "given"), [("false", "true"), ("unknown", "true"), ("3", "true"), ("high", "true")])
def test_failing_test_is_found_at_its_line(expect, given, taxonomy_of, tag_yaml):
    """A test whose value is another is a finding with both values."""
    taxonomy = taxonomy_of(tag_yaml("a", "TRUE", tests=f"[{{as_of: 2026-11-21, expect: {expect}}}]"))
    (found,) = lint(taxonomy)
    assert found.message == f"the test gives {given}, expected {expect}"
    assert str(found).endswith(f"taxonomy.yaml:14: example: a: {found.message}")


def test_missing_tests_are_found(taxonomy_of, tag_yaml):
    """Every tag has at least one test."""
    assert [one.message for one in lint(taxonomy_of(tag_yaml("a", "TRUE")))] == ["no test, expected at least one"]
