"""What a subject token may do: decide and read for its own person and those whom it represents, and nothing else."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from consent.representatives import Capacity
from consent.tables import decision
from consentry.workflows.represent import add_kin, record_deceased
from kernel.ids import new_id


@pytest.fixture
def me(call, captured, login):
    """The user u-1 of the app, registered, with a token."""
    captured.person("u-1")
    return call(login.token("u-1"))


@pytest.fixture
def family(captured):
    """A parent u-1 with a recorded child, and a stranger; returns their ids."""
    parent, child = captured.person("u-1"), captured.person("kid", birth_date="2018-05-05")
    stranger = captured.person("u-2")
    proof = {"mechanism": "document_check", "document": "household_register"}
    actor = {"kind": "guardian", "subject": captured.known("u-1")}
    captured.record(captured.act("guardian", captured.known("kid"), actor=actor, evidence=proof))
    return parent, child, stranger


def decisions_of(platform, subject, purpose):
    with platform.data.read() as connection:
        return [d for d in platform.registry.history(connection, subject) if d.purpose == purpose]


def denials(call, captured):
    said = call(captured.token("compliance_officer")).get("/audit/entries", act="access.denied").json()
    return [entry["reason"] for entry in said["entries"]]


def test_person_decides_and_the_actor_is_the_person(me, captured, platform):
    """What the body says about the actor counts for nothing; the token says who it is."""
    subject = platform.resolver.find("app", "u-1")
    for whom in ({"subject_id": "me"}, {"subject_id": subject}, captured.known("u-1")):
        act = captured.act("grant", whom, "P07", actor={"kind": "operator"})
        said = me.post("/consents", act)
        assert said.status_code == 201, said.text
        assert said.json()["subject_id"] == subject
    assert [(d.actor_kind, d.actor_subject) for d in decisions_of(platform, subject, "P07")] == [("self", None)] * 3


def test_same_act_sent_twice_gets_the_same_answer(me, captured):
    """A page that lost its answer sends the act again."""
    act = captured.act("grant", {"subject_id": "me"}, "P07")
    first, second = me.post("/consents", act), me.post("/consents", act)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["decisions"] == second.json()["decisions"]


@pytest.mark.parametrize("act", ["contract", "duty", "end", "guardian", "agent"])
def test_operators_acts_are_refused(me, call, captured, platform, *, refused, act):
    """Contracts, duties, their end and representatives are the operator's to record; the attempt stays in the log."""
    body = captured.act(act, {"subject_id": "me"}, "P02", valid_until="2027-01-01T00:00:00Z")
    if act in ("guardian", "agent"):
        body["actor"] = {"kind": act, "subject": {"subject_id": new_id("sub")}}
    refused(me.post("/consents", body), 403, "NotOwnAct")
    assert denials(call, captured) == ["OWN_ACT"]


def test_person_cannot_speak_for_a_stranger(me, call, captured, platform, *, refused):
    """Neither act, withdrawal, renewal, list, history, receipt nor signal of somebody else; existence is not told."""
    stranger, made_up = captured.person("u-2"), new_id("sub")
    theirs = captured.grant("u-2", "P07")
    stored = _stored(platform)
    renewal = {"notice": captured.notice("P07"), "evidence": {"mechanism": "tapped_button"}}
    answers = [
        me.post("/consents", captured.act("refuse", {"subject_id": stranger}, "P07")),
        me.post("/consents", captured.act("refuse", {"subject_id": made_up}, "P07")),
        me.post("/consents", captured.act("refuse", captured.known("u-2"), "P07")),
        me.post("/consents", captured.act("refuse", captured.known("u-404"), "P07")),
        me.post(f"/consents/{theirs}/withdraw"),
        me.post(f"/consents/{theirs}/renew", renewal),
        me.get(f"/consents/{theirs}/receipt"),
        *(me.get(f"/subjects/{stranger}/{what}") for what in ("consents", "consents/history")),
        *(me.get(f"/subjects/{whom}/due", channel="app") for whom in (stranger, made_up)),
        me.post(f"/subjects/{stranger}/signals/gpc"),
    ]
    documents = [refused(said, 403, "NotRepresented") for said in answers]
    assert len({document["detail"] for document in documents}) == 1
    assert _stored(platform) == stored
    assert denials(call, captured) == ["REPRESENTATION"] * len(answers)


def _stored(platform) -> int:
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).select_from(decision))


def test_identifying_values_are_no_name_for_a_token(me, captured, refused):
    """A token cannot try out whose ID number is registered."""
    who = {"source": "app", "id": "u-1", "id_number": "11010519491231002X"}
    refused(me.post("/consents", captured.act("refuse", who, "P07")), 422, "BadInput")
    refused(me.post("/consents", captured.act("refuse", {**who, "id": None}, "P07")), 422, "BadInput")


def test_guardian_decides_for_the_child(family, call, captured, login, *, platform, refused):
    """The relation decides as whom the token's person acts (R21); a parent may not speak for others."""
    parent, child, stranger = family
    mother = call(login.token("u-1"))
    act = captured.act("grant", {"subject_id": child}, "P06", notice=_child_notice(captured))
    said = mother.post("/consents", act)
    assert said.status_code == 201, said.text
    made = decisions_of(platform, child, "P06")[0]
    assert (made.actor_kind, made.actor_subject) == ("guardian", parent)
    assert mother.get(f"/subjects/{child}/consents").status_code == 200
    assert mother.get(f"/subjects/{child}/consents/history").status_code == 200
    refused(mother.post("/consents", captured.act("refuse", {"subject_id": stranger}, "P07")), 403, "NotRepresented")
    withdrawn = mother.post(f"/consents/{made.decision_id}/withdraw")
    assert withdrawn.status_code == 200
    assert decisions_of(platform, child, "P06")[-1].actor_kind == "guardian"


def _child_notice(captured) -> dict[str, str]:
    text = next(n for n in captured.platform.catalogue.notices if n.audience == "child")
    return {"code": text.code, "version": text.version, "locale": text.locale}


def test_child_cannot_grant_for_itself(family, call, captured, login, *, refused, platform):
    """Under 14 the guardian must act (R21), whoever holds the phone."""
    _, child, _ = family
    act = captured.act("grant", {"subject_id": "me"}, "P06", notice=_child_notice(captured))
    refused(call(login.token("kid")).post("/consents", act), 403, "GuardianNeeded")
    assert decisions_of(platform, child, "P06") == []


def test_agent_stays_within_its_purposes(call, captured, clock, login, *, refused):
    """An agent decides and sees what it was authorised for, until the end of it, and never the whole history."""
    subject = captured.person("u-2", "P07")
    captured.person("u-1")
    captured.grant("u-2", "P08")
    until = (clock.now() + timedelta(days=1)).isoformat()
    actor = {"kind": "agent", "subject": captured.known("u-1")}
    captured.record(captured.act("agent", captured.known("u-2"), "P08", actor=actor, valid_until=until))
    agent = call(login.token("u-1"))
    rows = agent.get(f"/subjects/{subject}/consents").json()["decisions"]
    assert {row["purpose"] for row in rows} == {"P08"}
    other = rows[0]["decision"]
    refused(agent.get(f"/subjects/{subject}/consents/history"), 403, "NotRepresented")
    refused(agent.post("/consents", captured.act("refuse", {"subject_id": subject}, "P07")), 403, "ActorNotEntitled")
    assert agent.post(f"/consents/{other}/withdraw").json()["purpose"] == "P08"
    clock.advance(timedelta(days=2))
    late = call(login.token("u-1"))
    refused(late.get(f"/subjects/{subject}/consents"), 403, "NotRepresented")


def test_kin_withdraws_for_the_dead_and_grants_nothing(call, captured, login, platform, *, refused):
    """Verified kin acts for a deceased (R29): closing only."""
    subject = captured.person("u-2", "P07")
    kin = captured.person("u-1")
    record_deceased(platform, captured.caller, subject=subject, no_kin=False)
    made = add_kin(platform, captured.caller, subject=subject, kin=kin, verification="household_register")
    assert made.capacity is Capacity.KIN
    heir = call(login.token("u-1"))
    assert heir.post("/consents", captured.act("withdraw", {"subject_id": subject}, "P07")).status_code == 201
    assert decisions_of(platform, subject, "P07")[-1].actor_kind == "kin"
    assert heir.get(f"/subjects/{subject}/due", channel="app").json()["items"] == []
    refused(heir.post("/consents", captured.act("grant", {"subject_id": subject}, "P08")), 403, "ActorNotEntitled")


def test_token_of_somebody_unregistered_is_told_so(call, login, refused):
    """The login vouches for the person; the register has to know them first."""
    refused(call(login.token("u-404")).get("/subjects/me/due", channel="app"), 403, "SubjectUnknown")


def test_token_reaches_the_capture_routes_only(me, platform, refused):
    """Not the gate, records, the log, other people's tags nor an opening, whatever the pack's role lists."""
    subject = platform.resolver.find("app", "u-1")
    question = {"subject_id": subject, "purpose": "P02", "fields": ["sex"]}
    reveal = {"purpose": "P02", "fields": ["sex"], "reason": "curious"}
    approval = {"subject_id": subject, "purpose": "P02", "role": "clinician", "reason": "curious"}
    refused(me.post("/decisions", question), 403, "Denied")
    refused(me.post(f"/subjects/{subject}/reveal", reveal), 403, "Denied")
    refused(me.post("/approvals", approval), 403, "Denied")
    refused(me.get(f"/subjects/{subject}/tags"), 403, "Denied")
    refused(me.get("/audit/entries"), 403, "Denied")
    batch = {"source": "app", "records": [{"source_subject": "u", "kind": "profile", "source_record": "1"}]}
    batch["records"][0] |= {"observed_at": "2026-11-20", "values": {"sex": "female"}}
    refused(me.post("/records", batch), 403, "Denied")


def test_me_is_for_tokens_only(call, captured, refused):
    """A key has no person of its own."""
    app = call(captured.machine_key("capture"))
    refused(app.get("/subjects/me/due", channel="app"), 422, "BadInput")
    refused(app.post("/consents", captured.act("refuse", {"subject_id": "me"}, "P07")), 404, "NotFound")


def test_bad_token_of_the_login_is_a_401(call, login, refused):
    """Wrong, ended or touched: nobody is known by it."""
    for token in (login.token(aud="another"), login.token()[:-8] + "AAAAAAAA"):
        refused(call(token).get("/subjects/me/due", channel="app"), 401, "NotAuthenticated")


def test_log_names_the_person_by_alias(me, call, captured, platform):
    """The actor of a person's own act is the subject's alias, never its id."""
    me.post("/consents", captured.act("refuse", {"subject_id": "me"}, "P07"))
    subject = platform.resolver.find("app", "u-1")
    log = call(captured.token("compliance_officer")).get("/audit/entries", act="consent.refused")
    entry = log.json()["entries"][0]
    assert entry["actor"] == entry["subject"]
    assert entry["role"] == "subject"
    assert subject not in log.text


def test_withdrawing_takes_no_more_steps_than_granting(me, captured, platform):
    """R14: one call each, and the withdrawal needs fewer members than the grant: none; it counts at once."""
    calls, sent = {}, {}
    grant = captured.act("grant", {"subject_id": "me"}, "P07")
    calls["grant"], sent["grant"] = 1, set(grant) - {"recipient"}
    granted = me.post("/consents", grant).json()["decisions"][0]["decision_id"]
    withdrawn = me.post(f"/consents/{granted}/withdraw")
    calls["withdraw"], sent["withdraw"] = 1, set()
    assert withdrawn.status_code == 200
    assert calls["withdraw"] <= calls["grant"]
    assert len(sent["withdraw"]) < len(sent["grant"])
    subject = platform.resolver.find("app", "u-1")
    with platform.data.write() as connection:
        said = platform.gate.check(
            connection, asking=platform.asking(captured.caller), purpose="P07", subject=subject, fields=["diagnosis"]
        )
    assert {reason.value for reason in said.reasons.values()} == {"WITHDRAWN"}
