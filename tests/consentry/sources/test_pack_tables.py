"""Tables are parsed once for what they hold, and an edit counts at once."""

import shutil

import pytest

from consentry.sources.pack_tables import load_pack_tables
from kernel.errors import ConfigurationError


@pytest.fixture
def edited(pack, tmp_path):
    """A copy of the medical pack, to be edited."""
    return shutil.copytree(pack, tmp_path / "pack")


def test_unchanged_tables_are_not_parsed_again(edited):
    """Two requests share what one has read."""
    assert load_pack_tables(edited) is load_pack_tables(edited)


@pytest.mark.parametrize("name", ["codes/divisions.csv", "codes/unit_names.csv", "codes/smoking.csv"])
def test_an_edited_table_counts_at_once(edited, name):
    """Also where its size stays the same."""
    before = load_pack_tables(edited)
    lines = (edited / name).read_text(encoding="utf-8").splitlines(keepends=True)
    lines[1:3] = reversed(lines[1:3])
    (edited / name).write_text("".join(lines), encoding="utf-8")
    assert load_pack_tables(edited) is not before


def test_a_changed_list_of_special_diseases_counts_at_once(edited):
    """A disease that was added is special in the next request."""
    assert not load_pack_tables(edited).codes.is_special("I10")
    listed = edited / "special_diseases.yaml"
    text = listed.read_text(encoding="utf-8")
    listed.write_text(text.replace("hiv: [", "hiv: [I10, ", 1), encoding="utf-8")
    assert load_pack_tables(edited).codes.is_special("I10")


def test_a_broken_table_is_refused_each_time(edited):
    """A mistake is not kept either."""
    (edited / "codes" / "smoking.csv").write_text("snomed\n1\n")
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            load_pack_tables(edited)
