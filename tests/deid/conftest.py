"""Fixtures for views, exports and the release gate."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import settings

from deid.exports import ExportDefinition, load_exports
from deid.rows import RowBuilder
from deid.special import SpecialDiseases, load_special_diseases
from deid.views import ViewDefinition, load_views
from kernel.catalogue import Catalogue
from kernel.pack import builtin_pack_path

settings.register_profile("untimed", deadline=None)  # timings live in benchmarks, never in tests
settings.load_profile("untimed")

AS_OF = date(2026, 11, 21)
_MOBILE = re.compile(r"1[3-9][0-9]{9}")


class SpeltTokens:
    """A tokeniser whose tokens can be read in an assertion."""

    def pseudonyms(self, subjects, *, scope):
        """Return `scope/subject`."""
        return {subject: f"{scope}/{subject}" for subject in subjects}

    def token(self, value, *, scope):
        """Return `scope/length`: it depends on the value without showing it."""
        return f"{scope}/{len(value)}"


@dataclass(frozen=True)
class Found:
    """One identifier that the small finder sees."""

    start: int


def find_mobiles(text: str) -> list[Found]:
    """Find mobile numbers only; the real detection has tests of its own."""
    return [Found(match.start()) for match in _MOBILE.finditer(text)]


@pytest.fixture(scope="session")
def pack_folder() -> Path:
    """The medical pack's folder."""
    return builtin_pack_path("medical")


@pytest.fixture(scope="session")
def special(pack_folder) -> SpecialDiseases:
    """The medical pack's special diseases."""
    return load_special_diseases(pack_folder / "special_diseases.yaml")


@pytest.fixture(scope="session")
def views(pack_folder, medical: Catalogue) -> Mapping[str, ViewDefinition]:
    """The medical pack's views."""
    return load_views(pack_folder, medical)


@pytest.fixture(scope="session")
def partner(pack_folder, medical: Catalogue, views) -> ExportDefinition:
    """The research partner's export."""
    return load_exports(pack_folder, medical, views)["research_partner"]


@pytest.fixture
def pack_copy(pack_folder, tmp_path) -> Path:
    """A copy of the views, exports and special diseases that a test may break."""
    copy = tmp_path / "pack"
    copy.mkdir()
    for part in ("views", "exports"):
        shutil.copytree(pack_folder / part, copy / part)
    shutil.copy(pack_folder / "special_diseases.yaml", copy)
    return copy


@pytest.fixture
def edit(pack_copy) -> Callable[[str, str, str], Path]:
    """Replace one passage of a file of the copied pack; it has to be there."""

    def _edit(file: str, old: str, new: str) -> Path:
        path = pack_copy / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) >= 1
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return pack_copy

    return _edit


@pytest.fixture
def builder(views) -> Callable[..., RowBuilder]:
    """Make a builder of one view; mobiles are scrubbed."""

    def _builder(view: str | ViewDefinition, as_of: date = AS_OF) -> RowBuilder:
        definition = views[view] if isinstance(view, str) else view
        return RowBuilder(
            definition, tokeniser=SpeltTokens(), scrub=lambda text: _MOBILE.sub("〔手机〕", text), as_of=as_of
        )

    return _builder


@pytest.fixture
def find() -> Callable[[str], list[Found]]:
    """The small finder."""
    return find_mobiles
