"""Subject tokens: live ones of the operator's login under one of its public keys, and nothing else."""

import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from consentry.api.app import create_app
from consentry.principals import NotAuthenticated
from consentry.settings import load_settings
from consentry.subject_tokens import SubjectTokens, is_subject_token, read_public_keys
from kernel.errors import ConfigurationError


@pytest.fixture
def tokens(platform, clock) -> SubjectTokens:
    """What checks the login's tokens."""
    return SubjectTokens.load(platform.settings, clock)


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_token_of_the_login_names_its_user(tokens, login, alg):
    """Both names of the one algorithm of Ed25519 keys are known."""
    assert tokens.verify(login.token(alg=alg)) == "u-1"


@pytest.mark.parametrize("sub", ["ｕ－１", "u-１", " u-1", "u-1 ", "u-1\u200b", "\u00adu-1", "u-1\ufeff", "u" * 257])
def test_user_who_is_written_otherwise_is_nobody(tokens, login, sub):
    """Two users of the login whom cleaning would make one are not made one."""
    with pytest.raises(NotAuthenticated):
        tokens.verify(login.token(sub))


def test_user_without_latin_letters_is_somebody(tokens, login):
    """What cleaning leaves as it is passes."""
    assert tokens.verify(login.token("用户-1")) == "用户-1"


@pytest.mark.parametrize(("kind", "alg"), [("EC", "ES256"), ("RSA", "RS256")])
def test_other_kinds_of_public_keys_are_taken(login, platform, clock, *, kind, alg):
    """P-256 and RSA logins work as well, each under its own algorithm."""
    parameters = {"kid": "k"}
    key = ECKey.generate_key("P-256", parameters) if kind == "EC" else RSAKey.generate_key(2048, parameters)
    login.publish(login.key.as_dict(private=False), key.as_dict(private=False))
    tokens = SubjectTokens.load(platform.settings, clock)
    assert tokens.verify(login.token(key=key, alg=alg)) == "u-1"
    assert tokens.verify(login.token()) == "u-1"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": None},
        {"sub": "u\x00"},
        {"exp": None},
        {"iat": None},
        {"exp": "soon"},
        {"iat": True},
        {"nbf": "now"},
    ],
    ids=lambda claims: "-".join(f"{name}={value}" for name, value in claims.items()).replace("\x00", "nul"),
)
def test_token_with_other_claims_is_refused(tokens, login, claims):
    """Issuer, audience, user and both times must be there and right."""
    with pytest.raises(NotAuthenticated, match="The token is not valid"):
        tokens.verify(login.token(**claims) if "sub" not in claims else login.token(claims["sub"]))


def test_audience_may_be_one_of_several(tokens, login):
    """A login may issue one token for several services."""
    assert tokens.verify(login.token(aud=["shop", "consentry"])) == "u-1"


@pytest.mark.parametrize(
    ("issued", "ends", "begins", "is_good"),
    [
        (0, 900, None, True),
        (0, 901, None, False),
        (-899, 1, None, True),
        (-900, 0, None, False),
        (30, 900, None, True),
        (31, 900, None, False),
        (0, 300, 30, True),
        (0, 300, 31, False),
        (-86_400, 60, None, False),
    ],
)
def test_token_lives_fifteen_minutes_at_most(tokens, login, *, issued, ends, begins, is_good):
    """Half open at the end, half a minute of skew at the beginning, and no longer life than a quarter of an hour."""
    now = int(login.clock.now().timestamp())
    times = {"iat": now + issued, "exp": now + ends, "nbf": None if begins is None else now + begins}
    token = login.token(**times)
    if is_good:
        assert tokens.verify(token) == "u-1"
    else:
        with pytest.raises(NotAuthenticated):
            tokens.verify(token)


def test_token_ends_with_its_time(tokens, login, clock):
    """The last second counts, the next does not."""
    token = login.token()
    clock.advance(timedelta(seconds=299))
    assert tokens.verify(token) == "u-1"
    clock.advance(timedelta(seconds=1))
    with pytest.raises(NotAuthenticated):
        tokens.verify(token)


def test_token_cannot_choose_how_it_is_verified(tokens, login):
    """No key of another's, no secret made of the public key, no `none`, no key inside the token (RFC 8725)."""
    public = json.dumps(login.key.as_dict(private=False)).encode()
    stranger = OKPKey.generate_key("Ed25519", {"kid": "login-1"})
    unknown = OKPKey.generate_key("Ed25519", {"kid": "login-2"})
    header, body, signature = login.token().split(".")
    forged = [
        login.token(key=stranger),
        login.token(key=unknown),
        jwt.encode({"alg": "HS256", "kid": "login-1"}, login.claims(), OctKey.import_key(public)),
        f"eyJhbGciOiJub25lIiwia2lkIjoibG9naW4tMSJ9.{body}.",
        f"{header}.{body}.",
        f"{header}.{body[:-2]}AA.{signature}",
        f"{header}.{body}.{signature}.x",
        login.token(key=ECKey.generate_key("P-256", {"kid": "login-1"}), alg="ES256"),
        "x" * 9_000,
    ]
    for token in forged:
        with pytest.raises(NotAuthenticated):
            tokens.verify(token)


def test_token_without_key_id_needs_a_login_with_one_key(login, platform, clock):
    """With several keys nobody guesses."""
    key = OKPKey.import_key({k: v for k, v in login.key.as_dict(private=True).items() if k != "kid"})
    token = login.token(key=key)
    assert SubjectTokens.load(platform.settings, clock).verify(token) == "u-1"
    login.publish(login.key.as_dict(private=False), OKPKey.generate_key("Ed25519", {"kid": "b"}).as_dict(private=False))
    with pytest.raises(NotAuthenticated):
        SubjectTokens.load(platform.settings, clock).verify(token)


def test_payload_that_is_no_object_is_refused(tokens, login):
    """A signature alone does not make a token."""
    with pytest.raises(NotAuthenticated):
        tokens.verify(_signed(login, b"[]"))
    with pytest.raises(NotAuthenticated):
        tokens.verify(_signed(login, b"no json"))


def _signed(login, payload: bytes) -> str:
    return jws.serialize_compact({"alg": "Ed25519", "kid": "login-1"}, payload, login.key, algorithms=["Ed25519"])


@given(bearer=st.text(st.characters(max_codepoint=255), max_size=80) | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_no_text_passes_for_a_token(tokens, bearer):
    """Whatever stands in the header, the answer is that nobody is known by it."""
    assert isinstance(is_subject_token(bearer), bool)
    with pytest.raises(NotAuthenticated):
        tokens.verify(bearer)


ODD_HEADERS = (
    {"alg": ["EdDSA"]},
    {"alg": {}},
    {"alg": 5},
    {"alg": None},
    {"alg": ["HS256"]},
    {"alg": "EdDSA", "kid": {}},
    {"alg": "EdDSA", "crit": 5},
    {"alg": "EdDSA", "crit": ["b64"], "b64": False},
    {"alg": "HS256", "crit": 5},
    {"alg": "HS256", "crit": {}},
    {"alg": "HS256", "kid": []},
    {"alg": "HS256", "b64": False},
    {"alg": "HS256", "jwk": "x", "x5c": 5},
    {},
    ["alg"],
    5,
    "alg",
    None,
)


@pytest.mark.parametrize("header", ODD_HEADERS, ids=json.dumps)
def test_token_with_an_odd_header_is_a_401(call, header, refused):
    """Values where names should stand, extensions that nobody knows: no credentials, and no mistake of ours."""
    token = f"{_segment(json.dumps(header).encode())}.{_segment(b'{}')}.{_segment(b'x')}"
    refused(call(token).get("/subjects/me/consents"), 401, "NotAuthenticated")


@given(
    header=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda part: (
            st.lists(part, max_size=3)
            | st.dictionaries(
                st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk", "jku", "x5c", "cty"]), part, max_size=4
            )
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_no_header_is_more_than_refused(tokens, platform, header):
    """Whatever JSON stands there, subject tokens and those of staff say the same."""
    for made in (header, {"alg": "EdDSA", "x": header}, {"alg": "HS256", "typ": header}):
        token = f"{_segment(json.dumps(made).encode())}.{_segment(b'{}')}.{_segment(b'x')}"
        for verify in (tokens.verify, platform.tokens.verify):
            with pytest.raises(NotAuthenticated):
                verify(token)


def _segment(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def test_extension_that_is_signed_is_refused_all_the_same(tokens, login):
    """RFC 7515: whoever does not understand what is critical refuses."""
    header = {"alg": "Ed25519", "kid": "login-1", "crit": ["b64"], "b64": True}
    body = f"{_segment(json.dumps(header).encode())}.{_segment(json.dumps(login.claims()).encode())}"
    signature = login.key.get_op_key("sign").sign(body.encode())
    with pytest.raises(NotAuthenticated):
        tokens.verify(f"{body}.{_segment(signature)}")


@pytest.mark.parametrize("kind", ["subject", "person", "key"])
def test_clock_that_is_set_back_revives_nothing(call, captured, login, clock, *, refused, kind):
    """What was over when the log went on stays over: the latest entry's time counts where the clock lags behind it."""
    captured.person("u-1")
    made = {
        "subject": login.token,
        "person": lambda: captured.token("compliance_officer"),
        "key": lambda: captured.machine_key("capture", days=1),
    }[kind]()
    path = "/audit/entries" if kind == "person" else "/subjects/me/due?channel=app"
    assert call(made).get(path).status_code == (422 if kind == "key" else 200)  # a key has no `me`
    life = timedelta(days=1, minutes=1) if kind == "key" else timedelta(minutes=20)
    clock.advance(life)
    refused(call(made).get(path), 401, "NotAuthenticated")
    captured.person("u-2")
    clock.advance(-life)
    refused(call(made).get(path), 401, "NotAuthenticated")


OKP = {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ([], "different ids"),
        ([OKP, OKP], "different ids"),
        ([{**OKP, "d": "AAAA"}], "secret key"),
        ([{"kty": "oct", "kid": "a", "k": "AAAA"}], "secret key"),
        ([{**OKP, "use": "enc"}], "not used"),
        ([{**OKP, "alg": "HS256"}], "not used"),
        ([{**OKP, "crv": "X25519"}], "not used"),
        ([{k: v for k, v in OKP.items() if k != "kid"}], "no set of public keys"),
        ([{**OKP, "x": "short"}], "no set of public keys"),
        ([{"kty": "EC", "crv": "P-521", "kid": "a"}], "not used"),
        (["x"], "no set of public keys"),
        (None, "no set of public keys"),
    ],
    ids=["none", "twice", "private", "secret", "use", "alg", "curve", "no id", "broken", "p521", "text", "null"],
)
def test_file_holds_sound_public_keys_only(tmp_path, keys, told):
    """A secret, weak, foreign or unnamed key stops the service when it starts."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    with pytest.raises(ConfigurationError, match=told):
        read_public_keys(file)


def test_weak_rsa_key_is_refused(tmp_path):
    """1024 bits are not enough; nor is a file that is not there."""
    file = tmp_path / "jwks.json"
    with pytest.raises(ConfigurationError, match="no set of public keys"):
        read_public_keys(file)
    modulus = urlsafe_b64encode((1 << 1023 | 1).to_bytes(128)).decode().rstrip("=")
    file.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "a", "n": modulus, "e": "AQAB"}]}))
    with pytest.raises(ConfigurationError, match="weak"):
        read_public_keys(file)


@pytest.mark.parametrize("missing", ["subject_token_audience", "subject_token_source", "subject_token_jwks_file"])
def test_half_configured_tokens_stop_the_service(platform, login, missing):
    """An issuer alone is a mistake of the operator's; without an issuer there are no subject tokens."""
    half = {**platform.settings.model_dump(), missing: None if missing.endswith("file") else ""}
    with pytest.raises(ConfigurationError, match="half configured"):
        create_app(replace(platform, settings=load_settings(**half)))
    none = load_settings(**{**half, "subject_token_issuer": ""})
    assert SubjectTokens.load(none, platform.clock) is None
