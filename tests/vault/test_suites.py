"""Suites: published vectors, outside vectors, and what happens where one cannot be had."""

import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import Camellia
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kernel.errors import ConfigurationError, IntegrityFailed
from vault._keys import MacKey, WrappingKey
from vault.envelope import DataKey
from vault.suites import AES, SM, SUITES, GcmAead, Suite, check_supported, suite_named, suite_of


def outside(folder: Path, name: str) -> list[dict]:
    """The groups of one Wycheproof file."""
    path = folder / "wycheproof" / name
    if not path.is_file():
        pytest.skip(f"outside vectors: wycheproof/{name} is not there")
    return json.loads(path.read_text())["testGroups"]


def test_sm4_gcm_is_that_of_rfc_8998():
    """The example of RFC 8998 appendix A.1."""
    key = DataKey(bytes(8), bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"), SM)
    nonce = bytes.fromhex("00001234567800000000ABCD")
    letters = "AABBCCDDEEFFEEAA"
    plaintext = b"".join(bytes.fromhex(letters[at : at + 2]) * 8 for at in range(0, len(letters), 2))
    associated_data = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    sealed = bytes.fromhex(
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
        "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        "83DE3541E4C2B58177E065A9BF7B62EC"
    )
    assert key.encrypt(nonce, plaintext, associated_data) == sealed
    assert key.decrypt(nonce, sealed, associated_data) == plaintext


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
)
def test_sm3_is_that_of_the_standard(message, digest):
    """Both examples of GB/T 32905-2016 appendix A."""
    state = hashes.Hash(SM.digest)
    state.update(message)
    assert state.finalize().hex() == digest


@pytest.mark.parametrize(("suite", "name", "at_least"), [(AES, "aes_gcm_test.json", 60), (SM, "sm4_gcm_test.json", 65)])
def test_outside_gcm_vectors_agree(outside_vectors, suite, name, at_least):
    """Every Wycheproof case with our key, nonce and tag sizes is judged as it says."""
    judged = 0
    for group in outside(outside_vectors, name):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (8 * suite.key_bytes, 96, 128):
            continue
        for case in group["tests"]:
            key = DataKey(bytes(8), bytes.fromhex(case["key"]), suite)
            nonce, aad = bytes.fromhex(case["iv"]), bytes.fromhex(case["aad"])
            message, sealed = bytes.fromhex(case["msg"]), bytes.fromhex(case["ct"] + case["tag"])
            judged += 1
            if case["result"] == "valid":
                assert key.encrypt(nonce, message, aad) == sealed
                assert key.decrypt(nonce, sealed, aad) == message
            else:
                with pytest.raises(InvalidTag):
                    key.decrypt(nonce, sealed, aad)
    assert judged >= at_least


@pytest.mark.parametrize(("suite", "name"), [(AES, "hmac_sha256_test.json"), (SM, "hmac_sm3_test.json")])
def test_outside_hmac_vectors_agree(outside_vectors, suite, name):
    """Whole digests and those cut to 128 bits, as Wycheproof says."""
    judged = 0
    for group in outside(outside_vectors, name):
        for case in (case for case in group["tests"] if group["keySize"] == 256):
            key, message = MacKey(bytes.fromhex(case["key"]), suite), bytes.fromhex(case["msg"])
            ours = key.digest(message) if group["tagSize"] == 128 else key.digest_stream([message[:3], message[3:]])
            assert (ours.hex() == case["tag"]) is (case["result"] == "valid")
            judged += 1
    assert judged == 162


def test_outside_hkdf_vectors_agree(outside_vectors):
    """HKDF-SHA256, which backups derive their keys with; a length that it cannot give is refused."""
    judged = 0
    for case in (case for group in outside(outside_vectors, "hkdf_sha256_test.json") for case in group["tests"]):
        salt, info = bytes.fromhex(case["salt"]), bytes.fromhex(case["info"])
        judged += 1
        if case["result"] == "valid":
            derived = HKDF(hashes.SHA256(), case["size"], salt=salt, info=info).derive(bytes.fromhex(case["ikm"]))
            assert derived.hex() == case["okm"]
        else:
            with pytest.raises(ValueError, match="larger than"):
                HKDF(hashes.SHA256(), case["size"], salt=salt, info=info)
    assert judged >= 80


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_a_suite_is_found_by_code_and_by_name(suite):
    """What settings and stored bytes name is the same thing."""
    assert suite_of(suite.code) is suite_named(suite.name) is suite


def test_other_codes_and_names_are_refused():
    """A code is read from a store, a name from a setting."""
    with pytest.raises(IntegrityFailed, match="Suite 3"):
        suite_of(3)
    with pytest.raises(ConfigurationError, match="'des'") as refused:
        suite_named("des")
    assert "aes, sm" in refused.value.hint


def test_a_machine_that_lacks_a_cipher_says_so():
    """OpenSSL has no Camellia in GCM, as another build may have no SM4."""
    lacking = Suite(9, "camellia", "Camellia-GCM", 16, lambda key: GcmAead(Camellia(key)), hashes.SHA256(), Camellia)
    with pytest.raises(ConfigurationError, match="cannot do Camellia-GCM"):
        check_supported(lacking)


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
@pytest.mark.parametrize("size", [0, 15, 17, 31, 33])
def test_keys_of_another_length_are_refused(suite, size):
    """A key of one suite is never taken for one of the other, and a cut one for none."""
    with pytest.raises(IntegrityFailed, match="wrong length"):
        DataKey(bytes(8), bytes(size), suite)
    with pytest.raises(IntegrityFailed, match="wrong length"):
        MacKey(bytes(size), suite)
    with pytest.raises(IntegrityFailed, match="wrong length"):
        WrappingKey("epo_1", bytes(size), suite)


def test_the_two_suites_never_agree():
    """The same key and message have other digests in the other suite."""
    assert MacKey(bytes(32), AES).digest(b"x") != MacKey(bytes(32), SM).digest(b"x")
