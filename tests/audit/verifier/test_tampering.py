"""What someone did to an export is found, told apart and named by its place."""

import hashlib
import json
import os

import pytest

from audit.verifier import VerificationError, verify_export
from audit.verifier.policy import Policy

FORGED = b'{"act":"gate.permit","id":"ent_forged","v":1}'


def changed(entries, at):
    return [*entries[:at], FORGED, *entries[at + 1 :]]


def removed(entries, at):
    return entries[:at] + entries[at + 1 :]


def swapped(entries, at):
    return [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]]


def swapped_far(entries, at):
    return [*entries[:at], entries[at + 90], *entries[at + 1 : at + 90], entries[at], *entries[at + 91 :]]


def inserted(entries, at):
    return [*entries[:at], FORGED, *entries[at:]]


def test_whole_export_verifies(tampered):
    """The tests below fail for their own reason only."""
    report = verify_export(tampered.folder, tampered.key)
    assert (report.size, report.checkpoints, report.pruned, report.origin) == (600, 4, 0, tampered.key.name)


@pytest.mark.parametrize("at", [0, 4, 255, 256, 300, 509])
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (changed, "changed"),
        (removed, "removed"),
        (swapped, "swapped"),
        (swapped_far, "changed"),
        (inserted, "inserted"),
    ],
)
def test_bad_entry_is_named_by_its_place(tampered, change, at, kind):
    """Within a bundle, at the border of two, and in the last one."""
    tampered.put_entries(change(tampered.log.entries, at))
    assert tampered.verdict() == (kind, at, None)


def test_id_is_told_where_the_bytes_tell_it(tampered):
    """Of a changed or inserted entry what stands there now, of swapped ones the one that belongs there."""
    entries = tampered.log.entries
    told = {}
    for change in (changed, inserted, swapped, removed):
        tampered.put_entries(change(entries, 5))
        told[change.__name__] = tampered.failure().entry_id
    assert told == {"changed": "ent_forged", "inserted": "ent_forged", "swapped": "ent_5", "removed": None}


@pytest.mark.parametrize("at", [3, 400])
def test_entry_and_leaf_hash_changed_together_are_narrowed_to_their_tile(tampered, at):
    """The tile above says in which 256 entries it lies; the checkpoints narrow it further."""
    forged = changed(tampered.log.entries, at)
    tampered.put_entries(forged)
    tampered.put_tiles(forged, 0)
    assert tampered.verdict() == (("changed", 0, (0, 99)) if at == 3 else ("changed", 300, (300, 511)))


@pytest.mark.parametrize(("at", "within"), [(3, (0, 99)), (120, (100, 299)), (420, (300, 549)), (570, (550, 599))])
def test_everything_rewritten_is_narrowed_by_the_checkpoints(tampered, at, within):
    """Between the last checkpoint that fits and the first that does not."""
    forged = changed(tampered.log.entries, at)
    tampered.put_entries(forged)
    tampered.put_tiles(forged, 0, 1)
    assert tampered.verdict() == ("changed", within[0], within)


def test_altered_leaf_tile_that_hides_nothing_still_leaves_the_first_difference(tampered):
    """A rewritten tile elsewhere does not hide which entry differs from its hash."""
    tampered.put_entries(changed(tampered.log.entries, 7))
    path = tampered.folder / "tile/0/000"
    hashes = path.read_bytes()
    path.write_bytes(hashes[:-1] + bytes([hashes[-1] ^ 1]))
    assert tampered.verdict() == ("changed", 7, (0, 99))


@pytest.mark.parametrize(
    "path", ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"], ids=lambda path: path.replace("/", "-")
)
@pytest.mark.parametrize("change", [lambda content: bytes(32) + content[32:], lambda content: content[:-32]])
def test_altered_tile_over_whole_entries_is_named(tampered, path, change):
    """The entries are whole, the file is said."""
    file = tampered.folder / path
    file.write_bytes(change(file.read_bytes()))
    failure = tampered.failure()
    assert (failure.kind, failure.index) == ("tile", None)
    assert failure.message.startswith(path)


def test_tile_that_is_too_large_is_refused(tampered):
    """No file is read further than it may reach."""
    file = tampered.folder / "tile/0/000"
    file.write_bytes(file.read_bytes() + b"\0")
    assert tampered.verdict() == ("foreign_file", None, None)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda data: data + b"\0", ("malformed", 599, None)),
        (lambda data: data + b"\0\0", ("malformed", 599, None)),
        (lambda data: data + b"\0\4abcd", ("malformed", 599, None)),
        (lambda data: data[:-1], ("malformed", 599, None)),
        (lambda _: b"", ("truncated", 512, None)),
        (lambda data: data[:-40] + b"\xff" + data[-39:], ("changed", 599, None)),
        (lambda data: b"\xff" + data[1:], ("malformed", 512, None)),
        (lambda data: bytes(len(data)), ("removed", 512, None)),
    ],
)
def test_broken_bundle_is_found(tampered, change, verdict):
    """Trailing bytes, a cut, lengths that lie."""
    file = tampered.folder / "tile/entries/002.p/88"
    file.write_bytes(change(file.read_bytes()))
    assert tampered.verdict() == verdict


def test_oversized_entry_is_refused_even_when_it_was_signed(make, tmp_path):
    """An entry has at most 16 KiB."""
    log = make(3)
    for length, is_whole in ((16_384, True), (16_385, False)):
        log.entries[1] = b"x" * length
        folder = log.write(tmp_path / str(length))
        if is_whole:
            assert verify_export(folder, log.signer.key).size == 3
        else:
            with pytest.raises(VerificationError, match="larger than 16384") as caught:
                verify_export(folder, log.signer.key)
            assert (caught.value.kind, caught.value.index) == ("malformed", 1)


@pytest.mark.parametrize("count", [599, 597])
def test_shorter_export_is_truncated(tampered, count):
    """Bundle and tiles rewritten by someone who knows the format: one later checkpoint would be needed by him."""
    (tampered.folder / "tile/entries/002.p/88").rename(tampered.folder / f"tile/entries/002.p/{count - 512}")
    tampered.size = count
    tampered.put_entries(tampered.log.entries[:count])
    assert tampered.verdict() == ("truncated", count, None)


def test_entry_removed_and_the_bundle_renamed_is_still_named(tampered):
    """The first bad entry is the removed one, not the end."""
    (tampered.folder / "tile/entries/002.p/88").rename(tampered.folder / "tile/entries/002.p/87")
    tampered.size = 599
    tampered.put_entries(removed(tampered.log.entries, 20))
    assert tampered.verdict() == ("removed", 20, None)


def test_export_cut_back_to_an_earlier_checkpoint_needs_a_later_one(make, tmp_path):
    """A whole export of what was once: only a checkpoint that was kept elsewhere shows the cut."""
    log, now = make(300, 100), make(600, 100, 300)
    folder = log.write(tmp_path / "export")
    assert verify_export(folder, log.signer.key).size == 300
    with pytest.raises(VerificationError) as caught:
        verify_export(folder, log.signer.key, [now.checkpoint(600)])
    assert (caught.value.kind, caught.value.index) == ("truncated", 300)


def test_entries_beyond_the_checkpoint_are_inserted(tampered):
    """An earlier checkpoint in the place of the last one."""
    (tampered.folder / "checkpoint").write_bytes(tampered.log.checkpoint(550))
    assert tampered.verdict() == ("inserted", 550, None)
    (tampered.folder / "checkpoint").write_bytes(tampered.log.checkpoint(300))
    assert tampered.verdict() == ("inserted", 300, None)


def test_fork_is_found_by_a_checkpoint_kept_elsewhere(tampered, make):
    """The same key signed another log: both cannot be right."""
    other = make(600)
    other.entries[450] = FORGED
    verify_export(tampered.folder, tampered.key, [other.checkpoint(400)])
    assert tampered.verdict(other.checkpoint(500)) == ("forked", 300, (300, 499))


@pytest.mark.parametrize("size", [0, 1, 255, 599, 601])
def test_signed_head_that_lies_about_its_size_is_found(tampered, size):
    """A root belongs to one size; a signature does not make it another's."""
    log = tampered.log
    text = log.text(600).replace(b"\n600\n", b"\n%d\n" % size)
    lie = text + b"\n" + log.signer.sign(text)
    assert tampered.failure(lie).kind in ("forked", "truncated")
    (tampered.folder / "checkpoint").write_bytes(lie)
    with pytest.raises(VerificationError) as caught:
        verify_export(tampered.folder, tampered.key)
    assert caught.value.index is not None


def test_two_heads_of_one_size_cannot_both_fit(tampered, make):
    """Even when the export's own is the right one."""
    other = make(600)
    other.entries[0] = FORGED
    assert tampered.verdict(other.checkpoint(600))[0] in ("forked", "changed")
    assert tampered.verdict(other.checkpoint(300))[0] == "forked"


def foreign(name, make_it):
    return pytest.param(name, make_it, id=name.replace("/", "-"))


@pytest.mark.parametrize(
    ("name", "make_it"),
    [
        foreign("tile/notes.txt", lambda path: path.write_bytes(b"")),
        foreign("tile/0/003", lambda path: path.write_bytes(bytes(8192))),
        foreign("tile/0/002", lambda path: path.write_bytes(bytes(8192))),
        foreign("tile/0/000.p/9", lambda path: path.write_bytes(bytes(288))),
        foreign("tile/0/000.p/300", lambda path: path.write_bytes(b"")),
        foreign("tile/0/x000/000", lambda path: path.write_bytes(bytes(8192))),
        foreign("tile/00/000", lambda path: path.write_bytes(bytes(8192))),
        foreign("tile/2/000.p/1", lambda path: path.write_bytes(bytes(32))),
        foreign("tile/64/000", lambda path: path.write_bytes(bytes(32))),
        foreign("tile/entries/000.p/4", lambda path: path.write_bytes(b"")),
        foreign("tile/entries/002.p/80", lambda path: path.write_bytes(b"")),
        foreign("tile/other/deep/000", lambda path: path.write_bytes(b"")),
        foreign("tile/0/\x1b[2J", lambda path: path.write_bytes(b"")),
        foreign("tile/0/fifo", os.mkfifo),
        foreign("tile/0/link", lambda path: path.symlink_to("/etc/hostname")),
        foreign("tile/0/x009", lambda path: path.symlink_to("/etc")),
    ],
)
def test_file_that_is_no_part_of_the_tree_is_refused(tampered, name, make_it):
    """Beyond the size, of another width, of another name, a link or a special file."""
    path = tampered.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make_it(path)
    failure = tampered.failure()
    assert (failure.kind, failure.index) == ("foreign_file", None)
    assert failure.message.isprintable()


@pytest.mark.parametrize("name", ["tile/entries/001", "tile/0/000", "checkpoint", "checkpoints.ndjson", "tile"])
def test_link_out_of_the_folder_is_refused(tampered, tmp_path, name):
    """Even to the very same bytes."""
    path = tampered.folder / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert tampered.failure().kind == "foreign_file"


@pytest.mark.parametrize(
    "name", ["checkpoint", "checkpoints.ndjson", "handovers.ndjson", "tile/0/000", "tile/entries/000"]
)
def test_pipe_in_the_place_of_a_file_is_refused(tampered, name):
    """A verifier that waits for ever gives no verdict."""
    path = tampered.folder / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert tampered.failure().kind == "foreign_file"


def test_folder_in_the_place_of_a_bundle_is_refused(tampered):
    """No traceback."""
    path = tampered.folder / "tile/entries/001"
    path.unlink()
    path.mkdir()
    assert tampered.failure().kind == "foreign_file"


def test_file_in_the_place_of_the_tiles_is_refused(tampered, tmp_path):
    """No traceback either."""
    (tampered.folder / "tile").rename(tmp_path / "gone")
    (tampered.folder / "tile").write_bytes(b"")
    assert tampered.failure().kind == "foreign_file"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("checkpoint", "missing_file"),
        ("checkpoints.ndjson", "missing_file"),
        ("tile/0/001", "missing_file"),
        ("tile/0/002.p/88", "missing_file"),
        ("tile/1/000.p/2", "missing_file"),
        ("tile/entries/001", "missing_file"),
        ("tile/entries/002.p/88", "missing_file"),
    ],
)
def test_missing_file_is_named(tampered, name, kind):
    """An export is whole or it is not."""
    (tampered.folder / name).unlink()
    failure = tampered.failure()
    assert failure.kind == kind
    assert name in failure.message


def test_export_without_any_tile_lacks_them(tampered, tmp_path):
    """The folder is gone."""
    (tampered.folder / "tile").rename(tmp_path / "gone")
    assert tampered.failure().kind == "missing_file"


@pytest.mark.parametrize(
    "line", [b"[" * 100_000 + b"\n", b"{}\n", b"7\n", b"[\n", b'"text"\n', b"\xff\n", b'"\\ud800"\n']
)
def test_history_that_is_no_checkpoint_is_found(tampered, line):
    """The history is read as strictly as the checkpoint."""
    path = tampered.folder / "checkpoints.ndjson"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + line)
    failure = tampered.failure()
    assert failure.kind == "checkpoint"
    assert "line 2 of checkpoints.ndjson" in failure.message


def test_history_in_another_spelling_is_refused(tampered):
    """A JSON string has one form here, its line end included."""
    path = tampered.folder / "checkpoints.ndjson"
    whole = path.read_bytes()
    for spelled in (whole[:-1], whole.replace(b"\\u2014", "\u2014".encode()), b" " + whole):
        path.write_bytes(spelled)
        assert tampered.failure().kind == "checkpoint"


def test_bad_signature_in_the_history_is_found(tampered):
    """Line and cause are named."""
    path = tampered.folder / "checkpoints.ndjson"
    path.write_bytes(path.read_bytes().replace(b"\\n300\\n", b"\\n301\\n"))
    failure = tampered.failure()
    assert (failure.kind, failure.message[:29]) == ("signature", "line 2 of checkpoints.ndjson:")


def test_checkpoint_kept_elsewhere_that_is_none_is_named(tampered):
    """Which of the given files is wrong."""
    failure = tampered.failure(tampered.log.checkpoint(100), b"rubbish")
    assert (failure.kind, failure.message[:18]) == ("checkpoint", "later checkpoint 2")


def test_checkpoint_kept_elsewhere_that_agrees_is_counted(tampered):
    """An earlier receipt is one more proof."""
    assert verify_export(tampered.folder, tampered.key, [tampered.log.checkpoint(77)]).checkpoints == 5


def test_wrong_key_is_found(tampered, signer_of):
    """A log verifies under its own key only."""
    tampered.key = signer_of(2).key
    assert tampered.failure().kind == "key"


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini"])
def test_what_a_desktop_leaves_is_passed_over_by_name(tampered, name):
    """Somebody looked into the folders; a link of that name, or any other name, belongs to nobody."""
    for folder in ("tile", "tile/0", "tile/entries"):
        (tampered.folder / folder / name).write_bytes(b"icons")
    verify_export(tampered.folder, tampered.key)
    (tampered.folder / "tile/0" / name).unlink()
    (tampered.folder / "tile/0" / name).symlink_to("/etc/hostname")
    assert tampered.failure().kind == "foreign_file"


def test_checkpoint_of_another_log_under_the_same_key_is_refused(tampered, signer_of, text_of, note_of):
    """A key's name is its origin."""
    text = text_of(600, tampered.log.root(600), "other.example")
    (tampered.folder / "checkpoint").write_bytes(note_of(text, tampered.log.signer.sign(text)))
    assert tampered.failure().kind == "checkpoint"


def test_empty_log_verifies_and_another_root_over_nothing_does_not(make, tmp_path, text_of, note_of):
    """Nothing logged is a statement too."""
    log = make(0)
    folder = log.write(tmp_path / "export")
    assert verify_export(folder, log.signer.key).size == 0
    text = text_of(0, hashlib.sha256(b"x").digest())
    (folder / "checkpoint").write_bytes(note_of(text, log.signer.sign(text)))
    with pytest.raises(VerificationError) as caught:
        verify_export(folder, log.signer.key)
    assert (caught.value.kind, caught.value.index) == ("forked", 0)


@pytest.mark.parametrize(
    "entry",
    [
        b"not json",
        b"[]",
        b'{"id":7}',
        b'{"act":"x"}',
        b'{"act":"x", "id":"ent_x"}',
        b'{"act":"x","act":"x","id":"ent_x"}',
        b'{"act":"x","id":"ent_0"}',
        b'{"act":1.0,"id":"ent_x"}',
        b'{"act":NaN,"id":"ent_x"}',
        b'{"act":"\\ud800","id":"ent_x"}',
        b'{"act":' + b"[" * 5_000 + b"]" * 5_000 + b',"id":"ent_x"}',
        b'{"act":"\\u0041","id":"ent_x"}',
        b'{"act":"x","id":"ent_x"}\n',
        b'{"act":"x","id":"ent_x"}\r',
        b'{"act":"x","id":"ent_x","n":' + b"9" * 5_000 + b"}",
    ],
)
def test_signed_entry_that_is_not_canonical_is_found_when_entries_are_read(make, tmp_path, entry):
    """A signature does not make an ambiguous entry, or one whose id was used, part of a whole log."""
    log = make(3)
    log.entries[1] = entry
    export = Exported(log, tmp_path / "odd")
    assert verify_export(export.folder, export.key).size == 3
    failure = export.failure(check_entries=True)
    assert (failure.kind, failure.index) == ("malformed", 1)


class Exported:
    def __init__(self, log, folder):
        self.folder, self.key = log.write(folder), log.signer.key

    def failure(self, **options):
        with pytest.raises(VerificationError) as caught:
            verify_export(self.folder, self.key, **options)
        return caught.value


def test_entries_of_an_honest_log_are_canonical(tampered):
    """No false alarm."""
    assert verify_export(tampered.folder, tampered.key, check_entries=True).size == 600


def test_quorum_is_demanded_of_the_last_checkpoint(tampered, signer_of):
    """A policy's witnesses must have cosigned what the export ends with, in its file or in one that was kept."""
    witness = signer_of(9, "witness.example", 4)
    policy = Policy.parse(f"witness w {witness.key}\nquorum w\n".encode())
    assert tampered.failure(policy=policy).kind == "quorum"
    cosigned = tampered.log.checkpoint(600, witness.cosign(tampered.log.text(600)))
    assert verify_export(tampered.folder, tampered.key, [cosigned], policy=policy).witnesses == ("witness.example",)
    (tampered.folder / "checkpoint").write_bytes(cosigned)
    assert verify_export(tampered.folder, tampered.key, policy=policy).witnesses == ("witness.example",)
    (tampered.folder / "checkpoint").write_bytes(tampered.log.checkpoint(600))
    older = tampered.log.checkpoint(550, witness.cosign(tampered.log.text(550)))
    assert tampered.failure(older, policy=policy).kind == "quorum"


def test_history_lines_are_json_strings(tampered):
    """The notes can be taken out again with any JSON reader."""
    lines = (tampered.folder / "checkpoints.ndjson").read_text().splitlines()
    assert [json.loads(line).encode() for line in lines] == [tampered.log.checkpoint(at) for at in tampered.SIZES]
