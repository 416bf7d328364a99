"""What the language lets through, and where it says that something is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagging.errors import ExpressionError
from tagging.language import cohort_scope, parse, parse_condition, rule_scope
from tagging.syntax import Comparison, Logic, Place, TagReference, type_of, walk
from tagging.tokens import KEYWORDS, MAX_LENGTH, MAX_NESTING, MAX_TOKENS, is_name
from tagging.types import ValueType

SCOPE = rule_scope({"chronic": ValueType.BOOL, "tier": ValueType.TEXT})

ATTACKS = [
    "sex = 'a'; DROP TABLE x",
    "1; DROP TABLE x",
    "sex = 'a' UNION SELECT 1",
    "(SELECT 1)",
    "sex IN (SELECT sex FROM s)",
    "EXISTS (SELECT 1)",
    "read_csv('/etc/passwd')",
    "read_text('/etc/passwd') = 'x'",
    "read_parquet('x') = 1",
    "getenv('HOME') = 'x'",
    "current_setting('x') = 'x'",
    "pragma_version()",
    "now()",
    "current_date",
    "today() = 1",
    "random() > 0.5",
    "sex = 'a' -- comment",
    "sex = /* comment */ 'a'",
    "/*+ hint */ sex = 'a'",
    "sex = 'a' # comment",
    "sex = $1",
    "sex = ?",
    "sex = :name",
    "sex = @x",
    "sex = $$a$$",
    "sex = E'a\\n'",
    "sex = N'a'",
    "sex = x'41'",
    "sex = U&'a'",
    "sex = 'a' 'b'",
    "sex || 'a' = 'b'",
    "sex::text = 'a'",
    "CAST(sex AS text) = 'a'",
    "try_cast(sex AS text) = 'a'",
    "sex COLLATE nocase = 'a'",
    "sex LIKE 'a%'",
    "sex ILIKE 'a%'",
    "sex SIMILAR TO 'a'",
    "sex ~ 'a'",
    "sex IS DISTINCT FROM 'a'",
    "sex IS TRUE",
    "sex IS NOT 'a'",
    "sex = ANY(diagnosis_groups)",
    "sex IN diagnosis_groups",
    "sex IN ()",
    "sex IN (sex)",
    "subjects.sex = 'a'",
    "\"sex\" = 'a'",
    "`sex` = 'a'",
    "[sex] = 'a'",
    "diagnosis_groups[1] = 'I10'",
    "{'a': 1} = 1",
    "{{ sex }} = 'a'",
    "*",
    "count(*) > 1",
    "sum(1) > 1",
    "1 OVER ()",
    "sex AS x",
    "sex x",
    "1_000 = 1",
    "1e3 = 1",
    "0x1F = 1",
    ".5 = 1",
    "5. = 5",
    "0.00001 = 0",
    "123456789012345 = 0",
    "1 / 2 = 1",
    "1 % 2 = 1",
    "1 // 2 = 1",
    "2 ^ 2 = 4",
    "INTERVAL '1' DAY = 1",
    "interval '1' = 1",
    "DATE '2026-01-01' = 1",
    "date '2026-01-01' = 1",
    "CASE sex WHEN 'a' THEN 1 END = 1",
    "CASE WHEN sex = 'a' 1 END = 1",
    "CASE FALSE WHEN FALSE THEN 1 END = 1",
    "CASE END",
    "if(sex = 'a', 1, 2) = 1",
    "nullif(sex, 'a') = 'b'",
    "greatest(1, 2) = 2",
    "(1, 2) = (1, 2)",
    "()",
    "x -> x",
    "lambda x: x",
    "2 BETWEEN SYMMETRIC 1 AND 3",
    "NULL",
    "NULL = 1",
    "coalesce(NULL, NULL) = 1",
    "SEX = 'a'",
    "SELECT",
    "",
    "   ",
    "-- only a comment",
    "'",
    "((1 = 1)",
    "1 = 1)",
    "has()",
    "has(diagnosis_groups)",
    "has(diagnosis_groups, '')",
    "has(diagnosis_groups, sex)",
    "has(diagnosis_groups, 1)",
    "has(diagnosis_groups, 'a', 'b')",
    "tag(sex)",
    "tag('nowhere')",
    "tag('chronic', 'tier')",
    "ev_count()",
    "ev_count(TRUE)",
    "ev_count(TRUE, 1.5)",
    "ev_count(TRUE, '30')",
    "ev_count(TRUE, 3661)",
    "ev_count(TRUE, -1)",
    "ev_count(TRUE, 1 + 1)",
    "ev_count(tag('chronic'), 30)",
    "ev_count(ev_count(TRUE, 1) > 1, 30)",
    "ev_count(has(diagnosis_groups, 'a'), 30)",
    "ev_count(day > 1, 30)",
    "ev_count(pseudonym = 'a', 30)",
    "ev_sum(event_type, TRUE, 30)",
    "ev_sum(amount * 2, TRUE, 30)",
    "ev_last_days(TRUE, 30)",
    "at_hours(22, 6)",
    "ev_count(at_hours(6, 6), 30)",
    "ev_count(at_hours(22, 25), 30)",
    "div(1) = 1",
    "div('a', 1) = 1",
    "starts_with(sex, sex)",
    "starts_with(diagnosis_groups, 'a')",
    "pseudonym = 'a'",
    "complaint = 'a'",
    "-sex = 1",
    "NOT sex",
    "sex AND TRUE",
    "TRUE > FALSE",
    "TRUE IN (TRUE)",
    "sex BETWEEN 'a' AND 'b'",
    "CASE WHEN sex THEN 1 END",
    "CASE WHEN TRUE THEN 1 ELSE 'a' END",
    "CASE WHEN TRUE THEN diagnosis_groups END",
    "sex = 'a\x00'",
    "sex = '\ud800'",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_what_is_not_in_the_language_is_refused(text):
    """Statements, subqueries, comments, casts, other functions, wrong types and shapes are refused with a place."""
    with pytest.raises(ExpressionError) as caught:
        parse(text, SCOPE)
    assert 1 <= caught.value.place.line <= text.count("\n") + 1
    assert 1 <= caught.value.place.column <= max(len(text), 1)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("sex = 'a' AND\n  nowhere = 'b'", 2, 3),
        ("sex = '女' AND nowhere = 'b'", 1, 15),
        ("sex = '女'\n\n  AND has(sex, '男')", 3, 11),
        ("sex = 'a'\r\nAND nowhere = 'b'", 2, 5),
        ("CASE WHEN sex = 'a' THEN 1\n     ELSE 'x' END", 2, 11),
        ("ev_count(event_type = 'login'\n  AND nowhere = 1, 30)", 2, 7),
        ("sex = 'it''s' AND sex = 'x", 1, 25),
        ("(sex = 'a'", 1, 8),
        ("sex = 'a' AND", 1, 11),
    ],
)
def test_mistake_is_located(text, line, column):
    """Line and column are those of the wrong word, in characters and counted from 1."""
    with pytest.raises(ExpressionError) as caught:
        parse(text, SCOPE)
    assert caught.value.place == Place(line, column)
    assert caught.value.message.startswith(f"line {line}, column {column} of the expression: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 = 1 " + " " * MAX_LENGTH, "too long"),
        ("+".join(["1"] * (MAX_TOKENS // 2 + 1)), "too many words"),
        ("(" * (MAX_NESTING + 1) + "TRUE" + ")" * (MAX_NESTING + 1), "nested too deeply"),
        ("NOT " * (MAX_NESTING + 1) + "TRUE", "nested too deeply"),
        ("-" * 2 + " 1 = 1", "no comments"),
        ("- " * (MAX_NESTING + 1) + "1 = 1", "nested too deeply"),
        ("CASE WHEN TRUE THEN " * (MAX_NESTING + 1) + "1" + " END" * (MAX_NESTING + 1), "nested too deeply"),
        ("TRUE = NOT " * 120 + "TRUE", "nested too deeply"),
    ],
)
def test_expression_beyond_the_bounds_is_refused(text, reason):
    """Long, deep and chained expressions end in an error of ours, never in one of the interpreter's."""
    with pytest.raises(ExpressionError, match=reason):
        parse(text, SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "+".join(["1"] * (MAX_TOKENS // 2)),
        "(" * MAX_NESTING + "TRUE" + ")" * MAX_NESTING,
        " AND ".join(["TRUE"] * (MAX_TOKENS // 2)),
    ],
)
def test_expression_at_the_bounds_is_read(text):
    """The largest expressions that are admitted can be read."""
    assert sum(1 for _ in walk(parse(text, SCOPE))) >= 1


NAMES = """sex age_band diagnosis_groups has coalesce div tag ev_count ev_sum amount event_type at_hours starts_with
select x interval date if cast"""
WORDS = [
    *sorted(KEYWORDS),
    *list("(())),,=<>+-*;."),
    "<>",
    ">=",
    "1",
    "2.5",
    "22",
    "'a'",
    "'女'",
    "'tier'",
    "--",
    "/*",
    "::",
]
WORDS += NAMES.split()


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_words_are_read_or_refused(text):
    """No string of words ends in anything but a typed tree or an error with a place."""
    try:
        tree = parse(text, SCOPE)
    except ExpressionError as err:
        assert err.place.line == 1  # noqa: PT017 -- either way is fine, but not a third
    else:
        assert type_of(tree) in ValueType


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    """No text at all ends in anything else either."""
    try:
        parse(text, SCOPE)
    except ExpressionError as err:
        assert err.place.column >= 1  # noqa: PT017 -- as above


@pytest.mark.parametrize("text", ["if x", "show sex", "if(sex = 'a', 1, 2) = 1", "pragma x", "explain sex = 'a'"])
def test_parser_logs_nothing_of_an_expression(text, caplog):
    """A word that begins a statement of SQL does not make sqlglot write the expression into the log."""
    with pytest.raises(ExpressionError):
        parse(text, SCOPE)
    assert not caplog.records


def test_and_binds_tighter_than_or():
    """A OR B AND C is A OR (B AND C), and NOT takes the whole comparison."""
    tree = parse("sex = 'a' OR NOT sex = 'b' AND sex = 'c'", SCOPE)
    assert isinstance(tree, Logic)
    assert tree == parse("(sex = 'a') OR ((NOT (sex = 'b')) AND (sex = 'c'))", SCOPE)


def test_keywords_are_read_in_any_case():
    """Small letters are fine for keywords; != is <>."""
    assert parse("not sex in ('a') or sex != 'b'", SCOPE) == parse("NOT sex IN ('a') OR sex <> 'b'", SCOPE)
    assert str(Comparison.UNEQUAL) == "<>"


def test_tag_reference_has_the_type_of_the_tag():
    """A reference to an enum is a text, one to a bool a condition."""
    assert parse("tag('tier')", SCOPE) == TagReference("tier", ValueType.TEXT, Place(1, 1))
    assert type_of(parse("tag('chronic') AND tag('tier') = 'high'", SCOPE)) is ValueType.BOOL


def test_cohort_names_tags_as_columns():
    """In a cohort a tag is written by its code; columns of the views, events and tag(…) are not there."""
    scope = cohort_scope({"tier": ValueType.TEXT, "risk": ValueType.BOOL})
    assert type_of(parse_condition("risk AND tier IN ('high')", scope)) is ValueType.BOOL
    for text in ("sex = 'a'", "tag('tier') = 'high'", "ev_count(TRUE, 3) > 1", "ethnicity = 'a'"):
        with pytest.raises(ExpressionError):
            parse_condition(text, scope)


def test_cohort_must_be_a_condition():
    """A cohort that gives a text is refused."""
    with pytest.raises(ExpressionError, match="this is a text; expected a bool"):
        parse_condition("tier", cohort_scope({"tier": ValueType.TEXT}))


@pytest.mark.parametrize("name", ["and", "CASE", "1a", "a-b", "a b", "", "Ä", "a.b", '"a"'])
def test_word_that_is_no_name(name):
    """Keywords, capitals and anything but letters, digits and _ cannot name a tag."""
    assert not is_name(name)


@pytest.mark.parametrize(
    "name", ["order", "select", "group", "if", "interval", "cast", "date", "end_", "a1_b", "_x", "format"]
)
def test_word_of_sql_can_be_a_name(name):
    """A word that SQL reserves is a plain name here, also as a tag of a cohort."""
    assert is_name(name)
    assert (
        type_of(parse(f"{name} = 'x' AND NOT {name} IN ('y')", cohort_scope({name: ValueType.TEXT}))) is ValueType.BOOL
    )
