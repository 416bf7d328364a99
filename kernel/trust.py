"""Whom to believe where two sources of a profile disagree: ranks by field and compartment, as data of the pack."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrustRule:
    """The order in which sources are believed for some fields.

    Attributes:
        code: the rule's name.
        fields, compartments: what it is for; both empty for all that no other rule names.
        ranks: names of sources, the most trusted first; those of one rank are trusted alike.
    """

    code: str
    fields: frozenset[str]
    compartments: frozenset[str]
    ranks: tuple[tuple[str, ...], ...]

    def rank(self, source: str) -> int:
        """Return a source's rank, 0 for the most trusted; one that is not named comes after all others."""
        return next((place for place, names in enumerate(self.ranks) if source in names), len(self.ranks))


def trust_rank(rules: Sequence[TrustRule], *, source: str, field: str, compartment: str) -> int:
    """Return how far a source is to be believed for a field; 0 is most, and without a rule all are alike.

    A rule that names the field comes before one that names its compartment, that one before one for all.
    """
    for rule in (
        *(rule for rule in rules if field in rule.fields),
        *(rule for rule in rules if compartment in rule.compartments),
        *(rule for rule in rules if not rule.fields and not rule.compartments),
    ):
        return rule.rank(source)
    return 0
