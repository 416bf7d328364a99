"""What a pack says about oversight, and its mistakes."""

import shutil

import pytest

from kernel.oversight import Oversight
from kernel.pack import PackError, builtin_pack_path, load_pack


@pytest.fixture
def load_with(tmp_path):
    """Load the medical pack with another oversight.yaml, or without one."""

    def load(text):
        folder = tmp_path / "pack"
        shutil.copytree(builtin_pack_path("medical"), folder)
        if text is None:
            (folder / "oversight.yaml").unlink()
        else:
            (folder / "oversight.yaml").write_text(text, encoding="utf-8")
        return load_pack(folder)

    return load


def test_pack_without_the_file_has_the_products_numbers(load_with):
    """Nothing is left out of an accounting by default."""
    assert load_with(None).oversight == Oversight()


def test_number_that_is_given_takes_the_place_of_the_products(load_with):
    """Others keep theirs, and the hash of the pack changes."""
    found = load_with("access: {volume_cap: 7}\ncare_purposes: {payment: [P04]}\n")
    assert (found.oversight.access.volume_cap, found.oversight.access.denial_streak) == (7, 5)
    assert found.oversight.care_purposes == {"P04": "payment"}
    assert found.hash != load_pack(builtin_pack_path("medical")).hash


def test_bounds_of_reading_are_the_packs(load_with):
    """Some are given, the others are the product's own."""
    found = load_with("reading: {case_hours: 4, limits: {subjects_day: 30}}\n").oversight.reading
    assert (found.case_hours, found.emergencies_day, found.limits.subjects_day, found.limits.reads_minute) == (
        4,
        10,
        30,
        120,
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("access: {volume_cap: 0}\n", "1"),
        ("access: {volume_caps: 3}\n", "volume_caps"),
        ("duties: {audit_months: often}\n", "often"),
        ("reading: {case_hours: 721}\n", "721"),
        ("reading: {near_percent: 101}\n", "101"),
        ("reading: {limits: {reads_week: 3}}\n", "reads_week"),
        ("care_purposes: {payment: [P99]}\n", "P99"),
        ("care_purposes: {payment: [P04], treatment: [P04]}\n", "P04"),
        ("care_purposes: {marketing: [P09]}\n", "marketing"),
    ],
)
def test_mistake_names_its_place(load_with, text, told):
    """A wrong number, an unknown name or purpose, a purpose twice."""
    with pytest.raises(PackError) as caught:
        load_with(text)
    (mistake,) = caught.value.mistakes
    assert mistake.file.endswith("oversight.yaml")
    assert told in str(mistake)
