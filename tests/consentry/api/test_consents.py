"""Capturing acts and withdrawals over HTTP."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from consent.tables import decision
from consentry.api.consents import EXAMPLES
from kernel.ids import new_id

CONTRACT, GRANT = (EXAMPLES[name]["value"] for name in ("contract", "grant"))
WHO = {"source": "app", "id": "u-9", "id_number": "11010519491231002X", "birth_date": "1949-12-31"}


@pytest.fixture
def app(call, captured):
    """A caller with a capture key."""
    return call(captured.machine_key("capture"))


def decisions_stored(platform) -> int:
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).select_from(decision))


def test_person_is_registered_and_grants(app):
    """The examples of the schema, in their order, are recorded as they stand there."""
    opened, granted = app.post("/consents", CONTRACT), app.post("/consents", GRANT)
    assert (opened.status_code, granted.status_code) == (201, 201)
    assert [(d["purpose"], d["act"]) for d in opened.json()["decisions"]] == [("P01", "contract"), ("P02", "contract")]
    assert opened.json()["subject_id"] == granted.json()["subject_id"]
    assert granted.json()["decisions"][0]["act"] == "grant"


def test_act_that_comes_twice_gets_the_same_answer(app, platform):
    """A repetition answers 200 with the same ids and records nothing."""
    first = app.post("/consents", CONTRACT).json()
    stored = decisions_stored(platform)
    again = app.post("/consents", CONTRACT)
    assert again.status_code == 200
    assert again.json() == {**first, "repeated": True}
    assert first["repeated"] is False
    assert decisions_stored(platform) == stored


def test_same_instant_in_another_offset_is_the_same_act(app):
    """What counts is when the person acted, not how the sender writes it."""
    app.post("/consents", CONTRACT)
    assert app.post("/consents", {**CONTRACT, "at": "2026-11-21T01:58:00Z"}).status_code == 200


def test_act_id_of_another_act_is_a_conflict(app, refused):
    """An id that was used is not used again for something else; the answer does not repeat the id."""
    app.post("/consents", CONTRACT)
    document = refused(app.post("/consents", {**CONTRACT, "purposes": ["P01"]}), 409, "Conflict")
    assert CONTRACT["act_id"] not in document["detail"]


def test_acts_that_differ_in_their_guardian_only_are_two(app, captured, refused):
    """The identifying values of a representative are part of what an act says."""
    captured.person("u-1", birth_date="2015-05-20")
    first = {"source": "app", "id_number": "11010519491231002X"}
    second = {"source": "app", "id_number": "440524188001010014"}
    act = captured.act("guardian", captured.known("u-1"), actor={"kind": "guardian", "subject": first})
    refused(app.post("/consents", act), 404, "NotFound")
    app.post("/consents", CONTRACT)
    recorded = app.post("/consents", {**act, "evidence": {"mechanism": "check", "document": "household_register"}})
    assert recorded.status_code == 201
    other = {**act, "evidence": {"mechanism": "check", "document": "household_register"}}
    other["actor"] = {"kind": "guardian", "subject": second}
    refused(app.post("/consents", other), 409, "Conflict")


def test_act_ids_of_two_keys_do_not_meet(call, captured, platform):
    """Every sender has its own ids."""
    one, two = (call(captured.machine_key("capture")) for _ in range(2))
    assert one.post("/consents", CONTRACT).status_code == 201
    assert two.post("/consents", {**CONTRACT, "purposes": ["P01"]}).status_code == 201


def test_idempotency_key_names_the_request(app, platform, refused):
    """The same request under the same key is answered alike; another request under it is a conflict."""
    first = app.post("/consents", CONTRACT, Idempotency_Key="k-1")
    again = app.post("/consents", CONTRACT, Idempotency_Key="k-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "repeated": True}
    refused(app.post("/consents", {**CONTRACT, "act_id": "other"}, Idempotency_Key="k-1"), 409, "Conflict")
    assert app.post("/consents", CONTRACT, Idempotency_Key="k-2").json()["repeated"] is True
    refused(app.post("/consents", CONTRACT, Idempotency_Key="x" * 201), 422, "InvalidRequest")


def test_error_is_not_remembered_under_the_key(app, captured, refused):
    """A request that was refused may succeed later under its key."""
    act = captured.act("grant", captured.known("u-1"), "P07")
    refused(app.post("/consents", act, Idempotency_Key="k-1"), 404, "NotFound")
    captured.person("u-1")
    assert app.post("/consents", act, Idempotency_Key="k-1").status_code == 201


def test_grant_of_somebody_unknown_is_not_found(app, captured, platform, refused):
    """Nobody is registered by a grant, by an id that a caller chose, or by a contract for such an id."""
    stored = decisions_stored(platform)
    made_up = {"subject_id": new_id("sub")}
    for act in (
        captured.act("grant", captured.known("nobody"), "P07"),
        captured.act("grant", made_up, "P07"),
        captured.act("contract", made_up, "P01"),
    ):
        refused(app.post("/consents", act), 404, "NotFound")
    assert decisions_stored(platform) == stored


def test_contract_of_a_known_subject_by_our_id_is_recorded(app, captured):
    """Whoever knows our id may use it where a source's id would do."""
    subject = captured.person("u-1")
    said = app.post("/consents", captured.act("contract", {"subject_id": subject}, "P01", "P02"))
    assert (said.status_code, said.json()["subject_id"]) == (201, subject)


def test_id_number_is_compared_as_it_is_cleaned(app, captured):
    """Width, case and white space do not make two people of one."""
    subjects = set()
    for number, written in enumerate(
        ("11010519491231002X", "１１０１０５１９４９１２３１００２ｘ", "110105 19491231 002x")
    ):
        who = {**WHO, "id": f"u-{number}", "id_number": written}
        subjects.add(app.post("/consents", captured.act("contract", who, "P01")).json()["subject_id"])
    assert len(subjects) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"subject": {**WHO, "id_number": "110105194912310021"}}, "id_number: Value error, refused: check_digit"),
        ({"subject": {**WHO, "mobile": "12345"}}, "body.subject.mobile: Value error, refused: bad_mobile"),
        ({"subject": {**WHO, "id": "u\x00"}}, "body.subject.id: Value error, not usable as an id: bad_text"),
        ({"subject": {"source": "app"}}, "give subject_id, or source with id or id_number"),
        ({"subject": {**WHO, "source": "13912345678"}}, "body.subject.source: String should match pattern"),
        ({"subject": {**WHO, "birth_date": "1879-01-01"}}, "body.subject.birth_date: Input should be greater"),
        ({"subject": {"source": "app", "id": "u-9", "birth_date": "2027-01-01"}}, "a birth date lies after the act"),
        ({"subject": {**WHO, "birth_date": "1950-01-01"}}, "birth_date and id_number contradict each other"),
        ({"purposes": []}, "name at least one purpose"),
        ({"act": "grant"}, "name the notice that was shown"),
        ({"actor": {"kind": "guardian"}}, "a guardian or agent names its own subject"),
        ({"evidence": {"mechanism": "x" * 20_000}}, "evidence is larger than 16384 bytes"),
        ({"evidence": {"weight": 1.5}}, "has no canonical form"),
        ({"at": "2026-11-21T10:00:00"}, "body.at: Input should have timezone info"),
        ({"at": "9999-12-31T23:59:59-12:00"}, "give an instant between 1900 and 2999"),
        ({"valid_until": "0001-01-01T00:00:00+12:00"}, "give an instant between 1900 and 2999"),
        ({"consent": "yes"}, "body.*: Extra inputs are not permitted"),
    ],
)
def test_act_of_the_wrong_shape_is_refused_by_place(app, captured, platform, *, refused, change, told):
    """The answer names the place and the rule, and nothing is recorded."""
    act = captured.act("contract", WHO, "P01") | change
    document = refused(app.post("/consents", act), 422, "InvalidRequest")
    assert told in document["detail"]
    assert decisions_stored(platform) == 0


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"purposes": ["P02", "P07"]}, "BundledConsent"),
        ({"evidence": {"mechanism": "preticked"}}, "InvalidEvidence"),
        ({"evidence": {}}, "InvalidEvidence"),
        ({"purposes": ["P99"]}, "BadInput"),
        ({"purposes": ["P12"]}, "BadInput"),
        ({"at": "2026-11-21T02:06:00Z"}, "BadInput"),
        ({"notice": {"code": "profiling", "version": "2025-01", "locale": "zh-CN"}}, "NotFound"),
    ],
)
def test_act_that_the_rules_forbid_is_refused(app, captured, platform, *, refused, change, error):
    """Bundled, preticked, in the future, for an unknown purpose, recipient or notice: no decision is recorded."""
    captured.person("u-1")
    stored = decisions_stored(platform)
    act = captured.act("grant", captured.known("u-1"), "P07") | change
    refused(app.post("/consents", act), 404 if error == "NotFound" else 422, error)
    assert decisions_stored(platform) == stored


def test_operator_cannot_grant_for_a_person(app, captured, refused):
    """What the registry denies is a 403."""
    captured.person("u-1")
    act = captured.act("grant", captured.known("u-1"), "P07", actor={"kind": "operator"})
    refused(app.post("/consents", act), 403, "ActorNotEntitled")


def test_withdrawal_names_its_decision(app, captured):
    """The answer is the new decision for the same purpose."""
    captured.person("u-1")
    granted = captured.grant("u-1", "P07")
    said = app.post(f"/consents/{granted}/withdraw", {"at": "2026-11-21T10:00:00+08:00"})
    assert said.status_code == 200
    assert (said.json()["purpose"], said.json()["act"]) == ("P07", "withdraw")
    assert said.json()["decision_id"] != granted


def test_withdrawal_needs_no_body(app, captured, platform):
    """Withdrawing is as easy as a call can be."""
    captured.person("u-1")
    assert app.post(f"/consents/{captured.grant('u-1', 'P07')}/withdraw").status_code == 200


def test_withdrawal_under_a_key_is_recorded_once(app, captured, platform, refused):
    """A repetition under its key gets the same decision; without a key every call closes again."""
    captured.person("u-1")
    path = f"/consents/{captured.grant('u-1', 'P07')}/withdraw"
    first = app.post(path, Idempotency_Key="k-1").json()
    stored = decisions_stored(platform)
    assert app.post(path, Idempotency_Key="k-1").json() == first
    assert decisions_stored(platform) == stored
    refused(app.post(path, {"at": "2026-11-21T01:00:00Z"}, Idempotency_Key="k-1"), 409, "Conflict")
    assert app.post(path).json()["decision_id"] != first["decision_id"]


def test_withdrawal_also_ends_what_was_granted_anew(app, captured, call, clock):
    """A person who withdraws by an old receipt means the purpose, and not one of its grants."""
    subject = captured.person("u-1")
    old = captured.grant("u-1", "P07")
    app.post(f"/consents/{old}/withdraw")
    clock.advance(timedelta(minutes=1))
    captured.grant("u-1", "P07")
    app.post(f"/consents/{old}/withdraw")
    verdict = call(captured.token("compliance_officer")).post(
        "/decisions", {"subject_id": subject, "purpose": "P07", "fields": ["tags"]}
    )
    assert verdict.json()["refused"] == {"tags": "WITHDRAWN"}


@pytest.mark.parametrize(("decision_id", "status"), [("dec_" + "a" * 24, 404), ("13912345678", 422)])
def test_withdrawal_of_no_decision_is_refused(app, refused, decision_id, status):
    """An id that is none is not repeated in the answer."""
    document = refused(
        app.post(f"/consents/{decision_id}/withdraw"), status, "NotFound" if status == 404 else "InvalidRequest"
    )
    assert "13912345678" not in document["detail"]


def test_contract_cannot_be_withdrawn_by_call(app, captured, platform, refused):
    """What rests on law stays, and the refusal is not executed all the same."""
    captured.person("u-1")
    duty = captured.record(captured.act("duty", captured.known("u-1"), "P05")).decisions[0][0]
    stored = decisions_stored(platform)
    refused(app.post(f"/consents/{duty}/withdraw"), 403, "NotWithdrawable")
    assert decisions_stored(platform) == stored
