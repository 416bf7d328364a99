"""Which key may sign what, and how trust in one key reaches the others."""

import json

import pytest

from audit.verifier import VerificationError, verify_export
from audit.verifier.handovers import HANDOVER_HEADER, KeyChain

ROOT = "A" * 43 + "="


@pytest.fixture
def keys(signer_of):
    """Four keys of one log, and one of another."""
    return [signer_of(seed) for seed in range(1, 5)] + [signer_of(9, "other.example")]


@pytest.fixture
def hand_over(note_of):
    """Make the note of a hand-over, signed by both keys or by others."""

    def made(retired, following, size, *, root=ROOT, signers=None, **changed):
        lines = {
            "header": HANDOVER_HEADER,
            "origin": retired.key.name,
            "old": retired.key,
            "new": following.key,
            "size": size,
            "root": root,
            **changed,
        }
        text = "".join(f"{line}\n" for line in lines.values()).encode()
        return note_of(text, *(signer.sign(text) for signer in (signers or (retired, following))))

    return made


@pytest.fixture
def head(text_of, note_of):
    """Make a checkpoint of a size, signed by some keys."""

    def made(size, *signers):
        text = text_of(size, bytes(32))
        return note_of(text, *(signer.sign(text) for signer in signers))

    return made


def refused(call, *arguments):
    with pytest.raises(VerificationError) as caught:
        call(*arguments)
    return caught.value


def test_bytes_of_a_hand_over(keys, hand_over):
    """Six lines, then both signatures."""
    text, _, signatures = hand_over(keys[0], keys[1], 7).decode().partition("\n\n")
    assert text == (f"consentry log key handover v1\nlog.example/audit\n{keys[0].key}\n{keys[1].key}\n7\n{ROOT}")
    assert signatures.count("\u2014 log.example/audit ") == 2


@pytest.mark.parametrize("trusted", [0, 1, 2])
def test_any_key_of_the_chain_reaches_the_others(keys, hand_over, head, trusted):
    """Forwards from an early one, backwards from a late one; at a hand-over either may sign."""
    chain = KeyChain(keys[trusted].key, [hand_over(keys[0], keys[1], 5), hand_over(keys[1], keys[2], 9)])
    for size, signer in ((0, 0), (5, 0), (5, 1), (7, 1), (9, 1), (9, 2), (100, 2)):
        assert chain.open(head(size, keys[signer])).size == size
    assert chain.open(head(5, keys[0], keys[1])).size == 5


@pytest.mark.parametrize(
    ("size", "signers", "said"),
    [
        (6, (0,), "retired key"),
        (10, (1,), "retired key"),
        (4, (1,), "before its first"),
        (8, (2,), "before its first"),
        (6, (0, 1), "retired key"),
        (6, (3,), "signed by another key"),
    ],
)
def test_key_that_was_not_in_charge_is_refused(keys, hand_over, head, size, signers, said):  # noqa: PLR0917
    """A retired key signs nothing new, also not beside the right one; a new one nothing old."""
    chain = KeyChain(keys[1].key, [hand_over(keys[0], keys[1], 5), hand_over(keys[1], keys[2], 9)])
    failure = refused(chain.open, head(size, *(keys[number] for number in signers)))
    assert failure.kind == ("key" if "another" in said else "signature")
    assert said in failure.message


def test_bad_signature_of_any_key_of_the_chain_rejects(keys, hand_over, head):
    """Even beside a good one."""
    chain = KeyChain(keys[0].key, [hand_over(keys[0], keys[1], 5)])
    bad = head(5, keys[0]) + keys[1].line(bytes(64))
    assert "is bad" in refused(chain.open, bad).message


def test_checkpoint_of_another_log_is_refused(keys, text_of, note_of):
    """The same key under another origin."""
    text = text_of(5, bytes(32), "other.example")
    assert refused(KeyChain(keys[0].key).open, note_of(text, keys[0].sign(text))).kind == "checkpoint"


def test_chains_that_are_none_are_refused(keys, hand_over):
    """Gaps, forks, sizes that go back, keys that come back, a trusted key outside."""
    first, second = hand_over(keys[0], keys[1], 5), hand_over(keys[1], keys[2], 9)
    for trusted, notes in (
        (0, [second, first]),
        (0, [first, first]),
        (0, [first, hand_over(keys[0], keys[2], 9)]),
        (0, [first, hand_over(keys[2], keys[3], 9)]),
        (0, [first, hand_over(keys[1], keys[2], 4)]),
        (0, [first, hand_over(keys[1], keys[0], 9)]),
        (3, [first, second]),
        (0, [second]),
    ):
        assert refused(KeyChain, keys[trusted].key, notes).kind == "handover"
    assert KeyChain(keys[0].key, [first, hand_over(keys[1], keys[2], 5)]).keys[-1] == keys[2].key


def test_hand_over_needs_both_signatures_and_its_form(keys, hand_over):
    """One key alone hands nothing over, nor takes it."""
    old, new, third, _, other = keys
    for note in (
        hand_over(old, new, 5, signers=(old,)),
        hand_over(old, new, 5, signers=(new,)),
        hand_over(old, new, 5, signers=(old, third)),
        hand_over(old, new, 5) + new.line(bytes(64)),
        hand_over(old, new, "05"),
        hand_over(old, new, -1),
        hand_over(old, new, 5, root="AAAA"),
        hand_over(old, new, 5, root="?"),
        hand_over(old, new, 5, header="consentry log key handover v2"),
        hand_over(old, new, 5, more="line"),
        hand_over(old, new, 5, old="a+b+c"),
        hand_over(old, new, 5, old=f" {old.key}"),
        hand_over(old, new, 5, origin="other.example"),
        hand_over(old, other, 5),
        hand_over(old, old, 5),
    ):
        assert refused(KeyChain, old.key, [note]).kind == "handover"


@pytest.fixture
def rotated(make, tmp_path, keys, hand_over):
    """An export over a hand-over at 100 of 150 entries, its older checkpoints by the older key."""
    log = make(150, 60, 100)
    folder = log.write(tmp_path / "export")
    root = log.text(100).decode().splitlines()[2]
    (folder / "handovers.ndjson").write_text(json.dumps(hand_over(keys[0], keys[1], 100, root=root).decode()) + "\n")
    text = log.text(150)
    (folder / "checkpoint").write_bytes(text + b"\n" + keys[1].sign(text))
    return folder


def test_export_verifies_over_a_hand_over_from_either_key(rotated, keys):
    """With the first key and with the last one."""
    for key in keys[:2]:
        report = verify_export(rotated, key.key)
        assert (report.size, report.checkpoints, report.handovers) == (150, 3, 1)
    assert refused(verify_export, rotated, keys[2].key).kind == "handover"


def test_hand_over_over_another_tree_is_a_fork(rotated, keys, hand_over):
    """What both keys signed counts like a checkpoint."""
    note = hand_over(keys[0], keys[1], 100)
    (rotated / "handovers.ndjson").write_text(json.dumps(note.decode()) + "\n")
    assert refused(verify_export, rotated, keys[0].key).kind == "forked"


def test_export_without_its_hand_overs_shows_a_foreign_signature(rotated, keys):
    """The later key is a stranger to the first."""
    (rotated / "handovers.ndjson").unlink()
    failure = refused(verify_export, rotated, keys[0].key)
    assert failure.kind == "key"


def test_number_of_hand_overs_is_bounded(rotated, keys):
    """A file that never ends is not read to its end."""
    line = (rotated / "handovers.ndjson").read_text()
    (rotated / "handovers.ndjson").write_text(line * 1_001)
    assert "more than" in refused(verify_export, rotated, keys[0].key).message
