"""Tables by a map."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from consentry.sources.maps import load_map
from consentry.sources.records import BadRow, Identity, RowFault, SourceError, SourceRecord
from consentry.sources.tables import read_table

HOSPITAL = (
    "患者编号,就诊流水号,就诊时间,姓名,性别,出生日期,身份证号,手机号,现住址区划,"
    "主诉,诊断编码,科室,医生,身高,体重,血压,空腹血糖,总胆固醇,备注\n"
)
SMALL = """
source: his
subject: id
time: at
records:
  - kind: profile
    columns: {sex: sex, city: city}
"""


@pytest.fixture
def read_small(context, write):
    """Reads a text as a table of id, at, sex and city."""
    table = load_map(write("small.yaml", SMALL), context)

    def read(text, name="t.csv"):
        return read_table(write(name, text), table, context)

    return read


@pytest.fixture
def read_hospital(context, pack, write):
    """Reads rows as the hospital's CSV."""
    table = load_map(pack / "maps" / "hospital.yaml", context)
    return lambda rows: list(read_table(write("h.csv", HOSPITAL + rows), table, context))


def test_dirty_row_becomes_clean_records(read_hospital):
    """Full-width digits, Chinese dates, jin, metres, kilopascals and mg/dL in one row."""
    rows = read_hospital(
        "P1,V1,2026/1/3 8:05,张三,男,1990年1月31日,１１０１０５１９９００１３１００４８,１３８ ００１３ ８０００,"
        '北京市朝阳区,"头痛，3天",I10;B20,内科,李医生,1.75m,150斤,17.1/10.9kPa,101,5.2,x\n'
    )
    assert [row.kind for row in rows] == ["profile", "encounter", "condition", "observation"]
    profile, encounter, condition, observation = rows
    assert profile.values == {
        "name": "张三",
        "sex": "male",
        "birth_date": "1990-01-31",
        "id_number": "110105199001310048",
        "mobile": "13800138000",
        "district": "110105",
    }
    assert encounter.values["chief_complaint"] == "头痛，3天"
    assert condition.values == {"diagnosis": ["icd10:I10"], "special_disease": ["icd10:B20"]}
    assert observation.values["height"]["value"] == "175"
    assert observation.values["weight"]["value"] == "75"
    assert [(one["code"], one["value"], one["unit"]) for one in observation.values["vitals_lab"]] == [
        ("loinc:8480-6", "128.2606", "mm[Hg]"),
        ("loinc:8462-4", "81.7568", "mm[Hg]"),
        ("loinc:14771-0", "5.6063", "mmol/L"),
        ("loinc:14647-2", "5.2", "mmol/L"),
    ]
    for row in rows:
        assert (row.source, row.source_subject, row.source_record, row.locator) == ("hospital", "P1", "V1", "h.csv:2")
        assert row.observed_at == datetime(2026, 1, 3, 0, 5, tzinfo=UTC)
        assert row.identity == Identity("110105199001310048", date(1990, 1, 31), "male", "13800138000")


@pytest.mark.parametrize(
    ("row", "reason", "field"),
    [
        ("P1,V1,2027-01-01,,女,,,,,,,,,,,,,,", RowFault.FUTURE_DATE, "visit_time"),
        ("P1,V1,2026-01-01,,女,2027-01-01,,,,,,,,,,,,,", RowFault.FUTURE_DATE, "birth_date"),
        ("P1,V1,2026-01-01,,女,,110105199001310041,,,,,,,,,,,,", RowFault.CHECK_DIGIT, "id_number"),
        ("P1,V1,2026-01-01,,女,1991-01-31,110105199001310048,,,,,,,,,,,,", RowFault.CONTRADICTION, "birth_date"),
        ("P1,V1,2026-01-01,,女,,,,,,,,,-170,,,,,", RowFault.OUT_OF_RANGE, "height"),
        ("P1,V1,2026-01-01,,女,,,,,,,,,,70lightyears,,,,", RowFault.UNKNOWN_UNIT, "weight"),
        ("P1,V1,2026-01-01,,女,,,,,,,,,,,128,,,", RowFault.BAD_NUMBER, "vitals_lab"),
        ("P1,V1,2026-01-01,,女,,,,火星,,,,,,,,,,", RowFault.UNKNOWN_PLACE, "district"),
        ("P1,V1,2026-01-01,,女,,,12345,,,,,,,,,,,", RowFault.BAD_MOBILE, "mobile"),
        ("P1,V1,2026-01-01,,女,,,,,,高血压,,,,,,,,", RowFault.BAD_CODE, "diagnosis"),
        ("P1,V1,,,女,,,,,,,,,,,,,,", RowFault.MISSING, "time"),
        (",V1,2026-01-01,,女,,,,,,,,,,,,,,", RowFault.MISSING, "subject"),
        ("P1,,2026-01-01,,女,,,,,,,,,,,,,", RowFault.RAGGED, None),
        ("P1,V1,2026-01-01,,女,,,,,,,,,,,,,,,", RowFault.RAGGED, None),
        ("P1,V1,2026-01-01," + "x" * 100_000 + ",女,,,,,,,,,,,,,,", RowFault.TOO_LONG, "name"),
        ("P1,V1,2026-01-01," + "x" * 10_000_000 + ",女,,,,,,,,,,,,,,", RowFault.TOO_LONG, None),
        ('P1,V1,2026-01-01,"x"y,女,,,,,,,,,,,,,,', RowFault.MALFORMED, None),
        ("P" * 300 + ",V1,2026-01-01,,女,,,,,,,,,,,,,,", RowFault.TOO_LONG, "subject"),
        ("P1," + "V" * 300 + ",2026-01-01,,女,,,,,,,,,,,,,,", RowFault.TOO_LONG, "record"),
    ],
)
def test_bad_row_is_refused_whole_and_the_next_is_read(read_hospital, row, reason, field):
    """One refusal for the row, by number, reason and field; nothing of it is kept."""
    bad, *rest = read_hospital(row + "\nP2,V2,2026-01-02,,男,,,,,,,,,,,,,,\n")
    assert bad == BadRow("h.csv:2", reason, field)
    assert [one.source_subject for one in rest] == ["P2", "P2"]


def test_row_that_says_nothing_is_refused(read_small):
    """An id and a time without any value."""
    assert list(read_small("id,at,sex,city\nu1,2026-01-01,,—\n")) == [BadRow("t.csv:2", RowFault.MISSING)]


def test_blank_rows_are_counted_and_numbers_are_lines(read_small):
    """A quoted line break and blank lines move the numbers as an editor shows them."""
    reading = read_small('id,at,sex,city\n\n,,,\n"u\n1",2026-01-01,男,\nu2,2026-01-01,3,\n')
    assert [row.locator for row in reading] == ["t.csv:4", "t.csv:6"]
    assert dict(reading.skipped) == {"blank row": 2}


def test_missing_columns_are_named(read_small):
    """The map's names of what the file has not."""
    with pytest.raises(SourceError, match=r"t\.csv: missing columns 'sex', 'city'"):
        list(read_small("id,at\nu1,2026-01-01\n"))


def test_additional_columns_are_named_with_their_place(read_small):
    """A column that nobody classified is refused."""
    with pytest.raises(SourceError, match=r"t\.csv: columns that the map does not name: 5 'hiv'"):
        list(read_small("id,at,sex,city,hiv\n"))


def test_file_without_a_header_shows_no_values(read_small):
    """The first row would be taken for names, so no name of it is shown."""
    with pytest.raises(SourceError, match="names none of the map's columns") as error:
        list(read_small("张三,2026-01-01,男,北京\n"))
    assert "张三" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "no header"),
        ("id,at,sex,sex\n", "column 4 has the name of an earlier one"),
        ('id,at,sex,city\nu1,2026-01-01,男,"北京\nu2\n', r"line 2: a quotation mark is opened and never closed"),
        ('id,"at"x,sex,city\n', "line 1 is no header"),
    ],
)
def test_broken_file_is_named(read_small, text, message):
    """One clear line for the whole file."""
    with pytest.raises(SourceError, match=message):
        list(read_small(text))


def test_gbk_table_is_detected_and_read_when_told(context, pack, tmp_path, medical, clock):
    """The hint is what works."""
    from consentry.sources.context import open_context

    table = load_map(pack / "maps" / "hospital.yaml", context)
    path = tmp_path / "gbk.csv"
    path.write_bytes((HOSPITAL + "P1,V1,2026-01-01,张三,女,,,,,,,,,,,,,,\n").encode("gb18030"))
    with pytest.raises(SourceError, match=r"gbk\.csv line 1 is not utf-8: the file reads as GB18030") as error:
        list(read_table(path, table, context))
    assert error.value.hint == "Pass --encoding gb18030."
    told = open_context(medical, pack=pack, clock=clock, encoding="gb18030")
    assert next(iter(read_table(path, table, told))).values["name"] == "张三"


@pytest.mark.parametrize(("delimiter", "name"), [(";", "t.csv"), ("\t", "t.tsv"), ("|", "t.txt")])
def test_delimiter_is_found_in_the_header(read_small, delimiter, name):
    """Excel writes semicolons and tabs."""
    text = "\ufeffid,at,sex,city\r\nu1,2026-01-01,男,深圳\r\n".replace(",", delimiter)
    (row,) = read_small(text, name)
    assert row.values == {"sex": "male", "city": "440300"}


def test_unknown_format_is_named(read_small):
    """Old Excel files have to be saved anew."""
    with pytest.raises(SourceError, match=r"unknown format") as error:
        list(read_small("x", "t.xls"))
    assert ".xlsx" in error.value.hint


def test_ndjson_lines_have_their_own_keys(read_small):
    """A key that the map does not name is refused by line; missing keys are empty cells."""
    text = (
        '{"id": "u1", "at": 1767398700, "sex": 1}\n'
        '{"id": "u2", "at": "2026-01-01", "hiv": true}\n'
        '{"id": "u3", "at": "2026-01-01", "sex": ["男"]}\n'
        "[1]\n"
        '{"id": "u4", "at": "2026-01-01", "sex": null, "city": false}\n'
    )
    first, *bad = read_small(text, "t.ndjson")
    assert (first.values, first.observed_at) == ({"sex": "male"}, datetime(2026, 1, 3, 0, 5, tzinfo=UTC))
    assert bad == [
        BadRow("t.ndjson:2", RowFault.UNKNOWN_FIELD),
        BadRow("t.ndjson:3", RowFault.MALFORMED),
        BadRow("t.ndjson:4", RowFault.MALFORMED),
        BadRow("t.ndjson:5", RowFault.UNKNOWN_PLACE, "city"),
    ]


def test_ndjson_line_that_is_too_long_is_refused(read_small):
    """Memory stays flat."""
    assert list(read_small('{"id": "' + "x" * 5_000_000 + '"}\n', "t.ndjson")) == [
        BadRow("t.ndjson:1", RowFault.TOO_LONG)
    ]


@pytest.mark.parametrize(("name", "first"), [("t.parquet", 1), ("t.xlsx", 2)])
def test_typed_cells_are_read_as_they_look(context, write, tmp_path, frame, *, name, first):
    """Numbers without a point, local times, nothing for empty cells; rows as the format counts them."""
    path = tmp_path / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_excel(path, index=False)
    rows = list(read_table(path, load_map(write("m.yaml", SMALL), context), context))
    assert [row.locator for row in rows] == [f"{name}:{first}", f"{name}:{first + 1}", f"{name}:{first + 2}"]
    assert rows[0].source_subject == "13800138000"
    assert rows[0].observed_at == datetime(2026, 1, 3, 0, 5, tzinfo=UTC)
    assert [row.values for row in rows[:2]] == [{"sex": "male", "city": "440300"}, {"sex": "female"}]
    assert rows[2] == BadRow(f"{name}:{first + 2}", RowFault.MISSING, "time")


def test_excel_cell_beyond_the_header_is_ragged(context, write, tmp_path):
    """A value without a column belongs nowhere."""
    from openpyxl import Workbook

    book = Workbook()
    for row in (
        ["id", "at", "sex", "city"],
        ["u1", date(2026, 1, 3), "男", "深圳", "x"],
        ["u2", date(2026, 1, 3), "男"],
    ):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    rows = list(read_table(tmp_path / "t.xlsx", load_map(write("m.yaml", SMALL), context), context))
    assert rows[0] == BadRow("t.xlsx:2", RowFault.RAGGED)
    assert isinstance(rows[1], SourceRecord)


def test_parquet_column_of_lists_is_refused_by_row(context, write, tmp_path, frame):
    """A list is no cell."""
    frame.assign(city=[["深圳"], None, None]).to_parquet(tmp_path / "t.parquet")
    rows = list(read_table(tmp_path / "t.parquet", load_map(write("m.yaml", SMALL), context), context))
    assert rows[0] == BadRow("t.parquet:1", RowFault.MALFORMED)


@pytest.mark.parametrize(("name", "message"), [("t.parquet", "no readable Parquet"), ("t.xlsx", "no readable Excel")])
def test_file_under_a_false_suffix_is_named(read_small, name, message):
    """The suffix promises what the bytes are not."""
    with pytest.raises(SourceError, match=message):
        list(read_small("id,at,sex,city\n", name))


def test_huge_workbook_is_refused_before_it_is_opened(read_small, monkeypatch):
    """Excel files are held in part, so they have a bound."""
    monkeypatch.setattr("consentry.sources.table_files._MAX_EXCEL_BYTES", 3)
    with pytest.raises(SourceError, match="too large"):
        list(read_small("xxxx", "t.xlsx"))


def test_orders_of_a_shop_are_read(context, pack, write):
    """Words are translated, items are split, the membership goes to the profile."""
    header = "用户ID,订单号,下单时间,实付金额,订单状态,商品,支付方式,处方药,会员等级,手机号\n"
    text = header + 'u1,o1,2026年1月3日,"￥1,280.50",已支付,血压计|维生素,微信,否,金卡,\n'
    order, profile = read_table(write("s.csv", text), load_map(pack / "maps" / "shop.yaml", context), context)
    assert order.values == {
        "order_id": "o1",
        "order_amount": "1280.5",
        "order_status": "paid",
        "order_items": ["血压计", "维生素"],
        "payment_method": "微信",
        "prescription_sale": False,
    }
    assert (order.source_record, order.identity) == ("o1", None)
    assert (profile.kind, profile.values) == ("profile", {"membership": "金卡"})


def test_readings_name_their_metric_and_unit_in_columns(context, pack, write):
    """A long table of measurements."""
    text = (
        "用户ID,测量时间,指标,数值,单位,设备,范围\n"
        "u1,2026-01-03 08:00,收缩压,17.1,kPa,腕表,偏高\n"
        "u1,2026-01-03 08:00,loinc:8867-4,72,次/分,,\n"
        "u1,2026-01-03 08:00,心情,3,,,\n"
    )
    rows = list(read_table(write("w.csv", text), load_map(pack / "maps" / "wearable.yaml", context), context))
    assert rows[0].values == {
        "reading": [{"code": "loinc:8480-6", "value": "128.2606", "unit": "mm[Hg]"}],
        "reading_device": "腕表",
        "reading_range": "high",
    }
    assert rows[1].values["reading"][0]["code"] == "loinc:8867-4"
    assert rows[2] == BadRow("w.csv:4", RowFault.UNKNOWN_CATEGORY, "reading")


def test_table_without_times_is_true_on_its_day(context, write):
    """An export of a customer list says when it was made."""
    text = SMALL.replace("time: at", 'as_of: "2026-01-03"')
    (row,) = read_table(write("t.csv", "id,sex,city\nu1,男,深圳\n"), load_map(write("m.yaml", text), context), context)
    assert row.observed_at == datetime(2026, 1, 2, 16, tzinfo=UTC)
    assert row.source_record == row.observed_at.isoformat()


def test_same_row_twice_is_dropped_and_counted(read_small):
    """However its cells are spelled."""
    reading = read_small("id,at,sex,city\nu1,2026-01-03,男,深圳\nu1,2026/1/3,M,广东深圳\n")
    assert len(list(reading)) == 1
    assert dict(reading.duplicates) == {"exact": 1}


def test_decimal_cells_keep_their_digits():
    """Parquet decimals come as they are."""
    from consentry.sources.table_files import cell_text

    assert cell_text(Decimal("1.10")) == "1.10"
    assert cell_text(float("nan")) == ""
    assert cell_text(0.1) == "0.1"
    assert cell_text(date(2026, 1, 3)) == "2026-01-03"
