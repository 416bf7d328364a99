"""Hashes and proofs of the Merkle tree.

Source: RFC 6962 section 2.1, RFC 9162 section 2.1.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from audit.verifier.failures import VerificationError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 | entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 | left | right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class CompactRange:
    """The roots of the perfect subtrees of a growing tree, left to right: enough to append and to compute the root."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> list[bytes]:
        """Add one leaf hash at the right; returns the roots of the subtrees that it completes, by height from 0."""
        completed, rest = [leaf], self.size
        while rest & 1:
            completed.append(node_hash(self.peaks.pop(), completed[-1]))
            rest >>= 1
        self.peaks.append(completed[-1])
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the Merkle tree hash (RFC 6962 section 2.1)."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def check_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ``VerificationError`` unless the proof shows that ``leaf`` (a leaf hash) stands at ``index`` of the tree.

    Source: RFC 9162 section 2.1.3.2; the proof's length is exact.
    """
    if not 0 <= index < size:
        raise VerificationError("proof", "index {} lies outside a tree of {}", index, size)
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    _check_shape(proof, inner + border, leaf)
    computed = _chain_inner(leaf, proof[:inner], index)
    for node in proof[inner:]:
        computed = node_hash(node, computed)
    _check_equal(computed, root, "inclusion proof does not lead to the root")


def check_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Raise ``VerificationError`` unless the proof shows that the second tree extends the first.

    A proof from the empty tree proves nothing and is refused.
    Source: RFC 9162 section 2.1.4.2; the proof's length is exact.
    """
    if not 0 < size1 <= size2:
        raise VerificationError("proof", "that a tree of {} extends one of {} cannot be proven", size2, size1)
    if size1 == size2:
        _check_shape(proof, 0)
        _check_equal(root1, root2, "two trees of one size have different roots")
    else:
        _check_larger(size1, size2, proof, root1, root2)


def _check_larger(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    shift = (size1 & -size1).bit_length() - 1
    index = size1 - 1
    inner = (index ^ (size2 - 1)).bit_length()
    border = (index >> inner).bit_count()
    is_power = size1 == 1 << shift
    _check_shape(proof, (0 if is_power else 1) + inner - shift + border)
    seed, rest = (root1, proof) if is_power else (proof[0], proof[1:])
    inner_nodes, border_nodes, mask = rest[: inner - shift], rest[inner - shift :], index >> shift
    first, second = seed, _chain_inner(seed, inner_nodes, mask)
    for position, node in enumerate(inner_nodes):
        if mask >> position & 1:
            first = node_hash(node, first)
    for node in border_nodes:
        first, second = node_hash(node, first), node_hash(node, second)
    _check_equal(first, root1, "consistency proof does not lead to the first root")
    _check_equal(second, root2, "consistency proof does not lead to the second root")


def _chain_inner(seed: bytes, nodes: Sequence[bytes], index: int) -> bytes:
    for position, node in enumerate(nodes):
        seed = node_hash(node, seed) if index >> position & 1 else node_hash(seed, node)
    return seed


def _check_shape(proof: Sequence[bytes], length: int, *hashes: bytes) -> None:
    if len(proof) != length:
        raise VerificationError("proof", "a proof of {} hashes stands where {} are needed", len(proof), length)
    if any(len(node) != HASH_BYTES for node in (*proof, *hashes)):
        raise VerificationError("proof", "a hash is not 32 bytes long")


def _check_equal(computed: bytes, stated: bytes, message: str) -> None:
    if computed != stated:
        raise VerificationError("proof", message)
