"""Drafts of maps."""

import pytest

from consentry.sources.maps import load_map
from consentry.sources.suggest import suggest_map, suggest_map_for
from consentry.sources.tables import read_table


def test_draft_reads_the_table_that_it_was_made_from(context, write):
    """Chinese names with units in brackets are recognised, what is not stands under ignore."""
    header = "患者编号,就诊日期,姓名,身高（米）,血糖(mg/dL),诊断编码,药品编码,奇怪的列\n"
    path = write("t.csv", header + "P1,2026-01-03,张三,1.75,101,I10,C09AA03,x\n")
    draft = suggest_map_for(path, context)
    assert "# A draft" in draft
    rows = list(read_table(path, load_map(write("m.yaml", draft), context), context))
    assert [row.kind for row in rows] == ["profile", "observation", "condition", "medication"]
    assert rows[1].values["height"]["value"] == "175"
    assert rows[1].values["vitals_lab"][0]["value"] == "5.6063"
    assert load_map(write("m.yaml", draft), context).ignored == {"奇怪的列"}


def test_english_names_are_recognised(context):
    """Codes and labels of the catalogue, however they are joined."""
    draft = suggest_map(
        ["user_id", "created_at", "birth date", "order-amount", "Phone Number", "chief_complaint"], context
    )
    for line in (
        'subject: "user_id"',
        'time: "created_at"',
        '"birth date": birth_date',
        '"order-amount": order_amount',
    ):
        assert line in draft
    assert "kind: order" in draft
    assert "kind: encounter" in draft


def test_draft_says_what_is_left_to_do(context):
    """No id of a person, no time, two columns for one field."""
    draft = suggest_map(["手机", "手机号码", 'a "quoted": name'], context, source="crm")
    assert "TODO the column with the id of the person" in draft
    assert "TODO the day of the export" in draft
    assert "TODO a second column for one field" in draft
    assert '- "a \\"quoted\\": name"' in draft


@pytest.mark.parametrize(
    ("name", "text"), [("t.ndjson", '{"user_id": 1, "sex": "男"}\n'), ("t.tsv", "user_id\tsex\n1\t男\n")]
)
def test_draft_of_other_formats(context, write, name, text):
    """The keys of the first line, or the header."""
    assert '"sex": sex' in suggest_map_for(write(name, text), context)


def test_draft_of_parquet_and_excel(context, tmp_path):
    """Formats with columns of their own."""
    import pandas as pd

    frame = pd.DataFrame({"user_id": ["1"], "sex": ["男"]})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    for name in ("t.parquet", "t.xlsx"):
        assert '"sex": sex' in suggest_map_for(tmp_path / name, context)


def test_headers_of_another_pack_are_not_suggested(context, pack, tmp_path):
    """A field that the catalogue does not have is not recognised."""
    from dataclasses import replace

    bare = replace(context.catalogue, fields={"name": context.catalogue.fields["name"]})
    draft = suggest_map(["姓名", "身高"], replace(context, catalogue=bare))
    assert '"姓名": name' in draft
    assert '- "身高"' in draft
