"""The one pass over stored bytes that a whole log takes: hash, compare, and stop at the first thing that is odd."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from audit.verifier.bundles import Growth, leaf_hashes, split_bundle
from audit.verifier.entry_bytes import PRUNING_MARK
from audit.verifier.merkle import HASH_BYTES
from audit.verifier.prunings import ToldPruning, told_pruning
from audit.verifier.ranges import TILE_BITS
from audit.verifier.tiles import ENTRY_MAX_BYTES, TILE_WIDTH, TileFolder

_TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES


@dataclass(slots=True)
class Pruned:
    """The entries whose bytes are gone, and what later entries say about it."""

    count: int = 0
    last: int = -1
    below: int = 0
    told: list[ToldPruning] = field(default_factory=list)

    def take(self, first: int, entries: list[bytes]) -> None:
        """Count the empty entries of a bundle that begins at index ``first``."""
        gone = [index for index, entry in enumerate(entries, start=first) if not entry]
        self.count += len(gone)
        self.last = max([self.last, *gone])

    def hear(self, first: int, entries: list[bytes]) -> None:
        """Take what the entries of a bundle say of a pruning; only worth calling once something is gone."""
        found = (told_pruning(entry, index) for index, entry in enumerate(entries, start=first))
        self.told.extend(each for each in found if each is not None)
        self.below = max((each.below for each in self.told), default=0)

    @property
    def is_told(self) -> bool:
        """Whether every empty entry lies below what a later one says."""
        return self.last < self.below or not self.count


class HigherTiles:
    """The hash tiles above the leaves, compared with what grows below them."""

    def __init__(self, folder: TileFolder) -> None:
        self._folder = folder
        self._waiting: list[bytearray] = []
        self._compared: list[int] = []

    def take(self, completed: list[bytes]) -> bool:
        """Take the roots of subtrees that a tile completed; false when a stored tile differs."""
        for level, node in enumerate(completed[::TILE_BITS]):
            if level == len(self._waiting):
                self._waiting.append(bytearray())
                self._compared.append(0)
            self._waiting[level] += node
            if len(self._waiting[level]) == _TILE_BYTES and not self._fits(level):
                return False
        return True

    def finish(self) -> bool:
        """Compare the partial tiles at the right."""
        return all(self._fits(level) for level, hashes in enumerate(self._waiting) if hashes)

    def _fits(self, level: int) -> bool:
        fits = self._folder.read_tile(level + 1, self._compared[level]) == self._waiting[level]
        self._waiting[level].clear()
        self._compared[level] += 1
        return fits


def climb(folder: TileFolder, roots: Mapping[int, Collection[bytes]]) -> Pruned | None:
    """Hash every entry, and compare with every tile and every checkpoint.

    Args:
        folder: tiles and bundles.
        roots: of the known checkpoints, by size; that of the whole tree among them.
    Returns:
        what is pruned, or None when anything is not as it must be.
    Raises:
        VerificationError: a file is missing, or none that may lie there.
    """
    growth, higher, pruned = Growth(roots), HigherTiles(folder), Pruned()
    for bundle in range(folder.bundles):
        hashes = _checked(folder, bundle, pruned)
        if hashes is None or not higher.take(growth.take(hashes)) or growth.refuted is not None:
            return None
    fits = higher.finish() and growth.refuted is None and growth.agreed == folder.size and pruned.is_told
    return pruned if fits else None


def _checked(folder: TileFolder, bundle: int, pruned: Pruned) -> bytes | None:
    """Return the leaf hashes of a bundle that fits its tile, else None; an empty entry's hash is the tile's."""
    first = bundle << TILE_BITS
    width = min(TILE_WIDTH, folder.size - first)
    data, tile = folder.read_bundle(bundle), folder.read_tile(0, bundle)
    entries, rest = split_bundle(data, width)
    is_formed = not rest and len(entries) == width and len(tile) == width * HASH_BYTES
    if not is_formed or max(map(len, entries)) > ENTRY_MAX_BYTES:
        return None
    hashes = leaf_hashes(entries)
    if not all(entries):
        pruned.take(first, entries)
        stated = (tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES))
        hashes = [own if entry else given for own, given, entry in zip(hashes, stated, entries, strict=True)]
    if pruned.count and PRUNING_MARK in data:
        pruned.hear(first, entries)
    return tile if b"".join(hashes) == tile else None
