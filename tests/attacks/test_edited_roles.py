"""Who may do what is edited by hand in the data store."""

import json

import pytest

from consentry.workflows.webhooks import add_webhook, disable_webhook
from tests.attacks.conftest import forge
from tests.consentry.conftest import ADMIN


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE principal SET role = 'administrator' WHERE name = 'dr.lin'", "principal: role"),
        ("UPDATE principal SET kind = 'key' WHERE name = 'dr.lin'", "principal: kind"),
        ("UPDATE principal SET disabled = 1 WHERE name = 'dr.lin'", "principal: disabled"),
        ("UPDATE principal SET processor = 'insurer' WHERE name = 'dr.lin'", "principal: processor"),
        ("UPDATE principal SET sources = 'his' WHERE name = 'dr.lin'", "principal: sources"),
        ("UPDATE principal SET name = 'dr.li' WHERE name = 'dr.lin'", "principal: name"),
        ("UPDATE principal SET secret_hash = 'sha256:00' WHERE name = 'dr.lin'", "principal: secret"),
        ("UPDATE principal SET expires_at = 1 WHERE name = 'dr.lin'", "principal: expires_at"),
        ("UPDATE principal SET subjects_per_day = 9 WHERE name = 'dr.lin'", "principal: subjects_per_day"),
        ("UPDATE principal SET principal_id = 'usr_nobody' WHERE name = 'dr.lin'", "principal: no entry"),
        ("DELETE FROM principal WHERE name = 'dr.lin'", "principal: no row"),
    ],
)
def test_role_edited_by_hand_closes_the_gate(house, statement, found):
    """Who may do what stands in the log since the account was made."""
    house.strike(statement)
    assert found in house.reconciled()


def test_account_that_was_enabled_again_closes_the_gate(house):
    """Disabled is for good."""
    house.shell.run("account", "disable", "dr.lin")
    house.strike("UPDATE principal SET disabled = 0 WHERE name = 'dr.lin'")
    assert house.reconciled() == ["principal: disabled"]


def test_exchanged_names_close_the_gate(house):
    """Under the administrator's name a clinician would sign in with the administrator's role."""
    house.strike(
        "UPDATE principal SET name = 'x' WHERE name = 'dr.lin'",
        "UPDATE principal SET name = 'dr.lin' WHERE name = 'admin'",
        "UPDATE principal SET name = 'admin' WHERE name = 'x'",
    )
    assert house.reconciled() == ["principal: name", "principal: name"]


@pytest.mark.parametrize(
    ("refs", "found"),
    [
        ({"principal": "usr_" + "f" * 24, "kind": "person", "role": "administrator"}, "name, secret"),
        ({"name_mark": "00" * 16}, "name"),
    ],
)
def test_account_with_an_entry_of_its_own_making_closes_the_gate(house, refs, found):
    """Who slips an entry in for an account cannot make the marks that it has to bear."""
    (made,) = [body for body in house.bodies() if b'"role":"clinician"' in body and b"principal.created" in body]
    said = json.loads(made)["refs"] | {"principal": "usr_" + "f" * 24} if "name_mark" in refs else {}
    house.slip_in(forge(made, id="ent_" + "f" * 24, refs={**said, **refs}))
    house.live_on()
    house.strike(
        "INSERT INTO principal SELECT 'usr_" + "f" * 24 + "', 'mallory', kind, role, secret_hash, expires_at, "
        "subjects_per_day, disabled, created_at, processor, sources FROM principal WHERE name = 'dr.lin'"
    )
    assert any(one.startswith("principal: ") and found in one for one in house.reconciled())


def test_second_entry_of_an_account_closes_the_gate(house):
    """The first entry counts; one that gives more is told of."""
    (made,) = [body for body in house.bodies() if b'"role":"clinician"' in body and b"principal.created" in body]
    refs = json.loads(made)["refs"] | {"role": "administrator"}
    house.slip_in(forge(made, id="ent_" + "f" * 24, refs=refs))
    house.live_on()
    house.strike("UPDATE principal SET role = 'administrator' WHERE name = 'dr.lin'")
    assert house.reconciled() == ["principal: role, entry twice"]


@pytest.mark.parametrize("sources", ["NULL", "'his'", "'app,his'"])
def test_key_that_is_bound_otherwise_by_hand_closes_the_gate(house, sources):
    """As which sources a key may send stands in the log since the key was made."""
    house.shell.run("account", "key", "sender", "--role", "ingest", "--source", "app")
    assert house.reconciled() == []
    house.strike(f"UPDATE principal SET sources = {sources} WHERE name = 'sender'")
    assert house.reconciled() == ["principal: sources"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE webhook_target SET url = 'https://mallory.example/told'", "webhook: url"),
        ("UPDATE webhook_target SET recipient = 'insurer'", "webhook: recipient, url"),
        ("UPDATE webhook_target SET disabled_at = 1", "webhook: disabled_at"),
        ("UPDATE webhook_target SET target_id = 'wht_other'", "webhook: no entry"),
        ("DELETE FROM webhook_target", "webhook: no row"),
    ],
)
def test_webhook_edited_by_hand_closes_the_gate(house, statement, found):
    """Whom a withdrawal is told, and where, stands in the log since the target was added."""
    with house.opened() as platform:
        add_webhook(platform, ADMIN, recipient="*joint", url="https://partner.example/told")
    assert house.reconciled() == []
    house.strike(statement)
    assert found in house.reconciled()


def test_webhook_that_was_enabled_again_closes_the_gate(house):
    """Disabled is for good."""
    with house.opened() as platform:
        target, _ = add_webhook(platform, ADMIN, recipient="*joint", url="https://partner.example/told")
        disable_webhook(platform, ADMIN, target.target_id)
    assert house.reconciled() == []
    house.strike("UPDATE webhook_target SET disabled_at = NULL")
    assert house.reconciled() == ["webhook: disabled_at"]
