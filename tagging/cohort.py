"""Count the subjects that fit a condition on tags, without telling of few.

A count is given only where none of the three parts of the view (condition true, false, unknown) is small: from a
count and the known total a small complement could be had by subtraction, and with it a few persons' tags. Two counts
whose conditions differ in a few persons still tell of those; a budget of queries is not kept here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel.errors import BadInput
from tagging.duck import SQL_TYPES, Emitter
from tagging.language import parse_condition
from tagging.schema import PSEUDONYM, SUBJECT_COLUMNS, ViewColumn
from tagging.session import check_columns, check_one_row_each, locked, source
from tagging.syntax import own_columns
from tagging.taxonomy import Taxonomy

MINIMUM_CELL: Final = 11
"""Cells of 1 to 10 are suppressed. Source: CMS cell size suppression policy."""


_LEAST_CELL: Final = 2


@dataclass(frozen=True, slots=True)
class CohortCount:
    """How many subjects fit; ``size`` is None where that, or the rest, is below ``minimum_cell``."""

    size: int | None
    minimum_cell: int


def count(
    taxonomy: Taxonomy,
    expression: str,
    *,
    tags: Path,
    minimum_cell: int = MINIMUM_CELL,
    withheld: Collection[str] = (),
) -> CohortCount:
    """Count the subjects for whom a condition on tags is true.

    Args:
        taxonomy: the tags that the condition may name.
        expression: a condition that names tags by their codes, such as ``night_user AND value_tier = 'high'``.
        tags: the Parquet file that ``tagging.evaluate.evaluate`` gave.
        minimum_cell: the smallest number that is told, at least 2.
        withheld: pseudonyms that may not be counted, because their consent ended after the tags were computed.
    Raises:
        ExpressionError: the expression is no condition on these tags.
        InputRefused: the file does not hold the taxonomy's tags.
    """
    if minimum_cell < _LEAST_CELL:
        raise BadInput("A minimum cell below 2 tells of single persons", hint=f"Use {MINIMUM_CELL} or more.")
    condition = parse_condition(expression, taxonomy.cohort_scope)
    emitter = Emitter()
    test = emitter.emit(condition)
    parts = ", ".join(f"count(*) FILTER (WHERE {part})" for part in (test, f"NOT ({test})", f"({test}) IS NULL"))
    with locked(tags) as (session, (path,)):
        check_columns(session, path, _schema(taxonomy), frozenset(column.name for column in own_columns(condition)))
        check_one_row_each(session, path)
        kept = f"{PSEUDONYM} NOT IN (SELECT unnest(CAST({emitter.bind(sorted(withheld))} AS VARCHAR[])))"
        sql = f"SELECT {parts} FROM {source(emitter.bind(str(path)))} WHERE {kept}"
        (cells,) = session.rows(sql, emitter.parameters)
    true, false, unknown = (int(str(cell)) for cell in cells)
    return CohortCount(true if _is_safe(true, false, unknown, minimum_cell) else None, minimum_cell)


def _is_safe(true: int, false: int, unknown: int, minimum_cell: int) -> bool:
    parts = (true, false + unknown, *(part for part in (false, unknown) if part))
    return all(part >= minimum_cell for part in parts)


def _schema(taxonomy: Taxonomy) -> dict[str, ViewColumn]:
    """Return the columns of a file of tags; a column that is no tag of this taxonomy is refused."""
    columns = {PSEUDONYM: SUBJECT_COLUMNS[PSEUDONYM]}
    for tag in taxonomy.tags:
        type_ = tag.type.value_type
        columns[tag.code] = ViewColumn(tag.code, tag.label, type_, tag.sensitivity, (SQL_TYPES[type_],))
    return columns
