"""Posted records: cleaned as files are, and refused one by one by name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.sources.context import open_context
from consentry.sources.posted import read_posted
from consentry.sources.records import BadRow, RowFault, SourceRecord
from kernel.clock import FixedClock
from kernel.pack import builtin_pack_path


def systolic(value, unit, **more):
    """A systolic blood pressure as a quantity."""
    return {"code": "loinc:8480-6", "value": value, "unit": unit} | more


@pytest.fixture(scope="module")
def context(medical):
    """Catalogue and tables at 10:00 in Shanghai on 2026-11-21."""
    now = FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
    return open_context(medical, pack=builtin_pack_path("medical"), clock=now)


@pytest.fixture(scope="module")
def read(context):
    """Reads posted records of the source `app`; returns the rows and the reading."""

    def run(*records):
        reading = read_posted(records, context, source="app")
        return list(reading), reading

    return run


@pytest.fixture(scope="module")
def read_one(read):
    """Reads one record with these values."""

    def run(kind="condition", identity=None, **values):
        record = posted(kind=kind, values=values)
        return read(record if identity is None else record | {"identity": identity})[0][0]

    return run


def posted(**changes):
    return {
        "source_subject": "u-1",
        "kind": "condition",
        "source_record": "c-1",
        "observed_at": "2026-11-20T09:30:00+08:00",
        "values": {"diagnosis": "icd10:I10"},
    } | changes


def test_record_is_cleaned_to_the_catalogue(read):
    """Ids are folded, the time is UTC, and the source is that of the call."""
    (row,), reading = read(posted(source_subject=" ｕ-1 ", observed_at="2026-11-20 09:30"))
    assert isinstance(row, SourceRecord)
    assert (row.locator, row.source, row.source_subject, row.kind) == ("records[0]", "app", "u-1", "condition")
    assert row.observed_at == datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
    assert row.values == {"diagnosis": ["icd10:I10"]}
    assert row.identity is None
    assert (reading.tally.rows, reading.tally.records) == (1, 1)


@pytest.mark.parametrize(
    ("field", "raw", "clean"),
    [
        ("sex", "女", "female"),
        ("birth_date", "1990年5月20日", "1990-05-20"),
        ("district", "110105", "110105"),
        ("mobile", "+86 138-0013-8000", "13800138000"),
        ("order_amount", 99.5, "99.5"),
        ("order_amount", "¥1,280.50", "1280.5"),
        ("consult_length", 12, 12),
        ("prescription_sale", True, True),
        ("chief_complaint", " 头痛两天 ", "头痛两天"),
        ("allergy", ["local:penicillin"], ["local:penicillin"]),
        ("diagnosis", ["icd10:i10", "icd10:I10", "icd10:E119"], ["icd10:I10", "icd10:E11.9"]),
        ("reading", systolic("128", "mmHg"), [systolic("128", "mm[Hg]")]),
        ("reading", systolic(16, "kPa"), [systolic("120.0099", "mm[Hg]")]),
        ("vitals_lab", systolic("182", "mm[Hg]", flag="H"), [systolic("182", "mm[Hg]", flag="H")]),
    ],
)
def test_value_is_cleaned_as_in_a_file(read_one, field, raw, clean):
    """Scalars, quantities and lists take the catalogue's form."""
    row = read_one(**{field: raw})
    assert isinstance(row, SourceRecord), row
    assert row.values == {field: clean}


def test_code_goes_where_it_belongs(read_one):
    """A special disease is kept under its own field, a code without mapping is kept and told."""
    row = read_one(diagnosis=["icd10:B20", "snomed:999999"])
    assert row.values == {"special_disease": ["icd10:B20", "snomed:999999"]}
    assert row.unmapped == ("snomed:999999",)
    assert read_one(diagnosis="icd10:O80").values["reproductive_state"] is not None


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"kind": "horoscope"}, "unknown_category", "kind"),
        ({"kind": None}, "unknown_category", "kind"),
        ({"source_subject": " "}, "missing", "source_subject"),
        ({"source_subject": "x" * 300}, "too_long", "source_subject"),
        ({"source_record": "a\x00b"}, "bad_text", "source_record"),
        ({"source_record": ["c"]}, "malformed", "source_record"),
        ({"observed_at": "yesterday"}, "bad_date", "observed_at"),
        ({"observed_at": "2026-11-21T02:06:00Z"}, "future_date", "observed_at"),
        ({"observed_at": None}, "bad_date", "observed_at"),
        ({"values": ["diagnosis"]}, "malformed", "values"),
        ({"values": {}}, "missing", "values"),
        ({"values": {"diagnosis": [None, ""]}}, "missing", "values"),
        ({"values": {"13912345678": "x"}}, "unknown_field", None),
        ({"values": {"diagnosis": "flu"}}, "bad_code", "diagnosis"),
        ({"values": {"diagnosis": {"code": "icd10:I10"}}}, "malformed", "diagnosis"),
        ({"values": {"diagnosis": [["icd10:I10"]]}}, "malformed", "diagnosis"),
        ({"values": {"id_number": "110105194912310021"}}, "check_digit", "id_number"),
        ({"values": {"mobile": "12345"}}, "bad_mobile", "mobile"),
        ({"values": {"birth_date": "2026-11-22"}}, "future_date", "birth_date"),
        ({"values": {"sex": "yes"}}, "unknown_category", "sex"),
        ({"values": {"sex": ["female", "male"]}}, "contradiction", "sex"),
        ({"values": {"order_amount": "many"}}, "bad_number", "order_amount"),
        ({"values": {"order_amount": float("inf")}}, "bad_number", "order_amount"),
        ({"values": {"chief_complaint": "痛" * 30_000}}, "too_long", "chief_complaint"),
        ({"values": {"height": {"code": "loinc:8302-2", "value": -170, "unit": "cm"}}}, "out_of_range", "height"),
        ({"values": {"height": {"code": "loinc:8302-2", "value": 170, "unit": "parsec"}}}, "unknown_unit", "height"),
        ({"values": {"height": {"value": 170, "unit": "cm"}}}, "bad_code", "height"),
        ({"values": {"height": {"code": "loinc:8302-2", "unit": "cm"}}}, "bad_number", "height"),
        ({"values": {"height": {"code": "loinc:8302-2", "value": 170, "size": "cm"}}}, "malformed", "height"),
        ({"values": {"reading": systolic(128, "mmHg", flag="!")}}, "unknown_category", "reading"),
        ({"values": {"reading": systolic(128, "mmHg", flag="H", code="x")}}, "bad_code", "reading"),
        ({"values": {"reading": systolic("x", "mmHg", flag="H")}}, "bad_number", "reading"),
        ({"identity": "110105"}, "malformed", "identity"),
        ({"identity": {"passport": "E12345678"}}, "unknown_field", "identity"),
        ({"identity": {"id_number": "110105194912310021"}}, "check_digit", "id_number"),
        ({"identity": {"birth_date": "2026-11-22"}}, "future_date", "birth_date"),
        ({"identity": {"birth_date": "1990-02-30"}}, "bad_date", "birth_date"),
        ({"identity": {"mobile": {"number": "13800138000"}}}, "malformed", "mobile"),
        ({"identity": {"id_number": "11010519491231002X", "birth_date": "1950-01-01"}}, "contradiction", "birth_date"),
    ],
)
def test_record_that_cannot_be_used_is_named(read, changes, reason, field):
    """One refusal, with place, reason and field; no value, and no name that the catalogue does not have."""
    rows, reading = read(posted(**changes))
    assert rows == [BadRow("records[0]", reason, field)]
    assert reading.tally.refused == {reason: 1}


def test_bad_record_leaves_its_neighbours_alone(read):
    """Records are judged one by one, in their order."""
    rows, _ = read(posted(), posted(kind="horoscope"), posted(source_record="c-2", values={"diagnosis": "icd10:E11"}))
    assert [type(row) for row in rows] == [SourceRecord, BadRow, SourceRecord]
    assert [row.locator for row in rows] == ["records[0]", "records[1]", "records[2]"]


def test_identity_is_for_resolving_and_not_for_storing(read_one):
    """What identifies the person stands beside the values, cleaned, and is not among them."""
    row = read_one(
        identity={"id_number": "110105 19491231002x", "mobile": "8613800138000", "sex": "女"}, diagnosis="icd10:I10"
    )
    assert row.values == {"diagnosis": ["icd10:I10"]}
    assert (row.identity.id_number, row.identity.mobile, row.identity.sex) == (
        "11010519491231002X",
        "13800138000",
        "female",
    )


def test_identity_and_values_must_agree(read_one):
    """The same fact may be said twice, not in two ways."""
    agreed = read_one("profile", {"sex": "F", "birth_date": "1990/5/20"}, sex="female", birth_date="1990-05-20")
    assert agreed.identity.sex == "female"
    differing = read_one("profile", {"sex": "M"}, sex="female")
    assert (differing.reason, differing.field) == ("contradiction", "sex")


def test_values_alone_identify_too(read_one):
    """A profile that carries identifying fields says who it is about."""
    assert read_one("profile", birth_date="1990-05-20", sex="female").identity.birth_date.year == 1990


def test_event_follows_its_type(read_one):
    """An event's properties are those that its type declares."""
    row = read_one("event", event_type="article_read", article="a-7", page_stay=41)
    assert row.values == {"event_type": "article_read", "article": "a-7", "page_stay": 41}


@pytest.mark.parametrize(
    ("values", "reason", "field"),
    [
        ({"article": "a-7"}, "unknown_event", "event_type"),
        ({"event_type": "article_burnt", "article": "a-7"}, "unknown_event", "event_type"),
        ({"event_type": ["article_read"], "article": "a-7"}, "unknown_event", "event_type"),
        ({"event_type": "article_read"}, "missing", "article"),
        ({"event_type": "article_read", "article": "a-7", "diagnosis": "icd10:I10"}, "unknown_field", "diagnosis"),
        ({"event_type": "article_read", "article": "a-7", "李静": "1"}, "unknown_field", None),
    ],
)
def test_event_of_another_form_is_refused(read_one, values, reason, field):
    """An unknown type, a missing property and one that the type does not have are named."""
    row = read_one("event", **values)
    assert (row.reason, row.field) == (reason, field)


def test_record_that_stands_twice_is_kept_once(read):
    """A repetition is dropped and counted."""
    rows, reading = read(posted(), posted(), posted(source_record="c-2"))
    assert len(rows) == 1
    assert reading.tally.duplicates == {"exact": 1, "near": 1}


def test_representations_hide_values(read_one):
    """What is printed by accident says where a record came from and no more."""
    row = read_one("profile", {"mobile": "13800138000"}, sex="female")
    assert "13800138000" not in repr(row) + repr(row.identity)
    assert "female" not in repr(row)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CODES = st.sampled_from(
    ["diagnosis", "height", "reading", "sex", "birth_date", "order_amount", "event_type", "page_stay"]
)


@given(
    record=st.fixed_dictionaries(
        {"kind": st.sampled_from(["condition", "event", "reading", "profile"]) | JSON},
        optional={
            "source_subject": JSON,
            "source_record": JSON,
            "observed_at": JSON | st.datetimes().map(str),
            "values": st.dictionaries(CODES | st.text(max_size=5), JSON, max_size=4) | JSON,
            "identity": JSON | st.dictionaries(st.sampled_from(["id_number", "birth_date", "sex", "mobile"]), JSON),
        },
    )
)
def test_whatever_is_posted_becomes_a_record_or_a_refusal(context, record):
    """No JSON makes the reader fail, and a refusal shows nothing but names of ours."""
    for row in read_posted([record], context, source="app"):
        if isinstance(row, BadRow):
            assert row.field is None or row.field in {*context.catalogue.fields, *record} | {"identity", "values"} | {
                "source_subject",
                "source_record",
                "observed_at",
            }
        else:
            assert row.values


def test_record_with_forty_thousand_items_in_one_field_is_refused(read):
    """The record is refused by name, and the next is read."""
    items = [f"item {number}" for number in range(40_000)]
    rows, _ = read(posted(kind="order", values={"order_items": items}), posted(source_record="c-2"))
    assert rows[0] == BadRow("records[0]", RowFault.TOO_MANY, "order_items")
    assert rows[1].source_record == "c-2"
