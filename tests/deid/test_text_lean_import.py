"""Importing without heavy dependencies."""

import importlib
import sys
from pathlib import Path

import pytest

from deid.text.lean_import import without
from kernel.errors import ConfigurationError

_LIGHT = """
import heavy_dependency_of_a_test as heavy
from heavy_dependency_of_a_test.tokens import Doc, Span
from typing import List, Optional

class Pipe(heavy.Language):
    documents: List[Doc]

@heavy.registry.tokenizers("name", assigns=["x"])
def make(span: Optional[Span] = None) -> Doc:
    return Doc(heavy.Vocab(), words=[])
"""


@pytest.fixture
def light_and_heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A module that names a dependency which cannot be imported."""
    (tmp_path / "heavy_dependency_of_a_test.py").write_text("raise RuntimeError('loaded')\n")
    (tmp_path / "light_module_of_a_test.py").write_text(_LIGHT)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    for name in ("heavy_dependency_of_a_test", "light_module_of_a_test"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("light_and_heavy")
def test_dependency_is_named_but_not_loaded() -> None:
    """Annotations, base classes and decorators of the missing package work; its code never runs."""
    with without(["heavy_dependency_of_a_test"]):
        light = importlib.import_module("light_module_of_a_test")
    assert light.Pipe.__name__ == "Pipe"


@pytest.mark.usefixtures("light_and_heavy")
def test_whoever_loads_a_model_is_told() -> None:
    """A model that is nothing would fail later, and say nothing of why."""
    with without(["heavy_dependency_of_a_test"]):
        light = importlib.import_module("light_module_of_a_test")
    with pytest.raises(ConfigurationError, match="left out") as refused:
        light.heavy.load("model")
    assert "before the first text" in refused.value.hint


@pytest.mark.usefixtures("light_and_heavy")
def test_later_imports_get_the_real_package() -> None:
    """The stand-ins are forgotten at the end of the block."""
    with without(["heavy_dependency_of_a_test"]):
        importlib.import_module("light_module_of_a_test")
    with pytest.raises(RuntimeError, match="loaded"):
        importlib.import_module("heavy_dependency_of_a_test")


def test_loaded_package_stays() -> None:
    """What is in use already is not replaced."""
    import json

    with without(["json"]):
        from json import dumps
    assert dumps is json.dumps


def test_stand_ins_go_when_the_import_fails() -> None:
    """A failure inside the block leaves no trace."""
    before = list(sys.meta_path)

    def fail() -> None:
        with without(["heavy_dependency_of_a_test"]):
            importlib.import_module("heavy_dependency_of_a_test.part")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert sys.meta_path == before
    assert "heavy_dependency_of_a_test.part" not in sys.modules
