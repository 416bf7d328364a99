"""Packs are parsed once for what they hold, and an edit counts at once."""

import shutil
from pathlib import Path

import pytest

from consentry.parsed_packs import read_catalogue, read_exports, read_taxonomy, read_views
from kernel.pack import PackError, builtin_pack_path

READERS = {
    "catalogue": read_catalogue,
    "views": lambda folder: read_views(folder, read_catalogue(folder)),
    "exports": lambda folder: read_exports(folder, read_catalogue(folder)),
    "taxonomy": read_taxonomy,
}


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack of one's own that begins as a copy."""
    return shutil.copytree(builtin_pack_path("medical"), tmp_path / "clinic")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("what", READERS)
def test_an_unchanged_pack_is_not_parsed_again(pack, what):
    """The second reader gets what the first has parsed."""
    assert READERS[what](pack) is READERS[what](pack)


def test_an_edited_pack_counts_at_once(pack):
    """Catalogue, views, exports and taxonomy, each with the file that tells of it."""
    before = {what: read(pack) for what, read in READERS.items()}
    view, export = min((pack / "views").glob("*.yaml")), min((pack / "exports").glob("*.yaml"))
    edit(pack / "pack.yaml", "version: ", "version: 2999.1.1 # ")
    edit(view, "version: ", 'version: "99" # ')
    edit(export, "version: ", 'version: "98" # ')
    edit(pack / "taxonomy.yaml", "version: ", "version: 97 # ")
    after = {what: read(pack) for what, read in READERS.items()}
    assert before["catalogue"].version != after["catalogue"].version == "2999.1.1"
    assert "99" in {one.version for one in after["views"].values()}
    assert "98" in {one.version for one in after["exports"].values()}
    assert before["taxonomy"].version != after["taxonomy"].version == 97


def test_an_edited_folder_behind_a_link_counts_at_once(pack):
    """Mounted configuration is often a link."""
    (pack / "views").rename(pack.parent / "mounted")
    (pack / "views").symlink_to(pack.parent / "mounted")
    before = READERS["views"](pack)
    edit(min((pack.parent / "mounted").glob("*.yaml")), "version: ", 'version: "99" # ')
    assert READERS["views"](pack) is not before


def test_a_broken_pack_is_refused_each_time(pack):
    """A mistake is not kept, and neither is what stood there before."""
    read_catalogue(pack)
    edit(pack / "fields.yaml", "label:", "lable:")
    for _ in range(2):
        with pytest.raises(PackError):
            read_catalogue(pack)
