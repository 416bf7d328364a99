"""Workbooks that are not what they seem."""

from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from consentry.sources import table_files
from consentry.sources.records import SourceError
from consentry.sources.table_files import read_header, read_rows

SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


@pytest.fixture
def book(tmp_path):
    """Writes a workbook of one sheet, with parts replaced or added."""
    from openpyxl import Workbook

    made = Workbook()
    for row in (["id", "city"], ["u1", "深圳"]):
        made.active.append(row)
    made.save(tmp_path / "plain.xlsx")

    def write(parts, name="t.xlsx"):
        path = tmp_path / name
        with ZipFile(tmp_path / "plain.xlsx") as plain, ZipFile(path, "w", ZIP_DEFLATED) as packed:
            for part in plain.namelist():
                if part not in parts:
                    packed.writestr(part, plain.read(part))
            for part, content in parts.items():
                packed.writestr(part, content)
        return path

    return write


@pytest.fixture
def no_opening(monkeypatch):
    """Fails where a workbook is opened at all."""
    import openpyxl

    def refuse(*_args, **_options):
        pytest.fail("the workbook was opened")

    monkeypatch.setattr(openpyxl, "load_workbook", refuse)


@pytest.mark.usefixtures("no_opening")
@pytest.mark.parametrize("part", ["xl/sharedStrings.xml", "xl/styles.xml", SHEET])
def test_part_that_unpacks_a_thousandfold_is_refused_before_opening(book, part):
    """A few kilobytes of file would become gigabytes of memory."""
    path = book({part: "<c/>" * 1_000_000})
    assert path.stat().st_size < 20_000
    for read in (read_header, lambda *asked: list(read_rows(*asked))):
        with pytest.raises(SourceError, match=r"t\.xlsx is too large for Excel, or unpacks to too much") as error:
            read(path, "utf-8")
        assert error.value.hint == "Export it as CSV."


@pytest.mark.usefixtures("no_opening")
@pytest.mark.parametrize(("limit", "size"), [("_MAX_PART_BYTES", 2_000), ("_MAX_UNPACKED_BYTES", 5_000)])
def test_part_and_whole_have_a_bound(book, monkeypatch, limit, size):
    """However well or badly they are packed."""
    monkeypatch.setattr(table_files, limit, size)
    with pytest.raises(SourceError, match="unpacks to too much"):
        read_header(book({}), "utf-8")


def test_ordinary_workbook_is_read(book):
    """A large sheet of like rows stays below every bound."""
    row = '<row r="{0}"><c r="A{0}" t="n"><v>{0}</v></c><c r="B{0}" t="n"><v>0</v></c></row>'
    head = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c><c r="B1" t="inlineStr"><is><t>n</t></is></c></row>'
    )
    rows = "".join(row.format(number) for number in range(2, 40_000))
    path = book({SHEET: f"<worksheet {NAMESPACE}><sheetData>{head}{rows}</sheetData></worksheet>"})
    with ZipFile(path) as packed:
        assert packed.getinfo(SHEET).file_size > 1024 * 1024
    assert read_header(path, "utf-8") == ("id", "n")
    assert sum(1 for _ in read_rows(path, "utf-8")) == 39_998


@pytest.mark.parametrize("part", ["xl/workbook.xml", SHEET])
def test_broken_part_is_named(book, part):
    """XML that ends early, in the part that opens first or among the rows."""
    path = book({part: f"<worksheet {NAMESPACE}><sheetData><row><c/></row><row>"})
    with pytest.raises(SourceError, match=r"t\.xlsx is no readable Excel workbook"):
        list(read_rows(path, "utf-8"))
