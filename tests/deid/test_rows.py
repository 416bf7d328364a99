"""Rows of the shipped views: what becomes of one person's records."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.rows import SourceRow
from deid.views import load_views
from kernel.errors import BadInput

NOON = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)


def _record(values, *, kind="observation", days=0, at=NOON):
    return SourceRow(kind, at + timedelta(days=days), values)


def _quantity(code, value, unit):
    return {"code": f"loinc:{code}", "value": value, "unit": unit}


FULL = (
    _record({"birth_date": "1990-01-31", "sex": "female", "district": "110105", "membership": "黄金"}, kind="profile"),
    _record({"diagnosis": ["icd10:I10", "icd10:B20"]}, kind="condition"),
    _record({"diagnosis": "icd10:E11.9"}, kind="condition", days=1),
    _record({"prescription": ["atc:C09AA05", "atc:J05AR10"]}, kind="medication"),
    _record({"allergy": ["snomed:91936005", "snomed:1"]}, kind="allergy"),
    _record({"vitals_lab": [_quantity("8480-6", "151", "mm[Hg]"), _quantity("8462-4", "88", "mm[Hg]")]}),
    _record({"reading": _quantity("8480-6", "128", "mm[Hg]")}, kind="reading", days=2),
    _record({"vitals_lab": _quantity("2345-7", "126", "mg/dL")}),
    _record({"height": _quantity("8302-2", "160", "cm")}),
    _record({"weight": _quantity("29463-7", "70", "kg")}, days=3),
    _record({"chief_complaint": "头晕三天，电话13812345678", "visit_time": "2026-11-01T04:00:00Z"}, kind="encounter"),
    _record({"chief_complaint": "复诊"}, kind="encounter", days=-30),
    _record({"reproductive_state": "none"}, kind="condition"),
)


def test_subject_row_is_what_the_view_says(builder):
    """A whole person: bands, groups, bins and a redacted complaint."""
    made = builder("subject_profile")
    assert made.rows("ps_one", FULL) == [
        {
            "pseudonym": "ps_one",
            "age_band": "35-39",
            "sex": "female",
            "province": "110000",
            "diagnosis_groups": ["E11", "I10"],
            "medication_groups": ["C09A"],
            "allergy_classes": ["penicillin"],
            "reproductive_state": "none",
            "systolic_bin": "120-<130",
            "diastolic_bin": "80-<90",
            "glucose_bin": "6.1-<7.0",
            "bmi_bin": "24.0-<28.0",
            "complaint": "头晕三天，电话〔手机〕",
            "last_visit_month": "2026-11",
            "membership": "黄金",
        }
    ]
    assert made.dropped == {
        ("diagnosis_groups", "special_disease"): 1,
        ("medication_groups", "special_disease"): 1,
        ("allergy_classes", "unmapped"): 1,
    }


@given(st.permutations(FULL))
def test_order_of_records_means_nothing(views, records):
    """Records of one instant are ordered by their content."""
    from deid.rows import RowBuilder

    def rows(given_records):
        made = RowBuilder(views["subject_profile"], tokeniser=None, scrub=str, as_of=date(2026, 11, 21))
        return made.rows("ps_one", given_records)

    assert rows(records) == rows(FULL)


def test_nothing_known_is_one_row_of_nulls(builder):
    """What is not known is null, never false, never an empty list; the person still counts."""
    (row,) = builder("subject_profile").rows("ps_one", [])
    assert row.pop("pseudonym") == "ps_one"
    assert set(row.values()) == {None}


def test_only_special_diseases_leave_the_groups_unknown(builder):
    """An empty list would say that there is no diagnosis."""
    (row,) = builder("subject_profile").rows("ps_one", [_record({"diagnosis": "icd10:F20.0"})])
    assert row["diagnosis_groups"] is None


@pytest.mark.parametrize(
    "code",
    ["B20", "B21.9", "B22", "B23", "B24", "Z21", *(f"A{n}" for n in range(50, 65)), *(f"F{n}" for n in range(20, 30)),
     *(f"C{n:02d}.1" for n in range(98))],
)  # fmt: skip
def test_special_disease_never_reaches_the_row(builder, code):
    """Whatever column one looks at, the group of a special disease is in none."""
    (row,) = builder("subject_profile").rows("ps_one", [_record({"diagnosis": [f"icd10:{code}", "icd10:I10"]})])
    assert row["diagnosis_groups"] == ["I10"]
    assert code[:3] not in str(row)


def test_records_after_the_day_do_not_count(builder):
    """The last instant of the natural day counts, the next one does not."""
    last = datetime(2026, 11, 21, 15, 59, 59, tzinfo=UTC)
    records = [_record({"sex": "female"}, at=last), _record({"sex": "male"}, at=last + timedelta(seconds=1))]
    (row,) = builder("subject_profile").rows("ps_one", records)
    assert row["sex"] == "female"


def test_latest_usable_value_wins(builder):
    """A newer value that cannot be used does not hide an older one that can."""
    newer = _record({"vitals_lab": _quantity("2345-7", "6", "furlong")}, days=1)
    made = builder("subject_profile")
    (row,) = made.rows("ps_one", [_record({"vitals_lab": _quantity("2345-7", "5.0", "mmol/L")}), newer])
    assert row["glucose_bin"] == "3.9-<6.1"
    assert made.dropped == {("glucose_bin", "unknown_unit"): 1}


def test_undeclared_field_is_refused_by_name(builder):
    """Whoever built the records opened more than the view may read."""
    with pytest.raises(BadInput, match="does not declare mobile, name") as caught:
        builder("subject_profile").rows("ps_one", [_record({"name": "王芳", "mobile": "13812345678"})])
    assert "王芳" not in caught.value.diagnostics()
    assert "13812345678" not in caught.value.diagnostics()


def test_row_without_pseudonym_is_refused(builder):
    """There is no row of nobody."""
    with pytest.raises(BadInput, match="needs a pseudonym"):
        builder("subject_profile").rows("", [])


def test_record_without_time_zone_is_refused():
    """Its natural day could not be told."""
    with pytest.raises(BadInput, match="without a time zone"):
        SourceRow("event", datetime(2026, 11, 1), {})  # noqa: DTZ001 - the point of the test


def test_repr_of_a_record_shows_no_value():
    """Records end up in tracebacks."""
    assert "13812345678" not in repr(_record({"mobile": "13812345678"}))


def test_scrub_that_fails_ends_the_build(views):
    """No text passes when detection is broken."""
    from deid.rows import RowBuilder

    def broken(text):
        raise RuntimeError("detection is down")

    made = RowBuilder(views["subject_profile"], tokeniser=None, scrub=broken, as_of=date(2026, 11, 21))
    with pytest.raises(RuntimeError, match="detection is down"):
        made.rows("ps_one", FULL)


def test_names_are_scrubbed_once_and_texts_every_time(views):
    """Memory is for short names only, and bounded."""
    from deid import rows

    asked = []
    made = rows.RowBuilder(
        views["event_rows"], tokeniser=None, scrub=lambda text: asked.append(text) or text, as_of=date(2026, 11, 21)
    )
    for number in [1, 1, 2]:
        made.rows("ps_one", [_record({"event_type": "share", "topic": f"养生{number}"}, kind="event")])
    assert asked == ["share", "养生1", "养生2"]
    remembering = rows._Remembering(lambda text: asked.append(text) or text)
    asked.clear()
    for number in range(rows._MEMORY + 1):
        remembering(str(number))
    remembering("0")
    remembering("x" * 41)
    remembering("x" * 41)
    assert len(asked) == rows._MEMORY + 1 + 1 + 2


def test_events_become_rows_in_order_of_time(builder):
    """Minute in UTC, natural day and hour in Shanghai, few properties."""
    at = datetime(2026, 10, 31, 16, 30, 45, tzinfo=UTC)
    consult = {
        "event_type": "consult_finished",
        "department_chosen": "心内科",
        "consult_format": "video",
        "consult_length": 16,
        "question_count": 6,
    }
    view = {"event_type": "page_view", "page_stay": 301, "topic": ["用药指南", "养生食谱"]}
    rows = builder("event_rows").rows(
        "ps_one", [_record(consult, kind="event", at=at), _record(view, kind="event", days=-3)]
    )
    assert [row["event_type"] for row in rows] == ["page_view", "consult_finished"]
    assert rows[0]["minutes"] == 6
    assert rows[0]["topic"] == "用药指南"
    assert rows[1] == {
        "pseudonym": "ps_one",
        "event_type": "consult_finished",
        "at": datetime(2026, 10, 31, 16, 30, tzinfo=UTC),
        "day": date(2026, 11, 1),
        "hour": 0,
        "department": "心内科",
        "topic": None,
        "format": "video",
        "minutes": 16,
        "questions": 6,
        "amount": None,
        "status": None,
    }


def test_order_becomes_a_purchase(builder):
    """The shop's record is the event, with amount and status."""
    (row,) = builder("event_rows").rows(
        "ps_one", [_record({"order_amount": "128.5", "order_status": "completed"}, kind="order")]
    )
    assert (row["event_type"], row["amount"], row["status"]) == ("purchase", Decimal("128.50"), "completed")


def test_encounter_becomes_a_finished_consult(builder):
    """The hospital's visit counts as a consult; its form is not known."""
    (row,) = builder("event_rows").rows("ps_one", [_record({"department": "内科"}, kind="encounter")])
    assert (row["event_type"], row["department"], row["format"]) == ("consult_finished", "内科", None)


def test_one_fact_told_twice_counts_once(builder):
    """Shop before tracker before hospital, by event type and natural day."""
    made = builder("event_rows")
    rows = made.rows(
        "ps_one",
        [
            _record({"event_type": "purchase", "order_amount": "5"}, kind="event"),
            _record({"order_amount": "128"}, kind="order", at=NOON + timedelta(hours=2)),
            _record({"order_amount": "64"}, kind="order", at=NOON + timedelta(hours=3)),
            _record({"event_type": "purchase", "order_amount": "7"}, kind="event", days=1),
            _record({"event_type": "consult_finished", "consult_length": 9}, kind="event"),
            _record({"department": "内科"}, kind="encounter"),
        ],
    )
    told = [(row["event_type"], row["amount"], row["minutes"]) for row in rows]
    assert sorted(told, key=str) == [
        ("consult_finished", None, 9),
        ("purchase", Decimal("128.00"), None),
        ("purchase", Decimal("64.00"), None),
        ("purchase", Decimal("7.00"), None),
    ]
    assert made.dropped["event_type", "told_by_another_source"] == 2


@pytest.mark.parametrize("values", [{"event_type": "teleport"}, {"event_type": 7}, {"topic": "母婴"}])
def test_unknown_event_type_is_no_row(builder, values):
    """What the catalogue does not declare, or does not allow for profiling, is dropped and counted."""
    made = builder("event_rows")
    assert made.rows("ps_one", [_record(values, kind="event")]) == []
    assert made.dropped["event_type", "not_allowed"] >= 1


def test_other_kinds_and_empty_records_are_no_events(builder):
    """A profile is no event, and a record of which nothing may be opened says nothing, not even its time."""
    records = [_record({"membership": "黄金"}, kind="profile"), _record({}, kind="order")]
    with pytest.raises(BadInput, match="membership"):
        builder("event_rows").rows("ps_one", records)
    assert builder("event_rows").rows("ps_one", [_record({"topic": "母婴"}, kind="touch"), records[1]]) == []


def test_special_department_and_topic_do_not_reach_an_event(builder):
    """The event stays, what gives the disease away does not."""
    made = builder("event_rows")
    (row,) = made.rows(
        "ps_one",
        [_record({"event_type": "consult_finished", "department_chosen": "精神科", "topic": "HIV检测"}, kind="event")],
    )
    assert (row["department"], row["topic"]) == (None, None)
    assert made.dropped == {("department", "special_disease"): 1, ("topic", "special_disease"): 1}


def test_identifier_in_an_open_name_is_dropped(builder):
    """A topic that holds a mobile is no topic."""
    made = builder("event_rows")
    (row,) = made.rows("ps_one", [_record({"event_type": "share", "topic": "联系13812345678"}, kind="event")])
    assert row["topic"] is None
    assert made.dropped == {("topic", "identifier"): 1}


@pytest.mark.parametrize("view", ["subject_profile", "event_rows"])
def test_rows_fit_the_schema_and_survive_parquet(builder, view, tmp_path):
    """Arrow takes the rows as they are; only the pseudonym is never null."""
    import pyarrow.parquet as pq

    made = builder(view)
    records = FULL if view == "subject_profile" else [_record({"order_amount": "1"}, kind="order")]
    table = pa.Table.from_pylist(made.rows("ps_one", records), schema=made.schema)
    pq.write_table(table, tmp_path / "view.parquet")
    assert pq.read_table(tmp_path / "view.parquet").equals(table)
    assert [field.name for field in made.schema if not field.nullable] == ["pseudonym"]


def test_schema_has_the_agreed_types(builder):
    """The tag engine reads these types."""
    types = {field.name: field.type for field in builder("event_rows").schema}
    assert types["at"] == pa.timestamp("us", tz="UTC")
    assert types["day"] == pa.date32()
    assert types["amount"] == pa.decimal128(12, 2)
    assert types["hour"] == types["minutes"] == types["questions"] == pa.int32()
    assert builder("subject_profile").schema.field("diagnosis_groups").type == pa.list_(pa.string())


def test_counts_and_truths_of_what_may_not_be_told(edit, medical, builder):
    """`has` and `count` tell that something is there and nothing of it; of nothing they tell nothing."""
    columns = "  - name: was_operated\n    from: {surgery: has}\n  - name: operations\n    from: {surgery: count}\n"
    folder = edit("views/subject_profile.yaml", "columns:\n", "columns:\n" + columns)
    view = load_views(folder, medical)["subject_profile"]
    made = builder(view)
    (row,) = made.rows("ps_one", [_record({"surgery": ["snomed:1", None, "snomed:2"]})])
    assert (row["was_operated"], row["operations"]) == (True, 2)
    (row,) = made.rows("ps_one", [])
    assert (row["was_operated"], row["operations"]) == (None, None)
    assert made.schema.field("was_operated").type == pa.bool_()
