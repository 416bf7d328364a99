"""Persons grouped by what others may know of them: the ground that every privacy measure stands on.

Rows of one person are linked by the pseudonym, so what stands out is not one row but the set of combinations that a
person's rows show. Persons with the same set are alike now and after every generalisation, so that sets are counted
once and all further work is on distinct ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from kernel.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

Codes: TypeAlias = npt.NDArray[np.int64]

_NO_COMBINATION: Final = -1
_LARGEST_SPACE: Final = 2**62
_TABLE_FACTOR: Final = 8
_SMALL_TABLE: Final = 65_536
"""Beyond eight cells a code, or this many, sorting beats a table."""


@dataclass(frozen=True)
class Population:
    """All persons of a table.

    Attributes:
        domains: the distinct values of every quasi-identifier, None for null; codes index them.
        combinations: distinct combinations of codes, one a row.
        sets: distinct sets of combinations (indexes, padded with -1), one a row.
        persons: how many persons show each set.
        set_of_row: for each row of the table the set of its person.
    """

    domains: tuple[tuple[object, ...], ...]
    combinations: Codes
    sets: Codes
    persons: Codes
    set_of_row: Codes

    @property
    def total(self) -> int:
        """How many persons there are."""
        return int(self.persons.sum())

    def classes(self, levels: Sequence[Codes]) -> Codes:
        """Return for each set its equivalence class, from 0 on, when every code is replaced by that of its level.

        Args:
            levels: for each quasi-identifier the new code of every code.
        """
        combined = _dense([level[codes] for level, codes in zip(levels, self.combinations.T, strict=True)])
        if self.sets.shape[1] == 1:
            return combined[self.sets[:, 0]]
        return _distinct_rows(_as_sets(np.where(self.sets < 0, _NO_COMBINATION, combined[self.sets])))

    def class_sizes(self, classes: Codes) -> Codes:
        """Return the number of persons in each class."""
        sizes = np.zeros(int(classes.max(initial=-1)) + 1, dtype=np.int64)
        np.add.at(sizes, classes, self.persons)
        return sizes


def read_population(table: "pa.Table", quasi_identifiers: Sequence[str], *, person: str | None) -> Population:
    """Group the persons of a table.

    Args:
        table: any Arrow table.
        quasi_identifiers: names of single-valued columns.
        person: the column that tells whose row it is; None where every row is a person of its own.

    Raises:
        BadInput: no quasi-identifier, an unknown or multi-valued column, a row of nobody.
    """
    encoded = [_encoded(table, name) for name in quasi_identifiers]
    if not encoded:
        raise BadInput("There is no quasi-identifier to measure", hint="Name the columns that others may know.")
    combined = _dense([codes for codes, _ in encoded])
    first = np.unique(combined, return_index=True)[1]
    combinations = np.stack([codes[first] for codes, _ in encoded], axis=1)
    domains = tuple(domain for _, domain in encoded)
    owners = np.arange(table.num_rows) if person is None else _owners(table, person)
    by_person = _sets_of_persons(owners, combined)
    sets, set_of_person, persons = np.unique(by_person, axis=0, return_inverse=True, return_counts=True)
    return Population(domains, combinations, sets, persons.astype(np.int64), set_of_person.reshape(-1)[owners])


def _encoded(table: "pa.Table", name: str) -> tuple[Codes, tuple[object, ...]]:
    import pyarrow as pa

    if name not in table.column_names:
        raise BadInput(f"There is no column {name!r} to measure", hint="Name columns of the table.")
    column = table.column(name)
    if pa.types.is_nested(column.type):
        raise BadInput(f"{name!r} holds several values and is no quasi-identifier", hint="Keep it as sensitive.")
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return np.asarray(encoded.indices, dtype=np.int64), tuple(encoded.dictionary.to_pylist())


def _owners(table: "pa.Table", person: str) -> Codes:
    codes, domain = _encoded(table, person)
    if None in domain:
        raise BadInput(f"A row has no {person}", hint="Every row belongs to a person.")
    return codes


def _sets_of_persons(owners: Codes, combined: Codes) -> Codes:
    """Return one row a person: the combinations that the person's rows show, ascending, padded."""
    pairs = np.unique(np.stack([owners, combined], axis=1), axis=0)
    persons, starts, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    sets = np.full((len(persons), int(counts.max(initial=1))), _NO_COMBINATION, dtype=np.int64)
    sets[pairs[:, 0], np.arange(len(pairs)) - np.repeat(starts, counts)] = pairs[:, 1]
    return sets


def _as_sets(rows: Codes) -> Codes:
    """Return rows with every combination once, ascending."""
    rows = np.sort(rows, axis=1)
    again = np.zeros(rows.shape, dtype=bool)
    again[:, 1:] = rows[:, 1:] == rows[:, :-1]
    return np.sort(np.where(again, _NO_COMBINATION, rows), axis=1)


def _distinct_rows(rows: Codes) -> Codes:
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _dense(columns: Sequence[Codes]) -> Codes:
    """Return one code, from 0 on, for each distinct combination of codes."""
    combined = np.zeros(len(columns[0]), dtype=np.int64)
    space = 1
    for column in columns:
        width = int(column.max(initial=0)) + 1
        if space * width >= _LARGEST_SPACE:
            combined = _renumbered(combined, space)
            space = int(combined.max(initial=0)) + 1
        combined = combined * width + column
        space *= width
    return _renumbered(combined, space)


def _renumbered(codes: Codes, space: int) -> Codes:
    """Number the codes that occur; by a table where that is cheaper than by sorting."""
    if space > _TABLE_FACTOR * len(codes) + _SMALL_TABLE:
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)
    seen = np.zeros(space, dtype=np.int64)
    seen[codes] = 1
    return (np.cumsum(seen) - 1)[codes]
