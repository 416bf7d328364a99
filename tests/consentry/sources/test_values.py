"""Raw values into the catalogue's fields."""

from datetime import date

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consentry.sources.records import Identity, RowFault, RowRefused
from consentry.sources.values import MAX_ITEMS, Cleaned, Cleaner, Reads, identity_of
from kernel.encoding import canonical_json


@pytest.fixture
def put(context):
    """Cleans one raw value and returns the values that it gave."""
    cleaner = Cleaner(context)

    def put_one(field, raw, **reads):
        cleaned = Cleaned()
        cleaner.put(cleaned, field, raw, Reads(**reads))
        return cleaned.values

    return put_one


@pytest.mark.parametrize(
    ("field", "raw", "value"),
    [
        ("name", " 张三 ", "张三"),
        ("sex", "女", "female"),
        ("birth_date", "1990年1月31日", "1990-01-31"),
        ("mobile", "+86 138 0013 8000", "13800138000"),
        ("email", "Zhang@example.com", "Zhang@example.com"),
        ("district", "北京市朝阳区", "110105"),
        ("city", "深圳", "440300"),
        ("visit_time", "2026/1/3 8:05", "2026-01-03T00:05:00.000000Z"),
        ("chief_complaint", "头痛，３天", "头痛，３天"),
        ("order_amount", "¥1,280.50", "1280.5"),
        ("prescription_sale", "是", True),
        ("question_count", "6.0", 6),
        ("consult_format", "video", "video"),
        ("topic", "母婴", ["母婴"]),
    ],
)
def test_value_gets_the_type_of_its_field(put, field, raw, value):
    """Strings, dates, instants, places, amounts, truths, numbers and lists."""
    assert put(field, raw) == {field: value}


@pytest.mark.parametrize(
    ("field", "raw", "fault"),
    [
        ("birth_date", "2027-01-01", RowFault.FUTURE_DATE),
        ("visit_time", "2026-11-21T10:06:00+08:00", RowFault.FUTURE_DATE),
        ("id_number", "110105194912310021", RowFault.CHECK_DIGIT),
        ("email", "nobody", RowFault.MALFORMED),
        ("email", "a b@example.com", RowFault.MALFORMED),
        ("consult_format", "信", RowFault.UNKNOWN_CATEGORY),
        ("order_amount", "-5", RowFault.OUT_OF_RANGE),
        ("question_count", "6.5", RowFault.BAD_NUMBER),
        ("chief_complaint", "x" * 10_000_000, RowFault.TOO_LONG),
        ("vitals_lab", "128", RowFault.BAD_CODE),
        ("diagnosis", "高血压", RowFault.BAD_CODE),
        ("blood_type", "A", RowFault.UNKNOWN_FIELD),
    ],
)
def test_value_that_cannot_be_is_refused_by_field_and_reason(put, field, raw, fault):
    """The refusal names the field and never the value."""
    with pytest.raises(RowRefused) as refused:
        put(field, raw)
    assert (refused.value.fault, refused.value.field) == (fault, field)
    assert raw[:20] not in str(refused.value)


def test_clock_skew_of_five_minutes_is_no_future(put):
    """A source's clock may run a little ahead."""
    assert put("visit_time", "2026-11-21T10:04:00+08:00")


def test_words_of_the_source_are_translated(put):
    """Full-width spellings of a word are the same word."""
    words = {"ABC": "video"}
    assert put("consult_format", "ＡＢＣ", words=words) == {"consult_format": "video"}


def test_duration_is_converted_to_the_unit_of_its_field(put):
    """Milliseconds become whole seconds, seconds whole minutes."""
    assert put("page_stay", "4200", units=("ms",)) == {"page_stay": 4}
    assert put("consult_length", "900", units=("s",)) == {"consult_length": 15}
    assert put("order_amount", "12850", units=("fen",)) == {"order_amount": "128.5"}


@pytest.mark.parametrize("unit", ["kg", "parsec"])
def test_duration_in_another_dimension_is_refused(put, unit):
    """A page stay of 3 kg is a mistake of the map."""
    with pytest.raises(RowRefused) as refused:
        put("page_stay", "3", units=(unit,))
    assert refused.value.fault is RowFault.UNKNOWN_UNIT


@pytest.mark.parametrize(
    ("raw", "value", "flag"),
    [("5.6", "5.6", None), ("5.6mmol/L", "5.6", None), ("100.8 mg/dL", "5.5952", None), ("<5", "5", "<")],
)
def test_quantity_may_carry_its_unit_and_a_comparator(put, raw, value, flag):
    """A unit inside the cell goes before the column's."""
    expected = {"code": "loinc:14771-0", "value": value, "unit": "mmol/L"} | ({"flag": flag} if flag else {})
    assert put("vitals_lab", raw, code="loinc:14771-0", units=("mmol/L",)) == {"vitals_lab": [expected]}


def test_diagnosis_of_a_special_disease_changes_its_field(put):
    """The code decides, not the column."""
    assert put("diagnosis", "B20", system="icd10") == {"special_disease": ["icd10:B20"]}


def test_repeated_field_holds_each_value_once(context):
    """The same diagnosis twice in one record is one diagnosis."""
    cleaner, cleaned = Cleaner(context), Cleaned()
    for code in ("I10", "E11.9", "I10"):
        cleaner.put(cleaned, "diagnosis", code, Reads(system="icd10"))
    assert cleaned.values == {"diagnosis": ["icd10:I10", "icd10:E11.9"]}


def test_two_values_for_one_field_contradict_each_other(context):
    """A person has one height at a time; the same one twice is no contradiction."""
    cleaner, cleaned = Cleaner(context), Cleaned()
    height = Reads(code="loinc:8302-2", units=("cm",))
    cleaner.put(cleaned, "height", "170", height)
    cleaner.put(cleaned, "height", "170.0", height)
    with pytest.raises(RowRefused) as refused:
        cleaner.put(cleaned, "height", "171", height)
    assert refused.value.fault is RowFault.CONTRADICTION


def test_unmapped_codes_are_named(context):
    """A code that no table knows is kept and counted."""
    cleaner, cleaned = Cleaner(context), Cleaned()
    cleaner.put(cleaned, "prescription", "rxnorm:1")
    cleaner.put(cleaned, "vitals_lab", "3", Reads(code="loinc:99999-9", units=("g/L",)))
    cleaner.put(cleaned, "questionnaire_score", "3", Reads(code="local:stress"))
    assert cleaned.unmapped == ["rxnorm:1", "loinc:99999-9"]


def test_pregnancy_tells_the_reproductive_state(context):
    """A diagnosis of pregnancy is a state as well, unless the source tells the state itself."""
    cleaner = Cleaner(context)
    for code, state in (("Z34.9", "pregnant"), ("Z33", "pregnant"), ("Z39.2", "postpartum"), ("I10", None)):
        cleaned = Cleaned()
        cleaner.put(cleaned, "diagnosis", code, Reads(system="icd10"))
        cleaner.derive(cleaned)
        assert cleaned.values.get("reproductive_state") == state
    told = Cleaned({"reproductive_state": "none", "diagnosis": ["icd10:Z34.9"]})
    cleaner.derive(told)
    assert told.values["reproductive_state"] == "none"


def test_identity_gathers_what_names_a_person():
    """ID number, birth date, sex and mobile; a record without them has none."""
    values = {"id_number": "11010519491231002X", "birth_date": "1949-12-31", "sex": "female", "mobile": "13800138000"}
    expected = Identity("11010519491231002X", date(1949, 12, 31), "female", "13800138000")
    assert identity_of(values) == expected
    assert identity_of({"mobile": "13800138000"}) == Identity(mobile="13800138000")
    assert identity_of({"height": {}}) is None


def test_id_number_and_birth_date_must_agree():
    """Two birth dates in one row are one too many."""
    with pytest.raises(RowRefused) as refused:
        identity_of({"id_number": "11010519491231002X", "birth_date": "1950-12-31"})
    assert (refused.value.fault, refused.value.field) == (RowFault.CONTRADICTION, "birth_date")


def test_gathered_values_are_not_in_the_repr():
    """What gathers shows its fields only."""
    assert repr(Cleaned({"name": "张三"})) == "Cleaned(['name'])"


FIELDS = (
    "sex",
    "birth_date",
    "visit_time",
    "id_number",
    "mobile",
    "email",
    "district",
    "order_amount",
    "question_count",
)
MARKS = st.text(st.sampled_from("0123456789.,-+/:年月日时分 eExX%¥元斤TZ×²½①\u200b\ufeff"), max_size=24)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    field=st.sampled_from((*FIELDS, "diagnosis", "vitals_lab", "prescription_sale")), raw=st.text(max_size=40) | MARKS
)
@example(field="vitals_lab", raw="9" * 5000)
@example(field="birth_date", raw="٢٠٢٦-٠١-٠٣")
@example(field="order_amount", raw="1e-99")
def test_any_text_gives_a_value_or_a_refusal(context, field, raw):
    """No text breaks the cleaning, and what comes out has a canonical form."""
    cleaned = Cleaned()
    try:
        Cleaner(context).put(cleaned, field, raw, Reads(system="icd10", code="loinc:8480-6", units=("mmHg",)))
    except RowRefused as refusal:
        cleaned.unmapped.append(refusal.field or "no field named")
    assert "no field named" not in cleaned.unmapped
    assert canonical_json(cleaned.values)


class Compared(str):
    """A text that counts how often any such text was compared."""

    __slots__ = ()
    count = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Compared.count += 1
        return str.__eq__(self, other)


def test_values_of_a_repeated_field_are_not_compared_with_each_other(context):
    """The work grows with their number, not with its square."""
    Compared.count = 0
    cleaned = Cleaned()
    items = [Compared(f"商品{number}") for number in range(MAX_ITEMS)]
    for item in items:
        cleaned.add(context.catalogue.fields["order_items"], item)
    assert cleaned.values == {"order_items": [str(item) for item in items]}
    assert Compared.count <= 2 * MAX_ITEMS


@pytest.mark.parametrize(("field", "value"), [("order_items", "商品{}"), ("order_items", "商品"), ("name", "张三")])
def test_more_than_a_thousand_values_for_one_field_are_refused(context, field, value):
    """Different or alike, in a repeated field or any other."""
    cleaner, cleaned = Cleaner(context), Cleaned()
    for number in range(MAX_ITEMS):
        cleaner.put(cleaned, field, value.format(number))
    with pytest.raises(RowRefused) as refusal:
        cleaner.put(cleaned, field, value.format(MAX_ITEMS))
    assert (refusal.value.fault, refusal.value.field) == (RowFault.TOO_MANY, field)
