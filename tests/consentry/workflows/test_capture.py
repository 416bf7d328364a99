"""Capture: one act leads to one answer, a refused one leaves nothing, and the same one gets the same answer."""

import pytest
from sqlalchemy import func, select

from consent.ages import AgeClass
from consent.decisions import GuardianNeeded
from consent.registry import BundledConsent
from consent.standing import get_standing
from consent.tables import subject_standing
from consentry.acts import ConsentAct
from consentry.principals import DailyCapReached, Principal, PrincipalKind
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


def test_guardian_decides_for_a_child(captured, platform) -> None:
    """Under 14 a verified guardian's grant is recorded, under the children's own notice, and no other (R21)."""
    captured.person("parent")
    captured.person("child", birth_date="2018-05-05")
    actor = {"kind": "guardian", "subject": captured.known("parent")}
    text = next(n for n in platform.catalogue.notices if n.audience == "child")
    notice = {"code": text.code, "version": text.version, "locale": text.locale}
    grant = captured.act("grant", captured.known("child"), "P06", actor=actor, notice=notice)
    with pytest.raises(Denied):
        captured.record(grant)
    proof = {"mechanism": "document_check", "document": "household_register"}
    captured.record(captured.act("guardian", captured.known("child"), actor=actor, evidence=proof))
    assert captured.record({**grant, "act_id": "again"}).decisions


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
    """A child registered by ID number alone is a child: its own grant is refused and leaves nothing."""
    who = {"source": "app", "id": "kid", "id_number": "110105201805050026"}
    subject = captured.record(captured.act("contract", who, "P01", "P02")).subject
    with platform.data.read() as connection:
        assert get_standing(connection, subject).age_class is AgeClass.UNDER_14
    with pytest.raises(GuardianNeeded):
        captured.grant("kid", "P07")
    with platform.data.read() as connection:
        assert [d.act.value for d in platform.registry.history(connection, subject)] == ["contract", "contract"]


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


def test_act_keeps_the_offset_of_its_source(captured, platform) -> None:
    """The register stores the instant in UTC and how far east the source's clock stood."""
    subject = captured.person("u-1")
    captured.record(captured.act("grant", captured.known("u-1"), "P07", at="2026-11-21T09:30:00+08:00"))
    with platform.data.read() as connection:
        made = next(d for d in platform.registry.history(connection, subject) if d.purpose == "P07")
    assert (made.decided_at.isoformat(), made.offset_minutes) == ("2026-11-21T01:30:00+00:00", 480)


def test_period_and_uses_reach_the_register(captured, platform) -> None:
    """A grant may begin later, end, and be good for so many uses."""
    subject = captured.person("u-1")
    period = {"valid_from": "2026-12-01T00:00:00+08:00", "valid_until": "2026-12-31T00:00:00+08:00", "max_uses": 3}
    captured.record(captured.act("grant", captured.known("u-1"), "P07", **period))
    with platform.data.read() as connection:
        made = next(d for d in platform.registry.history(connection, subject) if d.purpose == "P07")
    assert made.valid_from is not None
    assert made.valid_until is not None
    assert (made.valid_from.isoformat(), made.max_uses) == ("2026-11-30T16:00:00+00:00", 3)


def test_renewal_and_end_are_acts_like_others(captured, platform) -> None:
    """A renewal follows its grant; the operator says that a contract is over, and nobody else does."""
    subject = captured.person("u-1", "P07")
    renewed = captured.record(captured.act("renew", captured.known("u-1"), "P07", notice=captured.notice("P07")))
    ended = captured.act("end", captured.known("u-1"), "P04")
    with pytest.raises(Denied):
        captured.record(ended)
    captured.record({**ended, "act_id": "operator", "actor": {"kind": "operator"}})
    with platform.data.read() as connection:
        acts = {(d.purpose, d.track.value): d for d in platform.registry.current(connection, subject)}
    assert acts["P07", "consent"].decision_id == renewed.decisions[0][0]
    assert acts["P07", "consent"].renews is not None
    assert acts["P04", "basis"].act.value == "end"


@pytest.mark.parametrize(
    ("evidence", "key"),
    [
        ({"occasion": "campaign"}, "occasion"),
        ({"shown": "partly"}, "shown"),
        ({"shown": 1}, "shown"),
        ({"locale": "Chinese"}, "locale"),
        ({"client_time": "2026-11-21T10:00:00"}, "client_time"),
        ({"client_time": "soon"}, "client_time"),
        ({"channel": ""}, "channel"),
        ({"session": "x" * 201}, "session"),
        ({"signature": "a\x00b"}, "signature"),
    ],
)
def test_known_keys_of_evidence_say_what_they_should(captured, evidence, key) -> None:
    """A known key with another kind of value is refused by its name; keys of the sender's own are kept as they are."""
    act = captured.act("refuse", captured.known("u-1"), "P07", evidence={"mechanism": "tapped_button", **evidence})
    with pytest.raises(ValueError, match=f"evidence is not as documented in {key}"):
        ConsentAct.model_validate(act)
    sound = {
        "mechanism": "tapped_button",
        "occasion": "own",
        "shown": "sha256:" + "0" * 64,
        "locale": captured.notice("P07")["locale"],
        "client_time": "2026-11-21T10:00:00+08:00",
        "channel": "app",
        "session": "s-1",
        "signature": "MEUCIQ",
        "screen": {"width": 360},
    }
    assert ConsentAct.model_validate({**act, "evidence": sound}).evidence == sound


def test_evidence_of_another_translation_is_refused(captured) -> None:
    """What was shown in English is no evidence for the Chinese text."""
    captured.person("u-1")
    evidence = {"mechanism": "tapped_button", "locale": "fr"}
    with pytest.raises(ValueError, match="locale of the evidence"):
        captured.record(captured.act("grant", captured.known("u-1"), "P07", evidence=evidence))


def test_relation_cuts_the_run_only_where_its_people_are_touched(captured, platform, monkeypatch) -> None:
    """Acts about other people stay in one run with those that follow; each finds what stands before it."""
    captured.person("parent")
    runs = []
    record_many = platform.registry.record_many

    def counted(connection, requests, *, asking):
        runs.append([request.purposes for request in requests])
        return record_many(connection, requests, asking=asking)

    monkeypatch.setattr(platform.registry, "record_many", counted)
    kid = {"source": "app", "id": "kid", "birth_date": "2018-05-05", "sex": "male"}
    text = next(n for n in platform.catalogue.notices if n.audience == "child")
    notice = {"code": text.code, "version": text.version, "locale": text.locale}
    actor = {"kind": "guardian", "subject": captured.known("parent")}
    proof = {"mechanism": "document_check", "document": "household_register"}
    other = {"source": "app", "id": "u-2", "birth_date": "1990-01-01", "sex": "male"}
    acts = [
        captured.act("contract", kid, "P01", "P02"),
        captured.act("guardian", captured.known("kid"), actor=actor, evidence=proof),
        captured.act("contract", other, "P01"),
        captured.act("guardian", captured.known("kid"), actor=actor, evidence=proof),
        captured.act("grant", captured.known("kid"), "P06", actor=actor, notice=notice),
    ]
    said = capture_acts(platform, captured.caller, [ConsentAct.model_validate(act) for act in acts])
    assert all(isinstance(one, ActAnswer) for one in said)
    assert runs == [[("P01", "P02")], [("P01",), ("P06",)]]


def test_unknown_numbers_count_against_the_cap(captured, platform) -> None:
    """A key cannot try out numbers: each that is not registered counts as a person, the same one once."""
    numbers = ["11010519491231002X", "440524188001010014"]
    capped = Principal(PrincipalId("key_capped"), "capped", PrincipalKind.KEY, "capture", None, 1)

    def tried(number: str, act: str = "grant") -> type:
        made = captured.act(act, {"source": "app", "id_number": number}, "P07")
        return type(capture_acts(platform, capped, [ConsentAct.model_validate(made)])[0])

    assert [tried(numbers[0]), tried(numbers[0])] == [NotFound, NotFound]
    assert tried(numbers[1]) is DailyCapReached
    assert tried(numbers[1], "withdraw") is DailyCapReached


def test_unknown_representatives_count_against_the_cap(captured, platform) -> None:
    """Nor can it try them out as guardians."""
    captured.person("kid", birth_date="2018-05-05")
    capped = Principal(PrincipalId("key_capped"), "capped", PrincipalKind.KEY, "capture", None, 2)
    proof = {"mechanism": "document_check", "document": "household_register"}
    said = []
    for number in ("11010519491231002X", "440524188001010014"):
        actor = {"kind": "guardian", "subject": {"source": "app", "id_number": number}}
        act = captured.act("guardian", captured.known("kid"), actor=actor, evidence=proof)
        said += [type(one) for one in capture_acts(platform, capped, [ConsentAct.model_validate(act)])]
    assert said == [NotFound, DailyCapReached]
