"""What commands print: values as they are, whole where no terminal limits the line."""

import sys

from consentry.cli.output import say_json, say_pairs, say_table


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
