"""The medical pack keeps to the promises that its header and the law make."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from kernel.catalogue import Catalogue, Compartment, ConsentKind, Field, FieldClass, FieldType, IndexKind, LawfulBasis

_STRINGS = (
    "name id_number sex mobile email wechat_openid street_address insurance_number record_number visit_number "
    "district occupation marital ethnicity city income_band dose frequency visit_type department doctor_name "
    "reproductive_state reading_device reading_range checkin lifestyle event_type session_id "
    "department_chosen consult_format page article topic step function_used channel_preference touch_campaign "
    "touch_channel touch_result loss_reason acquisition_source psychographic order_id order_status order_items "
    "payment_method membership family_binding relation_role referrer referral_node community_id complaint_type "
    "device_id ip season weather special_period"
)
_EVENTS = (
    "login page_view search article_read content_saved consult_started consult_finished consult_abandoned "
    "department_chosen purchase share invite review_posted reminder_kept reminder_missed checkin "
    "health_record_viewed touch_received coupon_used referral_step complaint_filed self_test_done"
)
_MOBILE_DELIVERY = {"mobile", "wechat_openid"}


def _some(catalogue: Catalogue, test: Callable[[Field], bool]) -> dict[str, Field]:
    found = {code: field for code, field in catalogue.fields.items() if test(field)}
    assert found, "the rule must be about something"
    return found


def test_the_sixteen_purposes_are_all_there(medical: Catalogue):
    """P01 to P16, and of them only cross-border transfer lacks its assessment."""
    assert list(medical.purposes) == [f"P{number:02d}" for number in range(1, 17)]
    assessed = {code for text in medical.assessments for code in text.purposes}
    lacking = {code for code, purpose in medical.purposes.items() if purpose.needs_assessment} - assessed
    assert lacking == {"P14"}


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        (lambda purpose: not purpose.withdrawable, {"P05", "P13", "P15"}),
        (lambda purpose: purpose.per_recipient, {"P03", "P11", "P14"}),
        (lambda purpose: LawfulBasis.EMERGENCY in purpose.bases, {"P15"}),
        (lambda purpose: purpose.bases == (LawfulBasis.LEGAL_DUTY,), {"P05", "P13"}),
        (lambda purpose: not purpose.separate_consent, {"P05", "P13", "P15"}),
    ],
)
def test_purposes_rest_on_the_bases_of_the_table(medical: Catalogue, rule, codes):
    """Duties cannot be withdrawn, sharing names its recipient, everything that is granted is granted apart."""
    assert {code for code, purpose in medical.purposes.items() if rule(purpose)} == codes


def test_level_five_serves_its_collection_and_the_record_alone(medical: Catalogue):
    """Nothing of level 5 reaches a profile, a recommendation, a study or a recipient."""
    for field in _some(medical, lambda field: field.level == 5).values():
        assert field.purposes - {field.collect} <= {"P05"}, field.code
        assert field.transform == "drop", field.code
    special = _some(medical, lambda field: field.compartment is Compartment.SPECIAL)
    assert set(special) == {"special_disease", "sensitive_lab", "reproductive_history", "genetic"}
    assert all(field.level == 5 and field.collect == "P02" for field in special.values())


def test_profiling_and_research_reach_level_three_and_the_reproductive_state(medical: Catalogue):
    """Both purposes see the same fields, none of them a direct identifier."""
    profiled = _some(medical, lambda field: "P07" in field.purposes)
    studied = _some(medical, lambda field: "P12" in field.purposes)
    assert set(profiled) == set(studied)
    assert {code for code, field in profiled.items() if field.level > 3} == {"reproductive_state"}
    assert not [code for code, field in profiled.items() if field.is_direct]
    assert medical.fields["reproductive_state"].transform == "band"


def test_every_field_up_to_level_three_can_be_profiled(medical: Catalogue):
    """Left out are ethnicity, which only a legal need collects, and two texts of complaints that are always dropped."""
    left_out = _some(medical, lambda field: field.level <= 3 and not field.is_direct and "P07" not in field.purposes)
    assert set(left_out) == {"ethnicity", "complaint_text", "service_record"}


def test_contacts_serve_follow_up_recommendation_and_marketing_for_delivery_only(medical: Catalogue):
    """Of all direct identifiers, a relay gets mobile and openid, and nothing else is used there."""
    for purpose in ("P06", "P08", "P09"):
        direct = _some(medical, lambda field, purpose=purpose: field.is_direct and purpose in field.purposes)
        assert set(direct) - {field for field in direct if medical.fields[field].collect == purpose} == _MOBILE_DELIVERY


def test_follow_up_uses_what_it_needs_of_the_record(medical: Catalogue):
    """Diagnosis, medicine, measurements and allergies, and nothing else that care collected."""
    used = _some(medical, lambda field: "P06" in field.purposes and field.compartment is Compartment.CLINICAL)
    assert set(used) == {
        "diagnosis",
        "prescription",
        "dose",
        "frequency",
        "vitals_lab",
        "height",
        "weight",
        "allergy",
        "delivery_anchor",
    }


def test_marketing_sees_no_health(medical: Catalogue):
    """No sensitive class, and nothing from a compartment that holds health."""
    health = {Compartment.CLINICAL, Compartment.SPECIAL, Compartment.WELLNESS}
    for field in _some(medical, lambda field: "P09" in field.purposes).values():
        assert FieldClass.SENSITIVE not in field.classes, field.code
        assert field.compartment not in health, field.code


def test_what_has_a_legal_floor_is_kept_for_the_law(medical: Catalogue):
    """P05 stands where a floor stands, and nowhere else but where the law alone collects."""
    floors = _some(medical, lambda field: field.retention.floor is not None)
    statutory = _some(medical, lambda field: "P05" in field.purposes)
    assert set(statutory) - set(floors) == {"ethnicity"}
    assert set(floors) <= set(statutory)


@pytest.mark.parametrize(
    ("code", "keep_years", "floor_years"),
    [
        ("diagnosis", 15, 15),
        ("department", 15, 15),
        ("consult_chat", 3, 3),
        ("special_disease", 30, 30),
        ("order_amount", None, 3),
        ("prescription_sale", None, 5),
        ("id_number", 15, None),
        ("street_address", 3, None),
        ("mobile", None, None),
    ],
)
def test_retention_follows_the_law(medical: Catalogue, code, keep_years, floor_years):
    """Medical record 15 years, chats 3, psychiatric records 30, orders at least 3, prescriptions sold online 5."""
    retention = medical.fields[code].retention
    for period, years in ((retention.keep, keep_years), (retention.floor, floor_years)):
        assert (period is None) is (years is None)
        if period is not None and years is not None:
            assert timedelta(0) <= period - timedelta(days=365.25 * years) < timedelta(days=1)


def test_every_clinical_field_of_the_record_is_held(medical: Catalogue):
    """Only the anchor that follow-up collects is no part of the medical record."""
    clinical = _some(medical, lambda field: field.compartment in {Compartment.CLINICAL, Compartment.SPECIAL})
    assert {code for code, field in clinical.items() if field.retention.floor is None} == {"delivery_anchor"}


def test_unique_indexes_are_what_resolves_a_person(medical: Catalogue):
    """ID number, record number, mobile and openid; a visit number names a visit."""
    unique = _some(medical, lambda field: field.index is IndexKind.UNIQUE)
    assert set(unique) == {"id_number", "record_number", "mobile", "wechat_openid"}


def test_only_what_is_no_personal_data_goes_without_consent(medical: Catalogue):
    """Season, weather and special periods."""
    free = _some(medical, lambda field: field.consent is ConsentKind.NONE)
    assert set(free) == {"season", "weather", "special_period"}


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (FieldType.CODE, "diagnosis allergy surgery family_history vaccination prescription special_disease"),
        (FieldType.QUANTITY, "vitals_lab height weight sensitive_lab reading questionnaire_score"),
        (
            FieldType.TEXT,
            "chief_complaint consult_chat reproductive_history genetic search_words post_text review_text",
        ),
        (FieldType.DATE, "birth_date diagnosis_onset delivery_anchor"),
        (FieldType.INSTANT, "visit_time"),
        (FieldType.INTEGER, "page_stay shares consult_length question_count reply_wait nps rating"),
        (FieldType.DECIMAL, "order_amount acquisition_cost arpu"),
        (FieldType.BOOLEAN, "reminder_kept prescription_sale"),
        (FieldType.ATTACHMENT, "id_photo face_voiceprint consult_recording images"),
        (FieldType.STRING, _STRINGS),
    ],
)
def test_fields_have_the_types_that_sources_and_views_rely_on(medical: Catalogue, kind, codes):
    """A type is part of the pack's contract with everything that reads it."""
    assert {code: medical.get_field(code).type for code in codes.split()} == dict.fromkeys(codes.split(), kind)


@pytest.mark.parametrize("code", _EVENTS.split())
def test_event_types_carry_their_type_and_can_be_profiled(medical: Catalogue, code):
    """An event without its type tells nothing, and tags read events."""
    event_type = medical.event_types[code]
    assert event_type.required[0] == "event_type"
    assert "P07" in event_type.purposes


def test_roles_keep_apart_what_must_be_apart(medical: Catalogue):
    """No role reaches level 5; operators, analysts, administrators and machines open nothing in clear."""
    openers = {code for code, role in medical.roles.items() if "vault.reveal" in role.acts}
    assert openers == {"clinician", "health_manager", "content_reviewer"}
    assert max(role.max_level for role in medical.roles.values()) == 4
    assert medical.roles["capture"].acts == {"consent.capture"}
    assert medical.roles["ingest"].acts == {"records.ingest"}
    assert medical.roles["content_reviewer"].fields == {"post_text", "review_text", "group_keyword"}
    assert "administrator" in medical.roles
    assert "key_custodian" in medical.roles


def test_every_role_may_do_something(medical: Catalogue):
    """A role without acts would be a name only."""
    assert all(role.acts for role in medical.roles.values())


def test_every_purpose_that_can_be_granted_has_a_notice_in_both_languages(medical: Catalogue):
    """Capture finds a text for each of them."""
    grantable = {code for code, purpose in medical.purposes.items() if purpose.withdrawable and code != "P14"}
    for locale in ("zh-CN", "en"):
        informed = {code for notice in medical.notices if notice.locale == locale for code in notice.purposes}
        assert grantable <= informed


def test_every_assessment_has_three_parts_that_say_something(medical: Catalogue):
    """PIPL 56: legality, risk and measures, each in whole Chinese sentences (R36)."""
    for text in medical.assessments:
        assert all(len(part) >= 40 and part.endswith("。") for part in text.parts.values()), text.assessment_id
        assert text.expires_on.year - text.approved_on.year <= 3


def test_nothing_goes_abroad_without_a_mechanism(medical: Catalogue):
    """The laboratory abroad is declared, and gets nothing (R10)."""
    abroad = [text for text in medical.recipients if text.country != medical.jurisdiction]
    assert [(text.code, text.mechanism) for text in abroad] == [("overseas_laboratory", None)]


def test_only_the_childs_notice_is_for_children(medical: Catalogue):
    """A guardian grants under a notice of its own kind (R21)."""
    assert {notice.code for notice in medical.notices if notice.audience == "child"} == {"child"}


def test_officer_tends_and_approves_and_administrator_does_not_approve(medical: Catalogue):
    """Whoever runs the deployment does not approve its reads (R22)."""
    tending = {"consent.tend", "consent.represent", "register.manage", "wake.manage", "interchange.export"}
    officer, administrator = medical.roles["compliance_officer"].acts, medical.roles["administrator"].acts
    assert tending | {"read.approve", "consent.read"} <= officer
    assert tending | {"webhook.manage"} <= administrator
    assert "read.approve" not in administrator


def test_a_childs_notice_offers_no_profiling(medical: Catalogue):
    """Children are neither profiled nor recommended or marketed to."""
    (child,) = {notice.purposes for notice in medical.notices if notice.code == "child"}
    assert not {"P07", "P08", "P09", "P10", "P11", "P12"} & set(child)


def test_notices_for_recipients_name_them(medical: Catalogue):
    """PIPL 23: whoever shares tells with whom."""
    for notice in medical.notices:
        if any(medical.purposes[code].per_recipient for code in notice.purposes):
            assert notice.third_parties, notice.code


def test_labels_are_in_their_languages(medical: Catalogue):
    """Chinese labels hold a Chinese character, English ones none."""
    groups = (medical.fields, medical.purposes, medical.event_types, medical.relations, medical.roles)
    for group in groups:
        for item in group.values():
            assert any("\u4e00" <= sign <= "\u9fff" for sign in item.label.zh), item.code
            assert item.label.en.isascii(), item.code


def test_labels_of_fields_are_told_apart(medical: Catalogue):
    """Two fields with one label could not be told apart on a screen."""
    for language in ("zh", "en"):
        labels = [getattr(field.label, language) for field in medical.fields.values()]
        assert len(set(labels)) == len(labels)


def test_no_role_reaches_level_five_by_itself(medical):
    """R49: above level 4 there is a case, and somebody else gives it; what is masked is never level 5."""
    for role in medical.roles.values():
        opens = "vault.reveal" in role.acts
        assert not opens or role.max_level <= 4, role.code
        assert not {"case.request", "case.grant"} <= role.acts
        assert not {"vault.break_glass", "audit.review"} <= role.acts
        assert all(medical.fields[code].level <= 4 for code in role.masked_fields)
    assert [role.code for role in medical.roles.values() if role.case_level == 5] == ["clinician"]
