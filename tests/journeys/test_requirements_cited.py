"""Every requirement on consent and on the vault is cited by a test that proves it."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
REQUIRED: Final = [*range(1, 24), 26, 27, 29, 35, 36, 38, 39, 40, 47, 48, 49, 52, 54, 55, 56, 65]
"""The numbers of the requirements on consent and on the vault, as the tests cite them."""


def cited() -> dict[str, list[str]]:
    """The tests that cite each requirement in their docstring."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if path == Path(__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in re.findall(r"\bR[0-9]{2}\b", ast.get_docstring(node) or ""):
                    found.setdefault(number, []).append(f"{path.name}::{node.name}")
    return found


CITED: Final = cited()


@pytest.mark.parametrize("number", REQUIRED)
def test_a_requirement_is_cited_by_a_test(number: int) -> None:
    """A requirement that no test cites is a finding."""
    assert CITED.get(f"R{number:02}"), f"no test cites R{number:02}"
