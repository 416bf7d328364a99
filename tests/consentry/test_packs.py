"""Packs: found by name or folder, and checked whole."""

import shutil

import pytest

from consentry.packs import lint_pack, load_configured_pack, pack_folder
from consentry.settings import load_settings
from kernel.errors import NotFound
from kernel.pack import builtin_pack_path


@pytest.fixture
def clinic(tmp_path):
    """A pack of one's own that begins as a copy."""
    return shutil.copytree(builtin_pack_path("medical"), tmp_path / "clinic")


def test_bare_name_is_a_built_in_pack_whatever_the_working_folder_holds(tmp_path, monkeypatch):
    """A folder of the same name does not stand in for it; with a separator it is meant."""
    (tmp_path / "medical").mkdir()
    monkeypatch.chdir(tmp_path)
    assert pack_folder("medical") == builtin_pack_path("medical")
    assert pack_folder("./medical").resolve() == tmp_path / "medical"
    assert pack_folder(str(tmp_path / "medical")) == tmp_path / "medical"


def test_own_folder_needs_no_separator(clinic, monkeypatch):
    """A folder whose name is no built-in pack's is found, too."""
    monkeypatch.chdir(clinic.parent)
    assert pack_folder("clinic").resolve() == clinic
    with pytest.raises(NotFound, match="No pack named 'hospital'"):
        pack_folder("hospital")


def test_configured_pack_is_loaded(clinic, tmp_path):
    """The settings name it."""
    assert load_configured_pack(load_settings(home=tmp_path, pack=str(clinic))).pack == "medical"


def test_built_in_pack_has_no_mistake():
    """What ships passes its own check; one line says what is in it."""
    linted = lint_pack("medical")
    assert linted.mistakes == ()
    assert "no mistakes; hash " in linted.summary


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("taxonomy.yaml", "expression:", "expresion:"),
        ("views/subject_profile.yaml", "shape:", "shap:"),
        ("exports/research_partner.yaml", "view:", "vieuw:"),
        ("special_diseases.yaml", "icd10:", "icd11:"),
    ],
)
def test_mistake_behind_the_catalogue_is_found(clinic, file, old, new):
    """Views, exports, special diseases and taxonomy are checked as well; file and line are named."""
    path = clinic / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    linted = lint_pack(str(clinic))
    assert any(path.name in mistake for mistake in linted.mistakes)
    assert f"{len(linted.mistakes)} mistakes" in linted.summary


def test_mistakes_of_the_catalogue_are_all_told_at_once(clinic):
    """Two files with a mistake each give two lines or more, and the rest is not read."""
    for name in ("purposes.yaml", "roles.yaml"):
        path = clinic / name
        path.write_text(path.read_text(encoding="utf-8") + "\nnonsense: 1\n", encoding="utf-8")
    linted = lint_pack(str(clinic))
    assert {"purposes.yaml", "roles.yaml"} <= {mistake.split(":")[0].rsplit("/", 1)[-1] for mistake in linted.mistakes}
    assert linted.summary.endswith("mistakes in the catalogue; the rest was not read")
