"""Aliases: the random names under which subjects stand in the log, one per subject and calendar year (UTC)."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import ARRAY, ColumnElement, Connection, ScalarSelect, String, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from audit.tables import alias as alias_table
from audit.tables import cohort_member
from kernel.ids import EntryId, SubjectId, new_id
from kernel.prepared import Prepared


def ensure_aliases(connection: Connection, subjects: Collection[SubjectId], year: int) -> dict[SubjectId, str]:
    """Return the alias of each subject for a year, creating what is missing in the caller's transaction.

    New aliases are inserted in the order of the subject ids, so that two writers never wait for each other in a ring.
    """
    wanted = sorted(set(subjects))
    known = _known(connection, wanted, year)
    missing = [subject for subject in wanted if subject not in known]
    if not missing:
        return known
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    rows = [{"alias": new_id("als"), "subject_id": subject, "year": year} for subject in missing]
    connection.execute(insert(alias_table).on_conflict_do_nothing(), rows)
    return known | _known(connection, missing, year)


def aliases_of(connection: Connection, subject: SubjectId) -> tuple[str, ...]:
    """Return every alias of a subject, oldest year first."""
    query = select(alias_table.c.alias).where(alias_table.c.subject_id == subject).order_by(alias_table.c.year)
    return tuple(connection.scalars(query))


def alias_in_year(subject: ColumnElement[str], year: ColumnElement[int]) -> ScalarSelect[str]:
    """Return an expression of a subject's alias in one year; null while it has none."""
    of_year = alias_table.c.subject_id == subject, alias_table.c.year == year
    return select(alias_table.c.alias).where(*of_year).scalar_subquery()


def find_subject(connection: Connection, alias: str) -> SubjectId | None:
    """Return the subject behind an alias, or None when there is none or the mapping was destroyed."""
    found = connection.scalar(select(alias_table.c.subject_id).where(alias_table.c.alias == alias))
    return None if found is None else SubjectId(found)


def cohort_subjects(connection: Connection, entry_id: EntryId) -> dict[SubjectId, str]:
    """Return the subjects behind the cohort of an entry, with their aliases."""
    query = (
        select(alias_table.c.subject_id, alias_table.c.alias)
        .join(cohort_member, cohort_member.c.alias == alias_table.c.alias)
        .where(cohort_member.c.entry_id == entry_id)
    )
    return {SubjectId(subject): alias for subject, alias in connection.execute(query)}


def _known(connection: Connection, subjects: Sequence[SubjectId], year: int) -> dict[SubjectId, str]:
    dialect = connection.dialect.name
    given = list(subjects) if dialect == "postgresql" else json.dumps(subjects)
    return {SubjectId(subject): alias for subject, alias in _KNOWN[dialect].rows(connection, year=year, subjects=given)}


_OF_YEAR: Final = select(alias_table.c.subject_id, alias_table.c.alias).where(alias_table.c.year == bindparam("year"))
_GIVEN: Final = func.json_each(bindparam("subjects")).table_valued("value")
_KNOWN: Final[Mapping[str, Prepared]] = {
    "sqlite": Prepared(_OF_YEAR.where(alias_table.c.subject_id.in_(select(_GIVEN.c.value)))),
    "postgresql": Prepared(
        _OF_YEAR.where(alias_table.c.subject_id == any_(bindparam("subjects", type_=ARRAY(String))))
    ),
}
"""By dialect: all subjects in one parameter, so that the statement is the same for any number of them."""
