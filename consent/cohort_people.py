"""Whom a cohort check asks about: populations of the store by ranges of their ids, or a list, in batches."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import ARRAY, ColumnElement, Connection, FromClause, Select, String, bindparam, func, select, true

from consent.tables import consent_current, subject_standing
from kernel.ids import SubjectId


class Population(StrEnum):
    """A cohort that the store itself knows."""

    REGISTERED = "registered"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: its first and last subject in the order of ids, how many, and the parameters that select them."""

    first: SubjectId
    last: SubjectId
    size: int
    parameters: dict[str, object]


class People(Protocol):
    """A cohort in batches."""

    def next(self, connection: Connection) -> Batch | None:
        """Return the batch after the one before, or None at the end."""
        ...

    def source(self, dialect: str) -> tuple[FromClause, ColumnElement[bool]]:
        """Return what has the subjects of a batch in its column ``subject_id``, and which of its rows those are."""
        ...


def people_of(subjects: Population | Collection[SubjectId], purpose: str, batch_subjects: int) -> People:
    """Return the people of a cohort question."""
    if isinstance(subjects, Population):
        return _Ranges(subjects, purpose, batch_subjects)
    return _Listed(sorted(set(subjects)), batch_subjects)


class _Ranges:
    """A population, by ranges of ids; who registers behind the range that is reached is not asked about."""

    def __init__(self, population: Population, purpose: str, batch_subjects: int) -> None:
        self._population = population
        self._purpose = purpose
        self._after = ""
        self._most = batch_subjects
        column = _subject(population)
        later = self._ids().where(column > bindparam("after")).order_by(column).limit(bindparam("most"))
        some = later.subquery()
        self._next = select(func.min(some.c.subject_id), func.max(some.c.subject_id), func.count()).select_from(some)

    def next(self, connection: Connection) -> Batch | None:
        parameters: dict[str, Any] = {"after": self._after, "most": self._most, "purpose": self._purpose}
        first, last, size = connection.execute(self._next, parameters).one()
        if not size:
            return None
        batch = Batch(first, last, size, {"first": first, "last": last})
        self._after = last
        return batch

    def source(self, dialect: str) -> tuple[FromClause, ColumnElement[bool]]:  # noqa: ARG002 - alike on both engines
        of_batch = _subject(self._population).between(bindparam("first"), bindparam("last"))
        if self._population is Population.REGISTERED:
            return subject_standing, of_batch
        return self._ids().where(of_batch).subquery("people"), true()

    def _ids(self) -> Select[*tuple[Any, ...]]:
        if self._population is Population.REGISTERED:
            return select(subject_standing.c.subject_id)
        of_purpose = consent_current.c.purpose == bindparam("purpose")
        return select(consent_current.c.subject_id).where(of_purpose).distinct()


class _Listed:
    """Some by id, sorted."""

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
        return Batch(some[0], some[-1], len(some), {"subjects": bound})

    def source(self, dialect: str) -> tuple[FromClause, ColumnElement[bool]]:
        if dialect == "sqlite":
            values = func.json_each(bindparam("subjects", type_=String)).table_valued("value")
            return select(values.c.value.label("subject_id")).subquery("people"), true()
        names = func.unnest(bindparam("subjects", type_=ARRAY(String))).table_valued("subject_id").render_derived()
        return select(names.c.subject_id).subquery("people"), true()


def _subject(population: Population) -> ColumnElement[Any]:
    table = subject_standing if population is Population.REGISTERED else consent_current
    return table.c.subject_id
