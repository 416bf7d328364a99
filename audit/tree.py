"""The stored tree: inclusion and consistency proofs from leaf hashes and the roots of complete subtrees."""

from typing import Final

from sqlalchemy import BigInteger, Connection, bindparam, select

from audit.origins import Origin
from audit.tables import as_bytes, leaf, subtree
from audit.verifier.ranges import TILE_BITS, consistency_ranges, inclusion_ranges, range_root
from kernel.errors import IntegrityFailed
from kernel.prepared import Prepared


class StoredTree:
    """Reads one snapshot of one origin's tree.

    Attributes:
        origin: whose tree.

    Source: RFC 9162 sections 2.1.3.1 and 2.1.4.1.
    """

    def __init__(self, connection: Connection, origin: Origin) -> None:
        self._connection = connection
        self.origin = origin
        self._cache: dict[tuple[int, int], list[bytes]] = {}
        self._roots: dict[tuple[int, int], bytes] = {}

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves; raises ``IntegrityFailed`` when leaves are missing."""
        return range_root(0, size, self._nodes)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of one leaf in the tree of ``size`` leaves, from the leaf upwards."""
        return [self._root_of(*part) for part in inclusion_ranges(index, size)]

    def consistency_proof(self, size1: int, size2: int) -> list[bytes]:
        """Return the proof that the tree of ``size2`` leaves extends that of ``size1``, 0 < size1 <= size2."""
        return [range_root(*part, self._nodes) for part in consistency_ranges(size1, size2)]

    def _root_of(self, start: int, end: int) -> bytes:
        """Return the root of a part, which neighbours have in common."""
        found = self._roots.get((start, end))
        if found is None:
            found = self._roots[start, end] = range_root(start, end, self._nodes)
        return found

    def _nodes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return ``count`` neighbouring nodes of a level; they never cross the border of a tile."""
        block, offset = divmod(first, 1 << TILE_BITS)
        if (level, block) not in self._cache:
            self._cache[level, block] = self._read_block(level, block)
        nodes = self._cache[level, block][offset : offset + count]
        if len(nodes) != count:
            raise IntegrityFailed("The stored tree lacks nodes", hint="Export the log and verify it.")
        return nodes

    def _read_block(self, level: int, block: int) -> list[bytes]:
        first = block << TILE_BITS
        last = first + (1 << TILE_BITS) - 1
        if level == 0:
            base = self.origin.base
            rows = _LEAVES.rows(self._connection, first=base + first, last=base + last)
        else:
            place = {"number": self.origin.number, "level": level}
            rows = _SUBTREES.rows(self._connection, **place, first=first, last=last)
        return [as_bytes(stored) for (stored,) in rows]


_FIRST: Final = bindparam("first", type_=BigInteger)
_LAST: Final = bindparam("last", type_=BigInteger)
_LEAVES: Final = Prepared(
    select(leaf.c.leaf_hash).where(leaf.c.leaf_index.between(_FIRST, _LAST)).order_by(leaf.c.leaf_index)
)
_SUBTREES: Final = Prepared(
    select(subtree.c.hash)
    .where(
        subtree.c.origin_no == bindparam("number"),
        subtree.c.level == bindparam("level"),
        subtree.c.position.between(_FIRST, _LAST),
    )
    .order_by(subtree.c.position)
)
