"""Rules in words: what an explanation shows to a person, in Chinese or English."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from typing import Final, assert_never

from kernel.catalogue import Label
from tagging.schema import EVENT_COLUMNS, SUBJECT_COLUMNS
from tagging.syntax import (
    Arithmetic,
    AtHours,
    Between,
    Case,
    Coalesce,
    Column,
    Compare,
    Comparison,
    Connective,
    EventMeasure,
    Expression,
    Has,
    IsNull,
    Literal,
    Logic,
    Measure,
    Not,
    OneOf,
    Operator,
    Quantifier,
    StartsWith,
    TagReference,
)
from tagging.taxonomy import Tag
from tagging.types import Cell, ValueType


class Locale(StrEnum):
    """The languages of explanations."""

    ZH = "zh"
    EN = "en"


_WORDS: Final[Mapping[str, Label]] = {
    "unknown": Label("未知", "unknown"),
    "yes": Label("是", "yes"),
    "no": Label("否", "no"),
    "and": Label("{}，且{}", "{} and {}"),
    "or": Label("{}，或{}", "{} or {}"),
    "not": Label("并非{}", "not {}"),
    "is_null": Label("{}未知", "{} is unknown"),
    "is_known": Label("{}已知", "{} is known"),
    "one_of": Label("{}属于{}", "{} is one of {}"),
    "none_of": Label("{}不属于{}", "{} is none of {}"),
    "between": Label("{}在 {} 与 {} 之间", "{} is between {} and {}"),
    "starts_with": Label("{}以{}开头", "{} begins with {}"),
    "has_any": Label("{}含有{}之一", "{} has one of {}"),
    "has_all": Label("{}同时含有{}", "{} has all of {}"),
    "has_prefix": Label("{}含有以{}开头的代码", "{} has a code that begins with {}"),
    "at_hours": Label("时刻在 {:02d}:00–{:02d}:00", "the hour lies in {:02d}:00–{:02d}:00"),
    "when": Label("若{}，则为{}", "{1} if {0}"),
    "else": Label("否则为{}", "otherwise {}"),
    "or_if_unknown": Label("{}（未知时取{}）", "{} (or {} if unknown)"),
    "tag": Label("标签“{}”", "the tag “{}”"),
    "tag_holds": Label("标签“{}”成立", "the tag “{}” holds"),
    "quoted": Label("“{}”", "“{}”"),
    "grouped": Label("（{}）", "({})"),
    "list": Label("、", ", "),
    "clause": Label("；", "; "),
    "nothing": Label("无", "nothing"),
    Comparison.EQUAL: Label("{}为{}", "{} is {}"),
    Comparison.UNEQUAL: Label("{}不为{}", "{} is not {}"),
    Comparison.LESS: Label("{}小于 {}", "{} is below {}"),
    Comparison.AT_MOST: Label("{}不大于 {}", "{} is at most {}"),
    Comparison.GREATER: Label("{}大于 {}", "{} is above {}"),
    Comparison.AT_LEAST: Label("{}不小于 {}", "{} is at least {}"),
    Operator.ADD: Label("{} + {}", "{} + {}"),
    Operator.SUBTRACT: Label("{} − {}", "{} − {}"),
    Operator.MULTIPLY: Label("{} × {}", "{} × {}"),
    Operator.DIV: Label("{} ÷ {}", "{} ÷ {}"),
    Measure.COUNT: Label(
        "近 {days} 天内{condition}的事件次数", "the number of events in the last {days} days where {condition}"
    ),
    Measure.DAYS: Label(
        "近 {days} 天内{condition}的天数", "the number of days, of the last {days}, on which {condition}"
    ),
    Measure.SUM: Label(
        "近 {days} 天内{condition}的{summed}合计", "the sum of {summed} over the last {days} days where {condition}"
    ),
    Measure.LAST_DAYS: Label("距最近一次{condition}的天数", "the days since the last event where {condition}"),
}


def in_words(node: Expression, tags: Mapping[str, Tag], locale: Locale, *, of: Tag | None = None) -> str:
    """Say an expression in words.

    Args:
        node: a rule or a part of one.
        tags: the tags that it may refer to, by code.
        locale: the language.
        of: the tag whose rule it is: the rule's results are then said by the labels of its values.
    """
    return _Speaker(tags, locale).result(node, of)


def value_in_words(value: Cell | int | date, locale: Locale) -> str:
    """Say a value in words; None is unknown."""
    match value:
        case None:
            return _pick("unknown", locale)
        case bool():
            return _pick("yes" if value else "no", locale)
        case Decimal():
            return f"{value.normalize():f}"
        case tuple():
            return _pick("list", locale).join(value) or _pick("nothing", locale)
        case _:
            return str(value)


def text_of(label: Label, locale: Locale) -> str:
    """Return a label in one language."""
    return label.zh if locale is Locale.ZH else label.en


def _pick(word: str, locale: Locale) -> str:
    return text_of(_WORDS[word], locale)


class _Speaker:
    def __init__(self, tags: Mapping[str, Tag], locale: Locale) -> None:
        self._tags = tags
        self._locale = locale

    def result(self, node: Expression, of: Tag | None) -> str:
        """Say what a rule gives; its branches give results too."""
        match node:
            case Literal(value=str(text)) if of is not None:
                return self._form("quoted", text_of(of.label_of(text), self._locale))
            case Case():
                parts = [self._form("when", self.say(when), self._branch(value, of)) for when, value in node.branches]
                parts.append(self._form("else", self._branch(node.default, of)))
                return _pick("clause", self._locale).join(parts)
        return self.say(node)

    def say(self, node: Expression) -> str:  # noqa: C901, PLR0911 -- one arm a node, and mypy sees that none is missing
        """Say a node."""
        match node:
            case Literal(value=str(text)):
                return self._form("quoted", text)
            case Literal(value=value):
                return value_in_words(value, self._locale)
            case Column(name=name):
                return text_of((EVENT_COLUMNS.get(name) or SUBJECT_COLUMNS[name]).label, self._locale)
            case TagReference(code=code, type=type_):
                word = "tag_holds" if type_ is ValueType.BOOL else "tag"
                return self._form(word, text_of(self._tags[code].label, self._locale))
            case Compare(comparison=comparison, left=left, right=right):
                return self._form(comparison, self._beside(left, right), self._beside(right, left))
            case Logic(connective=connective, left=left, right=right):
                word = "and" if connective is Connective.AND else "or"
                return self._form(word, self._term(left, connective), self._term(right, connective))
            case Arithmetic(operator=operator, left=left, right=right):
                return self._form(operator, self._inner(left), self._inner(right))
            case Case():
                return self.result(node, None)
            case Coalesce(options=(first, *others)):
                return reduce(
                    lambda said, other: self._form("or_if_unknown", said, self._inner(other)),
                    others,
                    self._inner(first),
                )
            case EventMeasure():
                return self._measure(node)
            case Not() | IsNull() | OneOf() | Between() | StartsWith() | Has() | AtHours():
                return self._test(node)
        raise AssertionError(node)

    def _test(self, node: Not | IsNull | OneOf | Between | StartsWith | Has | AtHours) -> str:  # noqa: PLR0911 -- as above
        match node:
            case Not(operand=OneOf(operand=operand, options=options)):
                return self._form("none_of", self._inner(operand), self._options(operand, options))
            case Not(operand=IsNull(operand=operand)):
                return self._form("is_known", self._inner(operand))
            case Not(operand=operand):
                return self._form("not", self._inner(operand))
            case IsNull(operand=operand):
                return self._form("is_null", self._inner(operand))
            case OneOf(operand=operand, options=options):
                return self._form("one_of", self._inner(operand), self._options(operand, options))
            case Between(operand=operand, low=low, high=high):
                return self._form("between", *(self._inner(part) for part in (operand, low, high)))
            case StartsWith(operand=operand, prefix=prefix):
                return self._form("starts_with", self._inner(operand), self._form("quoted", prefix))
            case Has(codes=codes, wanted=wanted, quantifier=quantifier, is_prefix=is_prefix):
                word = "has_prefix" if is_prefix else "has_any" if quantifier is Quantifier.ANY else "has_all"
                return self._form(word, self.say(codes), self._listed([self._form("quoted", code) for code in wanted]))
            case AtHours(start=start, end=end):
                return self._form("at_hours", start, end)
        assert_never(node)

    def _measure(self, node: EventMeasure) -> str:
        return _pick(node.measure, self._locale).format(
            days=node.days,
            condition=self._inner(node.condition),
            summed="" if node.summed is None else self.say(node.summed),
        )

    def _branch(self, node: Expression, of: Tag | None) -> str:
        said = self.result(node, of)
        return self._form("grouped", said) if isinstance(node, Logic | Case) else said

    def _beside(self, node: Expression, other: Expression) -> str:
        """Say one side of a comparison; a constant beside a tag by the label of the tag's value."""
        if isinstance(node, Literal) and isinstance(other, TagReference):
            return self.result(node, self._tags[other.code])
        return self._inner(node)

    def _options(self, operand: Expression, options: tuple[Literal, ...]) -> str:
        return self._listed([self._beside(option, operand) for option in options])

    def _inner(self, node: Expression) -> str:
        """Say a part, in brackets where it is a phrase of several parts."""
        said = self.say(node)
        return self._form("grouped", said) if isinstance(node, Logic | Arithmetic | Case) else said

    def _term(self, node: Expression, connective: Connective) -> str:
        """Say one side of AND or OR: a chain of the same word needs no brackets."""
        same = isinstance(node, Logic) and node.connective is connective
        return self.say(node) if same else self._inner(node)

    def _form(self, word: str, *parts: str | int) -> str:
        return _pick(word, self._locale).format(*parts)

    def _listed(self, parts: list[str]) -> str:
        return _pick("list", self._locale).join(parts)
