"""Which subtrees a proof consists of, and their roots from stored nodes of every 256th power.

Source: RFC 9162 sections 2.1.3.1 and 2.1.4.1.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from audit.verifier.merkle import EMPTY_ROOT, node_hash

TILE_BITS: Final = 8
"""One stored node stands for 256 of the level below (the tile height of c2sp.org/tlog-tiles)."""

NodeReader: TypeAlias = Callable[[int, int, int], Sequence[bytes]]
"""Takes level, first node and count, and returns these neighbours; they never cross the border of a tile."""


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots prove one leaf in the tree of ``size``, from the leaf upwards."""
    start, end, path = 0, size, []
    while end - start > 1:
        split = start + left_width(end - start)
        if index < split:
            path.append((split, end))
            end = split
        else:
            path.append((start, split))
            start = split
    return path[::-1]


def consistency_ranges(size1: int, size2: int) -> list[tuple[int, int]]:
    """Return the ranges whose roots prove that a tree of ``size2`` extends one of ``size1``, 0 < size1 <= size2."""
    start, end, path, is_whole = 0, size2, [], True
    while size1 != end:
        split = start + left_width(end - start)
        if size1 <= split:
            path.append((split, end))
            end = split
        else:
            path.append((start, split))
            start, is_whole = split, False
    if not is_whole:
        path.append((start, end))
    return path[::-1]


def range_root(start: int, end: int, read: NodeReader) -> bytes:
    """Return the root of leaves [start, end); ``start`` is a multiple of the range's power of two."""
    width = end - start
    if width & (width - 1):
        split = start + left_width(width)
        return node_hash(range_root(start, split, read), range_root(split, end, read))
    if width == 0:
        return EMPTY_ROOT
    level, rest = divmod(width.bit_length() - 1, TILE_BITS)
    nodes = read(level, start >> (level * TILE_BITS), 1 << rest)
    while len(nodes) > 1:
        nodes = [node_hash(*pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]


def left_width(width: int) -> int:
    """Return the largest power of two below ``width``."""
    return 1 << ((width - 1).bit_length() - 1)
