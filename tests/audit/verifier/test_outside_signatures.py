"""Ed25519 as outside vectors judge it: what certificates, checkpoints and witnesses are believed by."""

import json

import pytest

from audit.verifier.notes import VerifierKey


def test_outside_ed25519_vectors_agree(outside_vectors):
    """Every Wycheproof case: malleable, cut, long and foreign signatures among them."""
    path = outside_vectors / "wycheproof" / "ed25519_test.json"
    if not path.is_file():
        pytest.skip("outside vectors: wycheproof/ed25519_test.json is not there")
    judged = 0
    for group in json.loads(path.read_text())["testGroups"]:
        key = VerifierKey("outside.example/log", bytes.fromhex(group["publicKey"]["pk"]))
        for case in group["tests"]:
            said = key.is_signed(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert said is (case["result"] == "valid"), case["tcId"]
            judged += 1
    assert judged >= 150
