"""Proofs as texts (c2sp.org/tlog-proof): byte for byte, and nothing that is almost one."""

import base64
import hashlib

import pytest

from audit.proofs import write_proof
from audit.verifier import Checkpoint, VerificationError
from audit.verifier.policy import Policy
from audit.verifier.proofs import compare_heads, compare_with_tiles, parse_proof, verify_proof
from audit.verifier.ranges import inclusion_ranges
from audit.verifier.tiles import TiledTree, TileFolder

INDEX, SIZE = 5, 7


def proof_of(log, root_of, index=INDEX, size=SIZE):
    hashes = [root_of(log.leaves[start:end]) for start, end in inclusion_ranges(index, size)]
    return write_proof(index, hashes, log.checkpoint(size))


@pytest.fixture
def log(make):
    """Seven entries."""
    return make(SIZE)


@pytest.fixture
def proof(log, root_of):
    """The proof of the sixth."""
    return proof_of(log, root_of)


def kind_of(proof, log, entry=None, **options):
    with pytest.raises(VerificationError) as caught:
        verify_proof(proof.encode(), log.entries[INDEX] if entry is None else entry, [log.signer.key], **options)
    return caught.value.kind


def test_bytes_of_a_proof(log, proof, root_of):
    """Header, index, hashes from the leaf upwards, an empty line, the checkpoint."""
    leaves = log.leaves
    nodes = [leaves[4], leaves[6], root_of(leaves[:4])]
    lines = "".join(f"{base64.b64encode(node).decode()}\n" for node in nodes)
    assert proof == f"c2sp.org/tlog-proof@v1\nindex 5\n{lines}\n{log.checkpoint(7).decode()}"
    assert len(proof) < 2_048


def test_extra_data_goes_through_unseen(log):
    """One line more, which proves nothing."""
    text = write_proof(0, [], log.checkpoint(1), b"context")
    assert text.splitlines()[1] == "extra Y29udGV4dA=="
    parsed = parse_proof(text.encode())
    assert (parsed.extra, parsed.index, parsed.hashes, parsed.note) == (b"context", 0, (), log.checkpoint(1))
    assert verify_proof(text.encode(), log.entries[0], [log.signer.key]).size == 1


def test_every_entry_of_logs_of_many_sizes_is_proven(make, root_of):
    """From one entry on."""
    log = make(20)
    for size in range(1, 21):
        for index in range(size):
            told = verify_proof(proof_of(log, root_of, index, size).encode(), log.entries[index], [log.signer.key])
            assert (told.index, told.size, told.entry_id) == (index, size, f"ent_{index}")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("index 5", "index 4"),
        lambda text: text.replace("index 5", "index 7"),
        lambda text: text.replace("index 5", "index 05"),
        lambda text: text.replace("index 5", "index -5"),
        lambda text: text.replace("index 5", "index 5 "),
        lambda text: text.replace("index 5", "index \u0665"),
        lambda text: text.replace("index 5\n", ""),
        lambda text: text.replace("index 5", "extra \nindex 5"),
        lambda text: text.replace("index 5", "extra ?\nindex 5"),
        lambda text: text.replace("index 5", "extra YQ==\nextra YQ==\nindex 5"),
        lambda text: text.replace("index 5", "index 5\nextra YQ=="),
        lambda text: text.replace("=\n", "\n", 1),
        lambda text: text.replace("index 5\n", "index 5\n" + "A" * 43 + "=\n"),
        lambda text: text.replace("index 5\n", "index 5\n" + ("A" * 43 + "=\n") * 70),
        lambda text: text.replace("index 5\n", "index 5\nAAAA\n"),
        lambda text: text.replace("\n", "\r\n", 3),
        lambda text: "\n" + text,
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("index 5", f"extra {'A' * 70_000}\nindex 5"),
        lambda text: "\n".join(text.split("\n")[:2] + text.split("\n")[3:]),
        lambda _: "",
    ],
)
def test_what_is_almost_a_proof_is_refused(log, proof, change):
    """Strict: one form, the exact length, an index below the size."""
    assert change(proof) != proof
    assert kind_of(change(proof), log) == "proof"


@pytest.mark.parametrize("tail", ["x", "\n", " ", "\u2014 x\n"])
def test_trailing_bytes_are_refused(log, proof, tail):
    """After the checkpoint nothing follows."""
    assert kind_of(proof + tail, log) in ("checkpoint", "signature")


def test_entry_that_is_another_is_refused(log, proof):
    """Also one byte more, none at all, and one that is too large."""
    assert kind_of(proof, log, log.entries[4]) == "proof"
    assert kind_of(proof, log, log.entries[INDEX] + b"\n") == "proof"
    assert kind_of(proof, log, b"") == "malformed"
    assert kind_of(proof, log, b"x" * 16_385) == "malformed"


def test_node_is_no_leaf(log, root_of):
    """The two children of a node, given as an entry, hash to something else."""
    pair = log.leaves[0] + log.leaves[1]
    upper = [root_of(log.leaves[2:4])]
    text = write_proof(0, upper, log.checkpoint(4))
    assert kind_of(text, log, pair) == "proof"
    assert hashlib.sha256(b"\x01" + pair).digest() == root_of(log.leaves[:2])


def test_foreign_checkpoint_and_missing_quorum_are_refused(log, proof, signer_of):
    """Another key, and a policy that nobody met."""
    witness = signer_of(9, "witness.example", 4)
    policy = Policy.parse(f"witness w {witness.key}\nquorum w\n".encode())
    assert kind_of(proof, log, policy=policy) == "quorum"
    cosigned = proof + witness.cosign(log.text(SIZE)).decode()
    told = verify_proof(cosigned.encode(), log.entries[INDEX], [log.signer.key], policy)
    assert told.witnesses == ("witness.example",)
    with pytest.raises(VerificationError) as caught:
        verify_proof(proof.encode(), log.entries[INDEX], [signer_of(2).key])
    assert caught.value.kind == "key"


def test_consistency_of_every_two_sizes_is_shown_by_tiles(make, tmp_path):
    """Over the border of a tile, and from the checkpoint to itself; nothing follows from the empty log."""
    log = make(300)
    tree = TiledTree(TileFolder(str(log.write(tmp_path / "export")), 300))
    sizes = (1, 2, 100, 255, 256, 257, 299, 300)
    heads = [Checkpoint("o", size, log.root(size), b"") for size in sizes]
    for one in heads:
        for other in heads:
            compare_with_tiles(one, other, tree)
    with pytest.raises(VerificationError):
        compare_with_tiles(Checkpoint("o", 0, log.root(0), b""), heads[0], tree)


def test_fork_between_two_sizes_is_shown_by_tiles(make, tmp_path):
    """The larger one extends another tree than the smaller one."""
    log = make(300)
    tree = TiledTree(TileFolder(str(log.write(tmp_path / "export")), 300))
    new = Checkpoint("o", 300, log.root(300), b"")
    for size, root, kind in ((100, bytes(32), "forked"), (300, bytes(32), "forked")):
        with pytest.raises(VerificationError) as caught:
            compare_with_tiles(Checkpoint("o", size, root, b""), new, tree)
        assert caught.value.kind == kind
    with pytest.raises(VerificationError) as caught:
        compare_with_tiles(Checkpoint("o", 100, log.root(100), b""), Checkpoint("o", 300, bytes(32), b""), tree)
    assert caught.value.kind == "proof"


def test_checkpoints_of_two_logs_are_not_compared():
    """Different origins."""
    with pytest.raises(VerificationError) as caught:
        compare_heads(Checkpoint("a", 1, bytes(32), b""), Checkpoint("b", 1, bytes(32), b""), ())
    assert caught.value.kind == "checkpoint"
