"""The least score that a hit of each kind needs."""

from collections.abc import Mapping
from typing import Final

from deid.text.kinds import Kind
from kernel.errors import ConfigurationError

DEFAULT: Final = "default"
"""The name that stands for every kind that is not named."""

THRESHOLDS: Final[Mapping[str, float]] = {DEFAULT: 0.5}
"""Where no profile says another; presidio's default of 0 would let 0.01 through."""


def least_scores(thresholds: Mapping[str, float]) -> dict[Kind, float]:
    """Return the least score of every kind.

    Args:
        thresholds: by the name of a kind, and ``default``.

    Raises:
        ConfigurationError: a name is no kind, or a threshold does not lie between 0 and 1.
    """
    for name, least in thresholds.items():
        if name != DEFAULT and name not in {kind.value for kind in Kind}:
            raise ConfigurationError(f"A threshold is given for {name!r}, which is no kind", hint="See deid-kinds.md.")
        if not 0 <= least <= 1:
            raise ConfigurationError(f"The threshold of {name} is {least}", hint="Scores lie between 0 and 1.")
    return {kind: thresholds.get(kind, thresholds.get(DEFAULT, THRESHOLDS[DEFAULT])) for kind in Kind}
