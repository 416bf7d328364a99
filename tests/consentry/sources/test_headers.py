"""Names of columns, and values in their place."""

import pytest

from consentry.sources.codes import rows_of
from consentry.sources.headers import check_is_header, looks_like_value, shown_names
from consentry.sources.maps import load_map
from consentry.sources.records import SourceError
from consentry.sources.suggest import suggest_map_for
from consentry.sources.tables import read_table

VALUES = (
    "110105194912310021",
    "11010519491231002X",
    "110105 1949 1231 002x",
    "110105491231002",
    "13800138000",
    "+86 138-0013-8000",
    "１３８００１３８０００",
    "138 0013 8000",
    "+44 7911 123456",
    "张三13800138000",
    "2026-01-03",
    "2026/1/3 08:05",
    "2026-01-03T08:05:00",
    "2026年1月3日",
    "20260103",
    "03/01/2026",
    "3.1.26",
    "zhang@example.com",
    "张三 <zhang@example.com>",
    "头" * 65,
    "㌀" * 20,
)
MAP = """
source: his
subject: id
time: at
records:
  - kind: profile
    columns: {sex: sex, city: city}
"""


@pytest.mark.parametrize("name", VALUES)
def test_value_is_told_from_a_name(name):
    """ID numbers, telephones, dates, e-mails, long numbers and long texts, however they are written."""
    assert looks_like_value(name)


@pytest.mark.parametrize(
    "name",
    ["身份证号", "血糖(mg/dL)", "loinc:8480-6", "2026年", "2026-01", "手机号2", "item_1000000", "@id", "头" * 64, ""],
)
def test_name_is_no_value(name):
    """Units, codes, years and numbers at the end belong to names."""
    assert not looks_like_value(name)


def test_every_name_that_the_pack_knows_is_a_name(context):
    """No field's label and no spelling of a header is taken for a value."""
    known = [row["spelling"] for _, row in rows_of(context.pack / "codes" / "headers.csv")]
    for field in context.catalogue.fields.values():
        known += [field.code, field.label.zh, field.label.en]
    assert [name for name in known if looks_like_value(name)] == []


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", ["t.csv", "t.xlsx", "t.parquet", "t.ndjson"])
def test_draft_of_a_table_without_a_header_shows_no_value(context, write, tmp_path, value, name):
    """The place of the cell is named; neither it nor its neighbours are."""
    import json

    import pandas as pd

    frame = pd.DataFrame([["1", "女"]], columns=["张三", value])
    match name:
        case "t.csv":
            path = write(name, f"张三,{value}\n1,女\n")
        case "t.ndjson":
            path = write(name, json.dumps({"张三": "1", value: "女"}) + "\n")
        case "t.xlsx":
            frame.to_excel(path := tmp_path / name, index=False)
        case _:
            frame.to_parquet(path := tmp_path / name)
    with pytest.raises(SourceError, match=rf"{name}: the first row is no header: column 2 looks like a value") as error:
        suggest_map_for(path, context)
    said = f"{error.value} {error.value.hint}"
    assert "张三" not in said
    assert value not in said


def test_excel_cells_of_a_first_row_are_judged_as_they_are(context, tmp_path):
    """A mobile is a number there, a birth date a date."""
    from datetime import date

    from openpyxl import Workbook

    for cell in (13800138000, date(1990, 1, 31)):
        book = Workbook()
        book.active.append(["张三", cell])
        book.save(tmp_path / "t.xlsx")
        with pytest.raises(SourceError, match="column 2 looks like a value"):
            suggest_map_for(tmp_path / "t.xlsx", context)


@pytest.mark.parametrize("value", VALUES)
def test_table_with_a_column_missing_shows_no_value(context, write, value):
    """A first row that shares a word with the map is no header all the same."""
    reading = read_table(write("t.csv", f"sex,张三,{value}\n"), load_map(write("m.yaml", MAP), context), context)
    with pytest.raises(SourceError, match=r"t\.csv: the first row is no header: column 3 looks like a value") as error:
        list(reading)
    assert "张三" not in str(error.value)
    assert value not in str(error.value)


@pytest.mark.parametrize("value", VALUES)
def test_additional_column_that_looks_like_a_value_has_only_its_place(context, write, value):
    """The header is one, for every name of the map is there."""
    text = f"id,at,sex,city,hiv,{value}\n"
    with pytest.raises(SourceError) as error:
        list(read_table(write("t.csv", text), load_map(write("m.yaml", MAP), context), context))
    assert "does not name: 5 'hiv', 6 (not shown: looks like a value)" in str(error.value)
    assert value not in str(error.value)


def test_missing_column_of_a_map_that_was_drafted_from_values_is_not_shown(context, write):
    """A map may hold what an earlier draft took for names."""
    table = load_map(write("m.yaml", MAP.replace("city: city", '"13800138000": mobile')), context)
    with pytest.raises(SourceError, match=r"missing columns \(not shown: looks like a value\)"):
        list(read_table(write("t.csv", "id,at,sex\n"), table, context))


def test_column_that_a_map_names_may_look_as_it_likes(context, write):
    """A person wrote the map: what it names is a name, and the missing column is what is told."""
    table = load_map(write("m.yaml", MAP.replace("sex: sex", '"20260103": sex')), context)
    with pytest.raises(SourceError, match="missing columns 'city'"):
        list(read_table(write("t.csv", "id,at,20260103\n"), table, context))
    rows = list(read_table(write("t.csv", "id,at,20260103,city\nu1,2026-01-03,男,\n"), table, context))
    assert [(row.locator, row.kind) for row in rows] == [("t.csv:2", "profile")]


def test_message_is_bounded():
    """Twenty names, forty characters of each."""
    assert shown_names(["x" * 50] * 30) == ", ".join(["'" + "x" * 40 + "'"] * 20)
    check_is_header("t.csv", ["id", "20260103"], known=["20260103"])
