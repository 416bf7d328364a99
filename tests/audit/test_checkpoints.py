"""What the signer signs, remembers and refuses."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from audit import checkpoints, state
from audit.checkpoints import Checkpointer
from audit.signer import TreeSigner
from audit.signing import NoteSigner
from audit.state import SLOT_BYTES
from audit.tables import checkpoint
from audit.verifier import EMPTY_ROOT, CompactRange, leaf_hash, open_checkpoint, verify_export
from kernel.errors import IntegrityFailed, Unavailable


def stored_sizes(desk):
    return [row[0] for row in desk.rows("SELECT size FROM audit_checkpoint ORDER BY size")]


def resealed(content, **members):
    """The newest slot with other members, under a digest that fits."""
    slots = [content[:SLOT_BYTES], content[SLOT_BYTES:]]
    text = next(slot for slot in slots if slot.strip(b"\0")).rstrip(b"\0").split(b" ", 1)[1]
    changed = json.dumps(json.loads(text) | members).encode()
    return (hashlib.sha256(changed).hexdigest().encode() + b" " + changed + b"\n").ljust(SLOT_BYTES, b"\0")


def data_file(desk):
    return Path(desk.database.engine.url.database)


@pytest.fixture
def rolled_back(desk):
    """A store of five signed entries that was put back to its three first."""
    desk.fill(3)
    desk.log.settle()
    shutil.copy(data_file(desk), desk.folder / "old.db")
    desk.fill(2)
    desk.log.settle()
    desk.database.dispose()
    shutil.copy(desk.folder / "old.db", data_file(desk))
    return desk


def test_checkpoint_is_the_signed_root_of_the_committed_entries(any_desk):
    """Origin, size and root under the log's key."""
    any_desk.fill(5)
    signed = any_desk.log.settle()
    tree = CompactRange()
    for (body,) in any_desk.rows("SELECT body FROM audit_leaf ORDER BY leaf_index"):
        tree.append(leaf_hash(bytes(body)))
    assert (signed.origin, signed.size, signed.root) == (any_desk.signer.name, 5, tree.root())
    assert open_checkpoint(signed.note, any_desk.checkpointer.verifier_key) == signed


def test_empty_log_has_a_checkpoint(desk):
    """A log that begins can prove that it is empty."""
    signed = desk.log.settle()
    assert (signed.size, signed.root) == (0, EMPTY_ROOT)


def test_open_and_rolled_back_transactions_are_never_signed_for(any_desk):
    """The signer sees what is committed, and nothing that may still vanish."""
    any_desk.fill(1)
    any_desk.log.settle()
    any_desk.fill(2)

    def append_and_fail():
        with any_desk.database.write() as connection:
            assert len(any_desk.sequencer.append(connection).hashes) == 2
            assert any_desk.checkpointer.sign_head().size == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        append_and_fail()
    assert any_desk.checkpointer.sign_head().size == 1
    assert any_desk.log.settle().size == 3


def test_unchanged_head_is_not_signed_again(desk):
    """Settling a settled log writes nothing."""
    desk.fill(1)
    first = desk.log.settle()
    before = desk.state_path.stat().st_mtime_ns, data_file(desk).stat().st_mtime_ns
    assert desk.log.settle() == first
    assert (desk.state_path.stat().st_mtime_ns, data_file(desk).stat().st_mtime_ns) == before


def test_every_checkpoint_ends_up_in_the_store(any_desk):
    """Each rides along with the next batch; the newest stands in the state."""
    for _ in range(4):
        any_desk.fill(1)
        any_desk.log.settle()
    assert stored_sizes(any_desk) == [1, 2, 3]


def test_checkpoint_is_kept_even_when_another_sequenced_without_it(desk):
    """A head that was appended without the ride makes the signer write the last checkpoint itself."""
    desk.fill(1)
    desk.log.settle()
    desk.fill(1)
    desk.sequencer.advance()
    desk.checkpointer.sign_head()
    assert stored_sizes(desk) == [1]


def test_state_reaches_the_disk_before_the_checkpoint_is_handed_out(desk, monkeypatch):
    """One write and one flush a signature; the first one flushes the folder too."""
    desk.fill(1)
    desk.sequencer.advance()
    steps = []
    fsync, pwrite = os.fsync, os.pwrite
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "pwrite", lambda *given: (steps.append("write"), pwrite(*given)))
    desk.checkpointer.sign_head()
    assert steps == ["write", "fsync", "fsync"]
    desk.fill(1)
    desk.sequencer.advance()
    steps.clear()
    desk.checkpointer.sign_head()
    assert steps == ["write", "fsync"]


def test_torn_slot_leaves_the_other_one(desk):
    """Power lost in the middle of a write costs the last signature, not the memory."""
    for _ in range(3):
        desk.fill(1)
        last = desk.log.settle()
    content = bytearray(desk.state_path.read_bytes())
    newest = content.rindex(b"\\n3\\n")
    content[newest : newest + 200] = bytes(200)
    desk.state_path.write_bytes(content)
    remembered = desk.checkpointer.last_signed()
    assert remembered.size == 2
    assert desk.log.settle() == last


def test_state_of_the_first_format_is_read_and_followed_by_slots(desk):
    """A deployment that was made before keeps its memory."""
    desk.fill(2)
    signed = desk.log.settle()
    peaks = desk.checkpointer.signer.head().peaks
    first = {"v": 1, "note": signed.note.decode(), "peaks": [base64.b64encode(peak).decode() for peak in peaks]}
    desk.state_path.write_text(json.dumps(first))
    assert desk.checkpointer.last_signed() == signed
    for size in (3, 4, 5):
        desk.fill(1)
        assert desk.log.settle().size == size
        assert desk.checkpointer.last_signed().size == size


def test_state_that_cannot_be_written_hands_out_nothing(desk, monkeypatch):
    """A full disk leaves the old state, and the next attempt succeeds."""
    desk.fill(1)
    first = desk.log.settle()
    desk.fill(1)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(state.os, "fsync", full)
        with pytest.raises(Unavailable, match="No space"):
            desk.log.settle()
    assert desk.checkpointer.last_signed() == first
    assert desk.log.settle().size == 2


def test_head_behind_the_state_is_refused(rolled_back):
    """A store that was rolled back is an alarm, and stays one."""
    for _ in range(2):
        with pytest.raises(IntegrityFailed, match="holds 3 entries, but 5 were signed"):
            rolled_back.checkpointer.sign_head()


def test_head_that_grew_on_after_a_rollback_is_refused(rolled_back):
    """Filling up to the same size and beyond does not make it the same log."""
    rolled_back.fill(2)
    rolled_back.sequencer.advance()
    with pytest.raises(IntegrityFailed, match="not the one that was signed"):
        rolled_back.checkpointer.sign_head()
    rolled_back.fill(4)
    rolled_back.sequencer.advance()
    with pytest.raises(IntegrityFailed, match="not the one that was signed"):
        rolled_back.checkpointer.sign_head()


def test_new_leaf_that_was_changed_before_signing_is_refused(desk):
    """The signer hashes the bytes itself; a hash column does not convince it."""
    desk.fill(2)
    desk.sequencer.advance()
    desk.unguarded("UPDATE audit_leaf SET body = x'7b7d' WHERE leaf_index = 1")
    with pytest.raises(IntegrityFailed):
        desk.checkpointer.sign_head()


def test_lost_state_is_an_alarm(desk):
    """A signer without memory signs nothing; an older copy of the memory is enough to go on."""
    desk.fill(1)
    desk.log.settle()
    old = desk.state_path.read_bytes()
    for _ in range(3):
        desk.fill(1)
        desk.log.settle()
    desk.state_path.unlink()
    with pytest.raises(IntegrityFailed, match="missing"):
        desk.checkpointer.sign_head()
    desk.state_path.write_bytes(old)
    assert desk.log.settle().size == 4


def test_old_state_beside_a_rewritten_log_is_refused(desk):
    """What was signed after the old state still binds, through the stored checkpoints."""
    desk.fill(1)
    desk.log.settle()
    old = desk.state_path.read_bytes()
    shutil.copy(data_file(desk), desk.folder / "old.db")
    for _ in range(2):
        desk.fill(2)
        desk.log.settle()
    (note,) = desk.rows("SELECT size, hex(root), hex(note) FROM audit_checkpoint WHERE size = 3")
    desk.database.dispose()
    shutil.copy(desk.folder / "old.db", data_file(desk))
    desk.state_path.write_bytes(old)
    insert_row = f"INSERT INTO audit_checkpoint VALUES (1, {note[0]}, x'{note[1]}', x'{note[2]}')"
    desk.unguarded(insert_row)
    with pytest.raises(IntegrityFailed, match="3 were signed"):
        desk.checkpointer.sign_head()
    desk.fill(2)
    desk.sequencer.advance()
    with pytest.raises(IntegrityFailed, match="below 3 entries"):
        desk.checkpointer.sign_head()


def test_stored_checkpoint_with_a_foreign_signature_is_refused(desk):
    """A row that only claims to be signed is no evidence."""
    desk.fill(1)
    desk.log.settle()
    desk.unguarded("INSERT INTO audit_checkpoint VALUES (1, 9, x'00', x'00')")
    with pytest.raises(IntegrityFailed, match="not signed"):
        desk.checkpointer.sign_head()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content.replace(b'"v": 2', b'"v": 3'),
        lambda content: content.replace(b"\\n1\\n", b"\\n2\\n"),
        lambda content: resealed(content, peaks=[]),
        lambda content: resealed(content, peaks=["AAAA"]),
        lambda content: resealed(content, peaks=["A" * 43 + "="]),
        lambda content: resealed(content, peaks=7),
        lambda content: resealed(content, note=7),
        lambda content: resealed(content, note="no note"),
        lambda content: b"[]",
        lambda content: b'{"v": 1}',
        lambda content: b'{"v": 1, "note": 1, "peaks": []}',
        lambda content: b"[" * 100_000,
    ],
)
def test_damaged_state_is_refused(desk, damage):
    """A memory that does not verify is no memory."""
    desk.fill(1)
    desk.log.settle()
    desk.state_path.write_bytes(damage(desk.state_path.read_bytes()))
    with pytest.raises(IntegrityFailed, match="damaged"):
        desk.checkpointer.sign_head()


def test_state_of_another_key_is_refused(desk):
    """A new key begins a new log; it does not take an old one over."""
    desk.fill(1)
    desk.log.settle()
    other = Checkpointer(desk.database, TreeSigner(NoteSigner(desk.signer.name, b"\x07" * 32), desk.state_path))
    with pytest.raises(IntegrityFailed):
        other.sign_head()


def test_state_that_cannot_be_read_is_unavailable(desk):
    """A folder in the state's place is a fault of the machine, not of the log."""
    desk.state_path.mkdir()
    with pytest.raises(Unavailable):
        desk.checkpointer.sign_head()


def test_missing_state_folder_is_unavailable(desk):
    """Nothing is signed where nothing can be remembered."""
    checkpointer = Checkpointer(desk.database, TreeSigner(desk.signer, desk.folder / "none" / "state"))
    with pytest.raises(Unavailable):
        checkpointer.sign_head()


def test_signer_that_another_holds_is_unavailable(desk, monkeypatch):
    """A holder that hangs does not hang the others."""
    monkeypatch.setattr(state, "LOCK_TIMEOUT_S", 0.05)
    with state.locked(desk.state_path), pytest.raises(Unavailable, match="holds the signer"):
        desk.checkpointer.sign_head()
    assert desk.checkpointer.sign_head().size == 0


def test_threads_settle_one_log(any_desk):
    """Several at once: each gets a checkpoint over its own entry, and all agree."""
    results, failures = [], []

    def work():
        try:
            for _ in range(5):
                any_desk.fill(1)
                results.append(any_desk.log.settle())
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert any_desk.log.settle().size == 20
    roots = {}
    assert all(roots.setdefault(signed.size, signed.root) == signed.root for signed in results)


WORKER = """
import sys
from pathlib import Path
from audit.checkpoints import Checkpointer
from audit.events import Act, Event, Outcome
from audit.journal import Journal
from audit.log import AuditLog
from audit.sequencer import Sequencer
from audit.rotation import load_tree_signer
from kernel.clock import SystemClock
from kernel.database import open_database
from kernel.ids import RequestId
folder = Path(sys.argv[1])
database = open_database(f"sqlite:///{folder / 'data.db'}", label="data store")
checkpointer = Checkpointer(database, load_tree_signer(folder / "signing.key", folder / "signer.state"))
log = AuditLog(database, Journal(SystemClock(), None), Sequencer(database), checkpointer)
for number in range(15):
    with database.write() as connection:
        entry = log.record(connection, Event(Act.VIEW_READ, Outcome.DONE, "prn_1", "operator", RequestId("req_1")))
    signed = log.settle()
    with database.read() as connection:
        (index,) = connection.exec_driver_sql("SELECT leaf_index FROM audit_leaf WHERE entry_id = ?", (entry,)).one()
    assert index < signed.size
"""


def test_processes_share_one_folder(desk):
    """A server and a command line at once: no fork, nothing lost, and the export proves it."""
    desk.log.settle()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(desk.folder)], stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        for _ in range(2)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors.decode()
    summary = desk.log.export(desk.folder / "export")
    assert verify_export(summary.folder, desk.checkpointer.verifier_key).size == 30


@pytest.fixture
def counted(monkeypatch):
    """How many entries were hashed from the store."""
    sizes = []
    monkeypatch.setattr(checkpoints, "leaf_hash", lambda body: (sizes.append(len(body)), leaf_hash(body))[1])
    return sizes


def test_signer_that_is_far_behind_catches_up_in_one_call(any_desk, counted, monkeypatch):
    """Each entry is read once to check all of them and once more to be signed, in however many steps."""
    monkeypatch.setattr(checkpoints, "HASHES_MAX", 3)
    monkeypatch.setattr(checkpoints, "_ATTEMPTS", 1)
    any_desk.fill(1)
    any_desk.log.settle()
    any_desk.fill(100)
    any_desk.sequencer.advance()
    counted.clear()
    signed = any_desk.checkpointer.sign_head()
    assert signed.size == 101
    assert len(counted) == 100 + 97
    assert any_desk.checkpointer.sign_head() == signed
    assert stored_sizes(any_desk) == list(range(1, 101, 3))
    assert verify_export(any_desk.log.export(any_desk.folder / "log").folder, any_desk.checkpointer.verifier_key)


def test_nothing_of_a_damaged_end_is_signed(desk, monkeypatch):
    """All of it is checked before the first step of it is signed."""
    monkeypatch.setattr(checkpoints, "HASHES_MAX", 3)
    desk.fill(1)
    first = desk.log.settle()
    desk.fill(10)
    desk.sequencer.advance()
    desk.unguarded("UPDATE audit_leaf SET body = x'7b7d' WHERE leaf_index = 9")
    with pytest.raises(IntegrityFailed, match="below 11 entries"):
        desk.checkpointer.sign_head()
    assert desk.checkpointer.last_signed() == first


def test_entry_that_is_changed_between_check_and_signature_is_refused(desk, counted, monkeypatch):
    """A step is signed only where it still leads to the tree that was checked."""
    monkeypatch.setattr(checkpoints, "HASHES_MAX", 3)
    desk.fill(8)
    desk.sequencer.advance()
    read = checkpoints.leaf_hash

    def change(body):
        if len(counted) == 8:
            desk.unguarded("UPDATE audit_leaf SET body = x'7b7d' WHERE leaf_index = 7")
        return read(body)

    monkeypatch.setattr(checkpoints, "leaf_hash", change)
    with pytest.raises(IntegrityFailed, match="below 8 entries"):
        desk.checkpointer.sign_head()
    assert desk.checkpointer.last_signed().size == 6


def test_check_of_a_long_backlog_keeps_no_writer_waiting(sqlite_url, open_desk, monkeypatch):
    """Another process commits while the unsigned entries are hashed."""
    monkeypatch.setattr(checkpoints, "_READ_SIZE", 4)
    desk, other = open_desk(sqlite_url), open_desk(sqlite_url)
    desk.fill(10)
    desk.sequencer.advance()

    def write(body):
        other.fill(1)
        return leaf_hash(body)

    monkeypatch.setattr(checkpoints, "leaf_hash", write)
    desk.checkpointer.check()
    assert desk.rows("SELECT count(*) FROM audit_inbox") == [(10,)]


def test_store_keeps_each_size_once(desk):
    """The same checkpoint stored twice is one row."""
    desk.fill(1)
    desk.log.settle()
    for _ in range(2):
        with desk.database.write() as connection:
            desk.checkpointer.store_signed(connection)
    with desk.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(checkpoint)) == 1


def test_nothing_signed_is_nothing_to_store(desk):
    """Before the first signature there is no row to write."""
    with desk.database.write() as connection:
        desk.checkpointer.store_signed(connection)
    assert stored_sizes(desk) == []
