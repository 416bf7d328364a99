"""Progress bars: for people at a terminal only, on standard error."""

import sys

from consentry.progress import progress


def test_without_a_terminal_nothing_is_drawn(capsys):
    """A log file gets no bar."""
    with progress("rows", total=3) as done:
        done(3)
    assert capsys.readouterr() == ("", "")


def test_bar_is_drawn_on_standard_error(capsys, monkeypatch):
    """At a terminal the title shows; standard output stays free for the answer."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("rows", total=3) as done:
        done(1)
        done(2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "rows" in err


def test_quiet_draws_nothing_at_a_terminal(capsys, monkeypatch):
    """--quiet is obeyed."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("rows", shown=False) as done:
        done(1)
    assert capsys.readouterr() == ("", "")
