"""The stored tree: inclusion and consistency proofs from leaf hashes and the roots of complete subtrees."""

from typing import Final

from sqlalchemy import Connection, select

from audit.origins import Origin
from audit.tables import leaf, subtree
from audit.verifier import CompactRange, node_hash
from kernel.errors import IntegrityFailed

FAN_OUT_BITS: Final = 8
"""One stored subtree root stands for 256 roots of the level below (the tile height of c2sp.org/tlog-tiles)."""


class StoredTree:
    """Reads one snapshot of one origin's tree.

    Source: RFC 9162 sections 2.1.3.1 and 2.1.4.1.
    """

    def __init__(self, connection: Connection, origin: Origin) -> None:
        self._connection = connection
        self._origin = origin
        self._cache: dict[tuple[int, int], list[bytes]] = {}

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves; raises ``IntegrityFailed`` when leaves are missing."""
        return self._range_root(0, size)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of one leaf in the tree of ``size`` leaves, from the leaf upwards."""
        start, end, path = 0, size, []
        while end - start > 1:
            split = start + _left_width(end - start)
            if index < split:
                path.append((split, end))
                end = split
            else:
                path.append((start, split))
                start = split
        return [self._range_root(*part) for part in reversed(path)]

    def consistency_proof(self, size1: int, size2: int) -> list[bytes]:
        """Return the proof that the tree of ``size2`` leaves extends that of ``size1``, 0 < size1 <= size2."""
        start, end, path, is_whole = 0, size2, [], True
        while size1 != end:
            split = start + _left_width(end - start)
            if size1 <= split:
                path.append((split, end))
                end = split
            else:
                path.append((start, split))
                start, is_whole = split, False
        if not is_whole:
            path.append((start, end))
        return [self._range_root(*part) for part in reversed(path)]

    def _range_root(self, start: int, end: int) -> bytes:
        """Return the root of leaves [start, end); ``start`` is a multiple of the range's power of two."""
        width = end - start
        if width & (width - 1):
            split = start + _left_width(width)
            return node_hash(self._range_root(start, split), self._range_root(split, end))
        if width == 0:
            return CompactRange().root()
        level, rest = divmod(width.bit_length() - 1, FAN_OUT_BITS)
        first = start >> (level * FAN_OUT_BITS)
        part = CompactRange()
        for node in self._nodes(level, first, 1 << rest):
            part.append(node)
        return part.root()

    def _nodes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return ``count`` neighbouring nodes of a level; they never cross the border of a block of 256."""
        block, offset = divmod(first, 1 << FAN_OUT_BITS)
        if (level, block) not in self._cache:
            self._cache[level, block] = self._read_block(level, block)
        nodes = self._cache[level, block][offset : offset + count]
        if len(nodes) != count:
            raise IntegrityFailed("The stored tree lacks nodes", hint="Export the log and verify it.")
        return nodes

    def _read_block(self, level: int, block: int) -> list[bytes]:
        first = block << FAN_OUT_BITS
        end = first + (1 << FAN_OUT_BITS)
        if level == 0:
            base = self._origin.base
            within = leaf.c.leaf_index.between(base + first, base + end - 1)
            query = select(leaf.c.leaf_hash).where(within).order_by(leaf.c.leaf_index)
        else:
            query = (
                select(subtree.c.hash)
                .where(
                    subtree.c.origin_no == self._origin.number,
                    subtree.c.level == level,
                    subtree.c.position.between(first, end - 1),
                )
                .order_by(subtree.c.position)
            )
        return list(self._connection.scalars(query))


def _left_width(width: int) -> int:
    """Return the largest power of two below ``width``."""
    return 1 << ((width - 1).bit_length() - 1)
