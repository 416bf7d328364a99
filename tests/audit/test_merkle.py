"""The verifier's hashing and proofs."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.verifier import (
    EMPTY_ROOT,
    CompactRange,
    VerificationError,
    check_consistency,
    check_inclusion,
    leaf_hash,
    node_hash,
)

REFERENCE_LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
REFERENCE_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""The reference tree of the Certificate Transparency project, used by every implementation of RFC 6962."""


def test_roots_of_the_reference_tree():
    """Leaf and node hashes are those of RFC 6962."""
    tree = CompactRange()
    assert tree.root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
    for leaf, root in zip(REFERENCE_LEAVES, REFERENCE_ROOTS, strict=True):
        tree.append(leaf_hash(bytes.fromhex(leaf)))
        assert tree.root().hex() == root


def test_append_reports_the_subtrees_that_it_completes():
    """The fourth leaf completes a pair and a quad."""
    tree = CompactRange()
    leaves = [leaf_hash(bytes([number])) for number in range(4)]
    assert [len(tree.append(leaf)) for leaf in leaves] == [1, 2, 1, 3]
    assert tree.peaks == [node_hash(node_hash(*leaves[:2]), node_hash(*leaves[2:]))]


def _decoded(document, *names):
    return [base64.b64decode(document[name] or "") for name in names]


def _outcome(check, *arguments):
    try:
        check(*arguments)
    except VerificationError:
        return True
    return False


@pytest.mark.parametrize(("kind", "negatives"), [("inclusion", 92), ("consistency", 92)])
def test_outside_vectors(outside_vectors, kind, negatives):
    """Every published proof is accepted or refused as its authors say."""
    documents = [
        json.loads(path.read_text()) for path in (outside_vectors / "rfc6962-proofs/testdata" / kind).rglob("*.json")
    ]
    wrong = []
    for document in documents:
        proof = [base64.b64decode(node) for node in document["proof"] or ()]
        if kind == "inclusion":
            leaf, root = _decoded(document, "leafHash", "root")
            refused = _outcome(check_inclusion, document["leafIdx"], document["treeSize"], leaf, proof, root)
        else:
            roots = _decoded(document, "root1", "root2")
            refused = _outcome(check_consistency, document["size1"], document["size2"], proof, *roots)
        if refused != document["wantErr"]:
            wrong.append(document["desc"])
    assert wrong == []
    assert (len(documents), sum(document["wantErr"] for document in documents)) == (98, negatives)


LEAVES = [leaf_hash(bytes([number])) for number in range(8)]
PAIRS = [node_hash(LEAVES[index], LEAVES[index + 1]) for index in range(0, 8, 2)]
QUADS = [node_hash(PAIRS[0], PAIRS[1]), node_hash(PAIRS[2], PAIRS[3])]
ROOT = node_hash(*QUADS)
PROOF_OF_2 = [LEAVES[3], PAIRS[0], QUADS[1]]


def test_right_inclusion_proof_is_accepted():
    """The proofs below fail for their own reason only."""
    check_inclusion(2, 8, LEAVES[2], PROOF_OF_2, ROOT)


@pytest.mark.parametrize(
    ("index", "size", "leaf", "proof", "root"),
    [
        (8, 8, LEAVES[2], PROOF_OF_2, ROOT),
        (-1, 8, LEAVES[2], PROOF_OF_2, ROOT),
        (0, 0, LEAVES[2], [], EMPTY_ROOT),
        (3, 8, LEAVES[2], PROOF_OF_2, ROOT),
        (2, 9, LEAVES[2], PROOF_OF_2, ROOT),
        (2, 4, LEAVES[2], PROOF_OF_2, ROOT),
        (2, 8, LEAVES[3], PROOF_OF_2, ROOT),
        (2, 8, LEAVES[2], PROOF_OF_2[:2], ROOT),
        (2, 8, LEAVES[2], [*PROOF_OF_2, ROOT], ROOT),
        (2, 8, LEAVES[2], [*PROOF_OF_2[:2], b""], ROOT),
        (2, 8, LEAVES[2][:31], PROOF_OF_2, ROOT),
        (2, 8, LEAVES[2], PROOF_OF_2, QUADS[0]),
    ],
)
def test_wrong_inclusion_proof_is_refused(index, size, leaf, proof, root):
    """Index below size, exact length, 32-byte hashes, the right root."""
    with pytest.raises(VerificationError):
        check_inclusion(index, size, leaf, proof, root)


@pytest.mark.parametrize(
    ("sizes", "proof", "roots"),
    [
        ((0, 0), [], (EMPTY_ROOT, EMPTY_ROOT)),
        ((0, 8), [], (EMPTY_ROOT, ROOT)),
        ((0, 8), [ROOT], (EMPTY_ROOT, ROOT)),
        ((8, 4), [QUADS[1]], (ROOT, QUADS[0])),
        ((-1, 8), [], (ROOT, ROOT)),
        ((8, 8), [ROOT], (ROOT, ROOT)),
        ((8, 8), [], (ROOT, QUADS[0])),
        ((4, 8), [], (QUADS[0], ROOT)),
        ((4, 8), [QUADS[1], ROOT], (QUADS[0], ROOT)),
        ((4, 8), [QUADS[1]], (QUADS[1], ROOT)),
        ((4, 8), [QUADS[1]], (QUADS[0], QUADS[1])),
        ((4, 8), [QUADS[1][:31]], (QUADS[0], ROOT)),
    ],
)
def test_wrong_consistency_proof_is_refused(sizes, proof, roots):
    """Nothing follows from the empty tree; lengths and both roots are exact."""
    with pytest.raises(VerificationError):
        check_consistency(*sizes, proof, *roots)


def test_right_consistency_proof_is_accepted():
    """A tree of four, extended by the second quad; and a tree that stayed."""
    check_consistency(4, 8, [QUADS[1]], QUADS[0], ROOT)
    check_consistency(8, 8, [], ROOT, ROOT)


@given(st.integers(0, 300), st.integers(1, 300), st.lists(st.binary(min_size=32, max_size=32), max_size=10))
def test_made_up_proofs_are_refused(index, size, proof):
    """Arbitrary proofs are refused by a VerificationError, never by another error."""
    with pytest.raises(VerificationError):
        check_inclusion(index, size, LEAVES[0], proof, EMPTY_ROOT)
    with pytest.raises(VerificationError):
        check_consistency(index, size, proof, LEAVES[0], LEAVES[1])
