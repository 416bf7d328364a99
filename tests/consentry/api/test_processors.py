"""A processor's key: bound to its contract's term, purposes and fields (R38)."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from audit.entries import decode_entry
from audit.tables import leaf
from consent.recipients import end_recipient, record_recipient
from consentry.contracts import OutsideContract
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.accounts import add_key
from consentry.workflows.capture import capture_acts
from consentry.workflows.ingest_http import ingest_posted
from kernel.catalogue import Label, RecipientText
from kernel.errors import BadInput, NotFound
from kernel.ids import PrincipalId
from tests.consentry.conftest import ADMIN

TEXT = RecipientText(
    code="printer", kind="processor", name=Label("印务", "Printer"), contact="privacy@printer.example", country="CN",
    purposes=("P02", "P07"), method="on our order", contract="EX-1", term_from=date(2026, 1, 1),
    term_until=date(2027, 1, 1), fields=frozenset({"diagnosis"}),
)  # fmt: skip


@pytest.fixture
def record(platform):
    """Records a version of a recipient."""

    def recorded(text=TEXT, **changes):
        with platform.data.write() as connection:
            return record_recipient(
                connection, replace(text, **changes), platform.catalogue, asking=platform.asking(ADMIN),
                log=platform.log,
            )  # fmt: skip

    return recorded


@pytest.fixture
def end(platform, clock):
    """Ends the relation, a minute later."""

    def ended(code="printer"):
        clock.advance(timedelta(minutes=1))
        with platform.data.write() as connection:
            end_recipient(connection, code, certificate="destroyed", asking=platform.asking(ADMIN), log=platform.log)

    return ended


@pytest.fixture
def key(platform, call, record):
    """Calls with a new key of a registered processor."""

    def made(role, code="printer"):
        named = {"name": f"{code}-{role}", "role": role, "days": 300, "subjects_per_day": None, "sources": ["app"]}
        return call(add_key(platform, ADMIN, processor=code, **named)[1])

    record()
    return made


def denials(platform):
    """What the log says of refused calls: reason and references."""
    platform.log.settle()
    with platform.data.read() as connection:
        rows = connection.execute(leaf.select().where(leaf.c.act == "access.denied").order_by(leaf.c.leaf_index))
        entries = [decode_entry(row.body) for row in rows]
    return [(entry["reason"], dict(entry["refs"])) for entry in entries]


def test_capture_key_records_what_the_contract_names(key, captured, platform, refused):
    """A purpose of the contract passes; another is a 403 of its own type with its entry (R38)."""
    captured.person("u-1")
    printer = key("capture")
    assert printer.post("/consents", captured.act("grant", captured.known("u-1"), "P07")).status_code == 201
    document = refused(
        printer.post("/consents", captured.act("grant", captured.known("u-1"), "P08")), 403, "OutsideContract"
    )
    assert "P08" in document["detail"]
    assert denials(platform) == [("PROCESSOR", {"act": "grant", "processor": "printer", "rule": "purpose"})]


def test_guardian_concerns_every_purpose_and_is_refused(key, captured, refused):
    """No processor records who decides for a child in everything (R38)."""
    captured.person("parent")
    captured.person("kid", birth_date="2018-05-05")
    actor = {"kind": "guardian", "subject": captured.known("parent")}
    proof = {"mechanism": "document_check", "document": "household_register"}
    act = captured.act("guardian", captured.known("kid"), actor=actor, evidence=proof)
    refused(key("capture").post("/consents", act), 403, "OutsideContract")


def test_decisions_of_other_purposes_are_out_of_reach(key, captured, platform, refused):
    """Neither withdrawn nor renewed; what is due and a browser's signal stay within the contract as well (R38)."""
    subject, printer = captured.person("u-1"), key("capture")
    profiling, marketing = captured.grant("u-1", "P07"), captured.grant("u-1", "P09")
    platform.clock.advance(timedelta(minutes=1))
    refused(printer.post(f"/consents/{marketing}/withdraw", {}), 403, "OutsideContract")
    renewal = {"notice": captured.notice("P09"), "evidence": {"mechanism": "tapped_button"}}
    refused(printer.post(f"/consents/{marketing}/renew", renewal), 403, "OutsideContract")
    assert [reason for reason, _ in denials(platform)] == ["PROCESSOR"] * 2
    assert printer.post(f"/consents/{profiling}/withdraw", {}).status_code == 200
    due = printer.get(f"/subjects/{subject}/due", channel="app").json()
    assert {item["purpose"] for item in due["items"]} <= {"P02", "P07"}
    signalled = printer.post(f"/subjects/{subject}/signals/gpc").json()
    assert {one["purpose"] for one in signalled["closed"]} <= {"P02", "P07"}
    with platform.data.read() as connection:
        stands = {made.purpose: made.act for made in platform.registry.current(connection, subject)}
    assert stands["P09"] == "grant"


@pytest.mark.parametrize("role", ["capture", "ingest"])
def test_key_ends_with_the_contract(key, captured, platform, end, *, refused, role):
    """From the commit of the end each call is a 403, and the entry names the rule (R38)."""
    captured.person("u-1", "P02")
    printer = key(role)
    end()
    said = (
        printer.post("/consents", captured.act("withdraw", captured.known("u-1"), "P07"))
        if role == "capture"
        else printer.post("/records", {"source": "app", "records": [captured.posted(diagnosis="icd10:I10")]})
    )
    refused(said, 403, "OutsideContract")
    act = {"capture": "consent.capture", "ingest": "records.ingest"}[role]
    assert denials(platform) == [("PROCESSOR", {"act": act, "processor": "printer", "rule": "ended"})]


def test_key_rests_outside_the_term(key, captured, clock, refused):
    """After the last day of the contract nothing is taken (R38)."""
    captured.person("u-1")
    printer = key("capture")
    clock.advance(timedelta(days=60))
    refused(printer.post("/consents", captured.act("grant", captured.known("u-1"), "P07")), 403, "OutsideContract")


def test_sub_processor_works_only_approved_and_under_a_standing_contract(key, record, captured, refused, end):
    """Unapproved: nothing; approved: its purposes; with the end of who engages it: nothing again (R38)."""
    captured.person("u-1")
    below = {"code": "binder", "engaged_by": "printer", "fields": None}
    record(**below)
    binder = key("capture", "binder")

    def grant():
        return binder.post("/consents", captured.act("grant", captured.known("u-1"), "P07"))

    refused(grant(), 403, "OutsideContract")
    record(**below, approved_by="privacy committee")
    assert grant().status_code == 201
    end("printer")
    refused(grant(), 403, "OutsideContract")


def test_ingest_key_stores_the_contracts_fields_only(key, captured, call):
    """Every other field is refused as SCOPE; the same records from ourselves are not taken for a repetition (R38)."""
    captured.person("u-1", "P02")
    body = {"source": "app", "records": [captured.posted(diagnosis="icd10:I10", sex="female", topic="sleep")]}
    said = key("ingest").post("/records", body)
    assert said.status_code == 201, said.text
    assert said.json()["stored_fields"] == 1
    assert said.json()["refused"]["sex"] == {"SCOPE": 1}
    assert said.json()["refused"]["topic"] == {"SCOPE": 1}
    own = call(captured.machine_key("ingest")).post("/records", body).json()
    assert own["repeated"] is False
    assert "SCOPE" not in own["refused"].get("sex", {})


def test_contract_is_looked_at_again_with_the_writing(platform, captured, record, end):
    """A call that began before the end stores nothing after it, and its batch is taken back (R38)."""
    record()
    captured.person("u-1", "P02")
    key = Principal(PrincipalId("key_" + "a" * 24), "p", PrincipalKind.KEY, "ingest", processor="printer")
    end()
    with pytest.raises(OutsideContract):
        ingest_posted(platform, key, "app", [captured.posted(diagnosis="icd10:I10")])
    (reason, refs), = denials(platform)  # fmt: skip
    assert (reason, refs["rule"], refs["batch"][:4]) == ("PROCESSOR", "ended", "bat_")


def test_other_acts_of_the_same_call_stand(platform, captured, record):
    """An act outside the contract is refused by itself (R38)."""
    from consentry.acts import ConsentAct

    record()
    captured.person("u-1")
    key = Principal(PrincipalId("key_" + "b" * 24), "p", PrincipalKind.KEY, "capture", processor="printer")
    acts = [captured.act("grant", captured.known("u-1"), purpose) for purpose in ("P07", "P08")]
    taken, beyond = capture_acts(platform, key, [ConsentAct.model_validate(act) for act in acts])
    assert taken.decisions[0][1] == "P07"
    assert isinstance(beyond, OutsideContract)


def test_key_is_issued_to_a_registered_processor_only(platform, record, end):
    """Nobody unknown, no controller, none whose relation has ended (R38)."""
    named = {"name": "k", "role": "ingest", "days": 1, "subjects_per_day": None}
    with pytest.raises(NotFound):
        add_key(platform, ADMIN, processor="nobody", **named)
    with pytest.raises(BadInput, match="no processor but a controller"):
        add_key(platform, ADMIN, processor="insurer", **named)
    record()
    end()
    with pytest.raises(BadInput, match="is ended"):
        add_key(platform, ADMIN, processor="printer", **named)
