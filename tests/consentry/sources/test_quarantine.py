"""Refused rows on paper: where and why, never what."""

import csv
import json

import pytest

from consentry.sources.quarantine import QuarantineWriter, quarantine_path
from consentry.sources.records import BadRow, RowFault
from kernel.errors import Unavailable

ROWS = [BadRow("a.csv:3", RowFault.CHECK_DIGIT, "id_number"), BadRow("a.csv:9", RowFault.RAGGED)]


def test_quarantine_stands_beside_its_input(tmp_path):
    """The input's whole name stays in front."""
    assert quarantine_path(tmp_path / "orders.csv") == tmp_path / "orders.csv.quarantine.csv"


def test_csv_names_row_reason_and_field(tmp_path):
    """One line each, with a header."""
    with QuarantineWriter(tmp_path / "q.csv") as writer:
        for row in ROWS:
            writer.write(row)
    with (tmp_path / "q.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows == [
        {"locator": "a.csv:3", "reason": "check_digit", "field": "id_number"},
        {"locator": "a.csv:9", "reason": "ragged", "field": ""},
    ]
    assert writer.count == 2


def test_ndjson_is_written_where_the_name_says_so(tmp_path):
    """One object a line."""
    with QuarantineWriter(tmp_path / "q.ndjson") as writer:
        writer.write(ROWS[1])
    line = (tmp_path / "q.ndjson").read_text(encoding="utf-8")
    assert json.loads(line) == {"locator": "a.csv:9", "reason": "ragged", "field": None}


def test_other_suffix_gets_csv_behind_it(tmp_path):
    """A quarantine file never takes the name of an input."""
    with QuarantineWriter(tmp_path / "q.txt") as writer:
        writer.write(ROWS[0])
    assert writer.path == tmp_path / "q.txt.csv"
    assert writer.path.is_file()


def test_nothing_refused_leaves_no_file(tmp_path):
    """An older file speaks of another run and is taken away."""
    (tmp_path / "q.csv").write_text("old")
    with QuarantineWriter(tmp_path / "q.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_error_inside_leaves_the_older_file(tmp_path):
    """The file appears whole or not at all."""
    (tmp_path / "q.csv").write_text("old")

    def fail_in_the_middle():
        with QuarantineWriter(tmp_path / "q.csv") as writer:
            writer.write(ROWS[0])
            raise KeyError

    with pytest.raises(KeyError):
        fail_in_the_middle()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("q.csv", "old")]


def test_folder_that_is_not_there_is_named(tmp_path):
    """One clear line, no traceback of the operating system."""
    with (
        pytest.raises(Unavailable, match=r"q\.csv cannot be written"),
        QuarantineWriter(tmp_path / "no" / "q.csv") as writer,
    ):
        writer.write(ROWS[0])


def test_place_that_is_taken_is_named(tmp_path):
    """A folder under the file's name is found when the file is put in place, and nothing is left behind."""
    (tmp_path / "q.csv").mkdir()
    with pytest.raises(Unavailable, match=r"q\.csv cannot be written"), QuarantineWriter(tmp_path / "q.csv") as writer:
        writer.write(ROWS[0])
    assert [path.name for path in tmp_path.iterdir()] == ["q.csv"]
