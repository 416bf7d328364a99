"""The transit engine as custodian, against a server that follows the documented API, and against what does not."""

import json
import time
from base64 import b64encode

import pytest

from kernel.errors import ConfigurationError, IntegrityFailed
from tests.vault.custodian_services import MISBEHAVIOURS, TransitEngine, answering, misbehaving, own_certificate
from vault.custodian import (
    CustodianRefused,
    CustodianUnavailable,
    KeyfileCustodian,
    RootKeyMissing,
    RootKeyWrong,
)
from vault.custodians.transit import TransitCustodian, TransitKey

KEY = bytes(range(32))
CONTEXT = b"epoch 1"
NO_ANSWER = (IntegrityFailed, "no answer of the transit engine")


@pytest.fixture
def secret(tmp_path):
    """Writes a secret into a file of its owner."""

    def written(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    return written


@pytest.fixture
def token(secret):
    return secret("token", "s.root\n")


@pytest.fixture
def engine():
    return TransitEngine()


@pytest.fixture
def address(engine):
    with answering(engine.answer) as url:
        yield url


@pytest.fixture
def custodian(address, token):
    made = TransitCustodian(TransitKey(address, "consentry", token_file=token), deployment="dep", timeout_ms=5_000)
    yield made
    made.close()


def at(url, token, **more):
    return TransitCustodian(
        TransitKey(url, "consentry", token_file=token), deployment="dep", **{"timeout_ms": 300} | more
    )


@pytest.mark.parametrize("derived", [False, True])
@pytest.mark.parametrize("knows_associated_data", [False, True])
def test_what_was_wrapped_unwraps_and_is_bound_to_its_context(custodian, engine, derived, knows_associated_data):
    """With keys of either kind, and with servers that ignore associated data."""
    engine.derived, engine.knows_associated_data = derived, knows_associated_data
    blob = custodian.wrap(KEY, CONTEXT)
    assert custodian.unwrap(blob, CONTEXT) == KEY
    assert KEY not in blob
    with pytest.raises(IntegrityFailed, match="changed"):
        custodian.unwrap(blob, b"epoch 2")


def test_a_key_of_another_deployment_does_not_unwrap(custodian, address, token):
    """Deployments that share a transit key cannot read each other's epochs."""
    blob = custodian.wrap(KEY, CONTEXT)
    other = TransitCustodian(TransitKey(address, "consentry", token_file=token), deployment="dep2", timeout_ms=5_000)
    with pytest.raises(IntegrityFailed):
        other.unwrap(blob, CONTEXT)


def test_versions_of_the_key_are_followed(custodian, engine):
    """Old blobs open after a rotation of the transit key, new ones are under its newest version."""
    old = custodian.wrap(KEY, CONTEXT)
    engine.rotate()
    new = custodian.wrap(KEY, CONTEXT)
    assert b"vault:v1:" in old
    assert b"vault:v2:" in new
    assert custodian.unwrap(old, CONTEXT) == custodian.unwrap(new, CONTEXT) == KEY
    engine.min_decryption_version = 2
    assert custodian.unwrap(new, CONTEXT) == KEY
    with pytest.raises(RootKeyWrong, match="no longer allowed"):
        custodian.unwrap(old, CONTEXT)


@pytest.mark.parametrize("position", [0, 5, 12, 30, -1])
def test_a_changed_blob_does_not_unwrap(custodian, position):
    """Kind, root id, version and ciphertext are all looked at."""
    blob = bytearray(custodian.wrap(KEY, CONTEXT))
    blob[position] ^= 1
    with pytest.raises((IntegrityFailed, RootKeyWrong)):
        custodian.unwrap(bytes(blob), CONTEXT)


def test_a_blob_of_another_custodian_or_key_is_told_without_asking(custodian, engine, address, token, tmp_path):
    """What this engine's key did not wrap is named as that, and nothing is sent."""
    foreign = KeyfileCustodian.create(tmp_path / "root.key").wrap(KEY, CONTEXT)
    with pytest.raises(RootKeyWrong, match="'keyfile'"):
        custodian.unwrap(foreign, CONTEXT)
    other = TransitCustodian(TransitKey(address, "other", token_file=token), deployment="dep", timeout_ms=5_000)
    with pytest.raises(RootKeyWrong, match="another key store"):
        other.unwrap(custodian.wrap(KEY, CONTEXT), CONTEXT)
    assert len(engine.asked) == 1
    assert custodian.name == "transit:transit/consentry"


def test_a_token_that_was_renewed_in_its_file_is_used(custodian, engine, token):
    """An agent writes a fresh one; until then the refusal is clear."""
    blob = custodian.wrap(KEY, CONTEXT)
    engine.tokens = {"s.new"}
    with pytest.raises(CustodianRefused, match="refuses the token"):
        custodian.unwrap(blob, CONTEXT)
    token.write_text("s.new")
    assert custodian.unwrap(blob, CONTEXT) == KEY


def test_an_approle_logs_in_and_again_when_its_token_has_ended(address, engine, secret):
    """One login serves many questions; an ended token costs one more."""
    engine.roles["r-1"] = "s-1"
    engine.tokens.clear()
    key = TransitKey(
        address,
        "consentry",
        role_id_file=secret("role", "r-1"),
        secret_id_file=secret("secret", "s-1\n"),
        namespace="clinic",
    )
    custodian = TransitCustodian(key, deployment="dep", timeout_ms=5_000)
    blob = custodian.wrap(KEY, CONTEXT)
    assert custodian.unwrap(blob, CONTEXT) == KEY
    assert engine.asked.count("/v1/auth/approle/login") == 1
    engine.tokens.clear()
    assert custodian.unwrap(blob, CONTEXT) == KEY
    assert engine.asked.count("/v1/auth/approle/login") == 2
    assert set(engine.namespaces) == {"clinic"}
    engine.tokens.clear()
    engine.roles["r-1"] = "s-2"
    with pytest.raises(CustodianRefused, match="refuses the AppRole"):
        custodian.unwrap(blob, CONTEXT)
    custodian.close()


def test_without_token_and_role_nothing_is_asked(address, engine):
    """A half configured custodian says what is missing."""
    with pytest.raises(ConfigurationError, match="neither a token nor an AppRole"):
        TransitCustodian(TransitKey(address, "consentry"), deployment="dep", timeout_ms=5_000).wrap(KEY, CONTEXT)
    assert engine.asked == []


def test_a_token_file_that_others_can_read_is_refused(custodian, token, engine):
    """The token is as good as the key."""
    token.chmod(0o644)
    with pytest.raises(RootKeyWrong, match="read by others"):
        custodian.wrap(KEY, CONTEXT)
    assert engine.asked == []


@pytest.mark.parametrize("how", MISBEHAVIOURS)
def test_a_server_that_misbehaves_is_given_up_in_time(how, token):
    """However it misbehaves, the caller is told within the bound."""
    with misbehaving(how) as url:
        custodian = at(url, token)
        begun = time.monotonic()
        with pytest.raises(CustodianUnavailable, match="custodian transit"):
            custodian.wrap(KEY, CONTEXT)
        assert time.monotonic() - begun < 5
        custodian.close()


def test_a_server_that_is_not_there_is_given_up_in_time(token):
    """A closed port is no other thing than a dead server."""
    with pytest.raises(CustodianUnavailable, match="ConnectError"):
        at("http://127.0.0.1:9", token).wrap(KEY, CONTEXT)


@pytest.mark.parametrize(
    ("days", "told"), [(30, None), (-1, "certificate has expired"), (90, "certificate is not yet valid")]
)
def test_a_certificate_that_does_not_verify_is_told(engine, token, tmp_path, days, told):
    """Waiting helps nobody whose server's certificate has ended; what is wrong with it is said at once."""
    tls, trusted = own_certificate(tmp_path, days=days)
    with answering(engine.answer, tls=tls) as url:
        key = TransitKey(url, "consentry", token_file=token, ca_file=trusted)
        custodian = TransitCustodian(key, deployment="dep", timeout_ms=5_000)
        if told is None:
            assert custodian.unwrap(custodian.wrap(KEY, CONTEXT), CONTEXT) == KEY
        else:
            with pytest.raises(CustodianUnavailable, match=told):
                custodian.wrap(KEY, CONTEXT)
        custodian.close()


@pytest.mark.parametrize("status", [412, 429, 473, 500, 503])
def test_a_failure_that_passes_is_ridden_out(custodian, engine, status):
    """Sealed, throttled or behind for a moment: asked again within the bound."""
    failures = [(status, b'{"errors":["busy"]}')] * 2
    engine.fault = lambda _path: failures.pop() if failures else None
    assert custodian.unwrap(custodian.wrap(KEY, CONTEXT), CONTEXT) == KEY


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, b"{}"), (CustodianUnavailable, "status 500")),
        ((503, b"not json"), (CustodianUnavailable, "status 503")),
        ((307, b"{}"), (CustodianUnavailable, "sends elsewhere")),
        ((400, b'{"errors":["something else"]}'), (CustodianUnavailable, "status 400")),
        ((400, b'{"errors":["encryption key not found"]}'), (RootKeyMissing, "no such transit key")),
        ((404, b'{"errors":[]}'), (RootKeyMissing, "no such transit key")),
        ((403, b'{"errors":["permission denied"]}'), (CustodianRefused, "refuses the token")),
        ((200, b""), NO_ANSWER),
        ((200, b"[]"), NO_ANSWER),
        ((200, b'{"data":[]}'), NO_ANSWER),
        ((200, b'{"data":{"ciphertext":"vault:v0:AAAA"}}'), NO_ANSWER),
        ((200, b'{"data":{"ciphertext":7}}'), NO_ANSWER),
        ((200, b'{"data":{"ciphertext":"' + b"x" * 70_000 + b'"}}'), NO_ANSWER),
    ],
)
def test_each_wrong_answer_is_told_as_what_it_is(address, engine, token, answer, told):
    """Nothing that the server says is repeated or believed."""
    engine.fault = lambda _path: answer
    error, said = told
    with pytest.raises(error, match=said):
        at(address, token, timeout_ms=400).wrap(KEY, CONTEXT)


@pytest.mark.parametrize(
    "plaintext", [b64encode(KEY).decode(), b64encode(KEY + bytes(32)).decode(), "no base64!", None, ""]
)
def test_a_wrong_key_in_an_answer_is_not_used(custodian, engine, plaintext):
    """Shape and binding of what comes back are checked."""
    blob = custodian.wrap(KEY, CONTEXT)
    engine.fault = lambda _path: (200, json.dumps({"data": {"plaintext": plaintext}}).encode())
    with pytest.raises(IntegrityFailed):
        custodian.unwrap(blob, CONTEXT)


def test_a_login_that_answers_nonsense_is_told(address, engine, secret):
    """A token is text that fits into a header."""
    key = TransitKey(address, "consentry", role_id_file=secret("role", "r"), secret_id_file=secret("secret", "s"))
    custodian = TransitCustodian(key, deployment="dep", timeout_ms=400)
    for auth in ({}, {"client_token": 7}, {"client_token": "a\nb"}, None):
        engine.fault = lambda _path, auth=auth: (200, json.dumps({"auth": auth}).encode())
        with pytest.raises(IntegrityFailed, match="no answer"):
            custodian.wrap(KEY, CONTEXT)
    engine.fault = lambda _path: (503, b"{}")
    with pytest.raises(CustodianUnavailable, match="status 503"):
        custodian.wrap(KEY, CONTEXT)


def test_authorities_that_cannot_be_read_are_told(address, token, tmp_path):
    """A wrong file of certificates stops at once."""
    (tmp_path / "ca.pem").write_text("none")
    key = TransitKey(address, "consentry", token_file=token, ca_file=tmp_path / "ca.pem")
    with pytest.raises(ConfigurationError, match="transit_ca_file"):
        TransitCustodian(key, deployment="dep", timeout_ms=400).wrap(KEY, CONTEXT)


def test_a_token_that_fits_no_header_is_told(address, token):
    """What is in the file is not repeated."""
    token.write_text("s.root\nevil: 1")
    with pytest.raises((ConfigurationError, CustodianUnavailable)) as told:
        at(address, token).wrap(KEY, CONTEXT)
    assert "evil" not in told.value.diagnostics()


def test_no_proxy_of_the_surroundings_is_used(custodian, engine, monkeypatch):
    """Only the configured address is connected to."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    custodian.wrap(KEY, CONTEXT)
    assert engine.asked == ["/v1/transit/encrypt/consentry"]


def test_destroying_leaves_the_shared_key_alone(custodian, engine):
    """One transit key wraps every epoch; nothing is asked."""
    custodian.destroy(CONTEXT)
    assert engine.asked == []
