"""The export proves itself; what was changed in the store leaves the house as it is, and is found."""

import os
from pathlib import Path

import pytest
from sqlalchemy import insert

from audit import export as exporting
from audit.anchors import AnchorKind
from audit.checkpoints import Checkpointer
from audit.cosignatures import cosign
from audit.export import export_log
from audit.handovers import handover_keys
from audit.notes import sign_checkpoint
from audit.origins import Origin
from audit.proofs import prove_entry, write_proof_files
from audit.rotation import load_tree_signer, rotate_signing_key
from audit.signing import create_signing_key
from audit.tables import anchor, handover, head, leaf, origin, prune
from audit.tree import StoredTree
from audit.verifier import VerificationError, verify_export
from audit.verifier.bundles import split_bundle
from audit.verifier.notes import COSIGNATURE
from audit.verifier.policy import Policy
from audit.verifier.proofs import verify_proof
from kernel.errors import BadInput, Conflict, IntegrityFailed, NotFound, Unavailable

SIZES = (3, 7, 12)
"""Sizes of the checkpoints of the exported log."""


@pytest.fixture
def filled(desk):
    """A log of twelve entries under three checkpoints."""
    for count in (3, 4, 5):
        desk.fill(count)
        desk.log.settle()
    return desk


def export(desk, name="export"):
    return desk.log.export(desk.folder / name).folder


def failure_of(folder, key):
    with pytest.raises(VerificationError) as caught:
        verify_export(folder, key)
    return caught.value


def test_whole_export_verifies(filled):
    """Every checkpoint counts, entries are canonical, and the report says what was exported."""
    key = filled.checkpointer.verifier_key
    report = verify_export(export(filled), key, check_entries=True)
    assert (report.size, report.checkpoints, report.origin, report.pruned) == (12, 3, key.name, 0)


@pytest.mark.parametrize("engine", ["sqlite_url", "pg_url"])
def test_exported_entries_are_the_stored_bytes(open_desk, request, engine):
    """An entry is exported as it was hashed; tiles hold the hashes of the store."""
    desk = open_desk(request.getfixturevalue(engine))
    desk.record(desk.permit(recipient="北京检验中心"))
    desk.fill(299)
    summary = desk.log.export(desk.folder / "export")
    rows = desk.rows("SELECT body, leaf_hash FROM audit_leaf ORDER BY leaf_index")
    bodies = [bytes(body) for body, _ in rows]
    files = [(summary.folder / "tile/entries" / name).read_bytes() for name in ("000", "001.p/44")]
    assert [*split_bundle(files[0], 256)[0], *split_bundle(files[1], 44)[0]] == bodies
    tiles = [(summary.folder / "tile/0" / name).read_bytes() for name in ("000", "001.p/44")]
    assert b"".join(tiles) == b"".join(bytes(hashed) for _, hashed in rows)
    assert summary.entries_bytes == sum(map(len, files))
    assert (summary.checkpoint.size, summary.earlier_checkpoints, summary.earlier_origins) == (300, 0, 0)
    assert verify_export(summary.folder, desk.checkpointer.verifier_key).size == 300


def test_export_holds_these_files_and_no_others(filled):
    """The documented layout."""
    folder = export(filled)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "README.txt",
        "checkpoint",
        "checkpoints.ndjson",
        "handovers.ndjson",
        "log.pub",
        "tile/0/000.p/12",
        "tile/entries/000.p/12",
    ]
    assert "consentry-verify log THIS_FOLDER --key PUBLIC_KEY" in (folder / "README.txt").read_text("utf-8")
    assert (folder / "log.pub").read_text() == f"{filled.checkpointer.verifier_key}\n"


def test_empty_log_exports_and_verifies(desk):
    """Nothing logged is a statement too."""
    assert verify_export(export(desk), desk.checkpointer.verifier_key).size == 0


@pytest.mark.parametrize(
    ("statement", "kind", "index"),
    [
        ("UPDATE audit_leaf SET body = replace(body, 'P06', 'P07') WHERE leaf_index = 5", "changed", 5),
        ("UPDATE audit_leaf SET body = 7 WHERE leaf_index = 5", "changed", 5),
        ("UPDATE audit_leaf SET body = zeroblob(70000) WHERE leaf_index = 5", "changed", 5),
        ("UPDATE audit_leaf SET body = '' WHERE leaf_index = 5", "removed", 5),
        ("UPDATE audit_leaf SET leaf_hash = 'x' WHERE leaf_index = 5", "tile", None),
        ("DELETE FROM audit_leaf WHERE leaf_index = 0", "removed", 0),
        ("DELETE FROM audit_leaf WHERE leaf_index = 5", "removed", 5),
        ("DELETE FROM audit_leaf WHERE leaf_index > 9", "truncated", 10),
        ("UPDATE audit_head SET peaks = x'00'", None, None),
        ("UPDATE audit_checkpoint SET note = x'ff' WHERE size = 3", "checkpoint", None),
    ],
)
def test_change_in_the_store_is_exported_and_found(filled, statement, kind, index):
    """What was changed behind the log's back is still exported, and the verifier names it."""
    filled.unguarded(statement)
    folder = export(filled)
    if kind is None:
        assert verify_export(folder, filled.checkpointer.verifier_key).size == 12
    else:
        failure = failure_of(folder, filled.checkpointer.verifier_key)
        assert (failure.kind, failure.index) == (kind, index)


def test_stored_subtrees_narrow_a_change_of_entry_and_hash(desk):
    """Higher tiles are exported as they are stored, and not made anew from what may have been changed."""
    desk.fill(600)
    desk.log.settle()
    desk.unguarded("UPDATE audit_leaf SET body = x'7b7d', leaf_hash = zeroblob(31) || x'01' WHERE leaf_index = 300")
    failure = failure_of(export(desk), desk.checkpointer.verifier_key)
    assert (failure.kind, failure.index, failure.within) == ("changed", 300, (256, 511))
    desk.unguarded("DELETE FROM audit_subtree WHERE level = 1 AND position = 1")
    assert failure_of(export(desk, "again"), desk.checkpointer.verifier_key).index is not None


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
    assert failure_of(summary.folder, desk.checkpointer.verifier_key).index == 1


def test_log_that_was_never_signed_and_does_not_fit_is_not_exported(desk):
    """Without any checkpoint there is nothing to prove."""
    desk.fill(3)
    desk.sequencer.advance()
    desk.unguarded("DELETE FROM audit_leaf WHERE leaf_index = 2")
    with pytest.raises(IntegrityFailed):
        desk.log.export(desk.folder / "export")


def test_pruned_entries_are_exported_empty_and_told_by_a_later_one(filled):
    """Their hashes prove the rest; without the entry that says so they count as removed."""
    filled.unguarded("UPDATE audit_leaf SET body = x'' WHERE leaf_index < 4")
    assert failure_of(export(filled), filled.checkpointer.verifier_key).kind == "removed"


def test_cosignatures_are_exported_under_their_checkpoints(filled, clock, tmp_path):
    """Those of the last one and of earlier ones, so that a policy can be met offline."""
    witness = create_signing_key(tmp_path / "witness.key", "witness.example", algorithm=COSIGNATURE)
    rows = filled.rows("SELECT size, note FROM audit_checkpoint ORDER BY size")
    texts = {size: bytes(note).decode().partition("\n\n")[0] + "\n" for size, note in rows}
    last = filled.log.settle()
    texts[last.size] = last.note.decode().partition("\n\n")[0] + "\n"
    with filled.database.write() as connection:
        for size, text in texts.items():
            row = {"origin_no": 1, "size": size, "kind": AnchorKind.WITNESS.value, "name": "w", "at": clock.now()}
            connection.execute(insert(anchor), row | {"token": cosign(text, witness, clock.now())})
    folder = export(filled)
    policy = Policy.parse(f"witness w {witness.verifier_key}\nquorum w\n".encode())
    report = verify_export(folder, filled.checkpointer.verifier_key, policy=policy)
    assert report.witnesses == ("witness.example",)
    assert (folder / "checkpoints.ndjson").read_text().count("witness.example") == 2


def test_earlier_origins_are_exported_beside_the_current_one(filled, clock):
    """Each as a log of its own, under the last checkpoint that was stored for it."""
    rows = filled.rows("SELECT leaf_index, entry_id, body, leaf_hash FROM audit_leaf ORDER BY leaf_index")
    second = sign_checkpoint(4, _root_of(filled, 4, base=8), filled.signer)
    with filled.database.write() as connection:
        row = {"origin_no": 2, "name": "log.example/2", "base": 8, "entry_id": rows[8][1], "at": clock.now()}
        connection.execute(insert(origin), row)
        connection.execute(insert(head), {"id": 2, "size": 4, "peaks": bytes(32), "at": clock.now()})
    summary = export_log(filled.database, second, filled.checkpointer.verifier_key, filled.folder / "both")
    assert summary.earlier_origins == 1
    assert verify_export(summary.folder, filled.checkpointer.verifier_key).size == 4
    assert verify_export(summary.folder / "earlier/1", filled.checkpointer.verifier_key).size in SIZES


def _root_of(desk, size, base):
    with desk.database.read() as connection:
        return StoredTree(connection, Origin(2, base)).root(size)


def test_proof_of_one_entry_verifies_offline(filled):
    """The text that leaves the house, against the bytes that were logged."""
    signed = filled.log.settle()
    with filled.database.read() as connection:
        entry_id = connection.scalars(leaf.select().with_only_columns(leaf.c.entry_id)).all()[5]
        proven = prove_entry(connection, entry_id, signed)
    key = filled.checkpointer.verifier_key
    told = verify_proof(proven.proof.encode(), proven.entry, [key])
    assert (told.index, told.size, told.entry_id, told.origin) == (proven.index, 12, entry_id, key.name)
    with pytest.raises(VerificationError):
        verify_proof(proven.proof.encode(), proven.entry + b" ", [key])


def test_proof_files_are_their_owners_alone(filled):
    """A proof that is written again takes the place of the earlier one, whoever could read that."""
    (entry,) = filled.fill(1)
    signed = filled.log.settle()
    with filled.database.read() as connection:
        proven = prove_entry(connection, entry, signed)
    folder = filled.folder / "proofs"
    paths = write_proof_files(folder, proven)
    paths[0].chmod(0o644)
    assert write_proof_files(folder, proven) == paths
    assert [path.read_bytes() for path in paths] == [proven.entry, proven.proof.encode()]
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, *paths)] == ["0o700", "0o600", "0o600"]
    with pytest.raises(Unavailable, match="cannot be written"):
        write_proof_files(Path("/proc/proofs"), proven)


def test_proof_of_what_is_not_under_the_checkpoint_is_refused(filled):
    """Unknown, and too new."""
    signed = filled.log.settle()
    (newer,) = filled.fill(1)
    filled.log.settle()
    with filled.database.read() as connection:
        with pytest.raises(NotFound):
            prove_entry(connection, "ent_none", signed)
        with pytest.raises(BadInput, match="not under the checkpoint"):
            prove_entry(connection, newer, signed)


def test_export_into_a_used_folder_is_refused(desk):
    """Two exports never mix."""
    folder = desk.folder / "export"
    desk.log.export(folder)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(BadInput, match="not empty"):
        desk.log.export(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_export_that_cannot_be_written_says_so(desk):
    """A file in the folder's place, no folder to make it in, or one that nobody may write to."""
    (desk.folder / "taken").write_text("x")
    for path, said in (("taken", "not empty"), ("taken/export", "no folder"), ("no/such/folder", "no/such")):
        with pytest.raises(BadInput, match=said):
            desk.log.export(desk.folder / path)
    assert not (desk.folder / "no").exists()
    with pytest.raises(Unavailable, match="cannot be written"):
        desk.log.export(Path("/proc/export"))


def test_export_holds_no_subject_id(desk, subject):
    """What leaves for the auditor names nobody."""
    desk.record(desk.permit(subject, cohort=(subject,), details={"reason": "canary-words"}))
    folder = export(desk)
    content = b"".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())
    assert b"gate.permit" in content
    assert subject.encode() not in content
    assert b"canary-words" not in content


def test_checkpoint_is_the_last_file_that_is_written(filled):
    """A folder without it is no export."""
    folder = export(filled)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert times[folder / "checkpoint"] == max(times.values())


@pytest.fixture
def flushed(monkeypatch):
    """Paths in the order in which they were flushed; ``each`` is called beforehand with the path."""

    class Flushed(list):
        each = staticmethod(lambda path: None)

    paths, fsync = Flushed(), os.fsync

    def flush(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        paths.append(path)
        paths.each(path)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    return paths


@pytest.mark.parametrize("engine", ["sqlite_url", "pg_url"])
def test_writers_commit_while_a_slow_export_goes_on(open_desk, request, engine, flushed, monkeypatch):
    """No file is written within a read transaction: another process commits between any two of them."""
    monkeypatch.setattr(exporting, "_WINDOW", 256)
    url = request.getfixturevalue(engine)
    desk, other = open_desk(url), open_desk(url)
    for _ in range(3):
        desk.fill(200)
        signed = desk.log.settle()
    flushed.each = lambda path: other.fill(1) if path.is_file() else None
    folder = desk.folder / "export"
    summary = export_log(desk.database, signed, desk.checkpointer.verifier_key, folder)
    flushed.each = lambda path: None
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert summary.earlier_checkpoints == 2
    assert verify_export(folder, desk.checkpointer.verifier_key).size == 600
    assert desk.log.settle().size == 600 + len(files)


def test_history_of_many_windows_is_whole(filled, clock, tmp_path, monkeypatch):
    """Each earlier note stands once, also where a window ends with it."""
    monkeypatch.setattr(exporting, "_WINDOW", 2)
    for _ in range(4):
        filled.fill(1)
        filled.log.settle()
    report = verify_export(export(filled), filled.checkpointer.verifier_key, check_entries=True)
    assert (report.size, report.checkpoints) == (16, 7)


def test_log_that_is_pruned_during_an_export_is_exported_anew(filled, clock, flushed):
    """Entries without bytes that no exported entry tells of would count as removed: there is no checkpoint."""

    def prune_once(path):
        flushed.each = lambda path: None
        with filled.database.write() as connection:
            connection.execute(insert(prune), {"below": 3, "entry_id": "ent_x", "at": clock.now()})

    signed = filled.log.settle()
    flushed.each = prune_once
    folder = filled.folder / "export"
    with pytest.raises(Conflict, match="pruned while it was read"):
        export_log(filled.database, signed, filled.checkpointer.verifier_key, folder)
    assert not (folder / "checkpoint").exists()


def test_everything_is_flushed_before_the_checkpoint(filled, flushed):
    """A checkpoint that survives a loss of power stands beside every file and name that it covers."""
    folder = export(filled)
    before = flushed[: flushed.index(folder / "checkpoint")]
    below = [path for path in folder.rglob("*") if path.name != "checkpoint"]
    assert set(below) | {folder, folder.parent} <= set(before)
    assert flushed.index(folder / "checkpoint") < len(flushed) - 1 - flushed[::-1].index(folder)


def test_export_is_its_owners_alone(filled):
    """Entries name who did what: no other account of the machine reads them."""
    mask = os.umask(0o022)
    try:
        folder = export(filled)
    finally:
        os.umask(mask)
    modes = {path.relative_to(folder): path.stat().st_mode & 0o777 for path in [folder, *folder.rglob("*")]}
    assert {path: oct(mode) for path, mode in modes.items() if mode not in (0o700, 0o600)} == {}


def test_export_under_a_head_before_a_rotation_verifies(filled):
    """Later hand-overs are left out, and the key beside it is the one that was in charge there."""
    heads, keys = [filled.log.settle()], [filled.checkpointer.verifier_key]
    for _ in range(2):
        filled.fill(1)
        filled.sequencer.advance()
        _signer(filled).sign_head()
        note = rotate_signing_key(filled.folder / "signing.key", filled.state_path)
        _, following, size = handover_keys(note)
        with filled.database.write() as connection:
            connection.execute(insert(handover), {"origin_no": 1, "size": size, "note": note})
        filled.fill(1)
        filled.sequencer.advance()
        heads.append(_signer(filled).sign_head())
        keys.append(following)
    for number, (head_then, key_then) in enumerate(zip(heads, keys, strict=True)):
        folder = filled.folder / str(number)
        export_log(filled.database, head_then, keys[-1], folder)
        assert (folder / "log.pub").read_text() == f"{key_then}\n"
        for key in keys[: number + 1]:
            assert verify_export(folder, key).size == head_then.size


def test_damaged_later_hand_over_keeps_no_evidence_in(filled):
    """What lies beyond the exported head is neither needed nor a reason to export nothing."""
    key = filled.checkpointer.verifier_key
    with filled.database.write() as connection:
        connection.execute(insert(handover), {"origin_no": 1, "size": 99, "note": b"no hand-over"})
    folder = export(filled)
    assert verify_export(folder, key).size == 12
    assert (folder / "log.pub").read_text() == f"{key}\n"


def _signer(desk):
    signer = load_tree_signer(desk.folder / "signing.key", desk.state_path)
    return Checkpointer(desk.database, signer)
