"""Who calls: keys and tokens that are live, and nothing else."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import update

from consentry.principals import NotAuthenticated
from consentry.stores.tables import principal
from consentry.tokens import TokenIssuer


def disable(platform, name: str) -> None:
    with platform.data.write() as connection:
        connection.execute(update(principal).where(principal.c.name == name).values(disabled=True))


def test_person_signs_in_with_the_password_that_init_printed(call, deployment, platform, refused):
    """A name and its password give a token with which the person is known."""
    said = call().post("/tokens", {"name": "dr.lin", "password": deployment.password("dr.lin")})
    assert said.status_code == 201
    token = said.json()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 900)
    refused(call(token["access_token"]).get("/audit/entries"), 403, "Denied")


@pytest.mark.parametrize(("name", "password"), [("dr.lin", "wrong"), ("nobody", "wrong"), ("machine", "wrong")])
def test_wrong_credentials_look_all_the_same(call, captured, refused, name, password):
    """Neither a wrong password, an unknown name nor a machine's name is told from the others."""
    captured.machine_key("capture", name="machine")
    said = call().post("/tokens", {"name": name, "password": password})
    document = refused(said, 401, "NotAuthenticated")
    assert document["detail"].startswith("The credentials are not valid")
    assert said.headers["www-authenticate"] == 'Bearer realm="consentry"'


def test_secret_of_a_key_is_no_password(call, captured, refused):
    """A machine cannot become a person."""
    secret = captured.machine_key("capture", name="machine").partition(".")[2]
    refused(call().post("/tokens", {"name": "machine", "password": secret}), 401, "NotAuthenticated")


def test_failed_sign_in_stays_in_the_log(call, captured, refused):
    """An officer sees that somebody tried."""
    refused(call().post("/tokens", {"name": "dr.lin", "password": "wrong"}), 401, "NotAuthenticated")
    entries = call(captured.token("compliance_officer")).get("/audit/entries", act="token.issued").json()["entries"]
    assert [(entry["outcome"], entry["reason"]) for entry in entries] == [("denied", "NOT_AUTHENTICATED")]


def test_flood_of_wrong_passwords_is_stopped(call, clock, refused, deployment):
    """After some failures nothing is looked at for a minute, not even the right password; the answer says how long."""
    wrong = {"name": "dr.lin", "password": "wrong"}
    statuses = [call().post("/tokens", wrong).status_code for _ in range(12)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    right = {"name": "dr.lin", "password": deployment.password("dr.lin")}
    said = call().post("/tokens", right)
    refused(said, 429, "TooManyAttempts")
    clock.advance(timedelta(seconds=int(said.headers["retry-after"])))
    assert call().post("/tokens", right).status_code == 201


def test_every_route_but_four_asks_who_calls(call, http):
    """Health, signing in and texts of notices are open; every other route answers 401 before it looks at anything."""
    documented = http.get("/openapi.json").json()["paths"]
    answers = {}
    for path, operations in documented.items():
        for method, operation in operations.items():
            said = http.request(method, path.replace("{", "").replace("}", ""), content=b"{not json")
            answers[path] = said.status_code
            assert ("security" in operation) is (said.status_code == 401)
            if said.status_code == 401:
                assert said.headers["www-authenticate"] == 'Bearer realm="consentry"'
    assert {path for path, status in answers.items() if status != 401} == {
        "/v1/health",
        "/v1/tokens",
        "/v1/notices/{code}/current",
        "/v1/notices/{code}/{version}/{locale}",
    }
    assert len(answers) >= 27


def test_token_ends_with_its_time(call, captured, clock, refused):
    """The last second counts, the next does not."""
    token = captured.token("compliance_officer")
    clock.advance(timedelta(minutes=15) - timedelta(seconds=1))
    assert call(token).get("/audit/entries").status_code == 200
    clock.advance(timedelta(seconds=1))
    said = call(token).get("/audit/entries")
    refused(said, 401, "NotAuthenticated")
    assert 'error="invalid_token"' in said.headers["www-authenticate"]


def test_token_of_a_disabled_person_is_dead_at_once(call, captured, platform, refused):
    """A token does not outlive the account that it speaks for."""
    made, _ = captured.person_account("officer", "compliance_officer")
    token = platform.tokens.issue(made.principal_id)
    assert call(token).get("/audit/entries").status_code == 200
    disable(platform, "officer")
    refused(call(token).get("/audit/entries"), 401, "NotAuthenticated")


@pytest.mark.parametrize("part", [0, 1, 2])
def test_token_that_was_touched_is_refused(call, captured, refused, part):
    """Header, claims and signature are covered: one changed character in any of them ends the token."""
    parts = captured.token("compliance_officer").split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    refused(call(".".join(parts)).get("/audit/entries"), 401, "NotAuthenticated")


def test_token_without_signature_is_refused(call, captured, platform, refused):
    """The algorithm is ours to choose: `none` and other keys do not count."""
    made, _ = captured.person_account("officer", "compliance_officer")
    now = int(platform.clock.now().timestamp())
    claims = {"iss": platform.settings.deployment, "aud": "consentry", "sub": made.principal_id, "exp": now + 60}
    forged = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(b"k" * 32))
    header, body, _ = forged.split(".")
    unsigned = "eyJhbGciOiJub25lIn0" + f".{body}."
    for token in (forged, unsigned, f"{header}.{body}."):
        refused(call(token).get("/audit/entries"), 401, "NotAuthenticated")


def test_token_of_another_deployment_is_refused(call, captured, platform, refused):
    """Even under the same key a token is good for one deployment only."""
    made, _ = captured.person_account("officer", "compliance_officer")
    secret = bytes.fromhex(platform.settings.token_key_path.read_text())
    other = TokenIssuer(secret, deployment="dep_other", minutes=15, clock=platform.clock)
    refused(call(other.issue(made.principal_id)).get("/audit/entries"), 401, "NotAuthenticated")


def test_token_that_names_a_key_is_refused(call, captured, platform, refused):
    """A token speaks for persons only, though it is signed by us."""
    key_id = captured.machine_key("capture").partition(".")[0]
    refused(call(platform.tokens.issue(key_id)).post("/consents", {}), 401, "NotAuthenticated")


def test_key_ends_with_its_day(call, captured, clock, refused):
    """A key lives the days that it was given, and not a second longer."""
    key = captured.machine_key("capture", days=2)
    clock.advance(timedelta(days=2) - timedelta(seconds=1))
    refused(call(key).post("/consents", {}), 422, "InvalidRequest")
    clock.advance(timedelta(seconds=1))
    refused(call(key).post("/consents", {}), 401, "NotAuthenticated")


def test_disabled_key_is_refused(call, captured, platform, refused):
    """A key that was taken back opens nothing, whoever still holds it."""
    key = captured.machine_key("capture", name="app")
    disable(platform, "app")
    refused(call(key).post("/consents", {}), 401, "NotAuthenticated")


@pytest.mark.parametrize("change", ["id", "secret", "no secret", "other's secret"])
def test_key_needs_its_own_secret(call, captured, refused, change):
    """Id and secret belong together."""
    key, other = captured.machine_key("capture"), captured.machine_key("capture")
    key_id, _, secret = key.partition(".")
    changed = {
        "id": f"{other.partition('.')[0]}.{secret}",
        "secret": f"{key_id}.{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}",
        "no secret": key_id,
        "other's secret": f"{key_id}.{other.partition('.')[2]}",
    }
    refused(call(changed[change]).post("/consents", {}), 401, "NotAuthenticated")


def test_other_schemes_are_no_bearer(http, refused):
    """Basic credentials are not looked at."""
    said = http.get("/v1/audit/entries", headers={"Authorization": "Basic ZHIubGluOng="})
    refused(said, 401, "NotAuthenticated")


@given(
    bearer=st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=80)
    | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*")
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_no_text_passes_for_a_token(platform, bearer):
    """Whatever stands in the header, the answer is that nobody is known by it."""
    with pytest.raises(NotAuthenticated):
        platform.tokens.verify(bearer)


def test_secrets_are_kept_as_hashes_only(captured, platform):
    """Neither a key's secret nor a password can be read from the data store."""
    key = captured.machine_key("capture")
    _, password = captured.person_account("officer", "compliance_officer")
    stored = (platform.settings.home / "data.db").read_bytes()
    assert key.partition(".")[0].encode() in stored
    assert key.partition(".")[2].encode() not in stored
    assert password.encode() not in stored
