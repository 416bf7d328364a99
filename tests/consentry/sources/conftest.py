"""A context for reading: the medical pack, at 10:00 in Shanghai on 21 November 2026."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from consentry.sources.context import SourceContext, open_context
from kernel.catalogue import Catalogue
from kernel.clock import FixedClock
from kernel.encoding import JsonValue
from kernel.pack import builtin_pack_path


@pytest.fixture(scope="session")
def pack() -> Path:
    """The folder of the medical pack."""
    return builtin_pack_path("medical")


@pytest.fixture
def context(medical: Catalogue, pack: Path, clock: FixedClock) -> SourceContext:
    """What the readers are given."""
    return open_context(medical, pack=pack, clock=clock)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a text file and returns its path."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write_file


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """Writes a transaction bundle of the resources given, each under ``urn:uuid:`` and its id."""

    def write_bundle(*resources: dict[str, JsonValue], name: str = "bundle.json", **more: JsonValue) -> Path:
        entries = [{"fullUrl": f"urn:uuid:{one.get('id')}", "resource": one} for one in resources]
        root = {"resourceType": "Bundle", "type": "transaction", "entry": entries, **more}
        path = tmp_path / name
        path.write_text(json.dumps(root, ensure_ascii=False), encoding="utf-8")
        return path

    return write_bundle


@pytest.fixture
def frame():
    """Three rows with typed cells."""
    import pandas as pd

    return pd.DataFrame(
        {
            "id": [13800138000, 13800138001, 13800138002],
            "at": [datetime(2026, 1, 3, 8, 5), datetime(2026, 1, 4), None],  # noqa: DTZ001
            "sex": [1.0, 2.0, 1.0],
            "city": ["深圳", None, "深圳"],
        }
    )
