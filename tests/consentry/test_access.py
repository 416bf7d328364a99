"""Roles: what the pack does not list is denied."""

import pytest

from consentry.access import CASE_LEVEL, Reach, can_act, check_may_act, reach_of
from consentry.principals import Principal, PrincipalKind
from kernel.errors import Denied
from kernel.ids import PrincipalId

NOTHING_HIDDEN = Reach(masked=frozenset(), cased=frozenset())


def caller(role):
    """Somebody with this role."""
    return Principal(PrincipalId("usr_x"), "x", PrincipalKind.PERSON, role)


def test_act_that_the_role_lists_is_allowed(medical):
    """The check raises nothing, the question is answered yes."""
    check_may_act(medical, caller("clinician"), "vault.reveal")
    assert can_act(medical, caller("clinician"), "vault.reveal")


@pytest.mark.parametrize(
    ("role", "act"), [("clinician", "principal.manage"), ("clinician", "nonsense"), ("ghost", "vault.reveal")]
)
def test_everything_else_is_denied(medical, role, act):
    """An act that is not listed, an unknown act, an unknown role."""
    assert not can_act(medical, caller(role), act)
    with pytest.raises(Denied, match=f"Role {role!r} may not do {act!r}"):
        check_may_act(medical, caller(role), act)


def test_no_role_both_records_grants_and_opens(medical):
    """Who captures consent cannot open under it."""
    for name, role in medical.roles.items():
        if "vault.reveal" in role.acts:
            assert "consent.capture" not in role.acts, name


def test_opening_asks_for_purpose_level_and_field(medical):
    """R47: a clinician opens a diagnosis for care; not for marketing, and not what lies above the role."""
    assert reach_of(medical, caller("clinician"), purpose="P02", fields=["diagnosis"]) == NOTHING_HIDDEN
    with pytest.raises(Denied, match="may not open for purpose P09"):
        reach_of(medical, caller("clinician"), purpose="P09", fields=["diagnosis"])
    with pytest.raises(Denied, match=r"may not do 'vault\.reveal'"):
        reach_of(medical, caller("analyst"), purpose="P02", fields=["diagnosis"])


def test_every_field_that_is_too_high_is_named_once(medical):
    """The message helps to leave them out; it repeats none."""
    for name, role in medical.roles.items():
        if "vault.reveal" not in role.acts:
            continue
        reachable = max(role.max_level, role.case_level or 0)
        above = sorted(
            f.code for f in medical.fields.values() if f.level > reachable and f.code not in role.masked_fields
        )
        purpose = next(iter(role.purposes))
        if above:
            with pytest.raises(Denied) as denied:
                reach_of(medical, caller(name), purpose=purpose, fields=[*above, *above])
            assert all(denied.value.message.count(f" {code}") >= 1 for code in above)


def test_what_lies_above_the_role_opens_under_a_case_only(medical):
    """R49: level 5 of a clinician is named as what needs a case; beside it the rest is as ever."""
    code = next(f.code for f in medical.fields.values() if f.level == CASE_LEVEL)
    reach = reach_of(medical, caller("clinician"), purpose="P02", fields=["diagnosis", code])
    assert reach == Reach(masked=frozenset(), cased=frozenset({code}))


def test_role_with_named_fields_opens_no_other(medical):
    """Where the pack names a role's fields, the rest is denied whatever its level."""
    limited = [(name, role) for name, role in medical.roles.items() if role.fields is not None]
    for name, role in limited:
        if "vault.reveal" not in role.acts:
            continue
        outside = next(
            f.code for f in medical.fields.values() if f.code not in role.fields and f.level <= role.max_level
        )
        with pytest.raises(Denied, match=outside):
            reach_of(medical, caller(name), purpose=next(iter(role.purposes)), fields=[outside])


def test_unknown_field_is_left_to_the_gate(medical):
    """The gate refuses it by name, and writes that down."""
    assert reach_of(medical, caller("clinician"), purpose="P02", fields=["no_such_field"]) == NOTHING_HIDDEN
