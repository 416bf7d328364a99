"""Signed notes and checkpoints: what is written, and what is refused."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.notes import checkpoint_text, sign_checkpoint, sign_note
from audit.signing import NoteSigner
from audit.verifier import KeyTextError, VerificationError, VerifierKey, open_checkpoint, open_note
from kernel.errors import BadInput

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
"""The example of the Go package golang.org/x/mod/sumdb/note, from which c2sp.org/signed-note is taken."""

LOG = NoteSigner("audit.example/log", b"\x01" * 32)
KEY = VerifierKey.parse(LOG.verifier_key)
OTHER = NoteSigner("audit.example/log", b"\x02" * 32)
ROOT = bytes(range(32))


def signed(text):
    return sign_note(text, LOG)


def test_published_note_verifies():
    """Key hash, key text and signed bytes are those of the specification."""
    key = VerifierKey.parse(PETER)
    assert str(key) == PETER
    assert open_note(PETERS_NOTE, key) == PETERS_NOTE.decode().rpartition("\n\n")[0] + "\n"


def test_published_note_with_one_other_letter_is_refused():
    """A note is signed to the byte."""
    with pytest.raises(VerificationError, match="bad"):
        open_note(PETERS_NOTE.replace(b"answer", b"Answer"), VerifierKey.parse(PETER))


def test_checkpoint_bytes_are_frozen():
    """Origin, size, root, each on a line; an empty line; the signature."""
    checkpoint = sign_checkpoint(7, ROOT, LOG)
    text = "audit.example/log\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    signature = base64.b64encode(KEY.key_id + LOG.sign(text.encode())).decode()
    assert checkpoint.note.decode() == f"{text}\n\u2014 audit.example/log {signature}\n"
    assert open_checkpoint(checkpoint.note, KEY) == checkpoint


def test_unknown_signatures_are_ignored():
    """A witness may have signed too; who does not know it reads past it."""
    note = signed(checkpoint_text(LOG.name, 7, ROOT))
    witnessed = note + sign_note(checkpoint_text(LOG.name, 7, ROOT), OTHER).rpartition(b"\n\n")[2]
    assert open_checkpoint(witnessed, KEY).size == 7


def test_bad_signature_by_the_known_key_rejects_beside_a_good_one():
    """One bad signature by the key spoils the note."""
    note = signed(checkpoint_text(LOG.name, 7, ROOT))
    bad = signed(checkpoint_text(LOG.name, 8, ROOT)).rpartition(b"\n\n")[2]
    with pytest.raises(VerificationError, match="bad") as caught:
        open_checkpoint(note + bad, KEY)
    assert caught.value.kind == "signature"


@pytest.mark.parametrize("signer", [OTHER, NoteSigner("other.example", b"\x01" * 32)])
def test_note_without_our_signature_is_refused(signer):
    """Another key under the same name, or the same key under another name, is another key."""
    with pytest.raises(VerificationError, match=r"no signature|signed by another key"):
        open_checkpoint(sign_note(checkpoint_text(LOG.name, 7, ROOT), signer), KEY)


GOOD = sign_checkpoint(7, ROOT, LOG).note


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD.replace(b"\n\n", b"\n"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace("\u2014".encode(), b"-"),
        GOOD.replace("\u2014 ".encode(), "\u2014".encode()),
        GOOD[:-2] + b"\n",
        GOOD + b"\xff\n",
        GOOD + "\u2014 name\n".encode(),
        GOOD + "\u2014 name AAAA\n".encode(),
        GOOD + "\u2014 na+me AAAAAAAA\n".encode(),
        GOOD + "\u2014 name AAAAAB==\n".encode(),
        GOOD + "\u2014 name AAAAAAAA\n".encode() * 100,
        b"x\x00" + GOOD,
    ],
)
def test_malformed_note_is_refused(note):
    """Line ends, dash, base64 and count are exact."""
    with pytest.raises(VerificationError):
        open_checkpoint(note, KEY)


@pytest.mark.parametrize(
    "text",
    [
        "audit.example/log\n7\n",
        "audit.example/log\n07\n{root}\n",
        "audit.example/log\n-7\n{root}\n",
        "audit.example/log\n+7\n{root}\n",
        "audit.example/log\n\u0667\n{root}\n",
        "audit.example/log\n7 \n{root}\n",
        "audit.example/log\n99999999999999999999\n{root}\n",
        "audit.example/log\n7\nAAAA\n",
        "audit.example/log\n7\n{root}=\n",
        "audit.example/log\n7\n{root}\n\n",
        "\n7\n{root}\n",
        "other.example/log\n7\n{root}\n",
    ],
)
def test_signed_text_that_is_no_checkpoint_of_this_log_is_refused(text):
    """A good signature over another text proves nothing about this log."""
    note = signed(text.format(root=base64.b64encode(ROOT).decode()).encode())
    with pytest.raises(VerificationError) as caught:
        open_checkpoint(note, KEY)
    assert caught.value.kind == "checkpoint"


def test_extension_lines_are_read_past():
    """c2sp.org/tlog-checkpoint allows further lines."""
    assert open_checkpoint(signed(checkpoint_text(LOG.name, 7, ROOT) + b"more\n"), KEY).root == ROOT


@pytest.mark.parametrize("text", [b"no line end", b"a\x00\n", b"a\r\n"])
def test_text_that_cannot_stand_in_a_note_is_not_signed(text):
    """The writer refuses what no reader could take."""
    with pytest.raises(BadInput):
        signed(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AAAA",
        PETER.replace("c74f", "c74e"),
        PETER.replace("Peter", "Pet er"),
        PETER.replace("ARpc", "ARpd"),
        PETER + "=",
        PETER.replace("+ARpc", "+Apc"),
    ],
)
def test_text_that_is_no_verifier_key_is_refused(text):
    """The hash inside a key text catches every slip of the pen."""
    with pytest.raises(KeyTextError):
        VerifierKey.parse(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_verification_error(note):
    """The parser has one way to fail."""
    with pytest.raises(VerificationError):
        open_checkpoint(note, KEY)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, change):
    """Text and signature are covered to the last byte."""
    note = bytearray(GOOD)
    note[position] ^= change
    with pytest.raises(VerificationError):
        open_checkpoint(bytes(note), KEY)
