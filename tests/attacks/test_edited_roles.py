"""Who may do what is edited by hand in the data store."""

import pytest


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE principal SET role = 'administrator' WHERE name = 'dr.lin'", "principal: role"),
        ("UPDATE principal SET kind = 'key' WHERE name = 'dr.lin'", "principal: kind"),
        ("UPDATE principal SET disabled = 1 WHERE name = 'dr.lin'", "principal: disabled"),
        ("UPDATE principal SET processor = 'insurer' WHERE name = 'dr.lin'", "principal: processor"),
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
