"""The reference says of every kind its mark and presidio's name, and invents none."""

from pathlib import Path

from deid.text.kinds import MARKS, STANDARD_NAMES, Kind

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "deid-kinds.md"


def test_page_lists_every_kind_with_mark_and_standard_name():
    """In the order of the kinds, each with a word on what counts as one."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    told = [(row[0].strip(" `"), row[1].strip(), row[2].strip()) for row in rows]
    assert told == [(kind.value, MARKS[kind], STANDARD_NAMES.get(kind, "")) for kind in Kind]
    assert all(row[3].strip() for row in rows)
