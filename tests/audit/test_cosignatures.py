"""Cosignatures, to the byte."""

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.cosignatures import check_witness_key, cosign, signature_line, with_signatures
from audit.signing import NoteSigner, create_signing_key, load_signing_key
from audit.verifier import VerifierKey
from audit.verifier.notes import COSIGNATURE, NoteSignature, open_cosignatures, parse_note
from kernel.errors import ConfigurationError

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""RFC 8032 section 7.1, test 1."""

TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
MESSAGE = (
    b"cosignature/v1\ntime 1679315147\n"
    b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
)
"""The signed message of c2sp.org/tlog-cosignature."""

EXAMPLE = (
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo"
    "0xUe+mbIUBkBIfZ+qnA==\n"
).encode()
"""The cosignature line of c2sp.org/tlog-cosignature."""

AT = datetime.fromtimestamp(1679315147, UTC)
WITNESS = NoteSigner("witness.example.com/w1", SEED, algorithm=COSIGNATURE)


def test_line_is_name_key_id_time_and_signature_over_the_specified_message():
    """Every byte of the line follows from the specification's words."""
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    public = key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(b"witness.example.com/w1\n\x04" + public).digest()[:4]
    time = bytes.fromhex("00000000641850cb")
    expected = base64.b64encode(key_id + time + key.sign(MESSAGE))
    assert cosign(TEXT, WITNESS, AT) == b"\xe2\x80\x94 witness.example.com/w1 " + expected + b"\n"


def test_fraction_of_a_second_does_not_count():
    """Times are whole seconds."""
    assert cosign(TEXT, WITNESS, AT.replace(microsecond=999_999)) == cosign(TEXT, WITNESS, AT)


def test_specification_s_line_is_read_and_written_back():
    """The example's key id, time and length come out as the specification says."""
    (line,) = parse_note(TEXT.encode() + b"\n" + EXAMPLE).signatures
    assert (line.name, line.key_id.hex()) == ("witness.example.com/w1", "8d66cf3f")
    assert int.from_bytes(line.signature[:8], "big") == 1679315147
    assert len(line.signature) == 8 + 64
    assert signature_line(line) == EXAMPLE


def test_verifier_accepts_what_is_cosigned():
    """The offline verifier reads the time."""
    note = TEXT.encode() + b"\n" + cosign(TEXT, WITNESS, AT)
    assert open_cosignatures(note, [WITNESS.key]) == {WITNESS.key: 1679315147}


def test_line_that_stands_there_is_not_added_again():
    """Two equal signatures are one."""
    note, line = TEXT.encode() + b"\n" + EXAMPLE, cosign(TEXT, WITNESS, AT)
    assert with_signatures(note, [EXAMPLE, line, line]) == note + line


def test_key_file_holds_the_kind_of_key(tmp_path):
    """`PRIVATE+KEY+name+id+base64(0x04 | seed)`; a log's key is none, and the other way round."""
    made = create_signing_key(tmp_path / "w", "w.example/1", algorithm=COSIGNATURE)
    material = (tmp_path / "w").read_text().strip().split("+", 4)
    assert material[:4] == ["PRIVATE", "KEY", "w.example/1", made.key.key_id.hex()]
    assert base64.b64decode(material[4])[:1] == b"\x04"
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o600
    assert load_signing_key(tmp_path / "w", algorithm=COSIGNATURE).verifier_key == made.verifier_key
    assert VerifierKey.parse(made.verifier_key, algorithm=COSIGNATURE) == made.key
    with pytest.raises(ConfigurationError):
        load_signing_key(tmp_path / "w")
    create_signing_key(tmp_path / "log", "log.example")
    with pytest.raises(ConfigurationError):
        load_signing_key(tmp_path / "log", algorithm=COSIGNATURE)


def test_key_of_a_log_never_cosigns():
    """The cosigned bytes name no key, so that one key must not serve two purposes."""
    check_witness_key(WITNESS)
    with pytest.raises(ConfigurationError):
        check_witness_key(NoteSigner("log.example", SEED))


def test_key_ids_of_the_two_kinds_differ():
    """The algorithm is part of what a key id is made of."""
    assert WITNESS.key.key_id != NoteSigner(WITNESS.name, SEED).key.key_id
    assert NoteSignature(WITNESS.name, WITNESS.key.key_id, b"").is_by(WITNESS.key)
