"""A cohort's size is told only where nobody can be singled out by it."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel.errors import BadInput
from tagging.cohort import CohortCount, count
from tagging.errors import ExpressionError, InputRefused
from tagging.evaluate import evaluate


@pytest.fixture
def taxonomy(taxonomy_of, tag_yaml):
    """A bool, an enum and a number."""
    return taxonomy_of(
        tag_yaml("risk", "sex = 'female'"),
        tag_yaml("tier", "CASE WHEN TRUE THEN 'high' ELSE 'low' END", "enum", values="{high: {zh: 高, en: High}}"),
        tag_yaml("score", "div(1, 3)", "number"),
    )


@pytest.fixture
def tags_file(tmp_path):
    """Write a file of tags with so many subjects whose `risk` is true, false and unknown."""

    def write(true: int, false: int, unknown: int = 0):
        risks = [True] * true + [False] * false + [None] * unknown
        columns = {
            "pseudonym": [f"p{number}" for number in range(len(risks))],
            "risk": pa.array(risks, pa.bool_()),
            "tier": pa.array(["high"] * len(risks), pa.string()),
            "score": pa.array([Decimal("0.3333")] * len(risks), pa.decimal128(18, 4)),
        }
        path = tmp_path / "tags.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.mark.parametrize(
    ("true", "false", "unknown", "size"),
    [
        (11, 11, 0, 11),
        (10, 11, 0, None),
        (0, 40, 0, None),
        (40, 10, 0, None),
        (40, 0, 0, None),
        (11, 0, 11, 11),
        (11, 11, 11, 11),
        (20, 20, 10, None),
        (20, 10, 20, None),
        (20, 1, 10, None),
        (20, 6, 5, None),
    ],
)
def test_small_parts_are_not_told(*, true, false, unknown, size, taxonomy, tags_file):
    """The fitting, the others, and those of the others who do not fit or are unknown, are none or at least eleven."""
    assert count(taxonomy, "risk", tags=tags_file(true, false, unknown)) == CohortCount(size, 11)


def test_negation_tells_no_more(taxonomy, tags_file):
    """Where a condition is not told, its negation is not either."""
    path = tags_file(40, 10)
    assert count(taxonomy, "risk", tags=path).size is count(taxonomy, "NOT risk", tags=path).size is None


@pytest.mark.parametrize(
    ("expression", "size"),
    [
        ("risk AND tier = 'high' AND score BETWEEN 0.3 AND 0.4", 20),
        ("risk OR coalesce(tier, 'x') = 'low'", 20),
        ("risk AND score * 3 < 1", 20),
        ("CASE WHEN risk THEN score > 0.3 ELSE FALSE END", 20),
        ("tier = 'high'", None),
        ("risk IS NULL", None),
        ("TRUE", None),
        ("NULL IS NULL", "refused"),
    ],
)
def test_conditions_on_tags(expression, size, taxonomy, tags_file):
    """Bool, enum and number tags are compared and calculated with as in rules."""
    path = tags_file(20, 30)
    if size == "refused":
        with pytest.raises(ExpressionError):
            count(taxonomy, expression, tags=path)
    else:
        assert count(taxonomy, expression, tags=path).size == size


def test_withheld_subjects_are_not_counted(taxonomy, tags_file):
    """Who withdrew after the tags were computed is neither in the cohort nor in the rest."""
    path = tags_file(12, 12)
    assert count(taxonomy, "risk", tags=path, withheld=["p0"]).size == 11
    assert count(taxonomy, "risk", tags=path, withheld=["p0", "p1"]).size is None
    assert count(taxonomy, "risk", tags=path, withheld=["p12", "p13"]).size is None


def test_minimum_cell_can_be_raised_and_not_switched_off(taxonomy, tags_file):
    """A larger cell is a policy; a cell of one tells of single persons."""
    path = tags_file(20, 20)
    assert count(taxonomy, "risk", tags=path, minimum_cell=20) == CohortCount(20, 20)
    assert count(taxonomy, "risk", tags=path, minimum_cell=21) == CohortCount(None, 21)
    with pytest.raises(BadInput, match="tells of single persons"):
        count(taxonomy, "risk", tags=path, minimum_cell=1)


def test_file_of_another_taxonomy_is_refused(taxonomy, medical_taxonomy, tags_file):
    """Columns that are no tags of this taxonomy are not read."""
    with pytest.raises(InputRefused, match="columns that the view does not have: risk, score, tier"):
        count(medical_taxonomy, "night_user", tags=tags_file(20, 20))


def test_file_without_the_tag_is_refused(taxonomy, tmp_path):
    """A tag that the condition names has to be in the file."""
    path = tmp_path / "tags.parquet"
    pq.write_table(pa.table({"pseudonym": ["a"]}), path)
    with pytest.raises(InputRefused, match="lacks the columns risk"):
        count(taxonomy, "risk", tags=path)


def test_subject_is_counted_once(taxonomy, tmp_path):
    """A file with two rows of one pseudonym would count somebody twice."""
    path = tmp_path / "tags.parquet"
    pq.write_table(pa.table({"pseudonym": ["a"] * 30, "risk": [True] * 30}), path)
    with pytest.raises(InputRefused, match="not one row for each pseudonym"):
        count(taxonomy, "risk", tags=path)


def test_cohort_reads_what_evaluate_writes(taxonomy, views, tmp_path, as_of):
    """The table of an evaluation, written to Parquet, is a cohort's input."""
    people = [{"pseudonym": f"p{number}", "sex": "female" if number < 15 else "male"} for number in range(40)]
    subjects, events = views(people)
    path = tmp_path / "tags.parquet"
    pq.write_table(evaluate(taxonomy, subjects=subjects, events=events, as_of=as_of), path)
    assert count(taxonomy, "risk", tags=path).size == 15
