"""DuckDB and the reference evaluator agree on made-up rules over made-up people; texts never become SQL."""

from datetime import date, timedelta
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagging.duck import Emitter
from tagging.evaluate import evaluate, tag_query
from tagging.language import parse, rule_scope
from tagging.reference import Facts, compile_rule
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
    Place,
    Quantifier,
    StartsWith,
    measures,
)
from tagging.types import MAX_WINDOW_DAYS, ValueType

AT = Place(1, 1)
BOOL, NUMBER, TEXT = ValueType.BOOL, ValueType.NUMBER, ValueType.TEXT
WORDS = ["", "a", "ab", "I10", "女", "'; DROP TABLE x; --", '"quoted"', "$1", "it's", "%_"]
CODES = [word for word in WORDS if word]
DAYS = [date(2028, 2, 29), date(2028, 3, 1), date(2027, 2, 28), date(2026, 12, 31), date(2000, 2, 29)]


def numbers() -> st.SearchStrategy[Decimal]:
    steps = st.one_of(
        st.integers(-50000, 50000),
        st.integers(-(10**18) + 1, 10**18 - 1),
        st.sampled_from([0, 1, -1, 5000, 15000, 10**18 - 1]),
    )
    return steps.map(lambda step: Decimal(step).scaleb(-4))


def literals(type_: ValueType) -> st.SearchStrategy[Literal]:
    values = {BOOL: st.booleans(), NUMBER: numbers(), TEXT: st.sampled_from(WORDS)}[type_]
    return values.map(lambda value: Literal(value, type_, AT))


def columns(type_: ValueType, *, in_event: bool) -> st.SearchStrategy[Expression]:
    if in_event:
        names = {TEXT: ["event_type", "topic", "status"], NUMBER: ["hour", "minutes", "questions", "amount"]}
    else:
        names = {TEXT: ["sex", "membership", "age_band"]}
    return st.sampled_from(names[type_]).map(lambda name: Column(name, type_, AT))


def leaves(type_: ValueType, *, in_event: bool) -> st.SearchStrategy[Expression]:
    if type_ is BOOL or (type_ is NUMBER and not in_event):
        return literals(type_)
    return st.one_of(literals(type_), columns(type_, in_event=in_event), columns(type_, in_event=in_event))


@cache
def expressions(type_: ValueType, depth: int, *, in_event: bool = False) -> st.SearchStrategy[Expression]:
    if depth == 0:
        return leaves(type_, in_event=in_event)
    of = {one: expressions(one, depth - 1, in_event=in_event) for one in (BOOL, NUMBER, TEXT)}
    shapes = [leaves(type_, in_event=in_event), cases(type_, of), coalesces(type_, of[type_])]
    if type_ is NUMBER:
        shapes.append(st.builds(Arithmetic, st.sampled_from(Operator), of[NUMBER], of[NUMBER], st.just(AT)))
        if not in_event:
            shapes += [event_measures(depth - 1)] * 3
    if type_ is BOOL:
        shapes += conditions(of, in_event=in_event)
    return st.one_of(shapes)


def cases(type_: ValueType, of) -> st.SearchStrategy[Case]:
    value = st.one_of(of[type_], st.just(Literal(None, type_, AT)))
    first = st.tuples(of[BOOL], of[type_]).map(lambda branch: (branch,))
    others = st.lists(st.tuples(of[BOOL], value), max_size=2).map(tuple)
    branches = st.tuples(first, others).map(lambda both: both[0] + both[1])
    return st.builds(Case, branches, value, st.just(type_), st.just(AT))


def coalesces(type_: ValueType, inner) -> st.SearchStrategy[Coalesce]:
    return st.builds(Coalesce, st.lists(inner, min_size=2, max_size=3).map(tuple), st.just(type_), st.just(AT))


def conditions(of, *, in_event: bool) -> list[st.SearchStrategy[Expression]]:
    at = st.just(AT)
    equality = st.sampled_from([Comparison.EQUAL, Comparison.UNEQUAL])
    some = [
        st.builds(Compare, st.sampled_from(Comparison), of[NUMBER], of[NUMBER], at),
        st.builds(Compare, equality, of[TEXT], of[TEXT], at),
        st.builds(Compare, equality, of[BOOL], of[BOOL], at),
        st.builds(Logic, st.sampled_from(Connective), of[BOOL], of[BOOL], at),
        st.builds(Not, of[BOOL], at),
        st.builds(IsNull, st.one_of(of[NUMBER], of[TEXT], of[BOOL]), at),
        st.builds(OneOf, of[TEXT], st.lists(literals(TEXT), min_size=1, max_size=3).map(tuple), at),
        st.builds(OneOf, of[NUMBER], st.lists(literals(NUMBER), min_size=1, max_size=3).map(tuple), at),
        st.builds(Between, of[NUMBER], of[NUMBER], of[NUMBER], at),
        st.builds(StartsWith, of[TEXT], st.sampled_from(CODES), at),
    ]
    if in_event:
        hours = st.tuples(st.integers(0, 24), st.integers(0, 24)).filter(lambda pair: pair[0] != pair[1])
        return [*some, hours.map(lambda pair: AtHours(*pair, AT))]
    return [*some, lists(), lists()]


def lists() -> st.SearchStrategy[Expression]:
    codes = st.sampled_from(["diagnosis_groups", "allergy_classes"]).map(lambda name: Column(name, ValueType.CODES, AT))
    wanted = st.lists(st.sampled_from(CODES), min_size=1, max_size=3).map(tuple)
    is_any = st.builds(Has, codes, wanted, st.just(Quantifier.ANY), st.booleans(), st.just(AT))
    is_all = st.builds(Has, codes, wanted, st.just(Quantifier.ALL), st.just(False), st.just(AT))
    return st.one_of(is_any, is_all, st.builds(IsNull, codes, st.just(AT)))


def event_measures(depth: int) -> st.SearchStrategy[EventMeasure]:
    inside = expressions(BOOL, min(depth, 1), in_event=True)
    days = st.one_of(st.integers(1, 5), st.integers(1, MAX_WINDOW_DAYS))
    counted = st.builds(
        EventMeasure, st.sampled_from([Measure.COUNT, Measure.DAYS]), inside, days, st.none(), st.just(AT)
    )
    summed = st.builds(EventMeasure, st.just(Measure.SUM), inside, days, columns(NUMBER, in_event=True), st.just(AT))
    last = st.builds(EventMeasure, st.just(Measure.LAST_DAYS), inside, st.none(), st.none(), st.just(AT))
    return st.one_of(counted, summed, last)


def written(node: Expression) -> str:  # noqa: C901, PLR0911, PLR0912 -- one arm a node
    """Write an expression as text, with every bracket."""
    match node:
        case Literal(value=None):
            return "NULL"
        case Literal(value=bool(value)):
            return str(value)
        case Literal(value=Decimal() as value):
            return f"{value:f}"
        case Literal(value=value):
            return quoted(str(value))
        case Column(name=name):
            return name
        case Compare(comparison=word, left=left, right=right) | Logic(connective=word, left=left, right=right):
            return f"({written(left)} {word} {written(right)})"
        case Arithmetic(operator=Operator.DIV, left=left, right=right):
            return f"div({written(left)}, {written(right)})"
        case Arithmetic(operator=word, left=left, right=right):
            return f"({written(left)} {word} {written(right)})"
        case Not(operand=operand):
            return f"(NOT {written(operand)})"
        case IsNull(operand=operand):
            return f"({written(operand)} IS NULL)"
        case OneOf(operand=operand, options=options):
            return f"({written(operand)} IN ({', '.join(map(written, options))}))"
        case Between(operand=operand, low=low, high=high):
            return f"({written(operand)} BETWEEN {written(low)} AND {written(high)})"
        case StartsWith(operand=operand, prefix=prefix):
            return f"starts_with({written(operand)}, {quoted(prefix)})"
        case Has(codes=codes, wanted=wanted, quantifier=quantifier, is_prefix=is_prefix):
            name = "has_prefix" if is_prefix else f"has_{quantifier}"
            return f"{name}({written(codes)}, {', '.join(map(quoted, wanted))})"
        case AtHours(start=start, end=end):
            return f"at_hours({start}, {end})"
        case Case(branches=branches, default=default):
            parts = " ".join(f"WHEN {written(when)} THEN {written(value)}" for when, value in branches)
            return f"CASE {parts} ELSE {written(default)} END"
        case Coalesce(options=options):
            return f"coalesce({', '.join(map(written, options))})"
        case EventMeasure(measure=measure, condition=condition, days=days, summed=summed):
            parts = [summed and written(summed), written(condition), days and str(days)]
            return f"{measure}({', '.join(part for part in parts if part)})"
    raise AssertionError(node)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


texts = st.one_of(st.none(), st.sampled_from(WORDS))
code_lists = st.one_of(st.none(), st.lists(st.one_of(st.none(), st.sampled_from(CODES)), max_size=4))
small = st.one_of(st.none(), st.integers(0, 40), st.integers(-(2**31), 2**31 - 1))
amounts = st.one_of(st.none(), st.integers(-(10**12) + 1, 10**12 - 1).map(lambda cents: Decimal(cents).scaleb(-2)))
people = st.lists(
    st.fixed_dictionaries(
        {
            "sex": texts,
            "membership": texts,
            "age_band": texts,
            "diagnosis_groups": code_lists,
            "allergy_classes": code_lists,
        }
    ),
    min_size=1,
    max_size=5,
).map(lambda rows: [{"pseudonym": f"p{number}", **row} for number, row in enumerate(rows)])
happenings = st.lists(
    st.fixed_dictionaries(
        {
            "owner": st.integers(0, 5),
            "ago": st.one_of(st.integers(-2, 4), st.integers(-2, 4000)),
            "hour": st.integers(0, 23),
            "event_type": texts,
            "topic": texts,
            "status": texts,
            "minutes": small,
            "questions": small,
            "amount": amounts,
        }
    ),
    max_size=10,
)


@given(st.sampled_from([BOOL, NUMBER, TEXT]).flatmap(lambda type_: expressions(type_, 2)))
def test_written_expression_reads_back_as_the_same_tree(node):
    """The grammar gives back the tree that a text was written from."""
    assert parse(written(node), rule_scope({})) == node


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    rules=st.lists(
        st.sampled_from([BOOL, NUMBER, NUMBER, TEXT]).flatmap(lambda type_: expressions(type_, 3)),
        min_size=1,
        max_size=3,
    ),
    subjects=people,
    happened=happenings,
    as_of=st.sampled_from(DAYS),
)
def test_duckdb_agrees_with_the_reference(
    *, rules, subjects, happened, as_of, taxonomy_from_rules, write_views, event, tmp_path_factory
):
    """Every rule gives every person the same value in both evaluators, unknown values included."""
    events = [
        event(f"p{one.pop('owner')}", one.pop("event_type"), as_of - timedelta(days=one.pop("ago")), **one)
        for one in (dict(row) for row in happened)
    ]
    taxonomy = taxonomy_from_rules({f"x{number}": rule for number, rule in enumerate(rules)})
    profile, rows = write_views(tmp_path_factory.getbasetemp(), subjects, events)
    table = evaluate(taxonomy, subjects=profile, events=rows, as_of=as_of)
    for number, rule in enumerate(rules):
        by_reference = []
        for subject in subjects:
            own = [one for one in events if one["pseudonym"] == subject["pseudonym"]]
            by_reference.append(compile_rule(rule)(Facts(subject, own, as_of)))
        assert table[f"x{number}"].to_pylist() == by_reference, written(rule)


@pytest.mark.parametrize("word", ["'; DROP TABLE x; --", "$1", "read_csv('/etc/passwd')", "女"])
def test_text_of_a_rule_is_bound_and_never_in_the_sql(word, taxonomy_from_rules, tmp_path, as_of):
    """A constant, a code and a prefix reach DuckDB as parameters."""
    rule = parse(
        f"sex = {quoted(word)} OR has(diagnosis_groups, {quoted(word)}) OR starts_with(sex, {quoted(word)})"
        f" OR ev_count(topic IN ({quoted(word)}), 3) > 0",
        rule_scope({}),
    )
    query = tag_query(taxonomy_from_rules({"x": rule}), subjects=tmp_path / "s", events=tmp_path / "e", as_of=as_of)
    assert word in query.parameters
    assert word == "$1" or word not in query.sql


def test_equal_texts_share_a_parameter():
    """A text that stands in a rule twice is bound once."""
    emitter = Emitter()
    assert emitter.bind("a") == emitter.bind("a") == "$1"
    assert emitter.bind("b") == "$2"


def test_equal_measures_are_computed_once(taxonomy_from_rules, tmp_path, as_of):
    """One event measure in two rules becomes one aggregate."""
    rule = parse("ev_count(TRUE, 3) > 1", rule_scope({}))
    other = parse("  ev_count(TRUE, 3) > 2", rule_scope({}))
    assert list(measures(rule)) == list(measures(other))
    query = tag_query(taxonomy_from_rules({"x": rule, "y": other}), subjects=tmp_path, events=tmp_path, as_of=as_of)
    assert query.sql.count("FILTER") == 1
