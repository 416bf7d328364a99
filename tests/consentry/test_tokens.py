"""Person tokens: live for minutes, bound to one deployment, and nothing else passes for one."""

import stat
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from consentry.principals import NotAuthenticated
from consentry.tokens import AUDIENCE, TokenIssuer, create_token_key
from kernel.errors import ConfigurationError, Conflict

SECRET = bytes(range(32))


@pytest.fixture
def issuer(clock):
    """An issuer whose tokens live a quarter of an hour."""
    return TokenIssuer(SECRET, deployment="dep", minutes=15, clock=clock)


def forged(clock, *, secret=SECRET, algorithm="HS256", **claims):
    """A token with these claims in place of the right ones; None leaves one out."""
    now = int(clock.now().timestamp())
    right = {"iss": "dep", "aud": AUDIENCE, "sub": "usr_x", "iat": now, "exp": now + 60}
    chosen = {name: value for name, value in (right | claims).items() if value is not None}
    return jwt.encode({"alg": algorithm}, chosen, OctKey.import_key(secret), algorithms=[algorithm])


def test_token_names_its_person_until_it_ends(issuer, clock):
    """Fifteen minutes, not a second longer."""
    token = issuer.issue("usr_x")
    clock.advance(timedelta(minutes=15) - timedelta(seconds=1))
    assert issuer.verify(token) == "usr_x"
    clock.advance(timedelta(seconds=1))
    with pytest.raises(NotAuthenticated):
        issuer.verify(token)


def test_right_claims_pass(issuer, clock):
    """The forgeries below differ from this in one thing each."""
    assert issuer.verify(forged(clock)) == "usr_x"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "other"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"exp": None},
        {"exp": 1},
        {"secret": bytes(32)},
        {"algorithm": "HS512"},
    ],
)
def test_anything_but_a_live_token_of_ours_is_refused(issuer, clock, wrong):
    """Another issuer, audience, key or algorithm, a missing claim, an end that is over."""
    with pytest.raises(NotAuthenticated, match="The token is not valid"):
        issuer.verify(forged(clock, **wrong))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c3JfeCJ9."])
def test_what_is_no_token_is_refused(issuer, token):
    """Noise, and the unsigned form."""
    with pytest.raises(NotAuthenticated):
        issuer.verify(token)


def test_key_file_is_for_its_owner_and_is_never_overwritten(tmp_path, clock):
    """Mode 0600, 32 random bytes, and a second call refuses."""
    path = tmp_path / "token.key"
    create_token_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(Conflict):
        create_token_key(path)
    assert path.read_bytes() == before
    loaded = TokenIssuer.load(path, deployment="dep", minutes=1, clock=clock)
    assert loaded.verify(loaded.issue("usr_x")) == "usr_x"


@pytest.mark.parametrize("content", [b"", b"zz", b"\xff\xfe", b"00" * 31])
def test_damaged_key_file_is_refused(tmp_path, clock, content):
    """No hexadecimal text, or too short a key."""
    path = tmp_path / "token.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"missing or damaged|too short"):
        TokenIssuer.load(path, deployment="dep", minutes=1, clock=clock)


def test_missing_key_file_and_one_open_to_others_are_refused(tmp_path, clock):
    """The message says what to do."""
    path = tmp_path / "token.key"
    with pytest.raises(ConfigurationError, match="missing or damaged"):
        TokenIssuer.load(path, deployment="dep", minutes=1, clock=clock)
    create_token_key(path)
    path.chmod(0o604)
    with pytest.raises(ConfigurationError, match="can be read by others"):
        TokenIssuer.load(path, deployment="dep", minutes=1, clock=clock)
