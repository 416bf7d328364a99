"""The signer: what it signs, hands over, and says through its socket."""

import grp
import json
import os
import socket
import threading
from contextlib import ExitStack

import pytest

from audit.checkpoints import Checkpointer
from audit.handovers import handover_keys
from audit.log import AuditLog
from audit.notes import checkpoint_text
from audit.rotation import load_tree_signer, rotate_signing_key
from audit.signer import NotAtHead, TreeSigner
from audit.signer_client import RemoteSigner
from audit.signer_service import answer, serve_signer
from audit.signing import NoteSigner, create_signing_key, load_signing_key
from audit.verifier import CompactRange, open_checkpoint
from kernel.errors import BadInput, ConfigurationError, Conflict, Denied, IntegrityFailed, Unavailable
from tests.loopback import start_serving

LEAVES = [bytes([number]) * 32 for number in range(7)]


@pytest.fixture
def tree(desk):
    """A signer with a state of its own."""
    return TreeSigner(desk.signer, desk.folder / "own.state")


@pytest.fixture
def served(tree, tmp_path):
    """The same signer behind a socket."""
    path = tmp_path / "s"
    with serve_signer(tree, path) as server:
        thread = start_serving(server)
        yield path
        server.shutdown()
        thread.join()


def root_of(leaves):
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def test_only_what_extends_the_signed_tree_is_signed(tree):
    """The signer has a tree of its own: leaves that start elsewhere are refused, and nothing is signed twice anew."""
    first = tree.extend(0, LEAVES[:3])
    assert (first.size, first.root) == (3, root_of(LEAVES[:3]))
    for size in (0, 2, 4):
        with pytest.raises(NotAtHead) as refused:
            tree.extend(size, LEAVES[:1])
        assert refused.value.size == 3
    second = tree.extend(3, LEAVES[3:])
    assert (second.size, second.root) == (7, root_of(LEAVES))
    assert tree.extend(7, []) == second


@pytest.mark.parametrize("hashes", [[b"short"], [b"x" * 33], LEAVES * 10_000])
def test_what_is_no_leaf_hash_is_refused(tree, hashes):
    """Bounds are checked before anything is remembered."""
    with pytest.raises(BadInput):
        tree.extend(0, hashes)
    assert tree.head() is None


@pytest.mark.parametrize(
    "message", [b"audit.example/log\n9\nAAAA\n", b"", b"cosignature/v1\n", b"consentry log key handover v1\n"]
)
def test_a_signature_over_a_head_cannot_be_had_as_a_document(tree, message):
    """Documents begin otherwise than heads, cosignatures and hand-overs."""
    with pytest.raises(Denied):
        tree.sign(message)


def test_document_is_signed(tree):
    """Certificates and manifests are."""
    message = b"consentry erasure certificate 1\n{}"
    assert tree.verifier_key.is_signed(message, tree.sign(message))


def test_socket_answers_as_the_signer_itself(tree, served):
    """Head, extension, documents: the same through the process's border."""
    remote = RemoteSigner(served)
    assert (remote.verifier_key, remote.head(), remote.handovers()) == (tree.verifier_key, None, [])
    signed = remote.extend(0, LEAVES)
    assert remote.head() == tree.head()
    assert open_checkpoint(signed.note, tree.verifier_key).root == root_of(LEAVES)
    with pytest.raises(NotAtHead) as refused:
        remote.extend(3, LEAVES)
    assert refused.value.size == 7
    message = b"consentry-manifest/1\n{}"
    assert tree.verifier_key.is_signed(message, remote.sign(message))
    with pytest.raises(Unavailable, match="documents only"):
        remote.sign(checkpoint_text("audit.example/log", 9, bytes(32)))
    remote.close()


def test_log_is_settled_through_the_socket(desk, served):
    """A whole log with its key in another process."""
    remote = RemoteSigner(served)
    log = AuditLog(desk.database, desk.journal, desk.sequencer, Checkpointer(desk.database, remote))
    desk.fill(5)
    assert log.settle().size == 5
    desk.fill(1)
    assert log.settle().size == 6
    remote.close()


def test_signer_that_is_gone_is_unavailable_and_back_when_it_is(tree, tmp_path):
    """A restart between two requests costs nothing; a dead signer opens nothing."""
    path = tmp_path / "s"
    with pytest.raises(Unavailable, match="does not answer"):
        RemoteSigner(path)
    remote = None
    for size in (0, 1):
        with serve_signer(tree, path) as server:
            thread = start_serving(server)
            remote = remote or RemoteSigner(path)
            remote.close()
            assert remote.extend(size, LEAVES[:1]).size == size + 1
            server.shutdown()
            thread.join()
        remote.close()
        with pytest.raises(Unavailable, match="does not answer"):
            remote.head()


@pytest.mark.parametrize(
    "line",
    [b"no json\n", b"[]\n", b"[" * 100_000 + b"\n", b"{}", b'{"do": "extend", "size": -1, "hashes": ""}\n',
     b'{"do": "extend", "size": true, "hashes": ""}\n', b'{"do": "extend", "size": 0, "hashes": "AAAA"}\n',
     b'{"do": "extend", "size": 0, "hashes": 7}\n', b'{"do": "sign", "message": "*"}\n', b'{"do": "key2"}\n'],
)  # fmt: skip
def test_hostile_lines_get_an_error_and_sign_nothing(tree, served, line):
    """Whatever comes through the socket, the signer goes on and its state stays."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(served))
        link.sendall(line)
        link.shutdown(socket.SHUT_WR)
        said = json.loads(link.makefile("rb").readline())
    assert said["error"] == "BadInput"
    assert tree.head() is None


def test_socket_is_for_its_owner_and_a_live_one_is_not_taken(tree, served, tmp_path):
    """Mode 0600; a second signer on the same path, or a file in its place, is refused."""
    assert served.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict), serve_signer(tree, served):
        pass
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigurationError), serve_signer(tree, tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_socket_is_given_to_the_group_that_is_named(tree, tmp_path):
    """Mode 0660 and the platform's group; a group that is unknown, or not the signer's to give, is refused."""
    mine = grp.getgrgid(os.getgid()).gr_name
    others = [one for one in grp.getgrall() if one.gr_gid in {*os.getgroups(), *([1] if os.getuid() == 0 else [])}]
    for name in (mine, *(one.gr_name for one in others[:2])):
        with serve_signer(tree, tmp_path / "s", group=name):
            found = (tmp_path / "s").stat()
            assert (found.st_mode & 0o777, found.st_gid) == (0o660, grp.getgrnam(name).gr_gid)
    with pytest.raises(ConfigurationError, match="no group"), serve_signer(tree, tmp_path / "s", group="no such"):
        pass
    assert not (tmp_path / "s").exists()


def test_group_that_the_signer_may_not_give_the_socket_to_is_refused(tree, tmp_path, monkeypatch):
    """Nobody listens on a socket that the platform cannot reach."""

    def refused(*_asked):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refused)
    mine = grp.getgrgid(os.getgid()).gr_name
    with pytest.raises(ConfigurationError, match="not permitted"), serve_signer(tree, tmp_path / "s", group=mine):
        pass
    assert not (tmp_path / "s").exists()


def test_many_workers_connect_at_once(tree, tmp_path):
    """What waits to be taken is not refused: a hundred connections before the first one is."""
    with serve_signer(tree, tmp_path / "s"), ExitStack() as waiting:
        for _ in range(100):
            link = waiting.enter_context(socket.socket(socket.AF_UNIX))
            link.setblocking(False)
            link.connect(str(tmp_path / "s"))


def test_busy_signer_counts_as_live(tree, tmp_path):
    """A signer whose queue is full is not taken for one that is gone."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, ExitStack() as waiting:
        busy.bind(str(path))
        busy.listen(0)
        link = waiting.enter_context(socket.socket(socket.AF_UNIX))
        link.connect(str(path))
        with pytest.raises(Conflict), serve_signer(tree, path):
            pass
    assert path.exists()


def test_socket_of_a_signer_that_was_killed_is_taken_over(tree, tmp_path):
    """Nobody has to clear up after a kill; a path that cannot be looked at is told."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    with serve_signer(tree, tmp_path / "s"):
        assert (tmp_path / "s").is_socket()
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file" / "s", tmp_path / "none" / "s"):
        with pytest.raises(ConfigurationError, match="cannot listen there"), serve_signer(tree, path):
            pass


def test_socket_that_cannot_be_asked_is_a_configuration_error(tree, tmp_path, monkeypatch):
    """Another account's socket: one line, not a trace."""

    class Closed(socket.socket):
        def connect(self, _address):
            raise PermissionError(13, "Permission denied")

    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "s"))
        monkeypatch.setattr(socket, "socket", Closed)
        with pytest.raises(ConfigurationError, match="Permission denied"), serve_signer(tree, tmp_path / "s"):
            pass


def test_damaged_state_is_told_through_the_socket(tree, served):
    """What the signer finds wrong is an alarm on the platform's side too."""
    tree.extend(0, LEAVES)
    (served.parent / "own.state").write_bytes(b"damaged")
    remote = RemoteSigner(served)
    with pytest.raises(IntegrityFailed, match="refuses"):
        remote.head()
    remote.close()
    assert answer(tree, {"do": "head"})["error"] == "IntegrityFailed"


class _Liar:
    """Answers as it is told."""

    def __init__(self, path, answers):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.answers = answers
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        link, _ = self.listener.accept()
        with link, link.makefile("rwb") as stream:
            for said in self.answers:
                stream.readline()
                stream.write(json.dumps(said).encode() + b"\n")
                stream.flush()


@pytest.mark.parametrize(
    "said",
    [{"note": "AAAA", "peaks": ""}, {"note": "AAAA"}, {"note": 7, "peaks": "", "signature": "AAAA"}, {}],
)
def test_signer_that_lies_is_not_believed(tmp_path, tree, said):
    """Every answer is checked against the key that was named first."""
    key = answer(tree, {"do": "key"})
    path = tmp_path / "liar"
    liar = _Liar(path, [key, said, said, said])
    remote = RemoteSigner(path)
    for ask in (lambda: remote.extend(0, LEAVES), lambda: remote.sign(b"consentry x"), remote.handovers):
        with pytest.raises((IntegrityFailed, BadInput)):
            ask()
    remote.close()
    liar.listener.close()


def test_rotated_key_goes_on_with_the_same_log(desk):
    """Both keys sign the hand-over and the head; the new one signs on, the old one never again."""
    key_path, state = desk.folder / "signing.key", desk.state_path
    desk.fill(3)
    old = desk.log.settle()
    note = rotate_signing_key(key_path, state)
    before, after, size = handover_keys(note)
    fresh = load_tree_signer(key_path, state)
    assert (before, after, size) == (desk.checkpointer.verifier_key, fresh.verifier_key, 3)
    head = fresh.head()
    assert (
        open_checkpoint(head.checkpoint.note, before).root
        == open_checkpoint(head.checkpoint.note, after).root
        == old.root
    )
    with pytest.raises(Unavailable, match="handed over"):
        desk.log.settle()
    log = AuditLog(desk.database, desk.journal, desk.sequencer, Checkpointer(desk.database, fresh))
    desk.fill(2)
    assert log.settle().size == 5
    rotate_signing_key(key_path, state)
    assert len(load_tree_signer(key_path, state).handovers()) == 2


def test_key_hands_over_once_at_each_size(desk):
    """The log keeps one hand-over for each size: a second one waits until the first is written into the log."""
    key_path, state = desk.folder / "signing.key", desk.state_path
    desk.fill(1)
    desk.log.settle()
    rotate_signing_key(key_path, state)
    with pytest.raises(Conflict, match="has not grown"):
        rotate_signing_key(key_path, state)
    fresh = load_tree_signer(key_path, state)
    assert [handover_keys(note)[1] for note in fresh.handovers()] == [fresh.verifier_key]
    desk.fill(1)
    AuditLog(desk.database, desk.journal, desk.sequencer, Checkpointer(desk.database, fresh)).settle()
    rotate_signing_key(key_path, state)
    assert [handover_keys(note)[2] for note in load_tree_signer(key_path, state).handovers()] == [1, 2]


def test_interrupted_rotation_is_finished(desk):
    """Killed after the hand-over, before the new file took the old one's place."""
    desk.fill(1)
    desk.log.settle()
    key_path = desk.folder / "signing.key"
    following = create_signing_key(desk.folder / "signing.key.next", desk.signer.name)
    TreeSigner(desk.signer, desk.state_path).hand_over(following)
    signer = load_tree_signer(key_path, desk.state_path)
    assert signer.public_key == following.public_key == load_signing_key(key_path).public_key
    assert signer.head().checkpoint.size == 1
    assert not (desk.folder / "signing.key.next").exists()


def test_hand_over_needs_another_key_of_the_same_name_and_a_signature(desk):
    """Nothing to hand over, another log's key, the same key: refused."""
    signer = TreeSigner(desk.signer, desk.state_path)
    for following in (desk.signer, NoteSigner("other.example/log", b"\x05" * 32)):
        with pytest.raises(BadInput):
            signer.hand_over(following)
    with pytest.raises(Conflict):
        signer.hand_over(NoteSigner(desk.signer.name, b"\x05" * 32))


@pytest.mark.parametrize("content", [b"no json\n", b"7\n", b'"no note"\n'])
def test_damaged_handovers_are_an_alarm(desk, content):
    """A signer that cannot tell whose turn it is signs nothing."""
    desk.fill(1)
    desk.state_path.with_name("signer.state.handovers").write_bytes(content)
    with pytest.raises(IntegrityFailed):
        desk.log.settle()
