"""Entries whose bytes are gone: told by a later entry, or removed."""

import pytest

from audit.verifier import VerificationError, verify_export


def telling(below, act="log.pruned"):
    return f'{{"act":"{act}","counts":{{"below":{below}}},"id":"ent_told{below}","v":1}}'.encode()


def pruned(make, folder, gone, *told, size=600):
    """Write a log in which entries at some places say something, and empty the bytes of others afterwards."""
    log = make(size, *(at for at in (100, 300) if at < size))
    for at, entry in told:
        log.entries[at] = entry
    log.write(folder)
    emptied = [b"" if index in gone else entry for index, entry in enumerate(log.entries)]
    for number in range(0, size, 256):
        part = emptied[number : number + 256]
        name = f"{number // 256:03}" + ("" if len(part) == 256 else f".p/{len(part)}")
        data = b"".join(len(one).to_bytes(2, "big") + one for one in part)
        (folder / "tile/entries" / name).write_bytes(data)
    return folder, log.signer.key


def failure(folder, key):
    with pytest.raises(VerificationError) as caught:
        verify_export(folder, key)
    return caught.value.kind, caught.value.index


def test_pruned_entries_are_counted_and_the_rest_verifies(make, tmp_path):
    """All but those that are kept are empty."""
    told = pruned(make, tmp_path / "export", set(range(400)) - {3, 70}, (500, telling(400)))
    report = verify_export(*told)
    assert (report.size, report.pruned, report.checkpoints) == (600, 398, 3)
    assert verify_export(*told, check_entries=True).pruned == 398


def test_pruning_may_be_told_in_the_same_bundle(make, tmp_path):
    """The entry that says so follows closely."""
    assert verify_export(*pruned(make, tmp_path / "export", range(20), (20, telling(20)), size=30)).pruned == 20


@pytest.mark.parametrize(
    ("gone", "told", "index"),
    [
        (range(400), (), 0),
        (range(401), ((500, telling(400)),), 400),
        ({7, 550}, ((500, telling(400)),), 550),
        (range(400), ((500, telling(501)),), 0),
        (range(400), ((500, telling(400, "gate.permit")),), 0),
        (range(400), ((500, telling('"400"')),), 0),
        (range(400), ((500, telling("true")),), 0),
        (range(400), ((500, telling(-1)),), 0),
        (range(400), ((500, b'"act":"log.pruned"'),), 0),
        (range(400), ((500, b'{"act":"log.pruned","counts":7}'),), 0),
        (range(501), ((500, telling(500)),), 0),
        (range(10), ((300, telling(10)), (500, telling(400)), (400, telling(5))), None),
    ],
)
def test_gap_that_no_later_entry_tells_of_is_a_removal(make, tmp_path, gone, told, index):
    """The place is the first one that is not told of; an entry that is gone itself tells nothing."""
    folder, key = pruned(make, tmp_path / "export", gone, *told)
    if index is None:
        assert verify_export(folder, key).pruned == 10
    else:
        assert failure(folder, key) == ("removed", index)


def test_changed_entry_in_a_pruned_log_is_named(make, tmp_path):
    """Between entries that are gone."""
    folder, key = pruned(make, tmp_path / "export", set(range(400)) - {70}, (500, telling(400)))
    path = folder / "tile/entries/000"
    path.write_bytes(path.read_bytes().replace(b"permit", b"forged"))
    assert failure(folder, key) == ("changed", 70)


def test_hash_of_a_pruned_entry_cannot_be_changed(make, tmp_path):
    """Its tile is what proves it, and the tile above proves the tile."""
    folder, key = pruned(make, tmp_path / "export", range(400), (500, telling(400)))
    path = folder / "tile/0/000"
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    assert failure(folder, key)[0] == "changed"
    path.write_bytes(path.read_bytes()[:320])
    assert failure(folder, key)[0] == "removed"
