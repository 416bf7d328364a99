"""The bytes of an attachment's content, frozen; and an independent reading of them."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import IntegrityFailed
from vault._attached import Details
from vault._content import CHUNK_BYTES, ContentKey, new_content_key, read_content_key
from vault.suites import AES, SM, SUITES, Suite

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "attachments.json").read_text(encoding="utf-8"))


def key_of(vector: dict) -> ContentKey:
    """The key of a frozen content."""
    return read_content_key(bytes.fromhex(vector["content_key"]), vector["attachment"])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["suite"])
def test_frozen_contents_open(vector: dict):
    """What was sealed by the first release opens for ever: chunks in order, and the details."""
    key = key_of(vector)
    chunks = [bytes.fromhex(sealed) for sealed in vector["chunks"]]
    opened = [key.open(sealed, number=n, is_last=n == len(chunks) - 1) for n, sealed in enumerate(chunks)]
    assert [piece.decode() for piece in opened] == vector["plaintexts"]
    assert Details.read(key.open_details(bytes.fromhex(vector["details"]))).name == "胸片.png"


def test_the_layout_is_the_documented_one():
    """Read by the page alone, without our code."""
    vector = next(one for one in VECTORS if one["suite"] == "aes")
    suite, key = bytes.fromhex(vector["content_key"])[:1], bytes.fromhex(vector["content_key"])[1:]

    def text(word: str) -> bytes:
        return len(word.encode()).to_bytes(2) + word.encode()

    for number, chunk in enumerate(vector["chunks"]):
        sealed = bytes.fromhex(chunk)
        place = number.to_bytes(4) + (b"\x01" if number == len(vector["chunks"]) - 1 else b"\x00")
        bound = text("consentry attachment 1") + suite + text(vector["attachment"]) + place
        assert AESGCM(key).decrypt(sealed[:12], sealed[12:], bound).decode() == vector["plaintexts"][number]


@pytest.mark.parametrize("suite", [AES, SM], ids=lambda suite: suite.name)
@given(number=st.integers(0, 3), is_last=st.booleans(), at=st.integers(0, 59), bit=st.integers(0, 7))
def test_every_bit_and_every_place_counts(suite: Suite, number: int, is_last: bool, at: int, bit: int):
    """In both suites: a flipped bit, another number, another place, another file, another key."""
    key = new_content_key(suite, "att_one")
    sealed = key.seal(bytes(32), number=number, is_last=is_last)
    changed = bytearray(sealed)
    changed[at] ^= 1 << bit
    tried = [
        (key, bytes(changed), number, is_last),
        (key, sealed, number + 1, is_last),
        (key, sealed, number, not is_last),
        (ContentKey(key.as_plaintext()[1:], suite, "att_two"), sealed, number, is_last),
        (new_content_key(suite, "att_one"), sealed, number, is_last),
    ]
    for other, what, where, last in tried:
        with pytest.raises(IntegrityFailed):
            other.open(what, number=where, is_last=last)
    with pytest.raises(IntegrityFailed):
        key.open_details(sealed)
    assert key.open(sealed, number=number, is_last=is_last) == bytes(32)


@given(st.binary(max_size=80))
def test_noise_is_never_content(noise: bytes):
    """Random and truncated bytes raise IntegrityFailed and nothing else."""
    key = new_content_key(AES, "att_one")
    for tried in (lambda: key.open(noise, number=0, is_last=True), lambda: key.open_details(noise)):
        with pytest.raises(IntegrityFailed):
            tried()


@given(st.binary(max_size=40).filter(lambda noise: not noise or noise[0] not in SUITES))
def test_noise_is_no_content_key(noise: bytes):
    """Another length, or a suite that nobody knows."""
    with pytest.raises(IntegrityFailed):
        read_content_key(noise, "att_one")


@pytest.mark.parametrize("suite", [AES, SM], ids=lambda suite: suite.name)
def test_a_key_of_another_length_is_none(suite: Suite):
    """Each suite has its own."""
    with pytest.raises(IntegrityFailed):
        read_content_key(bytes((suite.code,)) + bytes(suite.key_bytes - 1), "att_one")


def test_a_chunk_is_bounded_before_it_is_opened():
    """Longer than a chunk can be is refused by its length."""
    key = new_content_key(AES, "att_one")
    with pytest.raises(IntegrityFailed):
        key.open(bytes(12 + CHUNK_BYTES + 17), number=0, is_last=True)


@pytest.mark.parametrize("told", [[], {"name": "x"}, {}, "x", None])
def test_details_of_another_shape_are_refused(told: object):
    """A key that was right cannot make them so; another release could."""
    with pytest.raises(IntegrityFailed):
        Details.read(told)
