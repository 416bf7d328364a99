"""Hashing of stored bytes, a bundle of 256 entries at a time: no entry costs a call of a function of ours.

Source: RFC 6962 section 2.1; c2sp.org/tlog-tiles.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Final

from audit.verifier.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange
from audit.verifier.ranges import TILE_BITS
from audit.verifier.tiles import TILE_WIDTH

_PAIR_BYTES: Final = 2 * HASH_BYTES


def split_bundle(data: bytes, width: int) -> tuple[list[bytes], int]:
    """Return the first ``width`` entries of a bundle, as far as they are there, and the number of bytes left over.

    Layout: for each entry its length (2 bytes, big-endian) and its bytes.
    """
    entries: list[bytes] = []
    position, end = 0, len(data)
    for _ in range(width):
        start = position + 2
        if start > end:
            break
        stop = start + (data[position] << 8 | data[position + 1])
        if stop > end:
            break
        entries.append(data[start:stop])
        position = stop
    return entries, end - position


def leaf_hashes(entries: list[bytes]) -> list[bytes]:
    """Return SHA-256(0x00 | entry) of each."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def tile_levels(hashes: bytes) -> list[bytes]:
    """Return the nodes of the complete subtrees over at most 256 joined hashes, joined, by height from 0."""
    sha256 = hashlib.sha256
    levels = [hashes]
    while len(nodes := levels[-1]) >= _PAIR_BYTES:
        ends = range(_PAIR_BYTES, len(nodes) + 1, _PAIR_BYTES)
        levels.append(b"".join([sha256(b"\x01" + nodes[end - _PAIR_BYTES : end]).digest() for end in ends]))
    return levels


class Growth:
    """A tree that grows by tiles, compared with every known checkpoint on its way.

    Attributes:
        size: leaves so far.
        proven: size of the largest checkpoint that fits before one did not.
        agreed: size of the largest checkpoint that fits.
        refuted: size of the first checkpoint that does not fit, or None.
    """

    def __init__(self, roots: Mapping[int, Collection[bytes]]) -> None:
        """Take the roots of the known checkpoints by size; two roots of one size cannot both fit."""
        self.size = self.proven = self.agreed = 0
        self.refuted: int | None = None
        self._roots = roots
        self._sizes = sorted(roots, reverse=True)
        self._tiles = CompactRange()
        if self._sizes and self._sizes[-1] == 0:
            self._compare(self._sizes.pop(), EMPTY_ROOT)

    def take(self, hashes: bytes) -> list[bytes]:
        """Add the hashes of one tile, which is partial only at the end.

        Returns:
            the roots of the subtrees of 256, 512, 1024 … leaves that it completes.
        """
        levels = tile_levels(hashes)
        end = self.size + len(hashes) // HASH_BYTES
        while self._sizes and self._sizes[-1] <= end:
            self._compare(known := self._sizes.pop(), self._root(known, levels))
        self.size = end
        return self._tiles.append(levels[TILE_BITS]) if len(hashes) == TILE_WIDTH * HASH_BYTES else []

    def _root(self, size: int, levels: list[bytes]) -> bytes:
        """Return the root at a size inside the tile that is being added."""
        within = size - self.size
        ends = [(height, within >> height) for height in range(TILE_BITS, -1, -1) if within >> height & 1]
        peaks = [levels[height][(end - 1) * HASH_BYTES : end * HASH_BYTES] for height, end in ends]
        return CompactRange(size, [*self._tiles.peaks, *peaks]).root()

    def _compare(self, size: int, root: bytes) -> None:
        if set(self._roots[size]) != {root}:
            self.refuted = size if self.refuted is None else self.refuted
            return
        self.agreed = size
        if self.refuted is None:
            self.proven = size
