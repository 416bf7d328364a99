"""R54: a pack whose field lacks what classifies it does not load."""

from pathlib import Path

import pytest

from kernel.catalogue import Catalogue, Compartment
from kernel.pack import PackError, load_pack


@pytest.mark.parametrize("key", ["class", "level", "compartment"])
@pytest.mark.parametrize("change", ["left out", "emptied", "misspelt"])
def test_field_without_class_level_or_compartment_is_refused(small_pack: Path, key: str, change: str):
    """The linter names file, line and key; nothing stands in for what is not said."""
    path = small_pack / "fields.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.startswith(f"  {key}:"))
    written = {"left out": "", "emptied": f"  {key}:\n", "misspelt": f"  {key}: nonsense\n"}[change]
    path.write_text("".join([*lines[:at], written, *lines[at + 1 :]]), encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_pack(small_pack)
    assert all(mistake.file.endswith("fields.yaml") for mistake in caught.value.mistakes)
    assert key in str(caught.value) or change != "left out"


def test_every_shipped_field_is_classified(medical: Catalogue):
    """Class, level and compartment of each field of the medical pack."""
    for field in medical.fields.values():
        assert field.classes, field.code
        assert 1 <= field.level <= 5, field.code
        assert isinstance(field.compartment, Compartment), field.code
