"""Entries as FHIR R4 AuditEvent: valid, and each profile of IHE BALP that is claimed is kept element by element."""

import json
from base64 import b64decode
from hashlib import sha256

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from hypothesis import given
from hypothesis import strategies as st

from audit.events import Act, Outcome
from consentry.interchange.audit_event import AuditEventWriter
from consentry.interchange.audit_event_patterns import PATTERNS
from consentry.interchange.choices import Names
from consentry.interchange.purpose_codes import load_purpose_codes
from kernel.ids import SubjectId
from kernel.pack import builtin_pack_path, load_pack

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
REST = "http://terminology.hl7.org/CodeSystem/audit-event-type#rest"
INTERACTION = "http://hl7.org/fhir/restful-interaction#"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType#"
DATA = "http://terminology.hl7.org/CodeSystem/audit-entity-type#2"
PERSON = "http://terminology.hl7.org/CodeSystem/audit-entity-type#1"
CONSENT = "http://hl7.org/fhir/resource-types#Consent"
REQUEST = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType#XrequestId"
SUBJECT = SubjectId("sub_" + "a" * 24)
READER, AUTHOR = {f"{PARTICIPATION}IRCP"}, {f"{PARTICIPATION}{code}" for code in ("AUT", "INF", "CST")}
FLOWS_OUT, FLOWS_IN = (f"{DCM}#110152", f"{DCM}#110153"), (f"{DCM}#110153", f"{DCM}#110152")
DELETING = (f"{DCM}#110150", "http://terminology.hl7.org/CodeSystem/provenance-participant-type#custodian")

RESTFUL = {
    "Read": ({"read", "vread"}, "R", FLOWS_OUT, READER),
    "Query": ({"search", "search-type", "search-system"}, "E", FLOWS_IN, READER),
    "Create": ({"create"}, "C", FLOWS_IN, AUTHOR),
    "Update": ({"update", "patch"}, "U", FLOWS_IN, AUTHOR),
    "Delete": ({"delete"}, "D", DELETING, AUTHOR),
}
"""What the profiles fix: interactions, action, types of client and server, types of the user (BALP 1.1.5, FSH)."""


@pytest.fixture(scope="module")
def writer():
    folder = builtin_pack_path("medical")
    return AuditEventWriter(Names("dep_1", load_pack(folder)), load_purpose_codes(folder))


def code(coding):
    return f"{coding['system']}#{coding['code']}"


def kinds(event):
    """Types of agents and of entities, each with its element."""
    agents = [(code(one["type"]["coding"][0]), one) for one in event["agent"]]
    return agents, [(code(one["type"]), one) for one in event["entity"]]


def only(kind, pairs):
    found = [one for key, one in pairs if key == kind]
    assert len(found) == 1, kind
    return found[0]


def check_patient(entities):
    patient = only(PERSON, entities)
    assert code(patient["role"]) == "http://terminology.hl7.org/CodeSystem/object-role#1"
    assert patient["what"]["type"] == "Patient"
    assert set(patient) == {"what", "type", "role"}


def check_restful(event, name):
    is_about_patient = name.startswith("Patient")
    interactions, action, (client, server), users = RESTFUL[name.removeprefix("Patient")]
    agents, entities = kinds(event)
    assert (code(event["type"]), event["action"], event["outcome"]) == (REST, action, "0")
    assert {code(one) for one in event["subtype"]} <= {INTERACTION + one for one in interactions}
    assert all(only(kind, agents)["network"] and only(kind, agents)["who"] for kind in (client, server))
    user = next(one for key, one in agents if key in users)
    assert user["requestor"] is True
    assert "network" not in user
    assert only(REQUEST, entities)["what"]["identifier"]["value"]
    data = only(DATA, entities)
    if "Query" in name:
        assert code(data["role"]).endswith("object-role#24")
        assert "what" not in data
        assert data["_query"]["extension"][0]["valueCode"] == "masked"
    else:
        assert code(data["role"]).partition("#")[2] in {"3", "4", "20"}
        assert data["what"]["identifier"]["value"]
    assert is_about_patient == (PERSON in dict(entities))
    if is_about_patient:
        check_patient(entities)


def check_decision(event):
    agents, entities = kinds(event)
    assert (code(event["type"]), event["action"]) == (f"{DCM}#110113", "E")
    assert [code(one) for one in event["subtype"]] == [
        "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType#AuthZ-Consent"
    ]
    client = only(f"{DCM}#110150", agents)
    assert set(client) == {"type", "who", "requestor", "network"}
    user = only(f"{PARTICIPATION}IRCP", agents)
    assert user["requestor"] is True
    assert "network" not in user
    organization = only("http://terminology.hl7.org/CodeSystem/v3-RoleClass#PROV", agents)
    authorizer = only("http://terminology.hl7.org/CodeSystem/extra-security-role-type#authserver", agents)
    assert all(set(one) == {"type", "who", "requestor"} for one in (organization, authorizer))
    assert authorizer["who"] == event["source"]["observer"]
    check_patient(entities)
    assert {key for key, _ in entities} == {PERSON, CONSENT}, "the entities of this profile are closed"


def check_disclosure(event):
    agents, entities = kinds(event)
    assert (code(event["type"]), event["action"]) == (f"{DCM}#110106", "R")
    assert "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle#disclose" in map(code, event["subtype"])
    source, recipient = only(f"{DCM}#110153", agents), only(f"{DCM}#110152", agents)
    assert source["who"] == event["source"]["observer"]
    assert source["network"]
    assert recipient["network"]
    assert recipient["who"]["identifier"]["value"] == "sunrise-pharmacy"
    check_patient(entities)
    assert len(entities) > 1


def check_claimed(event):
    for profile in event.get("meta", {}).get("profile", ()):
        name = profile.removeprefix(f"{BALP}IHE.BasicAudit.")
        if name == "AuthZconsent":
            check_decision(event)
        elif name == "PrivacyDisclosure.Source":
            check_disclosure(event)
        else:
            check_restful(event, name)


def test_every_act_has_a_pattern():
    """A new act needs its pattern before it can be exported."""
    assert PATTERNS.keys() == set(Act)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("act", Act)
def test_every_act_is_a_valid_event_and_keeps_the_profile_it_claims(writer, full, logged, act, outcome):
    """Full and bare entries, of one subject, of a cohort and of nobody."""
    for entry in (full(act, outcome), full(act, outcome, actor=SUBJECT), logged(act, outcome, cohort=9)):
        event = writer.write(entry)
        AuditEvent.model_validate(event)
        check_claimed(event)


@pytest.mark.parametrize(
    ("kind", "members", "profile"),
    [
        ((Act.REVEAL, Outcome.ALLOWED), {}, "PatientRead"),
        ((Act.REVEAL, Outcome.ALLOWED), {"subject": None}, "Read"),
        ((Act.REVEAL, Outcome.DENIED), {}, None),
        ((Act.SUBJECT_LOOKED_UP, Outcome.DONE), {}, "PatientQuery"),
        ((Act.COHORT_COUNTED, Outcome.DONE), {"subject": None}, "Query"),
        ((Act.CONSENT_GRANTED, Outcome.DONE), {}, "PatientCreate"),
        ((Act.CONSENT_WITHDRAWN, Outcome.DONE), {}, "PatientUpdate"),
        ((Act.ERASURE_COMPLETED, Outcome.DONE), {}, "PatientDelete"),
        ((Act.PERMIT, Outcome.ALLOWED), {}, "AuthZconsent"),
        ((Act.REFUSAL, Outcome.DENIED), {}, "AuthZconsent"),
        ((Act.REFUSAL, Outcome.DENIED), {"basis": None}, None),
        ((Act.PERMIT, Outcome.ALLOWED), {"subject": None}, None),
        ((Act.EXPORT_RELEASED, Outcome.DONE), {}, "PrivacyDisclosure.Source"),
        ((Act.EXPORT_RELEASED, Outcome.DONE), {"recipient": None}, None),
        ((Act.EXPORT_RELEASED, Outcome.DONE), {"subject": None}, None),
        ((Act.ACCESS_DENIED, Outcome.DENIED), {}, None),
    ],
)
def test_profile_is_claimed_where_it_can_be_kept_only(writer, full, kind, members, profile):
    """RESTful profiles are for successes, decisions need person and consent, disclosures person and recipient."""
    meta = writer.write(full(*kind, **members)).get("meta")
    assert meta == (None if profile is None else {"profile": [f"{BALP}IHE.BasicAudit.{profile}"]})


def test_event_says_who_why_and_on_which_basis(writer, full):
    """Actor, role, purpose with its standard code, consent, request and moment."""
    event = writer.write(full(Act.REVEAL, Outcome.ALLOWED))
    agents, entities = kinds(event)
    user = only(f"{PARTICIPATION}IRCP", agents)
    assert user["who"]["identifier"] == {
        "system": "https://consentry.local/fhir/dep_1/principal",
        "value": "usr_" + "b" * 24,
    }
    assert user["role"][0]["coding"][0]["code"] == "clinician"
    assert [one["code"] for one in event["purposeOfEvent"][0]["coding"]] == ["TREAT", "P02"]
    assert only(CONSENT, entities)["what"]["identifier"]["value"] == "dec_" + "d" * 24
    assert only(REQUEST, entities)["what"]["identifier"]["value"] == "req_1"
    assert event["recorded"] == "2026-11-21T02:00:00.123456Z"
    assert event["outcomeDesc"] == "WITHDRAWN"


@pytest.mark.parametrize(("outcome", "coded"), list(zip(Outcome, ("0", "8", "0", "4"), strict=True)))
def test_outcomes_are_success_minor_and_serious_failure(writer, full, outcome, coded):
    """Allowed and done are 0, failed is 4, denied is 8."""
    assert writer.write(full(Act.REVEAL, outcome))["outcome"] == coded


def test_subject_stands_under_the_alias_only(writer, full):
    """Neither as patient nor as actor does a subject id leave."""
    text = json.dumps(writer.write(full(Act.CONSENT_GRANTED, actor=SUBJECT)))
    assert "sub_" not in text
    assert text.count("als_") == 2


def test_machine_is_told_as_the_client(writer, full):
    """Of a key the log knows what sat at the other end; of a person's browser it knows nothing, and says so."""
    for actor, known in (("key_" + "k" * 24, True), ("usr_" + "b" * 24, False)):
        agents, _ = kinds(writer.write(full(Act.BATCH_OPENED, actor=actor)))
        assert ("identifier" in only(f"{DCM}#110153", agents)["who"]) == known


def test_event_is_tied_to_its_proof(writer, full):
    """Origin, index in its tree and leaf hash go along, with the bytes that hash to it."""
    entry = full(Act.REVEAL, Outcome.ALLOWED)
    parts = writer.write(entry)["extension"][0]["extension"]
    told = {part["url"]: next(value for name, value in part.items() if name != "url") for part in parts}
    assert (told["origin"], told["index"]) == ("audit.example/log", "7")
    assert sha256(b"\x00" + b64decode(told["entry"])).hexdigest() == told["leaf-hash"]
    assert b64decode(told["entry"]) == entry.placed.body
    assert [part["valueCoding"]["code"] for part in parts if part["url"] == "field"] == ["mobile", "name"]


@given(
    kind=st.tuples(st.sampled_from(list(Act)), st.sampled_from(list(Outcome))),
    told=st.sets(st.sampled_from(["purpose", "basis", "reason", "recipient", "subject", "fields", "level", "refs"])),
    recipient=st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1).filter(str.strip),
)
def test_any_mix_of_members_is_a_valid_event(writer, full, kind, told, recipient):
    """What the writer does not check again fits the model all the same."""
    bare = {name: () if name == "fields" else {} if name == "refs" else None for name in told}
    AuditEvent.model_validate(writer.write(full(*kind, **({"recipient": recipient} | bare))))
