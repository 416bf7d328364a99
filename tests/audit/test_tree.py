"""Proofs from the stored tree, checked by the verifier."""

import hashlib

import pytest
from sqlalchemy import insert

from audit.origins import FIRST
from audit.tables import leaf, subtree
from audit.tree import StoredTree
from audit.verifier import EMPTY_ROOT, CompactRange, check_consistency, check_inclusion, node_hash
from kernel.errors import IntegrityFailed


def naive_root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    return node_hash(naive_root(hashes[:split]), naive_root(hashes[split:]))


@pytest.fixture
def plant(desk, clock):
    """Store leaves with made-up hashes, and the subtree roots that belong to them."""

    def planted(count):
        hashes = [hashlib.sha256(str(number).encode()).digest() for number in range(count)]
        tree, roots = CompactRange(), []
        for hashed in hashes:
            completed = tree.append(hashed)
            for level, root in enumerate(completed[8::8], start=1):
                roots.append({"origin_no": 1, "level": level, "position": (tree.size >> 8 * level) - 1, "hash": root})
        fixed = {
            "body": b"",
            "at": clock.now(),
            "act": "a",
            "outcome": "o",
            "actor": "a",
            "role": "r",
            "request_id": "q",
        }
        rows = [
            {"leaf_index": index, "entry_id": str(index), "leaf_hash": hashed, **fixed}
            for index, hashed in enumerate(hashes)
        ]
        with desk.database.write() as connection:
            connection.execute(insert(leaf), rows)
            if roots:
                connection.execute(insert(subtree), roots)
        return hashes

    return planted


def test_every_proof_of_small_trees_verifies(desk, plant):
    """All sizes and places up to 40: what the tree proves, the verifier accepts."""
    hashes = plant(40)
    with desk.database.read() as connection:
        tree = StoredTree(connection, FIRST)
        roots = {size: tree.root(size) for size in range(1, 41)}
        assert roots == {size: naive_root(hashes[:size]) for size in range(1, 41)}
        for size in range(1, 41):
            for index in range(size):
                check_inclusion(index, size, hashes[index], tree.inclusion_proof(index, size), roots[size])
            for smaller in range(1, size + 1):
                proof = tree.consistency_proof(smaller, size)
                check_consistency(smaller, size, proof, roots[smaller], roots[size])


def test_proofs_of_a_tree_with_three_levels_verify(desk, plant):
    """Beyond 65,536 leaves the proofs read stored subtree roots of two levels."""
    hashes = plant(66_100)
    size = len(hashes)
    with desk.database.read() as connection:
        tree = StoredTree(connection, FIRST)
        root = tree.root(size)
        assert root == naive_root(hashes)
        for index in (0, 255, 256, 32_768, 65_535, 65_536, 66_047, 66_048, size - 1):
            check_inclusion(index, size, hashes[index], tree.inclusion_proof(index, size), root)
        for smaller in (1, 255, 256, 257, 40_000, 65_535, 65_536, 65_537, 66_099):
            check_consistency(smaller, size, tree.consistency_proof(smaller, size), tree.root(smaller), root)


def test_empty_tree_has_the_empty_root(desk):
    """The root of nothing is the hash of nothing."""
    with desk.database.read() as connection:
        assert StoredTree(connection, FIRST).root(0) == EMPTY_ROOT


def test_missing_leaves_make_no_proof(desk, plant):
    """A proof over rows that are not there is an error, not a wrong proof."""
    plant(10)
    with desk.database.read() as connection, pytest.raises(IntegrityFailed, match="lacks nodes"):
        StoredTree(connection, FIRST).inclusion_proof(3, 20)
