"""The page on failing machines says only what a test shows."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "explanation" / "when-the-machine-fails.md"


def test_page_names_tests_that_are_there():
    """Each line stands for a test of this folder."""
    tests = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 10
    assert {name for name in named if f"def {name}(" not in tests} == set()
