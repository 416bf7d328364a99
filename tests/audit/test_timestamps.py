"""RFC 3161 timestamps, made by a local authority and verified offline."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from audit.timestamps import TimestampRefused, TimestampRoots, check_timestamp, request_timestamp
from kernel.errors import ConfigurationError, Unavailable
from tests.audit.timestamp_authority import Authority

NOTE = b"log.example/audit\n5\nAAAA\n\n\xe2\x80\x94 log.example/audit AAAA\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority with a sound certificate."""
    return Authority.make(tmp_path_factory.mktemp("tsa") / "sound")


@pytest.fixture(scope="module")
def stamped(authority):
    """A request and its answer."""
    request = request_timestamp(NOTE)
    return request, authority.answer(request.content)


def test_timestamp_states_when_the_note_was_seen(authority, stamped):
    """It verifies with the request's nonce at once, and without it later."""
    request, token = stamped
    roots = TimestampRoots.load(authority.roots)
    at = check_timestamp(token, NOTE, roots, nonce=request.nonce)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert check_timestamp(token, NOTE, roots) == at


def test_stored_bytes_verify_with_openssl_as_well(authority, stamped, tmp_path):
    """The token is the plain DER response: anybody can check it without us."""
    (tmp_path / "note").write_bytes(NOTE)
    (tmp_path / "token").write_bytes(stamped[1])
    command = ["openssl", "ts", "-verify", "-in", "token", "-data", "note", "-CAfile", authority.roots]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert b"Verification: OK" in ended.stdout + ended.stderr


def test_timestamp_of_other_bytes_is_refused(authority, stamped):
    """One byte more, one less."""
    roots = TimestampRoots.load(authority.roots)
    for other in (NOTE + b"\n", NOTE[:-1], b"x"):
        with pytest.raises(TimestampRefused, match="Mismatch between messages"):
            check_timestamp(stamped[1], other, roots)


def test_answer_to_another_request_is_refused(authority, stamped):
    """A replayed answer over the same note has the wrong nonce."""
    with pytest.raises(TimestampRefused, match="Nonce"):
        check_timestamp(stamped[1], NOTE, TimestampRoots.load(authority.roots), nonce=request_timestamp(NOTE).nonce)


def test_authority_that_no_root_vouches_for_is_refused(stamped, tmp_path):
    """Another root of the same name."""
    other = Authority.make(tmp_path / "other")
    with pytest.raises(TimestampRefused, match=r"certificate|signature"):
        check_timestamp(stamped[1], NOTE, TimestampRoots.load(other.roots))


def test_certificate_that_was_not_valid_at_that_time_is_refused(tmp_path):
    """Expired, or not yet valid, when the authority signed."""
    for name, days in (("expired", (-30, -10)), ("early", (10, 30))):
        authority = Authority.make(tmp_path / name, days=days)
        token = authority.answer(request_timestamp(NOTE).content)
        with pytest.raises(TimestampRefused, match=r"certificate (has expired|is not yet valid)"):
            check_timestamp(token, NOTE, TimestampRoots.load(authority.roots))


def test_certificate_for_another_purpose_is_refused(authority, tmp_path):
    """A key that a root vouches for, though not for timestamps; openssl itself refuses to sign with it."""
    other = Authority.make(tmp_path / "server", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(subprocess.CalledProcessError):
        other.answer(request_timestamp(NOTE).content)


def test_request_that_was_not_granted_is_refused(authority):
    """An answer that says no holds no time."""
    with pytest.raises(TimestampRefused):
        check_timestamp(authority.answer(b"no request"), NOTE, TimestampRoots.load(authority.roots))


@pytest.mark.parametrize("token", [b"", b"\x30\x00", b"x" * 100, b"\x30\x05\x30\x03\x02\x01\x00"])
def test_what_is_no_timestamp_is_refused(authority, token):
    """Whatever an authority sends."""
    with pytest.raises(TimestampRefused):
        check_timestamp(token, NOTE, TimestampRoots.load(authority.roots))


def test_changed_timestamp_is_refused_or_states_the_same_time(authority, stamped):
    """Every byte changed, one at a time: no other time and no other bytes are ever believed."""
    roots, token = TimestampRoots.load(authority.roots), stamped[1]
    at = check_timestamp(token, NOTE, roots)
    believed = []
    for position in range(len(token)):
        changed = bytearray(token)
        changed[position] ^= 1
        try:
            assert check_timestamp(bytes(changed), NOTE, roots) == at
        except TimestampRefused:
            continue
        believed.append(position)
    assert len(believed) < 16, "only version numbers and names of algorithms stand outside the signature"
    with pytest.raises(TimestampRefused):
        check_timestamp(token + b"x", NOTE, roots)


def test_roots_that_are_none_are_refused(tmp_path):
    """Missing, or no certificates in it."""
    with pytest.raises(Unavailable):
        TimestampRoots.load(tmp_path / "none")
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(ConfigurationError):
        TimestampRoots.load(tmp_path / "text")
