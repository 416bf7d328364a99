"""Whom a cohort check asks about: populations of the store by ranges of their ids, or a list, in batches."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Protocol

from sqlalchemy import ARRAY, ColumnElement, Connection, FromClause, Select, String, bindparam, func, select, true

from consent.tables import consent_current, subject_standing
from kernel.ids import SubjectId
from kernel.prepared import Prepared


class Population(StrEnum):
    """A cohort that the store itself knows."""

    REGISTERED = "registered"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: its first and last subject in the order of ids, and the parameters that select its members."""

    first: SubjectId
    last: SubjectId
    parameters: dict[str, object]


class People(Protocol):
    """A cohort in batches; ``population`` is None for a list."""

    @property
    def population(self) -> Population | None:
        """Return the population that the batches are ranges of."""
        ...

    def next(self, connection: Connection) -> Batch | None:
        """Return the batch after the one before, or None at the end."""
        ...


def people_of(subjects: Population | Collection[SubjectId], purpose: str, batch_subjects: int) -> People:
    """Return the people of a cohort question."""
    if isinstance(subjects, Population):
        return _Ranges(subjects, purpose, batch_subjects)
    return _Listed(sorted(set(subjects)), batch_subjects)


def source_of(population: Population | None, dialect: str) -> tuple[FromClause, ColumnElement[bool]]:
    """Return what has the subjects of a batch in its column ``subject_id``, and which of its rows those are."""
    if population is None:
        return _listed(dialect), true()
    of_batch = _subject(population).between(bindparam("first"), bindparam("last"))
    if population is Population.REGISTERED:
        return subject_standing, of_batch
    return _ids(population).where(of_batch).subquery("people"), true()


class _Ranges:
    """A population, by ranges of ids; who registers behind the range that is reached is not asked about."""

    def __init__(self, population: Population, purpose: str, batch_subjects: int) -> None:
        self.population = population
        self._purpose = purpose
        self._after = ""
        self._most = batch_subjects

    def next(self, connection: Connection) -> Batch | None:
        ends = _ends(self.population)
        ((first, last),) = ends.rows(connection, after=self._after, others=self._most - 1, purpose=self._purpose)
        if first is None:
            return None
        self._after = last
        return Batch(first, last, {})


class _Listed:
    """Some by id, sorted."""

    population = None

    def __init__(self, subjects: Sequence[SubjectId], batch_subjects: int) -> None:
        self._subjects = subjects
        self._at = 0
        self._most = batch_subjects

    def next(self, connection: Connection) -> Batch | None:
        some = self._subjects[self._at : self._at + self._most]
        if not some:
            return None
        self._at += len(some)
        bound = json.dumps(some) if connection.dialect.name == "sqlite" else list(some)
        return Batch(some[0], some[-1], {"subjects": bound})


@cache
def _ends(population: Population) -> Prepared:
    """Return the first and last id of the next batch; skipping over the others costs a tenth of counting them."""
    column = _subject(population)
    later = _ids(population).where(column > bindparam("after"))
    ascending = later.order_by(column)
    full = ascending.limit(1).offset(bindparam("others")).scalar_subquery()
    rest = later.order_by(column.desc()).limit(1).scalar_subquery()
    return Prepared(select(ascending.limit(1).scalar_subquery(), func.coalesce(full, rest)))


def _ids(population: Population) -> Select[*tuple[Any, ...]]:
    if population is Population.REGISTERED:
        return select(subject_standing.c.subject_id)
    of_purpose = consent_current.c.purpose == bindparam("purpose")
    return select(consent_current.c.subject_id).where(of_purpose).distinct()


def _listed(dialect: str) -> FromClause:
    if dialect == "sqlite":
        values = func.json_each(bindparam("subjects", type_=String)).table_valued("value")
        return select(values.c.value.label("subject_id")).subquery("people")
    names = func.unnest(bindparam("subjects", type_=ARRAY(String))).table_valued("subject_id").render_derived()
    return select(names.c.subject_id).subquery("people")


def _subject(population: Population) -> ColumnElement[Any]:
    table = subject_standing if population is Population.REGISTERED else consent_current
    return table.c.subject_id
