"""What is due, what stands, the history, receipts, renewals, and Global Privacy Control over HTTP."""

import json
from datetime import timedelta

import pytest

OPTIONAL = {"P06", "P07", "P08", "P09", "P10", "P11", "P12", "P14", "P16"}
GPC = {"Sec-GPC": "1"}


@pytest.fixture
def me(call, captured, login):
    """The user u-1 of the app, registered, with a token."""
    captured.person("u-1")
    return call(login.token("u-1"))


@pytest.fixture
def subject(me, platform):
    """The id of u-1."""
    return platform.resolver.find("app", "u-1")


def due(caller, whom="me", more=None, **params):
    said = caller.get(f"/subjects/{whom}/due", channel="app", more=more, **params)
    assert said.status_code == 200, said.text
    return said.json()


def acts_logged(call, captured, act):
    said = call(captured.token("compliance_officer")).get("/audit/entries", act=act).json()
    return [entry["refs"] for entry in said["entries"]]


def test_new_person_is_asked_the_service_first(me, subject, medical):
    """What the service rests on comes before what is optional; each item names one purpose and its exact text."""
    said = due(me, locale="en")
    purposes = [item["purpose"] for item in said["items"]]
    assert said["subject_id"] == subject
    assert purposes.index("P02") < purposes.index("P06") < purposes.index("P07")
    optional = [item["optional"] for item in said["items"]]
    assert optional == sorted(optional)
    assert {item["kind"] for item in said["items"]} == {"ask"}
    assert "P14" not in purposes
    care = next(item for item in said["items"] if item["purpose"] == "P02")
    assert care["notice"] == {"code": "service", "version": "2026-11", "locale": "en"}
    assert (care["label"], care["decided_by"], care["renewable"]) == (medical.purposes["P02"].label.en, "self", False)


def test_item_leads_to_the_exact_text(me):
    """The hash of an item is the tag of the text that the open route gives out."""
    item = next(item for item in due(me)["items"] if item["purpose"] == "P07")
    ref = item["notice"]
    text = me.get(f"/notices/{ref['code']}/{ref['version']}/{ref['locale']}")
    assert text.headers["etag"] == f'"{item["notice_hash"]}"'
    assert text.json()["title"] == item["title"]


def test_what_is_decided_is_not_due(me, captured):
    """A grant and a refusal each end the asking; the answers given by an item's members are admissible."""
    items = {item["purpose"]: item for item in due(me)["items"]}
    for purpose, act in (("P07", "grant"), ("P08", "refuse")):
        body = captured.act(act, {"subject_id": "me"}, purpose, notice=items[purpose]["notice"])
        assert me.post("/consents", body).status_code == 201
    assert not {"P07", "P08"} & {item["purpose"] for item in due(me)["items"]}


def test_reading_what_is_due_is_logged(me, call, captured):
    """Whoever reads decisions leaves an entry, the person's own page included."""
    due(me)
    me.get("/subjects/me/consents")
    me.get("/subjects/me/consents/history")
    told = [refs["what"] for refs in acts_logged(call, captured, "consent.read")]
    assert sorted(told) == ["decisions", "due", "history"]


def test_capture_key_asks_for_its_person(call, captured, me, subject):
    """A server of the operator's shows the same as the page would; reading what stands is not the key's."""
    app = call(captured.machine_key("capture"))
    assert due(app, subject)["items"] == due(me)["items"]
    assert app.get(f"/subjects/{subject}/consents").status_code == 403


def test_capped_key_is_stopped_at_its_people(call, captured, subject, refused):
    """Reading what is due counts among the people that a key touches in a day."""
    other = captured.person("u-2")
    app = call(captured.machine_key("capture", cap=1))
    due(app, subject)
    refused(app.get(f"/subjects/{other}/due", channel="app"), 429, "DailyCapReached")


def test_staff_reads_what_stands_as_of_an_instant(call, captured, clock, me, subject):
    """The register says what it knew then."""
    before = clock.now()
    clock.advance(timedelta(hours=1))
    captured.grant("u-1", "P07")
    officer = call(captured.token("compliance_officer"))
    now = officer.get(f"/subjects/{subject}/consents").json()
    then = officer.get(f"/subjects/{subject}/consents", as_of=before.isoformat()).json()
    assert "P07" in {row["purpose"] for row in now["decisions"]}
    assert "P07" not in {row["purpose"] for row in then["decisions"]}
    assert (now["as_of"], then["as_of"]) == (None, "2026-11-21T02:00:00.000000Z")


def test_history_tells_everything_in_words(me, captured):
    """The person sees each act, and the texts that were shown."""
    captured.grant("u-1", "P07")
    told = json.dumps(me.get("/subjects/me/consents/history", locale="en").json())
    assert "profiling/2026-11" in told


def test_receipt_is_handed_to_its_person(me, captured):
    """A grant has a receipt that the person can keep."""
    granted = captured.grant("u-1", "P07")
    said = me.get(f"/consents/{granted}/receipt")
    assert said.status_code == 200, said.text
    assert said.json()["decision_id"] == granted
    assert said.json()["receipt"].count(".") == 2


def test_grant_that_ends_soon_is_renewed(me, captured, clock, login, call):
    """What ends within thirty days is due again, renewable by its decision; the renewal is the new one that stands."""
    until = (clock.now() + timedelta(days=31)).isoformat()
    act = captured.act("grant", {"subject_id": "me"}, "P07", valid_until=until)
    granted = me.post("/consents", act).json()["decisions"][0]["decision_id"]
    assert "P07" not in {item["purpose"] for item in due(me)["items"]}
    clock.advance(timedelta(days=2))
    me = call(login.token("u-1"))
    item = next(item for item in due(me)["items"] if item["purpose"] == "P07")
    assert (item["kind"], item["renewable"], item["renews"]) == ("ask_again", True, granted)
    body = {"notice": item["notice"], "evidence": {"mechanism": "tapped_button", "shown": "summary"}}
    said = me.post(f"/consents/{granted}/renew", body, Idempotency_Key="r-1")
    assert (said.status_code, said.json()["act"]) == (200, "renew")
    assert me.post(f"/consents/{granted}/renew", body, Idempotency_Key="r-1").json() == said.json()
    assert "P07" not in {item["purpose"] for item in due(me)["items"]}


def test_renewal_needs_something_that_stands(me, captured, refused):
    """After a withdrawal only a new grant opens again."""
    granted = captured.grant("u-1", "P07")
    me.post(f"/consents/{granted}/withdraw")
    body = {"notice": captured.notice("P07"), "evidence": {"mechanism": "tapped_button"}}
    refused(me.post(f"/consents/{granted}/renew", body), 422, "BadInput")


def test_renewal_names_the_translation_that_was_shown(me, captured, refused):
    """Evidence of one locale is no evidence for another."""
    granted = captured.grant("u-1", "P07")
    notice = captured.notice("P07") | {"locale": "en"}
    body = {"notice": notice, "evidence": {"mechanism": "tapped_button", "locale": "zh-CN"}}
    document = refused(me.post(f"/consents/{granted}/renew", body), 422, "InvalidRequest")
    assert "the locale of the evidence is not the notice's" in document["detail"]


def test_browser_that_asks_not_to_be_asked_is_heard(me):
    """Under Global Privacy Control nothing optional is due, and the answer says what was left out."""
    said = due(me, more=GPC)
    assert not any(item["optional"] for item in said["items"])
    assert set(said["omitted"]) == OPTIONAL
    assert due(me, more={"Sec-GPC": "0"})["omitted"] == []


def test_prompted_grant_under_the_signal_is_a_conflict(me, captured, refused):
    """Only what the person chose unasked is recorded, and the contract's purposes are not touched."""
    grant = captured.act("grant", {"subject_id": "me"}, "P07")
    refused(me.post("/consents", grant, Sec_GPC="1"), 409, "PrivacySignalStands")
    own = grant | {"evidence": {"mechanism": "settings_page", "occasion": "own"}}
    granted = me.post("/consents", own, Sec_GPC="1")
    assert granted.status_code == 201
    assert me.post("/consents", captured.act("grant", {"subject_id": "me"}, "P02"), Sec_GPC="1").status_code == 201
    decision = granted.json()["decisions"][0]["decision_id"]
    body = {"notice": captured.notice("P07"), "evidence": {"mechanism": "tapped_button"}}
    refused(me.post(f"/consents/{decision}/renew", body, Sec_GPC="1"), 409, "PrivacySignalStands")
    assert me.post(f"/consents/{decision}/renew", body).status_code == 200


def test_signal_closes_what_is_open_or_undecided(me, captured, platform, subject):
    """Grants are withdrawn, what was never decided is refused, what was closed stays as it was."""
    captured.grant("u-1", "P07")
    refused_before = captured.record(captured.act("refuse", captured.known("u-1"), "P08")).decisions[0][0]
    said = me.post("/subjects/me/signals/gpc").json()
    closed = {made["purpose"]: made["act"] for made in said["closed"]}
    assert closed["P07"] == "withdraw"
    assert closed.keys() == OPTIONAL - {"P08"}
    assert {act for purpose, act in closed.items() if purpose != "P07"} == {"refuse"}
    with platform.data.read() as connection:
        standing = {d.purpose: d for d in platform.registry.current(connection, subject) if d.track == "consent"}
    assert standing["P08"].decision_id == refused_before
    assert standing.keys() & {"P01", "P02"} == set()


def test_later_grant_outlives_every_later_signal(me, captured, clock, call, login):
    """The person's own later word is plainer than a browser's standing one; a repeated signal changes nothing."""
    first = me.post("/subjects/me/signals/gpc").json()
    assert me.post("/subjects/me/signals/gpc").json()["closed"] == []
    clock.advance(timedelta(minutes=1))
    own = captured.act("grant", {"subject_id": "me"}, "P07", evidence={"mechanism": "settings", "occasion": "own"})
    me = call(login.token("u-1"))
    assert me.post("/consents", own).status_code == 201
    again = me.post("/subjects/me/signals/gpc").json()
    assert (again["closed"], again["left"]) == ([], ["P07"])
    assert {made["purpose"] for made in first["closed"]} == OPTIONAL


def test_care_works_when_everything_optional_is_refused(me, captured, platform, call, subject):
    """R17: no to everything optional leaves the consultation: its data is stored and opened."""
    captured.grant("u-1", "P02")
    assert len(me.post("/subjects/me/signals/gpc").json()["closed"]) == len(OPTIONAL)
    stored = captured.store([captured.posted("u-1", diagnosis="icd10:I10")])
    assert stored["stored_records"] == 1
    body = {"purpose": "P02", "fields": ["diagnosis"], "reason": "consultation 4711"}
    opened = call(captured.token("clinician")).post(f"/subjects/{subject}/reveal", body)
    assert opened.json()["records"][0]["values"] == {"diagnosis": ["icd10:I10"]}


def test_marketing_needs_an_opt_in_and_stops_with_it(me, captured, platform, subject):
    """R13: nothing is sent without the opt-in; switched off on the page, the very next send is refused."""
    fields = sorted(
        f for f in platform.catalogue.fields_by_purpose["P09"] if platform.catalogue.fields[f].collect == "P09"
    )

    def refused_fields() -> set[str]:
        with platform.data.write() as connection:
            said = platform.gate.check(
                connection, asking=platform.asking(captured.caller), purpose="P09", subject=subject, fields=fields
            )
        return {reason.value for reason in getattr(said, "reasons", {}).values()}

    assert refused_fields() == {"NO_DECISION"}
    granted = me.post("/consents", captured.act("grant", {"subject_id": "me"}, "P09")).json()["decisions"][0]
    assert refused_fields() == set()
    assert me.post(f"/consents/{granted['decision_id']}/withdraw").status_code == 200
    assert refused_fields() == {"WITHDRAWN"}


def test_pretick_is_no_choice(me, captured, refused):
    """R19: a page cannot send what nobody did, whoever signed the person in."""
    act = captured.act("grant", {"subject_id": "me"}, "P07", evidence={"mechanism": "pre-ticked"})
    refused(me.post("/consents", act), 422, "InvalidEvidence")
