"""The export proves itself, and every tampering is found and named."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.notes import sign_checkpoint
from audit.verifier import CompactRange, VerificationError, leaf_hash, verify_export
from kernel.errors import BadInput, IntegrityFailed, Unavailable

SIZES = (3, 7, 12)
"""Sizes of the checkpoints of the exported log."""


class Export:
    """An exported log of twelve entries under three checkpoints, and hands to damage it."""

    def __init__(self, desk):
        self.ids = []
        self.signed = []
        for count in (3, 4, 5):
            self.ids += desk.fill(count)
            self.signed.append(desk.log.settle())
        self.desk = desk
        self.folder = desk.log.export(desk.folder / "export").folder
        self.key = desk.checkpointer.verifier_key

    def lines(self, name):
        return (self.folder / name).read_bytes().splitlines(keepends=True)

    def write(self, name, lines):
        (self.folder / name).write_bytes(b"".join(lines))

    def alter(self, change, *names):
        for name in names or ("entries.ndjson",):
            self.write(name, change(self.lines(name)))

    def failure(self, *later):
        with pytest.raises(VerificationError) as caught:
            verify_export(self.folder, self.key, later)
        return caught.value


@pytest.fixture
def export(desk):
    """A whole export."""
    return Export(desk)


def edited(lines):
    return [*lines[:4], lines[4].replace(b"prn_clinician", b"prn_clinican"), *lines[5:]]


def edited_id(lines):
    return [*lines[:4], lines[4].replace(b'"id":"ent_', b'"id":"enx_'), *lines[5:]]


def removed(lines):
    return lines[:4] + lines[5:]


def swapped(lines):
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def swapped_far(lines):
    return [*lines[:4], lines[9], *lines[5:9], lines[4], *lines[10:]]


def duplicated(lines):
    return [*lines[:4], lines[3], *lines[4:]]


def inserted(lines):
    return [*lines[:4], lines[4].replace(b"clinician", b"stranger"), *lines[4:]]


def cut_last(lines):
    return lines[:-1]


def joined(lines):
    return [*lines[:4], lines[4][:-1] + lines[5], *lines[6:]]


def split(lines):
    return [*lines[:4], lines[4][:40] + b"\n", lines[4][40:], *lines[5:]]


def appended(lines):
    return [*lines, lines[-1]]


def test_whole_export_verifies(export):
    """Every checkpoint counts, and the summary says what was exported."""
    report = verify_export(export.folder, export.key)
    assert (report.size, report.checkpoints, report.origin) == (12, 3, export.key.name)


@pytest.mark.parametrize("engine", ["sqlite_url", "pg_url"])
def test_exported_lines_are_the_stored_bytes(open_desk, request, engine):
    """An entry is exported as it was hashed."""
    desk = open_desk(request.getfixturevalue(engine))
    desk.record(desk.permit(recipient="北京检验中心"), desk.permit())
    summary = desk.log.export(desk.folder / "export")
    bodies = [bytes(body) for (body,) in desk.rows("SELECT body FROM audit_leaf ORDER BY leaf_index")]
    assert (summary.folder / "entries.ndjson").read_bytes() == b"".join(body + b"\n" for body in bodies)
    assert summary.entries_bytes == sum(len(body) + 1 for body in bodies)
    assert (summary.checkpoint.size, summary.earlier_checkpoints) == (2, 0)
    assert verify_export(summary.folder, desk.checkpointer.verifier_key).size == 2


def test_empty_log_exports_and_verifies(desk):
    """Nothing logged is a statement too."""
    summary = desk.log.export(desk.folder / "export")
    assert verify_export(summary.folder, desk.checkpointer.verifier_key).size == 0


@pytest.mark.parametrize(
    ("change", "kind", "index", "expected"),
    [
        (edited, "changed", 4, 4),
        (edited_id, "changed", 4, 4),
        (removed, "removed", 4, 4),
        (swapped, "swapped", 4, 4),
        (swapped_far, "changed", 4, 4),
        (duplicated, "inserted", 4, 3),
        (inserted, "inserted", 4, 4),
        (cut_last, "truncated", 11, 11),
        (joined, "changed", 4, 4),
        (split, "changed", 4, 4),
        (appended, "inserted", 12, 11),
    ],
)
def test_tampered_entry_is_named(export, change, kind, index, expected):
    """Place and id of the first bad entry, by the leaf list that the checkpoint proves."""
    export.alter(change)
    failure = export.failure()
    assert (failure.kind, failure.index, failure.entry_id) == (kind, index, export.ids[expected])
    assert failure.within is None


@pytest.mark.parametrize("change", [edited, removed, swapped, duplicated, inserted])
def test_tampering_with_the_leaf_list_as_well_is_narrowed_by_the_checkpoints(export, change):
    """The list recomputed over the forged entries: the first bad one lies between two checkpoints."""
    export.alter(change)
    forged = [
        f"{leaf_hash(line[:-1]).hex()} {json.loads(line)['id']}\n".encode() for line in export.lines("entries.ndjson")
    ]
    export.write("leaves.txt", forged)
    failure = export.failure()
    assert failure.within == (3, 6)
    assert failure.index == 3


def test_leaf_list_altered_elsewhere_still_points_at_the_first_difference(export):
    """The list fails its own proof, but the difference lies where the checkpoints say."""
    export.alter(edited)
    export.alter(cut_last, "leaves.txt")
    assert (export.failure().index, export.failure().within) == (4, None)
    export.alter(lambda lines: [lines[0].replace(b"ent", b"enx"), b"zz\n", *lines[2:]], "leaves.txt")
    assert (export.failure().index, export.failure().within) == (3, (3, 6))


def test_truncation_of_both_lists_is_found(export):
    """Two entries short of the checkpoint, with the list cut alike."""
    export.alter(lambda lines: lines[:10], "entries.ndjson", "leaves.txt")
    failure = export.failure()
    assert (failure.kind, failure.index, failure.within) == ("truncated", 7, (7, 11))


@pytest.mark.parametrize("change", [edited_id, removed, swapped, cut_last, appended])
def test_altered_leaf_list_over_whole_entries_is_found(export, change):
    """An export that was changed anywhere is not whole; no entry is accused."""
    export.alter(change, "leaves.txt")
    if change is edited_id:
        export.alter(lambda lines: [*lines[:4], lines[4].replace(b" ent_", b" enx_"), *lines[5:]], "leaves.txt")
    failure = export.failure()
    assert failure.kind in ("leaf_list", "malformed")
    assert failure.kind == "malformed" or failure.index is None


def test_rollback_to_an_earlier_checkpoint_needs_a_later_one(export):
    """Cut back consistently, the export is whole for its day; any later checkpoint shows the cut."""
    export.alter(lambda lines: lines[:7], "entries.ndjson", "leaves.txt")
    export.alter(lambda lines: lines[:1], "checkpoints.ndjson")
    (export.folder / "checkpoint").write_bytes(export.signed[1].note)
    assert verify_export(export.folder, export.key, [export.signed[0].note]).size == 7
    failure = export.failure(export.signed[2].note)
    assert (failure.kind, failure.index) == ("truncated", 7)


def test_rollback_that_forgot_the_history_is_found(export):
    """The checkpoints in the export itself count as later ones."""
    export.alter(lambda lines: lines[:3], "entries.ndjson", "leaves.txt")
    (export.folder / "checkpoint").write_bytes(export.signed[0].note)
    failure = export.failure()
    assert (failure.kind, failure.index) == ("truncated", 3)


def test_older_checkpoint_over_more_entries_is_found(export):
    """Entries beyond the checkpoint are not covered by it."""
    (export.folder / "checkpoint").write_bytes(export.signed[1].note)
    failure = export.failure()
    assert (failure.kind, failure.index, failure.entry_id) == ("inserted", 7, export.ids[7])


def test_fork_is_found_by_a_checkpoint_kept_elsewhere(export):
    """The same key signed another log: size and root cannot both be right."""
    other = CompactRange()
    for line in [*export.lines("entries.ndjson")[:5], b"{}\n", b"{}\n"]:
        other.append(leaf_hash(line[:-1]))
    kept = sign_checkpoint(7, other.root(), export.desk.signer)
    failure = export.failure(kept.note)
    assert (failure.kind, failure.index, failure.within) == ("forked", 3, (3, 6))


def test_checkpoint_kept_elsewhere_that_is_none_is_named(export):
    """Which of the given files is wrong."""
    failure = export.failure(export.signed[0].note, b"rubbish")
    assert (failure.kind, failure.message[:18]) == ("checkpoint", "later checkpoint 2")


def test_checkpoint_kept_elsewhere_that_agrees_is_counted(export):
    """An earlier receipt is one more proof."""
    assert verify_export(export.folder, export.key, [export.signed[1].note]).checkpoints == 4


def test_bad_signature_is_found(export):
    """One letter of the checkpoint."""
    note = export.signed[-1].note
    (export.folder / "checkpoint").write_bytes(note.replace(b"\n12\n", b"\n13\n"))
    assert export.failure().kind == "signature"


@pytest.mark.parametrize("size", [0, 11, 13])
def test_signed_head_that_lies_about_its_size_is_found(export, size):
    """A root belongs to one size; a signature does not make it another's."""
    lie = sign_checkpoint(size, export.signed[-1].root, export.desk.signer)
    assert export.failure(lie.note).kind in ("forked", "truncated")
    (export.folder / "checkpoint").write_bytes(lie.note)
    assert export.failure().index is not None


def test_wrong_key_is_found(export, tmp_path):
    """A log verifies under its own key only."""
    from audit.signing import create_signing_key
    from audit.verifier import VerifierKey

    export.key = VerifierKey.parse(create_signing_key(tmp_path / "other", export.key.name).verifier_key)
    assert export.failure().kind == "signature"


@pytest.mark.parametrize("line", [b"[" * 100_000 + b"\n", b"{}\n", b"7\n", b"[\n", b'"text"\n', b"\xff\n"])
def test_history_that_is_no_checkpoint_is_found(export, line):
    """The history is read as strictly as the checkpoint."""
    export.alter(lambda lines: [lines[0], line], "checkpoints.ndjson")
    failure = export.failure()
    assert failure.kind == "checkpoint"
    assert "line 2" in failure.message


def test_bad_signature_in_the_history_is_found(export):
    """Line and cause are named."""
    export.alter(lambda lines: [lines[0].replace(b"\\n3\\n", b"\\n2\\n")], "checkpoints.ndjson")
    assert export.failure().kind == "signature"


@pytest.mark.parametrize("name", ["entries.ndjson", "leaves.txt", "checkpoint", "checkpoints.ndjson"])
def test_missing_file_is_named(export, name):
    """An export is whole or it is not."""
    (export.folder / name).unlink()
    failure = export.failure()
    assert failure.kind == "missing_file"
    assert name in failure.message


def test_last_line_end_is_part_of_the_format(export):
    """Even a byte that changes no entry is found."""
    path = export.folder / "entries.ndjson"
    path.write_bytes(path.read_bytes()[:-1])
    failure = export.failure()
    assert (failure.kind, failure.index) == ("malformed", 11)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_found(export, data):
    """Whatever byte of whatever file of the proof is changed."""
    name = data.draw(st.sampled_from(["entries.ndjson", "leaves.txt", "checkpoint", "checkpoints.ndjson"]))
    path = export.folder / name
    whole = path.read_bytes()
    content = bytearray(whole)
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    try:
        path.write_bytes(content)
        failure = export.failure()
        if name == "entries.ndjson":
            assert failure.index == whole[:position].count(b"\n")
    finally:
        path.write_bytes(whole)


def signed_export(desk, folder, lines):
    """Write an export whose entries were signed as they are, right or wrong."""
    tree = CompactRange()
    for line in lines:
        tree.append(leaf_hash(line))
    ids = [found[1].decode() if (found := re.search(rb'"id":"(\w+)"', line)) else "none" for line in lines]
    folder.mkdir()
    (folder / "entries.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
    leaves = [f"{leaf_hash(line).hex()} {entry_id}\n" for line, entry_id in zip(lines, ids, strict=True)]
    (folder / "leaves.txt").write_text("".join(leaves))
    (folder / "checkpoints.ndjson").write_bytes(b"")
    (folder / "checkpoint").write_bytes(sign_checkpoint(tree.size, tree.root(), desk.signer).note)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'{"id":7}',
        b'{"act":"x"}',
        b'{"id":"ent_2","act":"x"}',
        b'{"act":"x", "id":"ent_2"}',
        b'{"act":"x","act":"x","id":"ent_2"}',
        b'{"act":"x","id":"ent_1"}',
        b'{"act":1.0,"id":"ent_2"}',
        b'{"act":NaN,"id":"ent_2"}',
        b'{"act":"\\ud800","id":"ent_2"}',
        b'{"act":' + b"[" * 100_000 + b"]" * 100_000 + b',"id":"ent_2"}',
        b'{"act":"\\u0041","id":"ent_2"}',
        b'{"act":"x","id":"ent_2"}\r',
    ],
)
def test_signed_entry_that_is_not_canonical_is_found(desk, tmp_path, line):
    """A signature does not make an ambiguous entry, or one whose id was used, part of a whole log."""
    signed_export(desk, tmp_path / "odd", [b'{"act":"x","id":"ent_1"}', line])
    with pytest.raises(VerificationError) as caught:
        verify_export(tmp_path / "odd", desk.checkpointer.verifier_key)
    assert (caught.value.kind, caught.value.index) == ("malformed", 1)


@pytest.mark.parametrize(
    ("statement", "kind", "index"),
    [
        ("UPDATE audit_leaf SET body = replace(body, 'P06', 'P07') WHERE leaf_index = 5", "changed", 5),
        ("UPDATE audit_leaf SET body = 7 WHERE leaf_index = 5", "changed", 5),
        ("UPDATE audit_leaf SET leaf_hash = 'x' WHERE leaf_index = 5", "leaf_list", None),
        ("DELETE FROM audit_leaf WHERE leaf_index = 5", "changed", 5),
        ("DELETE FROM audit_leaf WHERE leaf_index > 9", "truncated", 10),
        ("UPDATE audit_head SET peaks = x'00'", None, None),
        ("UPDATE audit_checkpoint SET note = x'ff' WHERE size = 3", "checkpoint", None),
        ("UPDATE audit_leaf SET entry_id = 'ent_x' WHERE leaf_index = 5", "malformed", 5),
    ],
)
def test_change_in_the_store_is_exported_and_found(desk, statement, kind, index):
    """What was changed behind the log's back is still exported, and the verifier names it."""
    for count in (3, 4, 5):
        desk.fill(count)
        desk.log.settle()
    desk.unguarded(statement)
    folder = desk.log.export(desk.folder / "export").folder
    found = (None, None)
    try:
        verify_export(folder, desk.checkpointer.verifier_key)
    except VerificationError as failure:
        found = (failure.kind, failure.index)
    assert found == (kind, index)


def test_log_that_was_rolled_back_is_exported_with_an_alarm(desk):
    """The evidence leaves the house even when the signer refuses to go on."""
    desk.fill(3)
    desk.log.settle()
    assert desk.log.export(desk.folder / "before").alarm is None
    desk.unguarded(
        "UPDATE audit_leaf SET body = x'7b7d' WHERE leaf_index = 1", "DELETE FROM audit_leaf WHERE leaf_index = 2"
    )
    summary = desk.log.export(desk.folder / "after")
    assert "counts 3" in summary.alarm
    with pytest.raises(VerificationError) as caught:
        verify_export(summary.folder, desk.checkpointer.verifier_key)
    assert caught.value.index == 1


def test_log_that_was_never_signed_and_does_not_fit_is_not_exported(desk):
    """Without any checkpoint there is nothing to prove."""
    desk.fill(3)
    desk.sequencer.advance()
    desk.unguarded("DELETE FROM audit_leaf WHERE leaf_index = 2")
    with pytest.raises(IntegrityFailed):
        desk.log.export(desk.folder / "export")


def test_export_into_a_used_folder_is_refused(desk):
    """Two exports never mix."""
    folder = desk.folder / "export"
    desk.log.export(folder)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(BadInput, match="not empty"):
        desk.log.export(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_export_that_cannot_be_written_says_so(desk):
    """A file in the folder's place."""
    (desk.folder / "taken").write_text("x")
    with pytest.raises(Unavailable, match="cannot be written"):
        desk.log.export(desk.folder / "taken" / "export")


def test_export_holds_no_subject_id(desk, subject):
    """What leaves for the auditor names nobody."""
    desk.record(desk.permit(subject, cohort=(subject,), details={"reason": "canary-words"}))
    folder = desk.log.export(desk.folder / "export").folder
    content = b"".join(path.read_bytes() for path in Path(folder).iterdir())
    assert subject.encode() not in content
    assert b"canary-words" not in content
