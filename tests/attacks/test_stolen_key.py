"""The signing key is copied, with store and signer's memory in the same hand; other parties have cosigned."""

import base64

import pytest

from audit.cosignatures import cosign
from audit.notes import sign_checkpoint
from audit.signing import NoteSigner, create_signing_key
from audit.verifier.notes import COSIGNATURE
from audit.witnessing import Stand
from kernel.clock import SystemClock
from tests.attacks.conftest import forge

AT = 300


@pytest.fixture
def thief(house):
    """A copy of everything in which one entry says something else, hashed and signed as if it had always been so."""
    stolen = house.copy("thief")
    bodies = stolen.bodies()
    stolen.put_bodies([*bodies[:AT], forge(bodies[AT], actor="usr_somebody_else"), *bodies[AT + 1 :]])
    stolen.rebuild()
    stolen.forget_signer()
    return stolen


def test_log_signed_anew_looks_whole_to_who_has_the_key_alone(thief):
    """The limit: start, verifier and comparison have nothing to hold against it."""
    assert (thief.start(), thief.verified(), thief.reconciled()) == ("", {}, [])


def test_log_signed_anew_is_found_by_a_held_checkpoint(thief):
    """The real key signed both: the thief cannot take the earlier one back."""
    assert thief.verified("--checkpoint", thief.held)["kind"] == "forked"


def test_log_signed_anew_gets_no_cosignature_at_the_same_size(house, thief, witnesses):
    """409: the witness has another root at this size."""
    house.cosigned(witnesses, "w1")
    assert [one.stand for one in thief.ask(witnesses, "w1")[1]] == [Stand.CONTRADICTS]


def test_log_signed_anew_gets_no_cosignature_beyond(house, thief, witnesses):
    """422: no proof leads from the root that the witness knows."""
    house.cosigned(witnesses, "w1")
    thief.live_on(3)
    assert [one.stand for one in thief.ask(witnesses, "w1")[1]] == [Stand.CONTRADICTS]


def test_log_signed_anew_misses_the_quorum(house, thief, witnesses):
    """One of three was never asked before, and cosigns whatever it sees first; the policy wants two."""
    house.cosigned(witnesses, "w1", "w2")
    note = thief.cosigned(witnesses, "w3").read_bytes()
    assert thief.proven(AT, note, witnesses.policy(2))["kind"] == "quorum"


def test_cosignatures_that_are_none_make_no_quorum(house, witnesses):
    """Taken away, counted twice, made with a key of one's own, taken from another checkpoint, or changed."""
    older = house.cosigned(witnesses, "w2").read_bytes().splitlines(keepends=True)
    house.live_on(1)
    *text, w1, w2 = house.cosigned(witnesses, "w1", "w2").read_bytes().splitlines(keepends=True)
    mine = NoteSigner("w2.example", b"m" * 32, algorithm=COSIGNATURE)
    own = cosign(b"".join(text[:3]).decode(), mine, SystemClock().now())
    lines = {
        "whole": [w1, w2],
        "stripped": [w1],
        "duplicated": [w1, w1],
        "own key": [w1, own],
        "replayed": [w1, older[-1]],
        "damaged": [w1, damaged(w2)],
    }
    policy = witnesses.policy(2)
    found = {trick: house.proven(AT, b"".join([*text, *some]), policy).get("kind") for trick, some in lines.items()}
    assert found == {
        "whole": None,
        "stripped": "quorum",
        "duplicated": "quorum",
        "own key": "quorum",
        "replayed": "signature",
        "damaged": "signature",
    }


def damaged(line):
    """A signature line with another last byte."""
    dash, name, told = line.split()
    raw = base64.b64decode(told)
    return b" ".join([dash, name, base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1]))]) + b"\n"


def test_replayed_checkpoint_of_the_same_log_is_not_the_newest(house, witnesses):
    """An old note with all its cosignatures, put below an export, leaves entries that nobody cosigned."""
    seen = house.cosigned(witnesses, "w1", "w2")
    house.live_on(3)
    assert house.verified("--checkpoint", seen, "--policy", witnesses.policy(2))["kind"] == "quorum"


def test_checkpoint_of_another_log_is_refused(house, tmp_path):
    """Signed, and by a key of the same name, but by another one."""
    other = NoteSigner(house.origin, b"o" * 32)
    (tmp_path / "foreign").write_bytes(sign_checkpoint(house.size, b"\0" * 32, other).note)
    assert house.verified("--checkpoint", tmp_path / "foreign")["kind"] == "key"


def test_key_of_the_intruders_own_does_not_start(house):
    """The signer's memory is another key's."""
    (house.home / "signing.key").unlink()
    create_signing_key(house.home / "signing.key", house.origin)
    assert house.start() == "The signer's state is damaged or another log's"


def test_key_of_the_intruders_own_without_any_memory_is_found_by_who_has_the_real_one(thief):
    """It starts; the public key that left the house at the beginning does not fit."""
    (thief.home / "signing.key").unlink()
    create_signing_key(thief.home / "signing.key", thief.origin)
    assert thief.start() == ""
    assert thief.verified()["kind"] == "key"
