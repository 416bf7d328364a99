"""What commands print: values as they are, whole where no terminal limits the line."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from audit.events import Act
from consentry.cli.ingesting import show
from consentry.cli.output import cell, say_json, say_pairs, say_table
from consentry.sources.records import BadRow, RowFault
from consentry.workflows.ingest import IngestReport


def test_table_prints_values_as_they_are(capsys):
    """Brackets and colons in a value are no markup, and raise nothing."""
    say_table(("field", "value"), [("complaint", "[/bold] [red]头晕 :warning:")], title="[x]")
    out = capsys.readouterr().out
    assert "[/bold] [red]头晕 :warning:" in out
    assert "[x]" in out


def test_table_in_a_pipe_is_not_cut(capsys):
    """A long id stands on one line, so that it can be searched and copied."""
    say_table(("a", "b"), [("x" * 300, "y" * 300)])
    assert any("x" * 300 in line and "y" * 300 in line for line in capsys.readouterr().out.splitlines())


def test_table_at_a_terminal_folds_and_loses_nothing(capsys, monkeypatch):
    """Where the line is short, a cell goes on below."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say_table(("a",), [("x" * 100,)])
    out = capsys.readouterr().out
    assert out.count("x") == 100
    assert max(map(len, out.splitlines())) <= 40 + len("\x1b[1m\x1b[0m") * 4


def test_pairs_are_aligned_and_json_keeps_chinese(capsys):
    """One line each; JSON is one line a document."""
    say_pairs({"a": 1, "long name": "二"})
    say_json({"名": "二"})
    assert capsys.readouterr().out.splitlines() == [
        "a          1",
        "long name  二",
        '{"名": "二"}',
    ]


def test_nothing_to_pair_prints_nothing(capsys):
    """An empty answer is no error."""
    say_pairs({})
    assert capsys.readouterr().out == ""


def test_report_of_an_ingestion_shows_every_kind_of_row(capsys):
    """What was refused, bad, skipped, left out and unmapped, each in a table of its own, and where the list lies."""
    report = IngestReport("bat_x", stored_records=3, quarantine=Path("o.csv.quarantine.csv"))
    report.refused["diagnosis", "NO_DECISION"] = 4
    report.add_bad(BadRow("o.csv:2", RowFault.FUTURE_DATE))
    report.skipped["Device"] = 5
    report.left_out["currency:usd"] = 6
    report.unmapped["snomed:1"] = 7
    show(report, as_json=False)
    out = capsys.readouterr().out
    for part in ("diagnosis", "NO_DECISION", "future_date", "Device", "currency:usd", "snomed:1"):
        assert part in out
    assert "bad rows are listed, without values, in o.csv.quarantine.csv" in out


def test_cells_show_values_and_not_how_python_writes_them():
    """Enums by their value, lists with commas, nothing for None, times to the second."""
    assert cell(None) == ""
    assert cell(Act.CONSENT_GRANTED) == "consent.granted"
    assert cell(datetime(2026, 11, 21, 2, 0, 0, 5, tzinfo=UTC)) == "2026-11-21 02:00:00+00:00"
    assert cell({"a": [1, None], "b": Act.REVEAL}) == "a: 1, , b: vault.reveal"
    assert cell(frozenset({"b", "a"})) == "a, b"
    assert cell(("x", 2)) == "x, 2"
    assert cell(3) == "3"
