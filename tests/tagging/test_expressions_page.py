"""The examples of docs/reference/expressions.md hold in every evaluator, and the page leaves nothing out."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tagging.calls import usages
from tagging.errors import ExpressionError
from tagging.evaluate import evaluate
from tagging.language import parse, rule_scope
from tagging.reference import Facts, compile_rule
from tagging.schema import EVENT_COLUMNS, SUBJECT_COLUMNS, readable
from tagging.syntax import type_of
from tagging.types import ValueType

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "expressions.md").read_text(encoding="utf-8")
DAY = date(2028, 3, 1)
PEOPLE = ["an", "bo", "cui"]


def tables(heading: str) -> list[dict[str, str]]:
    """Return the rows of the table below a heading, by column."""
    body = PAGE.split(f"### {heading}\n", 1)[1].split("\n### ", 1)[0]
    lines = [line.strip().strip("|").split("|") for line in body.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def cell(text: str) -> object:
    if text.startswith("["):
        return text.strip("[]").split()
    return text or None


def subjects() -> list[dict[str, object]]:
    return [{name: cell(text) for name, text in row.items()} for row in tables("Subjects")]


def events(event) -> list[dict[str, object]]:
    made = []
    for row in tables("Events"):
        numbers = {name: int(row[name]) for name in ("minutes", "questions") if row[name]}
        amount = {"amount": Decimal(row["amount"])} if row["amount"] else {}
        texts = {name: row[name] or None for name in ("format", "status")}
        day = date.fromisoformat(row["day"])
        made.append(event(row["pseudonym"], row["event_type"], day, int(row["hour"]), **texts, **numbers, **amount))
    return made


def expected(text: str, type_: ValueType) -> object:
    if not text:
        return None
    return {"bool": text == "true", "number": text, "text": text}[type_] if type_ != "number" else Decimal(text)


EXAMPLES = [
    row
    for heading in ("Comparison and unknown values", "Case", "Lists", "Numbers", "Events and days")
    for row in tables(heading)
]
REFUSED = tables("What is refused")


@pytest.mark.parametrize("row", EXAMPLES, ids=[row["expression"] for row in EXAMPLES])
def test_example_holds_in_the_reference_evaluator(row, event):
    """Each example gives its three values."""
    rule = parse(row["expression"].strip("`"), rule_scope({}))
    people = {subject["pseudonym"]: subject for subject in subjects()}
    for person in PEOPLE:
        happened = [one for one in events(event) if one["pseudonym"] == person]
        assert compile_rule(rule)(Facts(people[person], happened, DAY)) == expected(row[person], type_of(rule)), person


def test_examples_hold_in_duckdb(taxonomy_from_rules, event, views):
    """All examples together, as the columns of one query, give the same values."""
    rules = {f"x{number}": parse(row["expression"].strip("`"), rule_scope({})) for number, row in enumerate(EXAMPLES)}
    profile, happened = views(subjects(), events(event))
    table = evaluate(taxonomy_from_rules(rules), subjects=profile, events=happened, as_of=DAY)
    assert table["pseudonym"].to_pylist() == PEOPLE
    for number, row in enumerate(EXAMPLES):
        wanted = [expected(row[person], type_of(rules[f"x{number}"])) for person in PEOPLE]
        assert table[f"x{number}"].to_pylist() == wanted, row["expression"]


@pytest.mark.parametrize("row", REFUSED, ids=[row["expression"] for row in REFUSED])
def test_refused_example_is_refused_at_its_place(row):
    """Each refusal names the line and column, and its reason."""
    with pytest.raises(ExpressionError, match=re.escape(row["because"])) as caught:
        parse(row["expression"].strip("`"), rule_scope({"known": ValueType.BOOL}))
    assert f"{caught.value.place.line}:{caught.value.place.column}" == row["line and column"]


@pytest.mark.parametrize("usage", usages().values())
def test_every_function_is_on_the_page(usage):
    """The table of functions has each function with its usage."""
    assert f"| `{usage}` |" in PAGE


@pytest.mark.parametrize("name", [*readable(SUBJECT_COLUMNS), *readable(EVENT_COLUMNS)])
def test_every_name_is_on_the_page(name):
    """The lists of names have each readable column."""
    assert f"`{name}`" in PAGE.split("## Names", 1)[1].split("##", 1)[0]
