"""Characters that steer a terminal, hide or reorder text, in what is logged and where the log is read."""

import csv
import io
import json

import pytest

from kernel.errors import IntegrityFailed
from tests.attacks.conftest import forge

EVIL = "a\x1b[2K\x1b[1Ab\0c\nd\re\x9b2Jf\u202eg\u2066h\u200bi\u2028j\U000e0041k"
"""Escape sequences of both kinds, NUL, line ends, bidirectional and invisible marks."""


@pytest.fixture
def signed(house):
    """A house in which the store's owner had such an entry signed, between two honest ones."""
    house.slip_in(
        forge(house.bodies()[-1], id="ent_" + "e" * 24, actor=EVIL, recipient=f"=1+{EVIL}", refs={"key": EVIL})
    )
    house.live_on()
    return house


@pytest.mark.parametrize("words", [("query", "--newest"), ("query", "--newest", "--json")], ids=" ".join)
def test_terminal_of_who_queries_is_not_steered(signed, words):
    """Nothing but printable characters and line ends comes out, and no more lines than entries ask for."""
    printed = signed.shell.run("audit", *words, "--limit", "5")
    assert [text for text in printed if is_steering(text)] == []


@pytest.mark.parametrize("words", [("reconcile",), ("reconcile", "--json")], ids=" ".join)
def test_terminal_of_who_compares_is_not_steered(house, words):
    """An id that erases the line above it would hide the very mismatch."""
    with house.unguarded() as connection:
        connection.execute("UPDATE audit_leaf SET entry_id = ? WHERE leaf_index = 300", (EVIL,))
    printed = house.printed("audit", *words)
    assert [text for text in printed if is_steering(text)] == []


def test_terminal_of_who_verifies_is_not_steered(house, capsys):
    """`consentry-verify` shows an unproven id escaped, in text and JSON."""
    from audit.verifier import main

    house.put_bodies([forge(house.bodies()[0], id=EVIL), *house.bodies()[1:]])
    folder = house.exported()
    printed = ""
    for more in ((), ("--json",), ("--lang", "zh")):
        assert main(["log", str(folder), "--key", house.key, *more]) == 1
        printed += capsys.readouterr().out
    assert [text for text in printed if is_steering(text)] == []


def test_tampered_entries_are_not_streamed(house):
    """Other systems get entries under a checkpoint only, hashed again on the way."""
    house.put_bodies([forge(house.bodies()[0], actor=EVIL), *house.bodies()[1:]])
    with pytest.raises(IntegrityFailed, match="not those that were signed"):
        house.shell.run("audit", "stream", "--format", "csv", "--out", str(house.home.parent / "out"))


def test_signed_words_stay_in_their_cell_and_are_no_formula(signed):
    """A CSV has them as they were signed, quoted; a mark stands before what a spreadsheet would compute."""
    out = signed.home.parent / "entries.csv"
    signed.shell.run("audit", "stream", "--format", "csv", "--from-index", str(signed.size - 2), "--out", str(out))
    rows = list(csv.DictReader(io.StringIO(out.read_bytes().decode(), newline="")))
    assert [(row["actor"], row["recipient"]) for row in rows[:1]] == [(EVIL, f"'=1+{EVIL}")]


@pytest.mark.parametrize("form", ["fhir", "ocsf"])
def test_signed_words_stay_in_their_string(signed, form):
    """JSON lines: one document a line, whatever stands in it."""
    out = signed.home.parent / "entries"
    signed.shell.run("audit", "stream", "--format", form, "--from-index", str(signed.size - 2), "--out", str(out))
    documents = [json.loads(line) for line in out.read_bytes().split(b"\n") if line]
    assert len(documents) == 2


def is_steering(text):
    """Whether a character is more than a sign on a line."""
    return not text.isprintable() and text not in "\n\u3000\u00a0"
