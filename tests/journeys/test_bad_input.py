"""Bad input: one clear line, an exit status that is not 0, and the stores as they were before."""

import gzip
import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consentry.sources.records import SourceError
from consentry.sources.table_files import read_header

NOBODY = 65534
HEADER = "会员号,订单号,下单时间,金额,状态\n"
SHOP_MAP = """\
source: shop
subject: 会员号
time: 下单时间
records:
  - kind: order
    columns:
      金额: order_amount
"""
PEOPLE_MAP = """\
source: shop
subject: 会员号
time: 登记
time_zone: Asia/Shanghai
records:
  - kind: profile
    columns:
      证件: id_number
  - kind: observation
    columns:
      身高: {field: height, code: "loinc:8302-2", unit: cm}
"""
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)  # alike in every worker


def order(number: int, *, subject: int = 1, day: datetime = TODAY - timedelta(days=9), amount: str = "19.90") -> str:
    """One row of the shop's orders."""
    return f"m{subject},SO{number:04},{day:%Y-%m-%d %H:%M:%S},{amount},已完成\n"


def act(number: int, **more: object) -> str:
    """One act that registers a customer, as a line."""
    who = {"source": "shop", "id": f"m{number}", "birth_date": "1990-01-01", "sex": "female"}
    made = {
        "act_id": f"act-{number}",
        "act": "contract",
        "subject": who,
        "purposes": ["P01", "P02", "P04"],
        "at": (TODAY - timedelta(days=30)).isoformat(),
        "evidence": {"mechanism": "contract_concluded"},
        "actor": {"kind": "operator"},
    }
    return json.dumps(made | more, ensure_ascii=False) + "\n"


def short(value) -> str:
    """Name a test by what is short in its parameters, so that it is called alike in every worker."""
    return value if isinstance(value, str) and len(value) < 20 and "\n" not in value else ""


# --- files that cannot be read: nothing is written, not even to the log

GOOD = HEADER + order(7)
PATIENT = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Patient"}}]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gbk.csv", GOOD.encode("gb18030"), "gbk.csv line 1 is not utf-8: the file reads as GB18030 (GBK)"),
        ("utf16.csv", GOOD.encode("utf-16"), "utf16.csv is UTF-16, not utf-8"),
        ("empty.csv", "", "empty.csv is empty"),
        ("blank.csv", "\n\n", "blank.csv has no header"),
        (
            "missing.csv",
            "会员号,订单号,下单时间,金额\nm1,SO1,2020-01-01,1\n",
            "missing.csv: missing columns '状态'. Export them",
        ),
        ("more.csv", HEADER[:-1] + ",备注\n" + order(7)[:-1] + ",x\n", "columns that the map does not name: 6 '备注'"),
        ("noheader.csv", order(7), "noheader.csv: the first line names none of the map's columns"),
        ("twice.csv", HEADER[:-1] + ",金额\n", "twice.csv: column 6 has the name of an earlier one"),
        ("archive.csv", gzip.compress(GOOD.encode()), "archive.csv line 1 is not utf-8"),
        ("orders.xlsx", GOOD, "orders.xlsx is no readable Excel workbook"),
        ("orders.parquet", GOOD, "orders.parquet is no readable Parquet file"),
        ("orders.doc", GOOD, "orders.doc is of an unknown format"),
    ],
    ids=short,
)
def test_table_that_cannot_be_read_changes_no_byte(desk, name, content, said):
    """The file's fault is named, and both stores, keys and the signer's state keep every byte."""
    before = desk.hashes()
    line = desk.refuses(2, *desk.orders(name, content))
    assert said in line
    assert desk.hashes() == before


@pytest.mark.parametrize(
    ("kind", "name", "content", "said"),
    [
        ("fhir", "cut.json", json.dumps(PATIENT)[:-15], "the file ends in the middle of its JSON (truncated)"),
        ("fhir", "broken.json", '{"resourceType": "Bundle" "x"}', "line 1 column 27: the file is not valid JSON"),
        ("fhir", "deep.json", "[" * 100_000, "deep.json is not valid JSON"),
        ("fhir", "list.json", "[]", "list.json is no FHIR resource"),
        ("fhir", "gbk.json", json.dumps({"n": "张三丰"}, ensure_ascii=False).encode("gbk"), "reads as GB18030 (GBK)"),
        ("fhir", "empty.ndjson", "", "empty.ndjson is empty"),
        ("fhir", "notes.txt", "{}", "notes.txt is neither .json nor .ndjson"),
        ("events", "empty.ndjson", "", "empty.ndjson is empty"),
        ("events", "gbk.ndjson", '{"type": "搜索"}\n'.encode("gbk"), "gbk.ndjson line 1 is not utf-8"),
        ("consents", "empty.ndjson", "", "empty.ndjson is empty"),
        ("consents", "blank.ndjson", "\n \n", "blank.ndjson is empty"),
        ("consents", "list.ndjson", "[" + act(9) + "]", "list.ndjson is a JSON array"),
        ("consents", "late.ndjson", act(9) * 99 + '{"名": "张三丰"}'.encode("gbk").decode("latin-1"), "is not utf-8"),
    ],
    ids=short,
)
def test_json_that_cannot_be_read_changes_no_byte(desk, kind, name, content, said):
    """Truncated, broken, empty or in another encoding: nothing is written."""
    before = desk.hashes()
    raw = content.encode("latin-1") if name == "late.ndjson" and isinstance(content, str) else content
    line = desk.refuses(2, "ingest", kind, desk.file(name, raw))
    assert said in line
    assert desk.hashes() == before


@pytest.mark.parametrize("kind", ["fhir", "table", "events", "consents"])
@pytest.mark.parametrize("place", ["missing", "loop", "folder"])
def test_path_that_is_no_file_is_named(desk, kind, place):
    """A missing file, a link that leads to itself, and a folder where a file is expected."""
    path = desk.folder / f"{place}.ndjson"
    if place == "loop":
        path.symlink_to(path)
    elif place == "folder":
        path.mkdir()
    words = ["--map", desk.file("map.yaml", SHOP_MAP)] if kind == "table" else []
    before = desk.hashes()
    line = desk.refuses(2, "ingest", kind, path, *words)
    said = {"missing": "No such file", "loop": "Too many levels", "folder": "no file"}[place]
    assert said in line
    assert desk.hashes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SHOP_MAP.replace("order_amount", "amount_of_order"), "map.yaml:7: unknown field 'amount_of_order'"),
        (SHOP_MAP.replace("kind: order", "kind: parcel"), "map.yaml:5"),
        (SHOP_MAP.replace("subject:", "subjects:"), "map.yaml:"),
        ("source: [", "map.yaml:2: not valid YAML"),
        ("", "map.yaml:1"),
        ("来源: 店".encode("gbk"), "map.yaml:1: not UTF-8"),
    ],
    ids=short,
)
def test_map_with_a_mistake_names_file_and_line(desk, content, said):
    """A map is checked before anything is read with it."""
    before = desk.hashes()
    words = ["ingest", "table", desk.file("o.csv", GOOD), "--map", desk.file("map.yaml", content)]
    assert said in desk.refuses(2, *words)
    assert desk.hashes() == before


def test_file_that_ends_inside_a_quote_takes_its_batch_back(desk):
    """A fault behind rows that were stored already: the batch is discarded, and only the log tells of it."""
    before = desk.rows()
    good = "".join(order(n, subject=2) for n in range(100, 1300))
    line = desk.refuses(2, *desk.orders("cut.csv", HEADER + good + 'm1,"SO'))
    assert "cut.csv line 1202: a quotation mark is opened and never closed" in line
    assert desk.rows() == before
    assert desk.select("SELECT state, position FROM batch ORDER BY opened_at DESC")[0] == ("discarded", 1000)
    assert not (desk.folder / "cut.csv.quarantine.csv").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_file_that_may_not_be_read_is_named():
    """Somebody else's file: the system's reason, and nothing written."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        secret = Path(place) / "orders.csv"
        secret.write_text(GOOD)
        secret.chmod(0o600)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(SourceError, match=r"orders\.csv cannot be read \(Permission denied\)"):
                read_header(secret, "utf-8")
        finally:
            os.seteuid(0)


# --- rows that cannot be used: listed without values, the rest is stored


@pytest.mark.parametrize(
    ("bad", "listed"),
    [
        (order(8, day=TODAY + timedelta(days=400)), "o.csv:3,future_date,time"),
        (order(8, amount="-5"), "o.csv:3,out_of_range,order_amount"),
        (order(8, amount="十块"), "o.csv:3,bad_number,order_amount"),
        (order(8).replace("m1,", "m1\x00,"), "o.csv:3,bad_text,subject"),
        (order(8).replace("SO0008", "x" * 10_000_000), "o.csv:3,too_long,"),
        (order(8).replace("SO0008", "SO-SECRET-1," * 3), "o.csv:3,ragged,"),
        (order(8).replace("SO0008", '"SO-SECRET-1"x'), "o.csv:3,malformed,"),
        (order(8).replace("m1,", ","), "o.csv:3,missing,subject"),
        (order(8).replace("m1,", "m99,"), "o.csv:3,unknown_person,"),
    ],
    ids=["future", "negative", "no number", "NUL", "ten megabytes", "ragged", "quote", "nobody", "stranger"],
)
def test_bad_row_is_listed_and_the_rest_is_stored(desk, bad, listed):
    """Row number, reason and field go to the list; the file could be read, so that the run ends well."""
    ended = desk.run(*desk.orders("o.csv", HEADER + order(7) + bad + order(9)), "--json")
    assert ended.status == 0
    report = json.loads(ended.out)
    assert (report["stored_records"], sum(report["bad_rows"].values())) == (2, 1)
    assert desk.quarantined("o.csv") == [listed]


@pytest.mark.parametrize(
    ("cells", "listed"),
    [
        ("110101199001011239,170", "p.csv:2,check_digit,id_number"),
        (",-170", "p.csv:2,out_of_range,height"),
        (",1.7e99", "p.csv:2,unknown_unit,height"),
        (",一米七", "p.csv:2,bad_number,height"),
    ],
)
def test_wrong_check_digit_and_negative_height_are_refused(desk, cells, listed):
    """Cleaning refuses what cannot be, by field and rule."""
    path = desk.file("p.csv", f"会员号,登记,证件,身高\nm1,2024-05-01,{cells}\n")
    ended = desk.run("ingest", "table", path, "--map", desk.file("map.yaml", PEOPLE_MAP))
    assert ended.status == 0
    assert desk.quarantined("p.csv") == [listed]


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        (act(8, purposes=["P01", "P99"]), "a.ndjson:1,bad_input,,Purpose 'P99' is not in the catalogue"),
        (act(8, at="2199-01-01T00:00:00Z"), "a.ndjson:1,bad_input,,The decision lies in the future"),
        (act(8, fields=["no_such_field"]), "a.ndjson:1,bad_input,,1 of the named fields are not used for P01"),
        (
            act(8, subject={"source": "shop", "id": "m8", "id_number": "110101199001011239"}),
            'a.ndjson:1,malformed,subject.id_number,"Value error, refused: check_digit"',
        ),
        (act(8)[:-9] + "\n", "a.ndjson:1,malformed,,"),
        (act(8, 张三丰="x"), "a.ndjson:1,malformed,?,Extra inputs are not permitted"),
        (act(8, subject={"source": "张三丰", "id": "m8"}), "a.ndjson:1,malformed,subject.source,"),
        (act(8, evidence={"mechanism": "x" * 10_000_000}), "a.ndjson:1,too_long,,"),
        (act(8, act="withdraw", actor={"kind": "self"}), "a.ndjson:1,not_found,,The person is not registered"),
        ("[1]\n", "a.ndjson:1,malformed,,"),
        ("null\n", "a.ndjson:1,malformed,,"),
    ],
    ids=[
        "purpose",
        "future",
        "field",
        "check digit",
        "cut",
        "name",
        "source",
        "ten megabytes",
        "stranger",
        "list",
        "null",
    ],
)
def test_bad_act_is_listed_and_the_others_stand(desk, line, listed):
    """Each act by itself: a refused one says why, without values, and hinders nobody."""
    path = desk.file("a.ndjson", (act(7) if line.startswith("[") else "") + line + act(9))
    ended = desk.run("ingest", "consents", path, "--json")
    assert ended.status == 0
    expected = 2 if line.startswith("[") else 1
    assert json.loads(ended.out)["registered"] == expected
    (told,) = desk.quarantined("a.ndjson")
    assert told.replace("a.ndjson:2", "a.ndjson:1").startswith(listed)


def test_file_name_in_another_encoding_is_listed_escaped(desk):
    """A folder may hold a name that is no UTF-8; the list is."""
    folder = desk.folder / "export"
    folder.mkdir()
    (folder / os.fsdecode("订.ndjson".encode("gbk"))).write_text("{\n")
    assert desk.run("ingest", "fhir", folder).status == 0
    assert desk.quarantined("export") == ["\\udcb6\\udca9.ndjson:1,malformed,"]


def test_many_bad_rows_are_all_listed(desk):
    """The report counts; the list has them all."""
    bad = "".join(order(n, amount="-1") for n in range(1500))
    ended = desk.run(*desk.orders("o.csv", HEADER + bad), "--json")
    assert json.loads(ended.out)["bad_rows"] == {"out_of_range": 1500}
    listed = desk.quarantined("o.csv")
    assert len(listed) == 1500
    assert listed[-1] == "o.csv:1501,out_of_range,order_amount"


def test_list_of_an_earlier_run_is_renewed_or_kept(desk):
    """A corrected file takes the old list away; the same file again leaves the list that belongs to it."""
    words = desk.orders("o.csv", HEADER + order(7, amount="-1"))
    desk.run(*words)
    desk.run(*words)
    assert desk.quarantined("o.csv") == ["o.csv:2,out_of_range,order_amount"]
    desk.run(*desk.orders("o.csv", HEADER + order(7)))
    assert not (desk.folder / "o.csv.quarantine.csv").exists()


def test_list_that_cannot_be_written_stops_the_batch(desk):
    """Without the list no batch is complete; with another place the same command goes on."""
    words = desk.orders("o.csv", HEADER + order(7) + order(8, amount="-1"))
    line = desk.refuses(1, *words, "--quarantine", desk.folder / "no" / "list.csv")
    assert "The quarantine file list.csv cannot be written (No such file or directory)" in line
    assert desk.visible() == 3
    assert desk.run(*words, "--quarantine", desk.folder / "list.csv").status == 0
    assert desk.visible() == 4
