"""What finds identifiers: each finder is one idea (structured numbers, names, addresses …), pure and without a model.

A new finder is written against ``Finder``, listed in ``all_finders`` and thereby runs behind presidio's recognizer
interface (``deid.text.recognizers``), in the scrubber and in ``evaluate``.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Protocol

from deid.text.addresses import AddressFinder
from deid.text.dates import DateFinder
from deid.text.english import EnglishFinder
from deid.text.kinds import Kind
from deid.text.labelled import LabelFinder
from deid.text.names import NameFinder
from deid.text.organisations import OrganisationFinder
from deid.text.reading import Reading
from deid.text.scanner import Scanner
from deid.text.spans import Hit


class Finder(Protocol):
    """Finds the hits of some kinds in one window."""

    @property
    def name(self) -> str:
        """For traces and registries."""
        ...

    @property
    def kinds(self) -> frozenset[Kind]:
        """All that it can give."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """Of ``zh`` and ``en`` those that it is registered for."""
        ...

    def find(self, reading: Reading) -> Iterable[Hit]:
        """Return hits in offsets of ``reading.text``; they may overlap, in no particular order."""
        ...


@cache
def structured_finders() -> Sequence[Finder]:
    """Return the finders of numbers, addresses of the net, dates and ages, built once."""
    return (Scanner(), LabelFinder(), DateFinder())


@cache
def all_finders() -> Sequence[Finder]:
    """Return every finder that ships, built once."""
    chinese = (NameFinder(), AddressFinder(), OrganisationFinder())
    return (*structured_finders(), *chinese, EnglishFinder())
