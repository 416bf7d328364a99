"""Paths, widths and bytes of the static log (c2sp.org/tlog-tiles)."""

import hashlib

import pytest

from audit.verifier import verify_export
from audit.verifier.bundles import split_bundle, tile_levels
from audit.verifier.tiles import TiledTree, TileFolder, tile_path, tile_width


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 999, 256, "tile/0/999"),
        (0, 1_000, 256, "tile/0/x001/000"),
        (1, 1_234_067, 256, "tile/1/x001/x234/067"),
        (0, 273, 112, "tile/0/273.p/112"),
        (2, 0, 1, "tile/2/000.p/1"),
        (None, 3_905, 64, "tile/entries/x003/905.p/64"),
    ],
)
def test_paths_of_the_specification(level, index, width, path):
    """Groups of three digits, all but the last with an x."""
    assert tile_path(level, index, width) == path


def test_widths_of_a_log_of_70_000_entries():
    """The specification's own example: 273 full tiles and one of 112; one full and one of 17; one of 1."""
    assert [tile_width(70_000, 0, index) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [tile_width(70_000, 1, index) for index in (0, 1, 2)] == [256, 17, 0]
    assert [tile_width(70_000, 2, index) for index in (0, 1)] == [1, 0]
    assert tile_width(70_000, 3, 0) == 0
    assert (tile_width(256, 0, 0), tile_width(256, 1, 0)) == (256, 1)


def test_log_of_70_000_entries_verifies_with_all_its_levels(make, tmp_path):
    """Three levels, a checkpoint inside a tile, at the border of one, and of a whole subtree."""
    log = make(70_000, 1, 256, 65_536, 65_537, 69_999)
    leaves = log.leaves
    log.__class__ = type("Kept", (type(log),), {"leaves": property(lambda _: leaves)})
    folder = log.write(tmp_path / "export")
    assert len([path for path in (folder / "tile/0").rglob("*") if path.is_file()]) == 274
    assert sorted(str(path.relative_to(folder)) for path in (folder / "tile/1").rglob("*") if path.is_file()) == [
        "tile/1/000",
        "tile/1/001.p/17",
    ]
    assert (folder / "tile/2/000.p/1").read_bytes() == log.root(65_536)
    report = verify_export(folder, log.signer.key)
    assert (report.size, report.checkpoints) == (70_000, 6)
    tree = TiledTree(TileFolder(str(folder), 70_000))
    assert [tree.root(size) for size in (0, 1, 300, 65_537)] == [log.root(size) for size in (0, 1, 300, 65_537)]
    bundle = folder / "tile/entries/100"
    bundle.write_bytes(bundle.read_bytes().replace(b"permit", b"forged", 1))
    with pytest.raises(Exception, match="changed or replaced") as caught:
        verify_export(folder, log.signer.key)
    assert caught.value.index == 25_600


def test_bundle_is_split_as_far_as_it_goes():
    """Length, bytes, and what is left over."""
    data = b"\0\3abc" + b"\0\0" + b"\0\2de"
    assert split_bundle(data, 3) == ([b"abc", b"", b"de"], 0)
    assert split_bundle(data, 2) == ([b"abc", b""], 4)
    assert split_bundle(data, 9) == ([b"abc", b"", b"de"], 0)
    assert split_bundle(data[:-1], 3) == ([b"abc", b""], 3)
    assert split_bundle(b"\0", 1) == ([], 1)


def test_levels_of_a_tile_are_those_of_the_tree(root_of):
    """Complete subtrees only."""
    hashes = [hashlib.sha256(bytes([number])).digest() for number in range(7)]
    levels = tile_levels(b"".join(hashes))
    assert levels[1] == b"".join(root_of(hashes[start : start + 2]) for start in (0, 2, 4))
    assert levels[2] == root_of(hashes[:4])
    assert len(levels) == 3
