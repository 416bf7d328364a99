"""Capture: one act leads to one answer, a refused one leaves nothing, and the same one gets the same answer."""

import pytest
from sqlalchemy import func, select

from consent.ages import AgeClass
from consent.reasons import Reason
from consent.registry import BundledConsent
from consent.standing import get_standing
from consent.tables import subject_standing
from consentry.acts import ConsentAct
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.capture import ActAnswer, capture_acts, withdraw_decision
from kernel.errors import BadInput, Conflict, ConsentryError, Denied, NotFound
from kernel.ids import PrincipalId
from vault.tables import blind_index

CALLER = Principal(PrincipalId("key_test"), "app", PrincipalKind.KEY, "capture")


def _subjects(platform) -> int:
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).select_from(subject_standing))


def _links(platform) -> int:
    with platform.keys.read() as connection:
        return connection.scalar(select(func.count()).select_from(blind_index))


def test_contract_for_the_account_registers_a_person(captured, platform) -> None:
    """The first contract makes the subject and what finds it again."""
    subject = captured.person("u-1")
    assert platform.resolver.find("app", "u-1") == subject
    assert _subjects(platform) == 1


def test_same_act_again_gets_the_same_answer(captured) -> None:
    """A repeated act records nothing and answers alike."""
    captured.person("u-1")
    act = captured.act("grant", captured.known("u-1"), "P07")
    first, second = captured.record(act), captured.record(act)
    assert (first.repeated, second.repeated) == (False, True)
    assert first.decisions == second.decisions


def test_act_id_cannot_be_reused_for_another_act(captured) -> None:
    """Another content under the same id is refused."""
    captured.person("u-1")
    act = captured.act("grant", captured.known("u-1"), "P07")
    captured.record(act)
    with pytest.raises(Conflict, match="was used for another act"):
        captured.record({**act, "purposes": ["P08"], "notice": captured.notice("P08")})


def test_act_ids_of_two_callers_do_not_meet(captured) -> None:
    """Every caller has its own act ids."""
    captured.person("u-1")
    act = captured.act("grant", captured.known("u-1"), "P07")
    captured.record(act)
    said = capture_acts(captured.platform, CALLER, [ConsentAct.model_validate(act)])
    assert not isinstance(said[0], ActAnswer) or not said[0].repeated


def test_refused_registration_leaves_neither_subject_nor_index(captured, platform) -> None:
    """A contract with evidence that shows no act registers nobody, and nothing finds the person later."""
    before = _links(platform)
    who = {"source": "app", "id": "u-9", "birth_date": "1990-01-01", "sex": "male"}
    with pytest.raises(BadInput):
        captured.record(captured.act("contract", who, "P01", evidence={"mechanism": "preticked"}))
    assert (_subjects(platform), _links(platform)) == (0, before)
    assert platform.resolver.find("app", "u-9") is None


def test_refused_registration_does_not_stop_the_others_of_its_file(captured, platform) -> None:
    """In one run of acts the good registrations stand, the refused one and what hangs on it do not."""
    good = {"source": "app", "id": "u-1", "birth_date": "1990-01-01", "sex": "male"}
    bad = {"source": "app", "id": "u-2", "birth_date": "1991-01-01", "sex": "male"}
    acts = [
        captured.act("contract", good, "P01", "P02"),
        captured.act("contract", bad, "P01", evidence={"mechanism": "preticked"}),
        captured.act("grant", captured.known("u-2"), "P07"),
        captured.act("grant", captured.known("u-1"), "P07"),
    ]
    said = capture_acts(platform, captured.caller, [ConsentAct.model_validate(act) for act in acts])
    assert [isinstance(one, ConsentryError) for one in said] == [False, True, True, False]
    assert _subjects(platform) == 1
    assert platform.resolver.find("app", "u-1") is not None
    assert platform.resolver.find("app", "u-2") is None


def test_act_about_nobody_is_refused(captured) -> None:
    """A grant for somebody who was never registered says what comes first."""
    with pytest.raises(NotFound, match="not registered"):
        captured.record(captured.act("grant", captured.known("u-404"), "P07"))


def test_two_sensitive_purposes_in_one_act_are_refused(captured) -> None:
    """Separate consent means an act of its own (R07)."""
    captured.person("u-1")
    with pytest.raises(BundledConsent):
        captured.record(captured.act("grant", captured.known("u-1"), "P07", "P08"))


def test_id_number_joins_two_sources(captured, platform) -> None:
    """The shop's customer with the app user's ID number is the same subject."""
    facts = {"id_number": "11010519491231002X", "birth_date": "1949-12-31", "sex": "female"}
    first = captured.record(captured.act("contract", {"source": "app", "id": "u-1", **facts}, "P01")).subject
    second = captured.record(captured.act("contract", {"source": "shop", "id": "m-1", **facts}, "P01")).subject
    assert first == second
    assert platform.resolver.find("shop", "m-1") == first


def test_shared_mobile_never_joins(captured) -> None:
    """A family's mobile makes one person of nobody."""
    facts = {"mobile": "13800138000", "birth_date": "1980-01-01", "sex": "female"}
    first = captured.record(captured.act("contract", {"source": "app", "id": "u-1", **facts}, "P01")).subject
    second = captured.record(captured.act("contract", {"source": "app", "id": "u-2", **facts}, "P01")).subject
    assert first != second


def test_guardian_decides_for_a_child(captured) -> None:
    """A child's own grant does not count at the gate, the verified guardian's does."""
    captured.person("parent")
    captured.person("child", birth_date="2018-05-05")
    actor = {"kind": "guardian", "subject": captured.known("parent")}
    with pytest.raises(Denied):
        captured.record(captured.act("grant", captured.known("child"), "P07", actor=actor))
    proof = {"mechanism": "document_check", "document": "household_register"}
    captured.record(captured.act("guardian", captured.known("child"), actor=actor, evidence=proof))
    assert captured.record(captured.act("grant", captured.known("child"), "P07", actor=actor)).decisions


def test_agent_needs_an_end(captured) -> None:
    """An authorisation without its end is refused."""
    captured.person("u-1")
    captured.person("u-2")
    actor = {"kind": "agent", "subject": captured.known("u-2")}
    with pytest.raises(BadInput, match="needs its end"):
        captured.record(captured.act("agent", captured.known("u-1"), "P02", actor=actor))


def test_withdrawing_by_decision_id_ends_the_grant(captured, platform) -> None:
    """The receipt's id is enough to withdraw."""
    subject = captured.person("u-1")
    granted = captured.grant("u-1", "P07")
    made = withdraw_decision(platform, captured.caller, granted, at=None)
    assert (made.subject, made.purpose) == (subject, "P07")
    with platform.data.read() as connection:
        acts = {d.purpose: d.act.value for d in platform.registry.current(connection, subject)}
    assert acts["P07"] == "withdraw"


def test_age_stands_in_the_id_number(captured, platform) -> None:
    """A child registered by ID number alone is a child: its own grant does not count at the gate."""
    who = {"source": "app", "id": "kid", "id_number": "110105201805050026"}
    subject = captured.record(captured.act("contract", who, "P01", "P02")).subject
    with platform.data.read() as connection:
        assert get_standing(connection, subject).age_class is AgeClass.UNDER_14
    captured.grant("kid", "P07")
    with platform.data.write() as connection:
        said = platform.gate.check(
            connection, asking=platform.asking(captured.caller), purpose="P07", subject=subject, fields=["diagnosis"]
        )
    assert set(said.reasons.values()) == {Reason.GUARDIAN}


def test_birth_date_that_contradicts_the_id_number_is_refused(captured) -> None:
    """An adult's birth date beside a child's ID number registers nobody."""
    who = {"source": "app", "id": "kid", "id_number": "110105201805050026", "birth_date": "1980-01-01"}
    with pytest.raises(ValueError, match="contradict"):
        captured.record(captured.act("contract", who, "P01"))


def test_registration_without_an_age_is_refused(captured, platform) -> None:
    """Nobody is registered with an unknown age, because a guardian may be needed."""
    who = {"source": "app", "id": "u-1", "mobile": "13800138000"}
    with pytest.raises(BadInput, match="needs the birth date"):
        captured.record(captured.act("contract", who, "P01"))
    assert _subjects(platform) == 0


def test_late_grant_does_not_undo_a_withdrawal_with_a_slow_clock(captured, platform) -> None:
    """A withdrawal counts from when it was recorded, whatever its device's clock said."""
    subject = captured.person("u-1", "P07")
    captured.record(captured.act("withdraw", captured.known("u-1"), "P07", at="1970-01-01T00:00:00Z"))
    with pytest.raises(Conflict):
        captured.record(captured.act("grant", captured.known("u-1"), "P07", at="2026-11-19T02:00:00Z"))
    with platform.data.read() as connection:
        acts = {d.purpose: d.act.value for d in platform.registry.current(connection, subject)}
    assert acts["P07"] == "withdraw"


def test_withdrawal_is_never_refused_for_the_daily_cap(captured, platform) -> None:
    """A key that has used up its cap cannot grant for another person, and can withdraw for anybody."""
    for name in ("u-1", "u-2"):
        captured.person(name, "P07")
    capped = Principal(PrincipalId("key_capped"), "capped", PrincipalKind.KEY, "capture", None, 1)
    acts = [
        captured.act("refuse", captured.known("u-1"), "P08"),
        captured.act("grant", captured.known("u-2"), "P08"),
        captured.act("withdraw", captured.known("u-2"), "P07"),
    ]
    said = [capture_acts(platform, capped, [ConsentAct.model_validate(act)])[0] for act in acts]
    assert [isinstance(one, ActAnswer) for one in said] == [True, False, True]
