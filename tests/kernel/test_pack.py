"""Loading a pack: what comes out, and every mistake with its file, its line and what was expected."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from kernel.catalogue import (
    Compartment,
    ConsentKind,
    FieldClass,
    FieldType,
    IndexKind,
    LawfulBasis,
    Retention,
    TransferMechanism,
)
from kernel.errors import NotFound
from kernel.pack import PackError, builtin_pack_path, load_pack


def test_a_whole_pack_becomes_a_catalogue(small_pack: Path):
    """Every part of the files arrives in the catalogue."""
    catalogue = load_pack(small_pack)
    assert (catalogue.pack, catalogue.version, catalogue.time_zone) == ("small", "2026.11.1", "Asia/Shanghai")
    assert list(catalogue.fields) == ["name", "diagnosis", "event_type", "season"]
    diagnosis = catalogue.fields["diagnosis"]
    assert (diagnosis.label.zh, diagnosis.label.en) == ("诊断", "diagnosis")
    assert diagnosis.classes == (FieldClass.SENSITIVE,)
    assert (diagnosis.level, diagnosis.compartment, diagnosis.type) == (2, Compartment.CLINICAL, FieldType.CODE)
    assert (diagnosis.code_system, diagnosis.unit, diagnosis.index) == ("icd10", None, IndexKind.NONE)
    assert (diagnosis.collect, diagnosis.purposes, diagnosis.consent) == ("P02", {"P02"}, ConsentKind.SEPARATE)
    assert (diagnosis.transform, diagnosis.repeated, diagnosis.allowed) == ("icd10_group", True, None)
    assert catalogue.fields["name"].purposes == {"P01", "P03"}
    assert catalogue.fields["event_type"].allowed == {"login", "logout"}
    assert catalogue.purposes["P02"].bases == (LawfulBasis.CONSENT,)
    assert catalogue.purposes["P02"].recipients == ("pharmacy",)
    assert catalogue.event_types["login"].properties == ("event_type", "season")
    assert catalogue.event_types["login"].required == ("event_type",)
    assert catalogue.relations["guardian_of"].roles == ("guardian", "ward")
    assert catalogue.roles["clinician"].fields == {"diagnosis"}
    assert [notice.locale for notice in catalogue.notices] == ["en", "zh-CN"]
    assert list(catalogue.notices[0].sections)[:2] == ["controller", "contact"]
    assert catalogue.notices[0].collected[0]["item"] == "name"


def test_a_loaded_catalogue_cannot_be_changed(small_pack: Path):
    """What was checked is what is used."""
    catalogue = load_pack(small_pack)
    with pytest.raises(TypeError):
        catalogue.fields["name"] = catalogue.fields["season"]  # type: ignore[index]
    with pytest.raises(TypeError):
        catalogue.notices[0].sections["rights"] = ""  # type: ignore[index]


@pytest.mark.parametrize(
    ("written", "keep_days", "floor_days"),
    [
        ("6m", 183, None),
        ("1y", 366, None),
        ("15y", 5479, None),
        ("30d", 30, None),
        ("session", 1, None),
        ("account", None, None),
        ("{keep: account, floor: 3y}", None, 1096),
        ("{keep: 15y, floor: 15y}", 5479, 5479),
        ("{keep: 1y}", 366, None),
    ],
)
def test_periods_are_whole_days_rounded_up(small_pack: Path, written, keep_days, floor_days):
    """Fifteen years hold at most four leap days, and a legal minimum is never missed by one."""
    path = small_pack / "fields.yaml"
    text = path.read_text(encoding="utf-8").replace("retention: {keep: 15y, floor: 15y}", f"retention: {written}")
    path.write_text(text, encoding="utf-8")
    days = [None if count is None else timedelta(days=count) for count in (keep_days, floor_days)]
    assert load_pack(small_pack).fields["name"].retention == Retention(*days)


def test_the_hash_covers_meaning_and_not_layout(small_pack: Path):
    """Comments, order of keys and order within sets leave the hash alone; a changed value moves it."""
    before = load_pack(small_pack).hash
    path = small_pack / "fields.yaml"
    text = path.read_text(encoding="utf-8")
    reordered = text.replace("  level: 4\n", "").replace("  class: direct\n", "  level: 4\n  class: direct # names\n")
    path.write_text(reordered.replace("[login, logout]", "[logout, login]"), encoding="utf-8")
    assert load_pack(small_pack).hash == before
    path.write_text(text.replace("level: 4", "level: 5"), encoding="utf-8")
    assert load_pack(small_pack).hash != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pack.yaml", "2026.11.1", "2026.11.2"),
        ("pack.yaml", "Asia/Shanghai", "Asia/Shanghai\njurisdiction: SG"),
        ("pack.yaml", "Asia/Shanghai", "Asia/Shanghai\ndigital_age: 16"),
        ("pack.yaml", "Asia/Shanghai", "Asia/Shanghai\ncool_down_hours: 24"),
        ("purposes.yaml", "  assessment: PIA-1\n", ""),
        ("assessments/PIA-1.yaml", "2029-10-01", "2029-09-30"),
        ("recipients.yaml", "fields: [diagnosis]", "fields: [season]"),
        ("recipients.yaml", "until: 2028-01-01", "until: 2028-01-02"),
        ("events.yaml", "retention: 6m", "retention: 7m"),
        ("relations.yaml", "verification: document", "verification: declared"),
        ("roles.yaml", "max_level: 4", "max_level: 3"),
        ("notices/service.en.yaml", "rights: withdraw at any time", "rights: none"),
    ],
)
def test_the_hash_covers_every_file(small_pack: Path, file, old, new):
    """A change in any part is another catalogue."""
    before = load_pack(small_pack).hash
    path = small_pack / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert load_pack(small_pack).hash != before


def test_all_mistakes_are_reported_together_in_the_order_of_files(small_pack: Path):
    """One load is enough to see everything that is wrong."""
    for file, old, new in (
        ("pack.yaml", "name: small", "name: Small!"),
        ("fields.yaml", "level: 4", "level: 9"),
        ("fields.yaml", "type: code", "type: cod"),
        ("roles.yaml", "[P02]", "[P77]"),
        ("events.yaml", "actor: subject", "actor: nobody"),
    ):
        path = small_pack / file
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_pack(small_pack)
    shown = [(Path(mistake.file).name, mistake.line) for mistake in caught.value.mistakes]
    assert shown == [("events.yaml", 3), ("fields.yaml", 4), ("fields.yaml", 17), ("pack.yaml", 1), ("roles.yaml", 4)]
    assert len(caught.value.diagnostics().splitlines()) == 5


def test_several_mistakes_of_one_entry_are_all_reported(broken):
    """A wrong value does not hide the next."""
    found = broken("fields.yaml", ("level: 4", "level: 0"), ("identity", "here"), ("type: string", "type: str"))
    assert [line.partition(": ")[0] for line in found] == ["fields.yaml:4", "fields.yaml:5", "fields.yaml:6"]


def test_an_entry_with_a_mistake_is_still_declared(broken):
    """Events and roles that name it are not blamed as well."""
    found = broken("fields.yaml", ("level: 2\n  compartment: clinical", "level: two\n  compartment: clinical"))
    assert found == ["fields.yaml:15: this is the text 'two'; expected an integer"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name:\n", "Name!:\n", "1: 'Name!' is no code; expected 2 to 40 lower-case letters"),
        ("  level: 4\n", "", "1: 'level' is missing; expected the keys allowed, class"),
        ("level: 4", "levels: 4", "4: unknown key 'levels'; expected one of allowed, class"),
        ("{zh: 姓名, en: name}", "{zh: 姓名}", "2: 'en' is missing"),
        ("{zh: 姓名, en: name}", "姓名", "2: this is the text '姓名'; expected a mapping"),
        ("class: direct", "class: []", "3: no class, or one twice"),
        ("class: direct", "class: [direct, direct]", "3: no class, or one twice"),
        ("class: direct", "class: person", "3: unknown value 'person'; expected one of behaviour, direct"),
        ("collect: P01", "collect: P99", "7: unknown purpose 'P99'; expected a purpose that the pack declares"),
        ("further: [P03]", "further: [P03, P98]", "8: unknown purpose 'P98'"),
        ("further: [P03]", "further: [P03, P03]", "8: 'P03' again; expected every entry once"),
        ("transform: drop", "transform: vanish", "10: unknown value 'vanish'; expected one of age_band"),
        ("floor: 15y}", "floor: 16y}", "11: the floor is longer than what is kept"),
        ("{keep: 15y, floor: 15y}", "{keep: forever}", "11: 'forever' is no period; expected 30d, 6m, 15y"),
        ("{keep: 15y, floor: 15y}", "15", "11: this is the integer '15'; expected a text"),
        ("{keep: 15y, floor: 15y}", "0y", "11: '0y' is no period"),
        ("repeated: true", "repeated: yes", "23: this is the text 'yes'; expected true or false"),
    ],
)
def test_a_mistake_in_a_field_is_named(broken, old, new, expected):
    """Each has its line in fields.yaml and says what was expected."""
    assert [line for line in broken("fields.yaml", (old, new)) if line.startswith(f"fields.yaml:{expected}")]


@pytest.mark.parametrize(
    ("replacements", "expected"),
    [
        ([("level: 4", "level: 3")], "1: name: a direct identifier below level 4"),
        ([("transform: drop", "transform: keep")], "1: name: a direct identifier with the transform"),
        ([("class: sensitive", "index: unique\n  class: sensitive")], "12: diagnosis: a unique index on what"),
        ([("class: direct", "index: low\n  class: direct")], "1: name: a truncated index on a direct identifier"),
        ([("compartment: clinical", "compartment: special")], "12: diagnosis: the special compartment below level 5"),
        ([("level: 4", "level: 5"), ("transform: drop", "transform: token")], "1: name: level 5 with the"),
        ([("consent: separate", "consent: opt_in")], "12: diagnosis: sensitive without separate consent"),
        ([("level: 1", "level: 2")], "35: season: consent none for what may be personal"),
        ([("class: operational", "class: quasi")], "35: season: consent none for what may be personal"),
        ([("type: string", "type: text"), ("drop", "token")], "1: name: free text with the transform 'token'"),
        ([("transform: code", "transform: hour")], "24: event_type: the transform 'hour' on type"),
        ([("code_system: icd10", "code_system: snomed")], "12: diagnosis: the transform 'icd10_group' with"),
        ([("  code_system: icd10\n", "")], "12: diagnosis: type code without a code system"),
        ([("login, logout]", "login]\n  unit: x"), ("type: string\n  collect: P02", "type: integer\n  collect: P02")],
         "24: event_type: allowed values for type integer"),
        ([("collect: P02", "collect: P03")], "12: diagnosis: consent for P03, which rests on none"),
        ([("consent: separate", "consent: separate\n  further: [P01]")], "12: diagnosis: sensitive, and P01 is not"),
        ([("level: 4", "level: 5"), ("further: [P03]", "further: [P03, P02]")], "1: name: level 5 used further"),
        ([("  further: [P03]\n", "")], "1: name: a legal floor without a purpose of legal duty"),
    ],
)  # fmt: skip
def test_a_field_that_contradicts_the_rules_is_refused(broken, replacements, expected):
    """Levels, transforms, indexes, consent and uses must fit each other."""
    assert [line for line in broken("fields.yaml", *replacements) if line.startswith(f"fields.yaml:{expected}")]


@pytest.mark.parametrize(
    ("replacements", "expected"),
    [
        ([("P01:", "PX1:")], "1: 'PX1' is no purpose code; expected P and two digits"),
        ([("bases: [contract, consent]", "bases: []")], "3: no lawful basis; expected at least one"),
        (
            [("bases: [contract, consent]", "bases: [will]")],
            "3: unknown value 'will'; expected one of",
        ),
        ([("bases: [contract, consent]", "bases: [contract]")], "1: P01: withdrawable without the basis consent"),
        ([("bases: [contract, consent]", "bases: [contract]")], "1: P01: separate consent without the basis consent"),
        ([("  impact: {zh: 影响, en: impact}\n", "")], "9: P02: sensitive without necessity or impact"),
        ([("needs_assessment: true", "needs_assessment: false")], "9: P02: sensitive or shared without an assessment"),
        ([("needs_assessment: true", "needs_assessment: false")], "9: P02: an assessment that is not needed"),
    ],
)
def test_a_purpose_that_contradicts_the_rules_is_refused(broken, replacements, expected):
    """Bases, withdrawal, separate consent, necessity and assessment must fit each other."""
    assert [line for line in broken("purposes.yaml", *replacements) if line.startswith(f"purposes.yaml:{expected}")]


def test_a_purpose_without_separate_consent_cannot_collect_under_it(broken):
    """A field that asks for separate consent needs a purpose that asks for it too."""
    found = broken("purposes.yaml", ("separate: true\n  per_recipient: true", "separate: false\n  per_recipient: true"))
    assert [line.partition("; ")[0] for line in found] == ["fields.yaml:12: diagnosis: separate consent for P02"]


def test_a_purpose_without_its_assessment_loads_and_is_inactive(small_pack: Path):
    """An assessment that is missing is a state, not a mistake."""
    path = small_pack / "purposes.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  assessment: PIA-1\n", ""), encoding="utf-8")
    assert load_pack(small_pack).purposes["P02"].assessment is None


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("pack.yaml", "2026.11.1", "v1", "2: 'v1' does not fit; expected year.month.number"),
        ("pack.yaml", "Asia/Shanghai", "Asia/Nowhere", "3: unknown time zone 'Asia/Nowhere'; expected an IANA name"),
        ("pack.yaml", "Asia/Shanghai", "../etc", "3: unknown time zone '../etc'"),
        ("events.yaml", "actor: subject", "actor: ghost", "3: unknown value 'ghost'; expected one of account, staff"),
        ("events.yaml", "[event_type, season]", "[event_type, sesaon]", "4: unknown field 'sesaon'; expected a field"),
        ("events.yaml", "purposes: [P02]", "purposes: [P55]", "6: unknown purpose 'P55'"),
        ("events.yaml", "purposes: [P02]", "purposes: []", "1: login has no purpose"),
        ("events.yaml", "purposes: [P02]", "purposes: [P03]", "1: login carries 'season' for no common purpose"),
        ("events.yaml", "required: [event_type]", "required: [name]", "1: login requires 'name'; expected one of its"),
        ("relations.yaml", "[guardian, ward]", "[guardian]", "3: a relation has two sides; expected two roles"),
        ("relations.yaml", "verification: document", "verification: trust", "4: unknown value 'trust'"),
        ("roles.yaml", "[vault.reveal]", "[vault.open]", "3: unknown value 'vault.open'; expected"),
        ("roles.yaml", "[P02]", "[P44]", "4: unknown purpose 'P44'"),
        ("roles.yaml", "[diagnosis]", "[diagnoses]", "6: unknown field 'diagnoses'"),
        ("roles.yaml", "max_level: 4", "max_level: 6", "5: 6 is out of range; expected 0 to 5"),
        ("roles.yaml", "max_level: 4", "max_level: 0", "1: clinician may open nothing"),
        ("roles.yaml", "[vault.reveal]", "[vault.reveal, consent.capture]", "1: clinician both records consent"),
        ("roles.yaml", "[vault.reveal]", "[case.grant, consent.capture]", "1: clinician both records consent and"),
        ("roles.yaml", "[vault.reveal]", "[case.grant, case.request]", "1: clinician both asks for cases and gives"),
        ("roles.yaml", "[vault.reveal]", "[vault.break_glass, audit.review]", "1: clinician both breaks the glass and"),
        ("roles.yaml", "max_level: 4", "max_level: 5", "1: clinician opens level 5 by itself; expected max_level 4"),
        ("roles.yaml", "max_level: 4", "max_level: 4\n  case_level: 5", "1: clinician has a case_level that is of"),
        ("roles.yaml", "max_level: 4", "max_level: 4\n  masked_fields: [diagnoses]", "6: unknown field 'diagnoses'"),
        ("roles.yaml", "max_level: 4", "max_level: 4\n  limits: {reads_second: 1}", "6: unknown key 'reads_second'"),
        ("roles.yaml", "clinician:", "- clinician:", "1: this is a sequence; expected a mapping"),
        ("roles.yaml", "clinician:", "clinician: x\nother:", "1: this is the text 'x'; expected a mapping"),
        ("notices/service.en.yaml", "code: service", "code: Service", "1: 'Service' is no code"),
        ("notices/service.en.yaml", "version: 2026-11", "version: 1.0", "2: this is the decimal '1.0'"),
        ("notices/service.en.yaml", "version: 2026-11", "version: v3", "2: 'v3' is no version; expected year"),
        ("notices/service.en.yaml", "locale: en", "locale: fr", "3: unknown value 'fr'; expected one of en, zh-CN"),
        ("notices/service.en.yaml", "  rights: withdraw at any time\n", "", "6: 'rights' is missing"),
        ("notices/service.en.yaml", "rights:", "right:", "14: unknown key 'right'"),
        ("notices/service.en.yaml", "method: entered, ", "", "18: 'method' is missing"),
        ("notices/service.en.yaml", "method: encrypted\n    ", "", "20: 'method' is missing"),
        ("notices/service.en.yaml", "locale: en", "locale: en\naudience: all", "4: unknown value 'all'; expected"),
        ("notices/service.en.yaml", "recipient: Pharmacy", "recipient: Shop",
         "19: notice service is silent about pharmacy; expected 'Pharmacy'"),
        ("pack.yaml", "Asia/Shanghai", "Asia/Shanghai\njurisdiction: China", "4: 'China' does not fit; expected two"),
        ("pack.yaml", "Asia/Shanghai", "Asia/Shanghai\ndigital_age: 12", "4: 12 is out of range; expected 13 to 16"),
        ("pack.yaml", "Asia/Shanghai", "Asia/Shanghai\ncool_down_hours: -1", "4: -1 is out of range"),
        ("purposes.yaml", "assessment: PIA-1", "assessment: PIA-2", "20: P02 names PIA-2, which the pack"),
        ("purposes.yaml", "[pharmacy]", "[pharmacist]", "16: 'pharmacist' is no recipient for P02; expected an entry"),
        ("assessments/PIA-1.yaml", "id: PIA-1", "id: PIA/1", "1: 'PIA/1' is no id; expected letters"),
        ("assessments/PIA-1.yaml", "id: PIA-1", "id: [", "3: not valid YAML"),
        ("assessments/PIA-1.yaml", "[P02]", "[P02, P77]", "2: unknown purpose 'P77'"),
        ("assessments/PIA-1.yaml", "[P02]", "[]", "2: an assessment of nothing; expected at least one"),
        ("assessments/PIA-1.yaml", "2026-10-01", "October", "4: 'October' is no day; expected year, month"),
        ("assessments/PIA-1.yaml", "2029-10-01", "2029-10-02", "5: a period that cannot be; expected at most 3"),
        ("assessments/PIA-1.yaml", "2029-10-01", "2026-10-01", "5: a period that cannot be"),
        ("assessments/PIA-1.yaml", "  impact_and_risk: small\n", "", "6: 'impact_and_risk' is missing"),
        ("recipients.yaml", "pharmacy:", "Pharmacy:", "1: 'Pharmacy' is no code; expected lower-case"),
        ("recipients.yaml", "kind: controller", "kind: friend", "2: unknown value 'friend'; expected one of authority"),
        ("recipients.yaml", "country: CN", "country: China", "5: 'China' is no country; expected two capital"),
        ("recipients.yaml", "[P02]", "[P02, P77]", "6: unknown purpose 'P77'"),
        ("recipients.yaml", "[P02]", "[]", "6: pharmacy receives for nothing"),
        ("recipients.yaml", "[diagnosis]", "[diagnoses]", "7: unknown field 'diagnoses'"),
        ("recipients.yaml", "[diagnosis]", "[]", "7: pharmacy receives nothing"),
        ("recipients.yaml", "2029-01-01", "2026-01-01", "11: the contract ends before it begins"),
        ("recipients.yaml", "kind: standard_contract", "kind: trust", "22: unknown value 'trust'; expected one of"),
        ("recipients.yaml", "document: SC-1, ", "", "22: 'document' is missing"),
        ("recipients.yaml", "engaged_by: press", "engaged_by: pharmacy", "32: binder is engaged by no processor"),
        ("recipients.yaml", "engaged_by: press", "engaged_by: binder", "32: binder is engaged by no processor"),
        ("recipients.yaml", "approved_by: board", "engaged_by: press", "12: pharmacy is engaged and no processor"),
        ("notices/service.en.yaml", "title: Notice", "title: [", "6: not valid YAML"),
        ("notices/service.en.yaml", "[P01, P02]", "[P01, P02, P66]", "5: unknown purpose 'P66'"),
        ("notices/service.en.yaml", "[P01, P02]", "[]", "1: notice service informs about no purpose"),
        ("notices/service.en.yaml", "[P01, P02]", "[P01]", "1: notice service 2026-11 differs in purposes"),
        ("notices/service.en.yaml", "  impact: a leak could harm\n", "", "1: notice service is for sensitive purposes"),
        ("notices/service.en.yaml", "\n  - {item: name, purpose: record, method: entered, retention: 15 years}", " []",
         "1: notice service lists nothing that is collected"),
        ("notices/service.en.yaml", "version: 2026-11", "version: 2026-12", "1: notice service 2026-12 is missing"),
    ],
)  # fmt: skip
def test_a_mistake_in_any_other_file_is_named(broken, file, old, new, expected):
    """Each has its file, its line and what was expected."""
    assert [line for line in broken(file, (old, new)) if line.startswith(f"{file}:{expected}")]


def test_the_same_notice_twice_is_refused(small_pack: Path):
    """Two files cannot both be one edition."""
    text = (small_pack / "notices/service.en.yaml").read_text(encoding="utf-8")
    (small_pack / "notices/service.second.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(
        PackError, match=r"service.second.yaml:1: notice service again; expected one file; .*service.en"
    ):
        load_pack(small_pack)


def test_a_purpose_that_can_be_granted_needs_a_notice(small_pack: Path):
    """Nobody can agree to what they were not told."""
    for path in (small_pack / "notices").iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("[P01, P02]", "[P02]"), encoding="utf-8")
    with pytest.raises(PackError, match=r"purposes.yaml:1: P01 has no notice"):
        load_pack(small_pack)


def test_a_broken_notice_is_one_mistake(broken):
    """Its other edition and its purposes are not blamed as well."""
    assert len(broken("notices/service.en.yaml", ("locale: en", "locale: fr"))) == 1


def test_a_file_that_cannot_be_loaded_is_one_mistake(small_pack: Path):
    """What other files say about its entries is not checked then."""
    (small_pack / "fields.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_pack(small_pack)
    assert len(caught.value.mistakes) == 1


def test_a_folder_that_is_no_pack_names_every_missing_file(tmp_path: Path):
    """The message shows what a pack consists of."""
    with pytest.raises(PackError) as caught:
        load_pack(tmp_path)
    assert sorted(Path(mistake.file).name for mistake in caught.value.mistakes) == [
        "events.yaml",
        "fields.yaml",
        "pack.yaml",
        "purposes.yaml",
        "relations.yaml",
        "roles.yaml",
    ]


def test_the_same_assessment_twice_is_refused(small_pack: Path):
    """One file for an id; the message names the other."""
    first = small_pack / "assessments" / "PIA-1.yaml"
    (small_pack / "assessments" / "again.yaml").write_text(first.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(PackError, match=r"assessment PIA-1 again; expected one file; the other is .*PIA-1"):
        load_pack(small_pack)


def test_what_the_register_is_given_arrives(small_pack: Path):
    """Assessments and recipients are read whole, with who engages whom and what a transfer rests on."""
    catalogue = load_pack(small_pack)
    assert [text.assessment_id for text in catalogue.assessments] == ["PIA-1"]
    assert catalogue.assessments[0].expires_on == date(2029, 10, 1)
    binder, pharmacy, press = catalogue.recipients
    assert (binder.engaged_by, pharmacy.fields, pharmacy.approved_by) == ("press", {"diagnosis"}, "board")
    assert press.mechanism == TransferMechanism("standard_contract", "SC-1", date(2028, 1, 1))
    assert (press.term_until, press.fields) == (None, None)


def test_what_pack_yaml_leaves_out_has_the_law_s_values(small_pack: Path):
    """China, fourteen years and forty-eight hours, until the pack says otherwise (R18, R23)."""
    catalogue = load_pack(small_pack)
    assert (catalogue.jurisdiction, catalogue.digital_age, catalogue.cool_down) == ("CN", 14, timedelta(hours=48))
    path = small_pack / "pack.yaml"
    more = "jurisdiction: FR\ndigital_age: 15\ncool_down_hours: 12\n"
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    other = load_pack(small_pack)
    assert (other.jurisdiction, other.digital_age, other.cool_down) == ("FR", 15, timedelta(hours=12))


def test_a_pack_without_recipients_needs_no_file(small_pack: Path):
    """Whoever shares with nobody declares nobody."""
    (small_pack / "recipients.yaml").unlink()
    purposes = small_pack / "purposes.yaml"
    text = purposes.read_text(encoding="utf-8").replace("  recipients: [pharmacy]\n", "")
    purposes.write_text(text, encoding="utf-8")
    assert load_pack(small_pack).recipients == ()


def test_days_begin_in_the_time_zone_of_the_pack(small_pack: Path):
    """A contract's day is a day where the controller is."""
    catalogue = load_pack(small_pack)
    assert catalogue.begin_of(date(2027, 1, 1)) == datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert catalogue.year_of(datetime(2026, 12, 31, 16, tzinfo=UTC)) == 2027


@pytest.mark.parametrize("name", ["veterinary", "../medical", "", "codes/..", "__pycache__"])
def test_only_packs_that_ship_are_found_by_name(name):
    """A name is no path."""
    with pytest.raises(NotFound, match="ships with the product"):
        builtin_pack_path(name)
    assert (builtin_pack_path("medical") / "pack.yaml").is_file()
