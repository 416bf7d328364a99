"""k-anonymity by person: generalise over full-domain lattices, suppress what still stands out, measure the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from deid.hierarchies import Hierarchy
from kernel.errors import BadInput, Denied

if TYPE_CHECKING:
    import pyarrow as pa

    from deid.lattice import Found, Lattice, Node

PERSON: Final = "pseudonym"


class CannotRelease(Denied):
    """No setting of the hierarchies reaches k within the suppression limit; the message names the nearest change.

    Attributes:
        levels: the level of each quasi-identifier in the setting that leaves out the fewest persons.
        suppressed, persons: how many of how many persons it leaves out.
        reachable_k: the largest k that some setting reaches within the limit.
    """

    def __init__(
        self, message: str, *, levels: Mapping[str, str], suppressed: int, persons: int, reachable_k: int
    ) -> None:
        super().__init__(message, hint=_nearest_change(suppressed, persons, reachable_k))
        self.levels = dict(levels)
        self.suppressed = suppressed
        self.persons = persons
        self.reachable_k = reachable_k


@dataclass(frozen=True, slots=True)
class Anonymised:
    """A table in which every person shares the quasi-identifiers with at least k - 1 others.

    Attributes:
        table: quasi-identifiers as text at their levels, other columns as they were, ordered by person.
        levels: name of the level of each quasi-identifier.
        persons: how many came in; suppressed: how many of them were left out, with all their rows.
        k: size of the smallest class that stayed; classes: how many stayed.
        dm: discernibility (Bayardo and Agrawal 2005); smaller keeps more.
    """

    table: "pa.Table"
    levels: Mapping[str, str]
    persons: int
    suppressed: int
    k: int
    classes: int
    dm: int


@dataclass(frozen=True, slots=True)
class Risk:
    """Re-identification risk of a table for somebody who knows that a person is in it (prosecutor model).

    Attributes:
        persons, classes, k: how many persons, how many equivalence classes, the size of the smallest.
        highest: 1 / k. average: classes / persons. unique: share of the persons who are alone in their class.
    """

    persons: int
    classes: int
    k: int
    highest: Fraction
    average: Fraction
    unique: Fraction


def anonymise(
    table: "pa.Table",
    *,
    quasi_identifiers: Sequence[str],
    hierarchies: Mapping[str, Hierarchy],
    k: int,
    suppression_limit: Decimal,
) -> Anonymised:
    """Make a table k-anonymous by person with the least discernibility.

    Args:
        table: an Arrow table with the column ``pseudonym``, which links the rows of a person.
        quasi_identifiers: single-valued columns that others may know.
        hierarchies: one for each of them, by column.
        k: at least 2.
        suppression_limit: share of the persons that may be left out, 0 to 1.

    Raises:
        CannotRelease: no setting reaches k within the limit.
        BadInput: a value outside its hierarchy, an unknown or multi-valued column, a limit or k out of range.
    """
    import pyarrow as pa

    from deid.lattice import Lattice
    from deid.population import read_population

    if k < 2 or not 0 <= suppression_limit <= 1:  # noqa: PLR2004 - alone is not among others
        raise BadInput("k is below 2 or the suppression limit no share", hint="Give k from 2 and a limit from 0 to 1.")
    population = read_population(table, quasi_identifiers, person=PERSON)
    used = [_hierarchy_of(name, hierarchies) for name in quasi_identifiers]
    lattice = Lattice(population, used)
    found = lattice.search(k=k, allowed=int(suppression_limit * population.total))
    best = found.best
    if best is None:
        levels = _level_names(quasi_identifiers, used, found.nearest)
        raise _refusal(found, levels, k=k, limit=suppression_limit, persons=population.total)
    classes = lattice.classes(best.levels)
    stays = (population.class_sizes(classes) >= k)[classes][population.set_of_row]
    released = _generalised(table, quasi_identifiers, lattice, best).filter(pa.array(stays)).sort_by(PERSON)
    return Anonymised(
        table=released,
        levels=_level_names(quasi_identifiers, used, best),
        persons=population.total,
        suppressed=best.suppressed,
        k=measure_k(released, quasi_identifiers),
        classes=best.classes,
        dm=best.dm,
    )


def measure_k(table: "pa.Table", quasi_identifiers: Sequence[str], *, person: str | None = PERSON) -> int:
    """Return the size of the smallest group of persons that the quasi-identifiers cannot tell apart; 0 of nobody.

    Persons are alike when their rows show the same set of combinations. With ``person=None`` every row is a person.
    """
    return measure_risk(table, quasi_identifiers, person=person).k


def measure_risk(table: "pa.Table", quasi_identifiers: Sequence[str], *, person: str | None = PERSON) -> Risk:
    """Return the re-identification risk; see ``Risk`` and ``measure_k``."""
    from deid.population import read_population

    population = read_population(table, quasi_identifiers, person=person)
    persons, classes = population.total, len(population.persons)
    if not persons:
        return Risk(0, 0, 0, Fraction(0), Fraction(0), Fraction(0))
    k = int(population.persons.min())
    alone = int((population.persons == 1).sum())
    return Risk(persons, classes, k, Fraction(1, k), Fraction(classes, persons), Fraction(alone, persons))


def _hierarchy_of(name: str, hierarchies: Mapping[str, Hierarchy]) -> Hierarchy:
    if name not in hierarchies:
        raise BadInput(f"The quasi-identifier {name!r} has no hierarchy", hint="Give one; `flat` hides or shows.")
    return hierarchies[name]


def _level_names(names: Sequence[str], hierarchies: Sequence[Hierarchy], node: "Node") -> dict[str, str]:
    levels = (hierarchy.levels[level] for hierarchy, level in zip(hierarchies, node.levels, strict=True))
    return dict(zip(names, levels, strict=True))


def _generalised(table: "pa.Table", names: Sequence[str], lattice: "Lattice", node: "Node") -> "pa.Table":
    import pyarrow as pa

    for position, name in enumerate(names):
        texts = lattice.texts(position, node.levels[position])
        column = pa.array([texts[value] for value in table.column(name).to_pylist()], pa.string())
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _refusal(found: "Found", levels: Mapping[str, str], *, k: int, limit: Decimal, persons: int) -> CannotRelease:
    setting = ", ".join(f"{name} at {level}" for name, level in levels.items())
    return CannotRelease(
        f"No setting reaches k={k} with at most {limit:%} left out: with {setting},"
        f" {found.nearest.suppressed} of {persons} persons would be",
        levels=levels,
        suppressed=found.nearest.suppressed,
        persons=persons,
        reachable_k=found.reachable_k,
    )


def _nearest_change(suppressed: int, persons: int, reachable_k: int) -> str:
    if reachable_k < 2:  # noqa: PLR2004 - see anonymise
        return f"There are {persons} persons: wait for more, or let a quasi-identifier become coarser."
    share = Decimal(suppressed * 100) / persons
    return f"Ask for k={reachable_k}, allow {share:.1f} % to be left out, or let a quasi-identifier become coarser."
