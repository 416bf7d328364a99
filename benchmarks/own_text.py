"""The subject's own identifiers in texts about them: spellings that are covered, and what is near that stays."""

from typing import Final

from benchmarks.figures import Bound, Figure, Target
from benchmarks.planted_own import NEAR, PLANTED, missed, taken

_SEED: Final = 20260501
_TRIALS: Final = 1_000
"""Of each spelling: building the finder of a subject takes longer than reading the text."""


def run(trials: int = _TRIALS) -> list[Figure]:
    """Return the figures."""
    lost = {name: missed(name, trials, _SEED).wrong for name in PLANTED}
    wrong = sum(taken(name, trials, _SEED).wrong for name in NEAR)
    planted, near = trials * len(PLANTED), trials * len(NEAR)
    right = planted - sum(lost.values())
    return [
        Figure("text", "own identifiers in all spellings: wholly covered", right / planted, "share", "planted", planted,
               Target(Bound.AT_LEAST, 0.999)),
        Figure("text", "own identifiers: covered, of the spelling that fares worst", 1 - max(lost.values()) / trials,
               "share"),
        Figure("text", "own identifiers: precision, beside as much that is near to them",
               right / (right + wrong * planted / near), "share", "texts", planted + near,
               Target(Bound.AT_LEAST, 0.99)),
        Figure("text", "what is near to own identifiers: left alone", 1 - wrong / near, "share", "texts", near),
    ]  # fmt: skip
