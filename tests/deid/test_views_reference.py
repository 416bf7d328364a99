"""The reference page names everything that a pack may write and a report may say."""

import re
from pathlib import Path

import pytest

from deid.cells import Drop
from deid.exports import ExportDefinition
from deid.hierarchies import HIERARCHIES
from deid.transforms import TRANSFORMS, Take

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "views.md"
WORDS = [
    *TRANSFORMS,
    *(take.value for take in Take),
    *(reason.value for reason in Drop if reason is not Drop.ELSEWHERE),
    *HIERARCHIES,
    *(level for hierarchy in HIERARCHIES.values() for level in hierarchy.levels),
]


@pytest.mark.parametrize("word", sorted(set(WORDS)))
def test_every_word_of_the_definitions_is_documented(word):
    """Transforms, takes, reasons, hierarchies and their levels stand on the page as code."""
    assert f"`{word}`" in PAGE.read_text(encoding="utf-8")


def test_documented_transforms_exist():
    """The table names no transform that is gone."""
    table = PAGE.read_text(encoding="utf-8").split("### Transforms")[1].split("###")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(TRANSFORMS)


def test_example_export_shows_every_key():
    """What a definition needs is in the example."""
    page = PAGE.read_text(encoding="utf-8")
    for key in ("view", "purpose", "recipient", "scope", "columns", "tags", "quasi_identifiers", "k"):
        assert f"\n{key}:" in page
    assert "suppression_limit" in ExportDefinition.__slots__
