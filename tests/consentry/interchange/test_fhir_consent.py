"""Consents go out as FHIR and come back unchanged; what the register cannot express is refused by name."""

import copy
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.decisions import ActorKind
from consent.notices import NoticeRef
from consent.rules import DecisionAct
from consentry.interchange.choices import Choice, Names, Person
from consentry.interchange.fhir_consent import ConsentWriter, bundle_of
from consentry.interchange.fhir_elements import Fault, Refused, covered
from consentry.interchange.fhir_reading import ConsentReader
from consentry.interchange.purpose_codes import ACT_REASON, PurposeCodes, load_purpose_codes
from consentry.interchange.releases import Release
from kernel.errors import ConfigurationError
from kernel.ids import SubjectId
from kernel.pack import builtin_pack_path, load_pack

MEDICAL = load_pack(builtin_pack_path("medical"))
NAMES = Names("dep_" + "a" * 24, MEDICAL)
CODES = load_purpose_codes(builtin_pack_path("medical"))
WRITER = ConsentWriter(NAMES, CODES, "Example Online Hospital")
READER = ConsentReader(NAMES, CODES)
BOTH = pytest.mark.parametrize("release", list(Release))

ids = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=24, max_size=24)
instants = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2900, 1, 1))  # noqa: DTZ001
utc = instants.map(lambda one: one.replace(tzinfo=UTC))
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
notices = st.builds(
    NoticeRef, st.sampled_from(["profiling", "child"]), st.sampled_from(["2026-11", "2026-11.2"]), st.just("zh-CN")
)


@st.composite
def choices(draw) -> Choice:
    """What the consent track can hold, and FHIR too."""
    act = draw(
        st.sampled_from([a for a in DecisionAct if a not in (DecisionAct.CONTRACT, DecisionAct.DUTY, DecisionAct.END)])
    )
    opens = act in (DecisionAct.GRANT, DecisionAct.RENEW)
    subject = Person(SubjectId(f"sub_{draw(ids)}"))
    kind = draw(st.sampled_from([ActorKind.SELF, ActorKind.GUARDIAN, ActorKind.AGENT, ActorKind.KIN]))
    actor = subject if kind is ActorKind.SELF else Person(SubjectId(f"sub_{draw(ids)}"))
    if act is DecisionAct.EXPIRE:
        kind, actor = ActorKind.OPERATOR, None
    purpose = draw(st.sampled_from(sorted(MEDICAL.purposes)))
    fields = st.frozensets(st.sampled_from(sorted(MEDICAL.fields_by_purpose[purpose])), min_size=1)
    named = opens or act is DecisionAct.REFUSE or draw(st.booleans())
    begins = draw(st.none() | utc) if opens else None
    return Choice(
        choice_id=f"dec_{draw(ids)}",
        subject=subject,
        purposes=(purpose,),
        act=act,
        actor_kind=kind,
        actor=actor,
        decided_at=draw(instants).replace(tzinfo=draw(offsets)),
        recipient=draw(st.none() | st.sampled_from(["insurer", "sunrise-pharmacy"])),
        notice=draw(notices) if named else None,
        notice_hash="ab" * 32 if opens or (named and draw(st.booleans())) else None,
        fields=draw(st.none() | fields) if opens else None,
        valid_from=begins,
        valid_until=draw(st.none() | utc) if opens else None,
        max_uses=draw(st.none() | st.integers(1, 2**31 - 1)) if opens else None,
        renews=f"dec_{draw(ids)}" if act is DecisionAct.RENEW else None,
    )


@given(choices(), st.sampled_from(Release))
def test_what_both_sides_can_express_comes_back_unchanged(choice, release):
    """R05: writing a choice and reading it again loses nothing, in either release, to the microsecond and offset."""
    back = READER.read(WRITER.write(choice, release))
    assert back == choice
    assert back.decided_at.utcoffset() == choice.decided_at.utcoffset()


GRANT = Choice(
    choice_id="dec_" + "b" * 24,
    subject=Person(SubjectId("sub_" + "c" * 24)),
    purposes=("P12",),
    act=DecisionAct.GRANT,
    actor_kind=ActorKind.SELF,
    actor=Person(SubjectId("sub_" + "c" * 24)),
    decided_at=datetime(2026, 11, 21, 10, 0, tzinfo=timezone(timedelta(hours=8))),
    recipient="research_partner",
    notice=NoticeRef("research", "2026-11", "en"),
    notice_hash="ab" * 32,
    fields=frozenset({"diagnosis"}),
    valid_until=datetime(2027, 1, 1, tzinfo=UTC),
)


def test_a_grant_in_r4_reads_as_fhir_asks():
    """Status, scope, permit, the standard purpose beside ours, and nothing that names the person."""
    written = WRITER.write(GRANT, Release.R4)
    assert written["status"] == "active"
    assert written["scope"]["coding"][0]["code"] == "patient-privacy"
    assert written["patient"] == {
        "type": "Patient",
        "identifier": {"system": NAMES.subjects, "value": GRANT.subject.subject_id},
    }
    provision = written["provision"]
    assert provision["type"] == "permit"
    assert [(one["system"], one["code"]) for one in provision["purpose"]] == [
        (ACT_REASON, "HRESCH"),
        (NAMES.purposes, "P12"),
    ]
    assert provision["period"]["end"] == "2026-12-31T23:59:59.999999+00:00"
    assert written["policy"][0]["uri"].endswith("/notice/research/2026-11/en#sha256-" + "ab" * 32)
    assert written["organization"][0]["display"] == "Example Online Hospital"


@pytest.mark.parametrize(
    ("act", "release", "status", "rule"),
    [
        (DecisionAct.REFUSE, Release.R4, "rejected", "deny"),
        (DecisionAct.REFUSE, Release.R5, "active", "deny"),
        (DecisionAct.WITHDRAW, Release.R4, "inactive", "deny"),
        (DecisionAct.WITHDRAW, Release.R5, "inactive", "deny"),
    ],
)
def test_what_closes_never_reads_as_a_permit(act, release, status, rule):
    """A reader who knows nothing of our extensions still sees that nothing is allowed."""
    written = WRITER.write(replace(GRANT, act=act, fields=None, valid_until=None), release)
    assert written["status"] == status
    assert (written["provision"]["type"] if release is Release.R4 else written["decision"]) == rule


def test_a_bound_on_uses_must_not_be_passed_over():
    """A grant for so many uses is written with a modifier, so that a reader who does not know it may not use it."""
    written = WRITER.write(replace(GRANT, max_uses=3), Release.R4)
    assert written["modifierExtension"][0]["valuePositiveInt"] == 3


def foreign(release: Release = Release.R4) -> dict:
    """A consent as another system writes it: no extension of ours, a standard purpose only."""
    made = copy.deepcopy(WRITER.write(replace(GRANT, recipient=None), release))
    del made["extension"]
    person = {"reference": "Patient/p-17"}
    if release is Release.R4:
        made |= {"patient": person, "performer": [person], "dateTime": "2026-11-20"}
        made["provision"]["purpose"] = [{"system": ACT_REASON, "code": "HRESCH"}]
    else:
        made |= {"subject": person, "grantor": [person], "date": "2026-11-20"}
        del made["_date"]
        made["provision"][0]["purpose"] = [{"system": ACT_REASON, "code": "HRESCH"}]
    return made


@BOTH
def test_a_foreign_consent_is_read_by_what_it_says(release):
    """R04: patient by the source's id, purpose by the standard code, notice by policy; a day counts from midnight."""
    read = READER.read(foreign(release))
    assert isinstance(read, Choice), read
    assert (read.subject, read.purposes, read.act) == (Person(source_id="p-17"), ("P12",), DecisionAct.GRANT)
    assert (read.notice, read.notice_hash) == (GRANT.notice, "ab" * 32)
    assert read.decided_at.isoformat() == "2026-11-20T00:00:00+08:00"


def test_a_foreign_end_of_status_is_a_withdrawal_whatever_its_policy():
    """Ending is as easy as beginning: an inactive consent needs no notice of ours, and its period does not matter."""
    made = foreign() | {"status": "inactive", "policy": [{"uri": "https://elsewhere.example/policy"}]}
    del made["sourceReference"], made["provision"]["code"]
    read = READER.read(made)
    assert (read.act, read.notice, read.valid_until) == (DecisionAct.WITHDRAW, None, None)


def without_proof(release: Release = Release.R4) -> dict:
    """The same, with nothing but a status to say that the person agreed."""
    made = foreign(release)
    del made["sourceReference"]
    return made


@BOTH
def test_a_bare_status_is_no_consent(release):
    """R19: a permit without a document, a record of the act or a verification is refused, and so says the rule."""
    assert READER.read(without_proof(release)) == (Refused(Fault.PROOF, "Consent.sourceReference"),)


@BOTH
@pytest.mark.parametrize(
    ("element", "proof"),
    [
        ("sourceReference", {"reference": "QuestionnaireResponse/1"}),
        ("sourceReference", {"identifier": {"system": "urn:oid:1.2", "value": "doc-1"}}),
        ("sourceAttachment", {"contentType": "application/pdf", "data": "c2lnbmVk"}),
        ("sourceAttachment", {"url": "https://elsewhere.example/signed.pdf"}),
        ("verification", {"verified": True, "verifiedWith": {"reference": "Patient/p-17"}}),
    ],
)
def test_a_sign_of_the_act_is_enough(release, element, proof):
    """R19: a document, a record elsewhere, or somebody who asked the person; which of them it was is kept."""
    is_list = release is Release.R5 or element == "verification"
    read = READER.read(without_proof(release) | {element: [proof] if is_list else proof})
    assert isinstance(read, Choice), read
    assert read.proofs == (element,)


@pytest.mark.parametrize(
    ("element", "empty"),
    [
        ("sourceReference", {"reference": "#inside"}),
        ("sourceReference", {"display": "signed at the desk"}),
        ("sourceReference", {"identifier": {"system": NAMES.notices, "value": "research/2026-11/en"}}),
        ("sourceAttachment", {"title": "signed at the desk"}),
    ],
)
def test_what_points_at_nothing_is_no_sign(element, empty):
    """R19: a title, a reference into nothing, and the notice itself: it tells what was shown, not what was done."""
    assert READER.read(without_proof() | {element: empty}) == (Refused(Fault.PROOF, "Consent.sourceReference"),)


@BOTH
def test_a_grant_names_the_hash_of_what_was_shown(release):
    """R19: the name of a notice alone does not say that these were its words."""
    made = foreign(release)
    if release is Release.R4:
        made["policy"][0]["uri"] = made["policy"][0]["uri"].partition("#")[0]
    else:
        made["policyBasis"]["url"] = made["policyBasis"]["url"].partition("#")[0]
    assert READER.read(made) == (Refused(Fault.NOTICE_HASH, "Consent.policy"),)


def test_what_closes_needs_no_proof():
    """A refusal or withdrawal is taken at its word, with a notice without hash, and whatever a verification says."""
    made = without_proof() | {"status": "inactive", "verification": [{"verified": False}]}
    made["policy"][0]["uri"] = made["policy"][0]["uri"].partition("#")[0]
    del made["provision"]["code"]
    assert READER.read(made).act is DecisionAct.WITHDRAW


PERSON = {"reference": "Patient/p-17"}
OTHER = {"reference": "Patient/p-18"}
LABELLED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
NO_NOTICE = {"identifier": {"system": NAMES.notices, "value": "research"}}
CODE = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}


@pytest.mark.parametrize(
    ("fault", "element", "change"),
    [
        (Fault.NOT_A_CONSENT, "Consent", {"status": ["active"]}),
        (Fault.UNREAD_ELEMENT, "Consent.verification", {"verification": [{"verified": True, "id": "1"}]}),
        (Fault.PROOF, "Consent.verification", {"verification": [{"verified": True}, {"verified": False}]}),
        (Fault.PROOF, "Consent.verification", {"verification": [{"verified": True, "verifiedWith": OTHER}]}),
        (Fault.UNREAD_ELEMENT, "Consent.implicitRules", {"implicitRules": "https://elsewhere.example/rules"}),
        (Fault.UNREAD_ELEMENT, "Consent.extension", {"extension": [{"url": "https://e.example", "valueCode": "a"}]}),
        (
            Fault.UNREAD_ELEMENT,
            "Consent.modifierExtension",
            {"modifierExtension": [{"url": "https://e.example", "valueCode": "a"}]},
        ),
        (Fault.BASE_RULE, "Consent.policyRule", {"policyRule": {"coding": [{"code": "OPTOUT"}]}}),
        (Fault.LABEL, "Consent.meta.security", {"meta": LABELLED}),
        (Fault.STATUS, "Consent.status", {"status": "draft"}),
        (Fault.STATUS, "Consent.status", {"status": "entered-in-error"}),
        (Fault.SCOPE, "Consent.scope", {"scope": {"coding": [{"code": "adr"}]}}),
        (Fault.CATEGORY, "Consent.category", {"category": [{"coding": [{"code": "dnr"}]}]}),
        (Fault.PERSON, "Consent.patient", {"patient": {"reference": "urn:uuid:1"}, "performer": [PERSON]}),
        (Fault.ACTOR, "Consent.performer", {"performer": [OTHER]}),
        (Fault.ACTOR, "Consent.performer", {"performer": [PERSON, PERSON]}),
        (Fault.INSTANT, "Consent.dateTime", {"dateTime": "2026-11"}),
        (Fault.NOTICE, "Consent.policy", {"policy": [{"uri": "https://e.example/p"}]}),
        (Fault.NOTICE, "Consent.sourceReference", {"sourceReference": NO_NOTICE}),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(fault, element, change):
    """R05: a base rule, a label, an element that is not read: each is named, and nothing is guessed."""
    refused = READER.read(foreign() | change)
    assert isinstance(refused, tuple)
    assert (fault, element) in {(one.fault, one.element) for one in refused}


@pytest.mark.parametrize(
    ("fault", "element", "change"),
    [
        (Fault.NESTED_PROVISION, "Consent.provision.provision", {"provision": [{"type": "deny"}]}),
        (Fault.LABEL, "Consent.provision.securityLabel", {"securityLabel": [{"code": "R"}]}),
        (Fault.UNREAD_ELEMENT, "Consent.provision.action", {"action": [{"coding": [{"code": "access"}]}]}),
        (Fault.RULE, "Consent.provision.type", {"type": None}),
        (Fault.PURPOSE, "Consent.provision.purpose", {"purpose": [{"system": ACT_REASON, "code": "PATRQT"}]}),
        (Fault.PURPOSE, "Consent.provision.purpose", {"purpose": [{"system": NAMES.purposes, "code": "P99"}]}),
        (
            Fault.PURPOSE,
            "Consent.provision.purpose",
            {"purpose": [{"system": NAMES.purposes, "code": "P09"}, {"system": ACT_REASON, "code": "HRESCH"}]},
        ),
        (
            Fault.PURPOSE,
            "Consent.provision.purpose",
            {"purpose": [{"system": NAMES.purposes, "code": "P12"}, {"system": "https://e.example", "code": "x"}]},
        ),
        (Fault.PURPOSE, "Consent.provision.purpose", {"purpose": None}),
        (Fault.FIELD, "Consent.provision.code", {"code": [CODE]}),
        (
            Fault.RECIPIENT,
            "Consent.provision.actor",
            {"actor": [{"role": {"coding": [{"code": "IRCP"}]}, "reference": {"reference": "Organization/1"}}]},
        ),
        (Fault.PERIOD, "Consent.period", {"period": {"end": "2027"}}),
    ],
)
def test_a_rule_that_cannot_be_expressed_is_refused_by_name(fault, element, change):
    """R05: an exception within a rule, a code of another system, a recipient whom we do not know."""
    made = foreign()
    rule = {name: value for name, value in (made["provision"] | change).items() if value is not None}
    refused = READER.read(made | {"provision": rule})
    assert isinstance(refused, tuple)
    assert (fault, element) in {(one.fault, one.element) for one in refused}


def test_a_refusal_with_an_end_or_for_some_fields_is_refused():
    """A refusal reaches the whole purpose for good; one that says less would be taken for more."""
    made = foreign()
    made["provision"]["type"] = "deny"
    found = {(one.fault, one.element) for one in READER.read(made)}
    assert found == {(Fault.PERIOD, "Consent.period"), (Fault.FIELD, "Consent.provision.code")}


def test_an_extension_that_contradicts_the_status_is_refused():
    """Our own word for the act does not turn a denial into a grant."""
    written = copy.deepcopy(WRITER.write(GRANT, Release.R4))
    written["status"] = "rejected"
    assert (Fault.ACT, "Consent.extension") in {(one.fault, one.element) for one in READER.read(written)}


def test_two_words_for_the_act_are_refused():
    """One resource states one act."""
    written = copy.deepcopy(WRITER.write(GRANT, Release.R4))
    written["extension"] *= 2
    assert (Fault.UNREAD_ELEMENT, "Consent.extension") in {(o.fault, o.element) for o in READER.read(written)}


@pytest.mark.parametrize("count", [0, 2])
def test_r5_needs_exactly_one_provision(count):
    """Several provisions are exceptions to each other; none says nothing about the purpose."""
    made = foreign(Release.R5)
    made["provision"] = made["provision"] * count
    if not count:
        del made["provision"]
    fault = Fault.NESTED_PROVISION if count else Fault.RULE
    assert (fault, "Consent.provision") in {(one.fault, one.element) for one in READER.read(made)}


def test_a_grantee_who_is_not_the_recipient_is_refused():
    """R5 names the recipient twice; two different ones are a contradiction."""
    made = copy.deepcopy(WRITER.write(GRANT, Release.R5))
    made["grantee"][0]["identifier"]["value"] = "insurer"
    assert (Fault.RECIPIENT, "Consent.provision.actor") in {(o.fault, o.element) for o in READER.read(made)}


def test_a_source_that_names_another_notice_than_the_policy_is_refused():
    """Which words were shown must be told once."""
    made = copy.deepcopy(WRITER.write(GRANT, Release.R5))
    made["sourceReference"][1]["identifier"]["value"] = "research/2026-12/en"
    assert (Fault.NOTICE, "Consent.policy") in {(one.fault, one.element) for one in READER.read(made)}


def test_an_actor_of_an_unknown_kind_is_refused():
    """Whether somebody may decide for another hangs on what he is."""
    made = copy.deepcopy(WRITER.write(replace(GRANT, actor_kind=ActorKind.AGENT), Release.R4))
    made["performer"][0]["extension"][0]["valueCode"] = "neighbour"
    assert (Fault.ACTOR, "Consent.performer") in {(one.fault, one.element) for one in READER.read(made)}


def test_a_patient_of_a_source_is_written_by_its_reference():
    """What came by a source's id can be handed back by it."""
    by_source = replace(GRANT, subject=Person(source_id="p-17"), actor=Person(source_id="p-17"))
    assert WRITER.write(by_source, Release.R4)["patient"] == {"reference": "Patient/p-17"}


def test_refusals_never_hold_a_value():
    """An element's name that is none of FHIR's could be anything."""
    refused = READER.read(foreign() | {"patient": {"reference": "Patient/张三"}})
    assert all(re.fullmatch(r"Consent(\.[A-Za-z]+)*", one.element) for one in refused)


@pytest.mark.parametrize(
    ("written", "begins", "ends"),
    [
        ("2026-11-21", "2026-11-20T16:00:00+00:00", "2026-11-21T16:00:00+00:00"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00+00:00", "2026-11-21T10:00:01+00:00"),
        ("2026-11-21T10:00:00.5Z", "2026-11-21T10:00:00.500000+00:00", "2026-11-21T10:00:00.600000+00:00"),
        ("2026-11-21T10:00:00.000001+08:00", "2026-11-21T02:00:00.000001+00:00", "2026-11-21T02:00:00.000002+00:00"),
    ],
)
def test_an_instant_covers_what_its_precision_says(written, begins, ends, medical):
    """FHIR: a period includes its end, and an end of lower precision includes all of it."""
    from zoneinfo import ZoneInfo

    found = covered(written, ZoneInfo(medical.time_zone))
    assert [one.astimezone(UTC).isoformat() for one in found] == [begins, ends]


@pytest.mark.parametrize(
    "written", ["2026", "2026-11", "2026-13-01", "9999-12-31", "2026-11-21T10:00:00", "soon", 5, None]
)
def test_an_instant_that_says_too_little_is_none(written, medical):
    """A year, a month, an instant without offset, a day beyond the calendar."""
    from zoneinfo import ZoneInfo

    assert covered(written, ZoneInfo(medical.time_zone)) is None


def test_a_standard_code_for_several_purposes_means_none():
    """What is not told apart is not guessed."""
    codes = PurposeCodes({"P02": "TREAT", "P03": "TREAT", "P12": "HRESCH"})
    assert (codes.purpose_of("TREAT"), codes.purpose_of("HRESCH"), codes.purpose_of("HMARKT")) == (None, "P12", None)


def test_purpose_codes_of_the_pack_name_its_purposes(tmp_path: Path):
    """The table stays in step with the pack; a pack without one has none; a damaged one is refused."""
    assert CODES.by_purpose.keys() <= MEDICAL.purposes.keys()
    assert load_purpose_codes(tmp_path).by_purpose == {}
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "purpose_of_use.csv").write_text("purpose,code\nP01,TREAT\nP01,HRESCH\n")
    with pytest.raises(ConfigurationError):
        load_purpose_codes(tmp_path)


def test_a_bundle_holds_the_resources():
    """A collection, one entry a resource."""
    assert bundle_of([{"resourceType": "Consent"}])["entry"] == [{"resource": {"resourceType": "Consent"}}]


def test_every_rule_is_documented():
    """The reference lists each rule by which a consent can be refused."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "interchange.md").read_text(encoding="utf-8")
    assert [fault for fault in Fault if f"| `{fault}` |" not in page] == []
