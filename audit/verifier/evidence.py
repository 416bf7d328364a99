"""The two accounts that an export gives of its entries, their bytes and the hash tiles, side by side.

Nothing here is fast or trusted: it is read once something does not fit, to say what and where.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from audit.verifier.bundles import leaf_hashes, split_bundle, tile_levels
from audit.verifier.merkle import HASH_BYTES
from audit.verifier.ranges import TILE_BITS
from audit.verifier.tiles import BUNDLE_MAX_BYTES, GAP, TILE_WIDTH, TileFolder, tile_width

_BUNDLES_KEPT: Final = 4
_SHORTEST_BYTES: Final = 2
"""An entry in a bundle has at least its length."""


class Evidence:
    """Entries and hashes by place."""

    def __init__(self, folder: TileFolder) -> None:
        self.folder = folder
        keep = lru_cache(maxsize=_BUNDLES_KEPT)
        self.bundle: Callable[[int], tuple[list[bytes], int]] = keep(self._split)
        self.tile: Callable[[int, int], bytes] = lru_cache(maxsize=_BUNDLES_KEPT)(folder.read_stray_tile)

    @property
    def size(self) -> int:
        """Number of entries that the checkpoint states."""
        return self.folder.size

    def entry(self, index: int) -> bytes | None:
        """Return the bytes at a place, also beyond the width of a bundle; None where there are none."""
        bundle, offset = divmod(index, TILE_WIDTH)
        if bundle >= self.folder.bundles:
            return None
        entries, _ = self.bundle(bundle)
        return entries[offset] if offset < len(entries) else None

    def found(self, index: int) -> bytes | None:
        """Return the hash of the bytes at a place; None where there are none."""
        entry = self.entry(index)
        return leaf_hashes([entry])[0] if entry else None

    def stated(self, index: int) -> bytes | None:
        """Return the hash that the tiles state for a place; None beyond the tree."""
        bundle, offset = divmod(index, TILE_WIDTH)
        if index >= self.size:
            return None
        return self.tile(0, bundle)[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]

    def leaves(self, bundle: int) -> bytes:
        """Return the joined leaf hashes of a bundle's entries; for an empty one what the tile states."""
        width = tile_width(self.size, 0, bundle)
        entries = self.bundle(bundle)[0][:width]
        hashes = leaf_hashes(entries)
        tile = self.tile(0, bundle)
        for offset, entry in enumerate(entries):
            if not entry:
                hashes[offset] = tile[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
        return b"".join(hashes).ljust(width * HASH_BYTES, b"\0")

    def node(self, level: int, index: int) -> bytes:
        """Return the root of 256^level entries, from their bytes."""
        if level == 0:
            bundle, offset = divmod(index, TILE_WIDTH)
            return self.leaves(bundle)[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
        if level == 1:
            return tile_levels(self.leaves(index))[TILE_BITS]
        first = index << TILE_BITS
        return tile_levels(b"".join(self.node(level - 1, first + place) for place in range(TILE_WIDTH)))[TILE_BITS]

    def first_difference(self, start: int, end: int) -> int | None:
        """Return the first place in a range where bytes and tiles differ, or where the store had a gap."""
        return next((index for index in range(start, end) if self._differs(index)), None)

    def differing_tiles(self) -> Iterator[tuple[int, int]]:
        """Yield level and index of every tile that is not what the entries make of it, the lowest first."""
        level = 0
        while self.size >> TILE_BITS * level:
            for index in range(-(-(self.size >> TILE_BITS * level) // TILE_WIDTH)):
                if self._tile_from_entries(level, index) != self.folder.read_tile(level, index):
                    yield level, index
            level += 1

    def is_end(self, index: int) -> bool:
        """Say whether nothing stands at a place or after it."""
        return not any(self.entry(later) for later in range(index, self.size))

    def _differs(self, index: int) -> bool:
        entry, stated = self.entry(index), self.stated(index)
        return stated == GAP if entry == b"" else self.found(index) != stated

    def _tile_from_entries(self, level: int, index: int) -> bytes:
        if level == 0:
            return self.leaves(index)
        first = index << TILE_BITS
        width = tile_width(self.size, level, index)
        return b"".join(self.node(level, first + place) for place in range(width))

    def _split(self, bundle: int) -> tuple[list[bytes], int]:
        data = self.folder.read_stray_bundle(bundle)
        return split_bundle(data, BUNDLE_MAX_BYTES // _SHORTEST_BYTES)
