"""Every construct of the language can be said in both languages."""

from decimal import Decimal

import pytest

from tagging.language import parse, rule_scope
from tagging.types import ValueType
from tagging.words import Locale, in_words, value_in_words


@pytest.fixture
def said(taxonomy_of, tag_yaml):
    """Say an expression in both languages; it may refer to the tags `risk` and `tier`."""
    taxonomy = taxonomy_of(
        tag_yaml("risk", "TRUE", label="{zh: 风险, en: Risk}"),
        tag_yaml("tier", "'high'", "enum", label="{zh: 分层, en: Tier}", values="{high: {zh: 高, en: High}}"),
    )
    tags = {tag.code: tag for tag in taxonomy.tags}
    scope = rule_scope({"risk": ValueType.BOOL, "tier": ValueType.TEXT})

    def say(text: str) -> tuple[str, str]:
        node = parse(text, scope)
        return in_words(node, tags, Locale.ZH), in_words(node, tags, Locale.EN)

    return say


@pytest.mark.parametrize(
    ("text", "chinese", "english"),
    [
        ("sex = 'a'", "性别为“a”", "sex is “a”"),
        ("sex <> 'a'", "性别不为“a”", "sex is not “a”"),
        ("1 < 2.50", "1小于 2.5", "1 is below 2.5"),
        ("1 <= 2", "1不大于 2", "1 is at most 2"),
        ("1 > 2", "1大于 2", "1 is above 2"),
        ("1 >= 2", "1不小于 2", "1 is at least 2"),
        ("TRUE AND FALSE AND TRUE", "是，且否，且是", "yes and no and yes"),
        ("TRUE AND (FALSE OR TRUE)", "是，且（否，或是）", "yes and (no or yes)"),
        ("NOT TRUE", "并非是", "not yes"),
        ("sex IN ('a', 'b')", "性别属于“a”、“b”", "sex is one of “a”, “b”"),
        ("sex NOT IN ('a')", "性别不属于“a”", "sex is none of “a”"),
        ("sex IS NULL", "性别未知", "sex is unknown"),
        ("sex IS NOT NULL", "性别已知", "sex is known"),
        ("1 BETWEEN 2 AND 3", "1在 2 与 3 之间", "1 is between 2 and 3"),
        (
            "(1 + 2) * 3 - 4 > div(1, 2)",
            "（（（1 + 2） × 3） − 4）大于 （1 ÷ 2）",
            "(((1 + 2) × 3) − 4) is above (1 ÷ 2)",
        ),
        ("starts_with(sex, 'f')", "性别以“f”开头", "sex begins with “f”"),
        ("has(diagnosis_groups, 'I10')", "诊断类目含有“I10”之一", "diagnosis groups has one of “I10”"),
        ("has_all(diagnosis_groups, 'a', 'b')", "诊断类目同时含有“a”、“b”", "diagnosis groups has all of “a”, “b”"),
        (
            "has_prefix(medication_groups, 'C09')",
            "用药类目含有以“C09”开头的代码",
            "medication groups has a code that begins with “C09”",
        ),
        (
            "coalesce(sex, province, 'x')",
            "性别（未知时取省级地区）（未知时取“x”）",
            "sex (or province if unknown) (or “x” if unknown)",
        ),
        ("tag('risk')", "标签“风险”成立", "the tag “Risk” holds"),
        ("tag('tier') = 'high'", "标签“分层”为“高”", "the tag “Tier” is “High”"),
        ("tag('tier') IN ('high', 'low')", "标签“分层”属于“高”、“low”", "the tag “Tier” is one of “High”, “low”"),
        (
            "CASE WHEN TRUE THEN 1 WHEN FALSE THEN NULL ELSE CASE WHEN TRUE THEN 2 END END",
            "若是，则为1；若否，则为未知；否则为（若是，则为2；否则为未知）",
            "1 if yes; unknown if no; otherwise (2 if yes; otherwise unknown)",
        ),
        (
            "ev_count(at_hours(22, 6), 30)",
            "近 30 天内时刻在 22:00–06:00的事件次数",
            "the number of events in the last 30 days where the hour lies in 22:00–06:00",
        ),
        (
            "ev_days(hour = 3 AND minutes > 1, 7)",
            "近 7 天内（时刻为3，且时长(分钟)大于 1）的天数",
            "the number of days, of the last 7, on which (hour is 3 and minutes is above 1)",
        ),
        (
            "ev_sum(amount, TRUE, 365)",
            "近 365 天内是的金额(元)合计",
            "the sum of amount (CNY) over the last 365 days where yes",
        ),
        (
            "ev_last_days(event_type = 'login')",
            "距最近一次事件类型为“login”的天数",
            "the days since the last event where event type is “login”",
        ),
    ],
)
def test_expression_in_words(text, chinese, english, said):
    """The words follow the expression's structure."""
    assert said(text) == (chinese, english)


@pytest.mark.parametrize(
    ("value", "chinese", "english"),
    [
        (None, "未知", "unknown"),
        (True, "是", "yes"),
        (False, "否", "no"),
        ((), "无", "nothing"),
        (("a", "b"), "a、b", "a, b"),
        (Decimal("2.50"), "2.5", "2.5"),
        ("I10", "I10", "I10"),
    ],
)
def test_value_in_words(value, chinese, english):
    """Unknown, truth values and lists have words of their own."""
    assert (value_in_words(value, Locale.ZH), value_in_words(value, Locale.EN)) == (chinese, english)
