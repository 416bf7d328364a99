"""What a log says of its own pruning, and whether what went can have been old enough.

Whoever owns the log's store can have an entry signed that says ``log.pruned``. What he cannot make older are the
entries among the pruned ones that keep their bytes: an honest pruning takes nothing younger than its bound.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from audit.verifier.bundles import split_bundle
from audit.verifier.entry_bytes import PRUNING_MARK, entry_id, pruned_below
from audit.verifier.failures import VerificationError
from audit.verifier.ranges import TILE_BITS
from audit.verifier.tiles import TileFolder, tile_width

PRUNED_AGE: Final = timedelta(days=183)
"""Six months, below which nothing may be pruned: 网络安全法 23(3)."""

_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class ToldPruning:
    """An entry that says that all before ``below`` were pruned, but for those that are kept.

    Attributes:
        index: its own place.
        at: when it was written; None where it does not say so.
    """

    index: int
    below: int
    at: datetime | None
    entry_id: str | None

    def is_too_early(self, index: int, at: datetime) -> bool:
        """Say whether an entry that was written at a time cannot lie below this bound."""
        return index < self.below and (self.at is None or self.at - at < PRUNED_AGE)


def told_pruning(entry: bytes, index: int) -> ToldPruning | None:
    """Return what an entry says of a pruning, or None when it says nothing of one."""
    below = pruned_below(entry, index) if PRUNING_MARK in entry else 0
    return ToldPruning(index, below, entry_time(entry), entry_id(entry)) if below else None


def entry_time(entry: bytes) -> datetime | None:
    """Return when an entry says that it was written, in UTC; None when it does not say so."""
    try:
        return datetime.strptime(json.loads(entry)["at"], _TIME)  # noqa: DTZ007 - all of them are UTC
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def check_old_enough(folder: TileFolder, told: Sequence[ToldPruning]) -> None:
    """Raise where an entry below a pruning's bound was too young for it; only worth calling once something is gone.

    Raises:
        VerificationError: ``removed``; it names the entry that says so.
    """
    bound = max((each.below for each in told), default=0)
    for bundle in range(-(-bound >> TILE_BITS)):
        entries, _ = split_bundle(folder.read_bundle(bundle), tile_width(folder.size, 0, bundle))
        for index, entry in enumerate(entries, start=bundle << TILE_BITS):
            at = entry_time(entry) if entry else None
            early = next((each for each in told if at is not None and each.is_too_early(index, at)), None)
            if early is not None:
                message = "it says that entries before {} were pruned, but entry {} was not six months old"
                named = early.entry_id
                raise VerificationError("removed", message, early.below, index, index=early.index, entry_id=named)
