"""Targets: what can be registered, by whom, and what the log says of it."""

import base64

import pytest

from consentry.principals import Principal, PrincipalKind
from consentry.webhooks import MAX_CODE_CHARS, SECRET_BYTES, SigningSecret, check_url, signed_headers
from consentry.workflows.webhooks import (
    add_webhook,
    disable_webhook,
    list_webhooks,
    name_for_recipient,
    renew_webhook,
)
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import PrincipalId, SubjectId, new_id

ANALYST = Principal(PrincipalId("prn_a"), "a", PrincipalKind.PERSON, "analyst")


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example/hooks",
        "https://partner.example:8443/hooks?tenant=1",
        "http://127.0.0.1:8080/hook",
        "http://127.8.9.10/hook",
        "http://[::1]:9000/",
        "http://localhost/hook",
    ],
)
def test_an_address_that_can_be_told(url):
    """Https anywhere, http on this machine only."""
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example/hooks",
        "http://10.0.0.8/hooks",
        "http://0.0.0.0/",
        "http://localhost.partner.example/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "https:///hooks",
        "//partner.example",
        "partner.example",
        "",
        "https://user:secret@partner.example/",
        "https://user@partner.example/",
        "https://partner.example/#part",
        "https://partner.example:port/",
        "https://[::1",
        "https://partner.example/a b",
        "https://partner.example/\n",
        "https://partner.example/" + "x" * 1000,
    ],
)
def test_an_address_that_cannot(url):
    """Promise 7: nothing in clear over a net, nothing that is no web address, no credentials, and no echo of any."""
    with pytest.raises(BadInput) as raised:
        check_url(url)
    assert "secret" not in raised.value.diagnostics()


def test_the_signature_is_that_of_the_standard():
    """The example of the Standard Webhooks 1.0 specification's reference libraries."""
    secret = SigningSecret(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    body = b'{"test": 2432232314}'
    assert (
        secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_secret_is_shown_once_and_long_enough(platform, captured):
    """24 to 64 bytes, with the standard's prefix; never in what is listed."""
    made, secret = add_webhook(platform, captured.caller, recipient="insurer", url="https://insurer.example/hook")
    assert secret.reveal().startswith("whsec_")
    assert len(base64.b64decode(secret.reveal()[6:])) == SECRET_BYTES == 32
    (row,) = list_webhooks(platform, captured.caller)
    assert row == {
        "id": made.target_id, "recipient": "insurer", "url": "https://insurer.example/hook",
        "added": "2026-11-21T02:00:00.000000Z", "disabled": None, "why": None,
    }  # fmt: skip
    assert repr(secret) == "SigningSecret()"


def test_a_recipient_must_be_known(platform, captured):
    """A typing error must not leave somebody untold."""
    with pytest.raises(NotFound, match="not registered"):
        add_webhook(platform, captured.caller, recipient="insurers", url="https://insurer.example/hook")
    with pytest.raises(BadInput):
        add_webhook(platform, captured.caller, recipient="insurer", url="http://insurer.example/hook")
    assert list_webhooks(platform, captured.caller) == []


def test_a_code_that_cannot_be_a_scope_is_refused(platform, captured):
    """Its people could not be named to it."""
    from consentry.webhooks import Webhooks

    webhooks = Webhooks(platform.sealer, platform.log)
    with platform.data.write() as connection, pytest.raises(BadInput, match="characters"):
        webhooks.add(
            connection,
            recipient="x" * (MAX_CODE_CHARS + 1),
            url="https://a.example/",
            asking=platform.asking(captured.caller),
        )


def test_a_disabled_target_stays_so(platform, captured):
    """It gets no new secret and is not disabled twice."""
    made, _ = add_webhook(platform, captured.caller, recipient="*joint", url="https://b.example/hook")
    disable_webhook(platform, captured.caller, made.target_id)
    for again in (disable_webhook, renew_webhook):
        with pytest.raises(Conflict):
            again(platform, captured.caller, made.target_id)
    with pytest.raises(NotFound):
        disable_webhook(platform, captured.caller, "wht_none")
    assert list_webhooks(platform, captured.caller)[0]["why"] == "operator"


def test_only_who_manages_accounts_may_register(platform):
    """R47: an analyst can neither see nor change who is told."""
    for tried in (
        lambda: add_webhook(platform, ANALYST, recipient="insurer", url="https://insurer.example/hook"),
        lambda: list_webhooks(platform, ANALYST),
        lambda: disable_webhook(platform, ANALYST, "wht_1"),
        lambda: renew_webhook(platform, ANALYST, "wht_1"),
        lambda: name_for_recipient(platform, ANALYST, subject=SubjectId("sub_1"), recipient="insurer"),
    ):
        with pytest.raises(Denied):
            tried()


def test_the_name_of_a_person_for_a_recipient_is_its_own_and_logged(told):
    """What is handed over with the data is what a message says later."""
    platform, caller = told.platform, told.captured.caller
    name = name_for_recipient(platform, caller, subject=told.subject, recipient="insurer")
    assert name == told.name("recipient:insurer")
    assert platform.pseudonyms.subjects_of("recipient:insurer", [name]) == {name: told.subject}
    assert told.entries("subject.looked_up")[-1]["recipient"] == "insurer"
    with pytest.raises(NotFound):
        name_for_recipient(platform, caller, subject=SubjectId(new_id("sub")), recipient="insurer")


def test_headers_carry_whole_seconds(clock):
    """As the standard asks for."""
    headers = signed_headers([SigningSecret(b"k" * 32)], "wk_1", clock.now(), b"")
    assert headers["webhook-timestamp"] == "1795226400"
