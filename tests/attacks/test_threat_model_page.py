"""The page that says which test shows what."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/threat-model.md"


def named():
    """Every test that the page names, as file and function."""
    return re.findall(r"`([a-z_/0-9]+\.py)::(test_\w+)`", PAGE.read_text(encoding="utf-8"))


def test_every_test_that_the_page_names_is_there():
    """A promise without its test is none."""
    missing = [
        f"{file}::{name}"
        for file, name in named()
        if not re.search(
            rf"^ *(async )?def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert missing == []


def test_every_attack_stands_on_the_page():
    """Each module of this folder is named there."""
    told = {file for file, _ in named()}
    files = {f"attacks/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert files - told == {"attacks/test_threat_model_page.py"}
