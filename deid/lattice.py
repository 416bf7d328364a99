"""Search over the full-domain lattice: every setting of one level for each quasi-identifier.

Sources: Samarati (2001) and LeFevre et al., Incognito (2005) for full-domain generalisation; Bayardo and Agrawal (2005)
for the discernibility metric; exhaustive over distinct combinations, with a bound that loses no optimum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

import numpy as np

from deid.hierarchies import Hierarchy
from deid.population import Codes, Population
from kernel.errors import BadInput

MOST_NODES: Final = 200_000
"""A larger lattice is a mistake in the hierarchies, not a search."""


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One setting and what it costs; the smaller the better.

    Attributes:
        dm: discernibility: squared sizes of the classes that stay, plus everybody once for each person left out.
        height: sum of the levels.
        levels: one index for each quasi-identifier.
        suppressed: persons in classes smaller than k. classes: how many classes stay.
    """

    dm: int
    height: int
    levels: tuple[int, ...]
    suppressed: int
    classes: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        best: the best setting within the limit, or None.
        nearest: the setting that leaves out the fewest persons.
        reachable_k: where there is no best, the largest k that some setting reaches within the limit.
    """

    best: Node | None
    nearest: Node
    reachable_k: int


class Lattice:
    """The lattice over one population.

    Args:
        population: the persons.
        hierarchies: one for each quasi-identifier, in the population's order.

    Raises:
        BadInput: a value has no place in its hierarchy, a level is not coarser than the one before, too many settings.
    """

    def __init__(self, population: Population, hierarchies: Sequence[Hierarchy]) -> None:
        self._population = population
        self._texts = [
            [hierarchy.generalised(as_text(value)) for value in domain]
            for domain, hierarchy in zip(population.domains, hierarchies, strict=True)
        ]
        self._heights = [len(hierarchy.levels) for hierarchy in hierarchies]
        if prod(self._heights) > MOST_NODES:
            raise BadInput(f"The lattice has more than {MOST_NODES} settings", hint="Bound the hierarchies by up_to.")
        self._levels = [
            _level_codes(hierarchy, texts) for hierarchy, texts in zip(hierarchies, self._texts, strict=True)
        ]

    def search(self, *, k: int, allowed: int) -> Found:
        """Find the setting with the least discernibility that suppresses at most ``allowed`` persons.

        A class costs its square where it stays and more where it is suppressed, so the sum of all squares bounds the
        cost from below; generalising only merges classes, so the bound holds for everything above a setting too.
        """
        bounds: dict[tuple[int, ...], int] = {}
        best: Node | None = None
        nearest: Node | None = None
        reachable_k = 0
        for levels in sorted(product(*map(range, self._heights)), key=lambda found: (sum(found), found)):
            bound = max((bounds[below] for below in _below(levels)), default=0)
            if best is not None and bound >= best.dm:
                bounds[levels] = bound
                continue
            sizes = np.sort(self._population.class_sizes(self.classes(levels)))
            bounds[levels] = int((sizes * sizes).sum())
            reachable_k = max(reachable_k, _reachable_k(sizes, allowed))
            node = self._node(levels, sizes, k)
            if nearest is None or (node.suppressed, node) < (nearest.suppressed, nearest):
                nearest = node
            if node.classes and node.suppressed <= allowed and (best is None or node < best):
                best = node
        if nearest is None:
            raise AssertionError("a lattice has at least one setting")
        return Found(best, nearest, reachable_k)

    def classes(self, levels: tuple[int, ...]) -> Codes:
        """Return the equivalence class of each set of the population."""
        codes = [of_levels[level] for of_levels, level in zip(self._levels, levels, strict=True)]
        return self._population.classes(codes)

    def texts(self, position: int, level: int) -> Mapping[object, str | None]:
        """Return the generalised text of every value of one quasi-identifier."""
        domain = self._population.domains[position]
        return {value: path[level] for value, path in zip(domain, self._texts[position], strict=True)}

    def _node(self, levels: tuple[int, ...], sizes: Codes, k: int) -> Node:
        stay = sizes[sizes >= k]
        suppressed = int(sizes.sum() - stay.sum())
        dm = int((stay * stay).sum()) + suppressed * self._population.total
        return Node(dm, sum(levels), levels, suppressed, len(stay))


def as_text(value: object) -> str | None:
    """Return the text that a hierarchy knows a value by."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reachable_k(ascending: Codes, allowed: int) -> int:
    """The classes left out are the smallest ones; the first that must stay says what k is reached."""
    stays = np.flatnonzero(np.cumsum(ascending) > allowed)
    return int(ascending[stays[0]]) if len(stays) else 0


def _below(levels: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [(*levels[:i], level - 1, *levels[i + 1 :]) for i, level in enumerate(levels) if level]


def _level_codes(hierarchy: Hierarchy, paths: Sequence[tuple[str | None, ...]]) -> list[Codes]:
    """Return for every level the code of each value's generalisation."""
    found = []
    for level, name in enumerate(hierarchy.levels):
        numbers: dict[str | None, int] = {}
        codes = [numbers.setdefault(path[level], len(numbers)) for path in paths]
        if level and len({(path[level - 1], path[level]) for path in paths}) > len({path[level - 1] for path in paths}):
            raise BadInput(f"Hierarchy {hierarchy.name}: level {name} splits values", hint="Make it coarser.")
        found.append(np.asarray(codes, dtype=np.int64))
    return found
