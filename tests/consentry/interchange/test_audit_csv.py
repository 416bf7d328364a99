"""Entries as CSV after RFC 4180, safe to open in a spreadsheet."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.events import Act
from consentry.interchange.audit_csv import Heading, heading, write_row


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_row_fits_the_heading(full, logged):
    """As many cells as columns, in both languages, ended by CR LF."""
    widths = {len(read(text)[0]) for text in (heading(Heading.ZH), heading(Heading.EN), write_row(full(Act.REVEAL)))}
    assert len(widths) == 1
    assert write_row(logged(Act.REVEAL)).endswith("\r\n")
    assert heading(Heading.ZH).startswith("序号,时间,行为")
    assert heading(Heading.NONE) == ""


def test_row_tells_every_member(full, logged):
    """Nothing of an entry is left out."""
    row = dict(zip(read(heading(Heading.EN))[0], read(write_row(full(Act.REVEAL)))[0], strict=True))
    assert row["fields"] == "mobile name"
    assert row["counts"] == "records=3"
    assert row["refs"] == "catalogue=1f view=subject_profile"
    assert (row["index"], row["origin"], row["level"], row["subject"]) == (
        "7",
        "audit.example/log",
        "4",
        "als_" + "c" * 24,
    )
    assert all(row[name] for name in row if not name.startswith("cohort"))
    bare = dict(zip(row, read(write_row(logged(Act.REVEAL, cohort=9)))[0], strict=True))
    assert (bare["cohort_size"], bare["cohort_digest"], bare["purpose"]) == ("9", "ab" * 32, "")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_formula_becomes_text(logged, begin):
    """A recipient named like a formula does nothing in a spreadsheet."""
    cells = read(write_row(logged(Act.REVEAL, recipient=f"{begin}HYPERLINK(1)")))[0]
    assert f"'{begin}HYPERLINK(1)" in cells


@given(recipient=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=40))
def test_any_text_is_read_back_and_never_a_formula(logged, recipient):
    """Commas and quotes come through; a mark stands before what could be a formula, and before nothing else."""
    cells = read(write_row(logged(Act.REVEAL, recipient=recipient)))[0]
    assert recipient in cells or f"'{recipient}" in cells
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
