"""Aliases: the random names under which subjects stand in the log, one per subject and calendar year (UTC).

Nothing that is signed says whose they are, so that they can be destroyed. What binds a name to its subject and year is
its mark, made with a key of the key store: who owns the data store cannot make or move a name. A name that was
destroyed while an entry may mention it keeps its row, with the alias itself in the subject's place, marked like any
other; so that a name that was merely deleted is told from it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    ScalarSelect,
    String,
    any_,
    bindparam,
    delete,
    func,
    select,
    update,
)

from audit.tables import alias as alias_table
from audit.tables import cohort_member
from kernel.errors import IntegrityFailed
from kernel.ids import EntryId, SubjectId, new_id
from kernel.ports import Sealer
from kernel.prepared import Prepared
from kernel.set_insert import insert_absent


class Name(NamedTuple):
    """One row of the names; a tuple, because a cohort has thousands.

    Attributes:
        subject: the alias itself where the name was destroyed.
        mark: None where a row of an older version has none yet, or somebody made it by hand.
    """

    alias: str
    subject: str
    year: int
    mark: bytes | None

    @property
    def is_forgotten(self) -> bool:
        """Whether it leads nowhere any more."""
        return self.subject == self.alias


def unmarked(names: Sequence[Name], sealer: Sealer) -> list[Name]:
    """Return the names whose mark is not the one that was made for them."""
    marks = _marks(names, sealer)
    if marks == [mark for _, _, _, mark in names]:
        return []
    return [name for name, mark in zip(names, marks, strict=True) if name.mark != mark]


def check_names(names: Sequence[Name], sealer: Sealer) -> None:
    """Raise ``IntegrityFailed`` unless every name bears its mark."""
    if moved := unmarked(names, sealer):
        raise name_moved(moved[0])


def name_moved(name: Name) -> IntegrityFailed:
    """Return the error for a name that does not bear its mark."""
    return IntegrityFailed(
        f"The name {name.alias} does not bear its mark: it was moved or made by hand",
        hint="Run `consentry audit reconcile`, and compare audit_alias with a backup.",
    )


def ensure_aliases(
    connection: Connection, subjects: Collection[SubjectId], year: int, *, sealer: Sealer
) -> dict[SubjectId, str]:
    """Return the alias of each subject for a year, creating what is missing in the caller's transaction.

    New aliases are inserted in the order of the subject ids, so that two writers never wait for each other in a ring.

    Raises:
        IntegrityFailed: an alias that is there was moved or made by hand.
    """
    wanted = sorted(set(subjects))
    known = _known(connection, wanted, year, sealer)
    missing = [subject for subject in wanted if subject not in known]
    if not missing:
        return known
    made = [Name(new_id("als"), subject, year, None) for subject in missing]
    rows = [_row(name, mark) for name, mark in zip(made, _marks(made, sealer), strict=True)]
    insert_absent(connection, alias_table, rows)
    return known | _known(connection, missing, year, sealer)


def aliases_of(connection: Connection, subject: SubjectId) -> tuple[str, ...]:
    """Return every alias of a subject, oldest year first."""
    query = select(alias_table.c.alias).where(alias_table.c.subject_id == subject).order_by(alias_table.c.year)
    return tuple(connection.scalars(query))


def alias_in_year(subject: ColumnElement[str], year: ColumnElement[int]) -> ScalarSelect[str]:
    """Return an expression of a subject's alias in one year; null while it has none."""
    of_year = alias_table.c.subject_id == subject, alias_table.c.year == year
    return select(alias_table.c.alias).where(*of_year).scalar_subquery()


def read_names(connection: Connection, aliases: Collection[str]) -> list[Name]:
    """Return the rows of some aliases, those of destroyed names among them; an alias without a row is missing."""
    wanted, found = sorted(aliases), list[Name]()
    for start in range(0, len(wanted), _BOUND_VALUES):
        query = select(*COLUMNS).where(alias_table.c.alias.in_(wanted[start : start + _BOUND_VALUES]))
        found += [Name(*row) for row in connection.execute(query)]
    return found


def read_all_names(connection: Connection, aliases: Collection[str]) -> list[Name]:
    """Return the same by a statement that is prepared, for the receipts of a round."""
    if not aliases:
        return []
    dialect = connection.dialect.name
    given = json.dumps(list(aliases)) if dialect == "sqlite" else list(aliases)
    return [Name(*row) for row in _NAMES[dialect].rows(connection, aliases=given)]


def read_name(connection: Connection, alias: str) -> list[Name]:
    """Return the row of one alias, or none; what every receipt asks for, so that its statement is prepared."""
    return [Name(*row) for row in _NAME.rows(connection, alias=alias)]


def mark_names(connection: Connection, sealer: Sealer) -> int:
    """Mark every name that an older version made, and return how many; once, when the store gets its marks."""
    names = [Name(*row) for row in connection.execute(select(*COLUMNS).where(alias_table.c.mark.is_(None)))]
    marked = update(alias_table).where(alias_table.c.alias == bindparam("named")).values(mark=bindparam("made"))
    rows = [{"named": name.alias, "made": mark} for name, mark in zip(names, _marks(names, sealer), strict=True)]
    if rows:
        connection.execute(marked, rows)
    return len(names)


def recall_forgotten(connection: Connection, years: Mapping[str, int], sealer: Sealer) -> None:
    """Note names as destroyed that an older version deleted and that entries mention still.

    Args:
        connection: a write transaction of the data store.
        years: of the entries that mention a name, by alias; those that have a row are left out.
        sealer: marks them.
    """
    known = {name.alias for name in read_names(connection, years)}
    lost = [Name(alias, alias, year, None) for alias, year in sorted(years.items()) if alias not in known]
    rows = [_row(name, mark) for name, mark in zip(lost, _marks(lost, sealer), strict=True)]
    if rows:
        connection.execute(alias_table.insert(), rows)


def forget_names(connection: Connection, subjects: Collection[SubjectId], sealer: Sealer) -> int:
    """Let the names of some subjects lead nowhere any more, and return how many those were."""
    query = select(*COLUMNS).where(alias_table.c.subject_id.in_(subjects))
    names = [Name(alias, alias, year, None) for alias, _, year, _ in connection.execute(query)]
    gone = update(alias_table).where(alias_table.c.alias == bindparam("named"))
    gone = gone.values(subject_id=bindparam("named"), mark=bindparam("made"))
    rows = [{"named": name.alias, "made": mark} for name, mark in zip(names, _marks(names, sealer), strict=True)]
    if rows:
        connection.execute(gone, rows)
    return len(names)


def remove_names(connection: Connection, aliases: Collection[str]) -> None:
    """Take away names that no entry mentions any more."""
    gone = alias_table.c.alias.in_(aliases)
    connection.execute(update(alias_table).where(gone).values(subject_id=alias_table.c.alias))
    connection.execute(delete(alias_table).where(gone))


def cohort_names(connection: Connection, entry_id: EntryId) -> list[Name]:
    """Return the names that stand behind the cohort of an entry, without those that were destroyed."""
    return [Name._make(row) for row in _COHORT.rows(connection, entry_id=entry_id)]


def _known(connection: Connection, subjects: Sequence[SubjectId], year: int, sealer: Sealer) -> dict[SubjectId, str]:
    dialect = connection.dialect.name
    given = list(subjects) if dialect == "postgresql" else json.dumps(subjects)
    names = [Name._make(row) for row in _KNOWN[dialect].rows(connection, year=year, subjects=given)]
    check_names(names, sealer)
    return {SubjectId(name.subject): name.alias for name in names}


def _marks(names: Sequence[Name], sealer: Sealer) -> list[bytes]:
    """Return the mark of each name; three words without a space in any, so that no two names share a text."""
    return sealer.mark_texts([f"name {alias} {subject} {year}" for alias, subject, year, _ in names]) if names else []


def _row(name: Name, mark: bytes) -> dict[str, object]:
    return {"alias": name.alias, "subject_id": name.subject, "year": name.year, "mark": mark}


_BOUND_VALUES: Final = 1_000
COLUMNS: Final = (alias_table.c.alias, alias_table.c.subject_id, alias_table.c.year, alias_table.c.mark)
"""What a ``Name`` is made of."""
REMEMBERED: Final = alias_table.c.subject_id != alias_table.c.alias
"""Of names that lead to somebody."""

_NAME: Final = Prepared(select(*COLUMNS).where(alias_table.c.alias == bindparam("alias")))
_COHORT: Final = Prepared(
    select(*COLUMNS)
    .join(cohort_member, cohort_member.c.alias == alias_table.c.alias)
    .where(cohort_member.c.entry_id == bindparam("entry_id"), REMEMBERED)
)
_ALIASES: Final = func.json_each(bindparam("aliases")).table_valued("value")
_NAMES: Final[Mapping[str, Prepared]] = {
    "sqlite": Prepared(select(*COLUMNS).where(alias_table.c.alias.in_(select(_ALIASES.c.value)))),
    "postgresql": Prepared(
        select(*COLUMNS).where(alias_table.c.alias == any_(bindparam("aliases", type_=ARRAY(String))))
    ),
}
_OF_YEAR: Final = select(*COLUMNS).where(alias_table.c.year == bindparam("year"))
_GIVEN: Final = func.json_each(bindparam("subjects")).table_valued("value")
_KNOWN: Final[Mapping[str, Prepared]] = {
    "sqlite": Prepared(_OF_YEAR.where(alias_table.c.subject_id.in_(select(_GIVEN.c.value)))),
    "postgresql": Prepared(
        _OF_YEAR.where(alias_table.c.subject_id == any_(bindparam("subjects", type_=ARRAY(String))))
    ),
}
"""By dialect: all subjects in one parameter, so that the statement is the same for any number of them."""
