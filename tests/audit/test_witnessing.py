"""Asking a witness: what its answers mean, whoever it is."""

from datetime import UTC, datetime

import pytest

from audit.cosignatures import cosign
from audit.notes import checkpoint_text, sign_note
from audit.signing import NoteSigner
from audit.verifier.notes import COSIGNATURE, open_cosignatures
from audit.verifier.policy import PolicyWitness
from audit.witness import LogUnknown, ProofRefused, SignatureMissing, SizeConflict, Witness
from audit.witness_state import open_witness_state
from audit.witnessing import HeadBehindWitness, Reply, Stand, ask_witness, check_statements
from kernel.errors import Unavailable
from tests.audit.memory_log import MemoryLog

LOG = NoteSigner("log.example/audit", b"l" * 32)
KEY = NoteSigner("w.example/1", b"w" * 32, algorithm=COSIGNATURE)
OTHER = NoteSigner("w.example/2", b"o" * 32, algorithm=COSIGNATURE)
NAMED = PolicyWitness("w1", KEY.key, "https://w.example/prefix/")
AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
HONEST = MemoryLog(LOG, 20)
HEAD = HONEST.checkpoint(20)


class Scripted:
    """Answers in turn, and keeps what was asked."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    def __call__(self, url, content, content_type):
        self.asked.append((url, content.split(b"\n")[0], content_type))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def ask(post, *, last=0, head=HEAD, log=HONEST, witness=NAMED):
    return ask_witness(witness, head, last=last, prove=lambda old: log.proof(old, head.size), post=post)


def lines(*signers, text=None, at=AT):
    text = text or HEAD.note.decode().partition("\n\n")[0] + "\n"
    return b"".join(cosign(text, signer, at) for signer in signers)


@pytest.fixture
def honest_post(tmp_path, clock):
    """A real witness, without the network between."""
    statuses = {SizeConflict: 409, ProofRefused: 422, SignatureMissing: 403, LogUnknown: 404}
    with open_witness_state(tmp_path / "state", is_new=True) as state:
        witness = Witness(KEY, [LOG.key], state, clock)

        def post(_url, content, _type):
            try:
                return Reply(200, witness.add_checkpoint(content))
            except tuple(statuses) as err:
                return Reply(statuses[type(err)], f"{getattr(err, 'size', '')}\n".encode())

        yield post


def test_cosignature_of_an_honest_witness_verifies(honest_post):
    """First, grown, and unchanged; the size that it cosigned last is found out where it is not known."""
    for size, last in ((7, 0), (20, 7), (20, 20), (20, 3)):
        head = HONEST.checkpoint(size)
        said = ask(honest_post, head=head, last=last)
        assert said.stand is Stand.COSIGNED
        assert set(open_cosignatures(head.note + said.line, [KEY.key])) == {KEY.key}
        check_statements(head, [said])


def test_submission_goes_below_the_prefix_with_the_last_known_size():
    """POST prefix/add-checkpoint."""
    post = Scripted(Reply(200, lines(KEY)))
    ask(post, last=7)
    assert post.asked == [("https://w.example/prefix/add-checkpoint", b"old 7", "text/plain; charset=utf-8")]


def test_head_behind_the_witness_is_an_alarm(honest_post):
    """The store was restored from a backup: the witness remembers more."""
    ask(honest_post)
    restored = HONEST.checkpoint(7)
    for last in (0, 7, 20):
        said = ask(honest_post, head=restored, last=last)
        assert (said.stand, said.size) == (Stand.AHEAD, 20)
    with pytest.raises(HeadBehindWitness, match="7 entries, but witness 'w1' cosigned 20"):
        check_statements(restored, [said])


@pytest.mark.parametrize("last", [0, 7])
def test_other_root_at_the_witness_s_size_is_an_alarm(honest_post, last):
    """Another history of the same length."""
    ask(honest_post, head=HONEST.checkpoint(7))
    forged = MemoryLog(LOG, 7, history="b")
    said = ask(honest_post, head=forged.checkpoint(7), log=forged, last=last)
    assert said.stand is Stand.CONTRADICTS
    with pytest.raises(HeadBehindWitness, match="not the history"):
        check_statements(forged.checkpoint(7), [said])


@pytest.mark.parametrize("last", [0, 7])
def test_history_that_went_another_way_and_on_is_an_alarm(honest_post, last):
    """Restored, and grown beyond what the witness knows: the proof cannot lead from its root."""
    ask(honest_post, head=HONEST.checkpoint(7))
    forged = MemoryLog(LOG, 20, history="b")
    said = ask(honest_post, head=forged.checkpoint(20), log=forged, last=last)
    assert said.stand is Stand.CONTRADICTS


def test_witness_that_does_not_know_the_log_is_named(honest_post):
    """404 and 403 say what its operator must do."""
    foreign = MemoryLog(NoteSigner("other.example", b"x" * 32), 3)
    assert "404" in ask(honest_post, head=foreign.checkpoint(3), log=foreign).problem
    unknown = MemoryLog(NoteSigner(LOG.name, b"x" * 32), 3)
    assert "403" in ask(honest_post, head=unknown.checkpoint(3), log=unknown).problem


def test_unreachable_witness_is_named():
    """No answer is no cosignature and no alarm."""
    said = ask(Scripted(Unavailable("did not answer (ConnectError)")))
    assert (said.stand, said.problem) == (Stand.FAILED, "did not answer (ConnectError)")
    assert "no URL" in ask(Scripted(), witness=PolicyWitness("w1", KEY.key)).problem
    check_statements(HEAD, [said])


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b""),
        Reply(200, b"hello\n"),
        Reply(200, b"\xff\n"),
        Reply(200, lines(OTHER)),
        Reply(200, lines(KEY)[:-1]),
        Reply(200, lines(KEY) + b"trailing"),
        Reply(200, lines(KEY).replace(b"w.example/1", b"w.example/3")),
        Reply(200, lines(KEY, text=HONEST.checkpoint(19).note.decode().partition("\n\n")[0] + "\n")),
        Reply(200, lines(KEY) + lines(KEY, text="other\n1\nAAAA\n")),
        Reply(409, b""),
        Reply(409, b"x\n"),
        Reply(409, b"5"),
        Reply(409, b"05\n"),
        Reply(409, b"5\n5\n"),
        Reply(500, b""),
        Reply(301, b""),
        Reply(413, b""),
    ],
)
def test_answers_that_are_none_are_failures(reply):
    """Malformed, over another checkpoint, by another key, one bad beside a good one: nothing of it is kept."""
    said = ask(Scripted(reply))
    assert (said.stand, said.line) == (Stand.FAILED, b"")
    assert said.problem
    check_statements(HEAD, [said])


def test_answer_cannot_change_what_is_cosigned():
    """Lines that smuggle another text into the note are not read as a cosignature of ours."""
    smuggled = HEAD.note.decode() + "\nother\n"
    answer = b"\nother\n\n" + lines(KEY, text=smuggled + "")
    assert open_cosignatures(HEAD.note + answer, [KEY.key])
    assert ask(Scripted(Reply(200, answer))).stand is Stand.FAILED


def test_other_lines_of_the_answer_are_ignored_and_the_newest_of_ours_is_kept():
    """A witness may answer for several keys, and twice for one."""
    newer = lines(KEY, at=AT.replace(year=2027))
    said = ask(Scripted(Reply(200, lines(OTHER, KEY) + newer)))
    assert said.line == newer


def test_witness_that_names_one_size_after_the_other_is_given_up():
    """Two questions at most."""
    post = Scripted(Reply(409, b"5\n"), Reply(409, b"6\n"), Reply(409, b"7\n"))
    assert ask(post).stand is Stand.FAILED
    assert [old for _, old, _ in post.asked] == [b"old 0", b"old 5"]
    assert "refuses" in ask(Scripted(Reply(409, b"5\n"), Reply(409, b"5\n"))).problem
    assert ask(Scripted(Reply(409, b"5\n"), Reply(409, b"21\n"))).stand is Stand.AHEAD


def test_last_known_size_above_the_head_is_not_sent():
    """The old size of a submission never lies above the checkpoint's."""
    post = Scripted(Reply(200, lines(KEY)))
    ask(post, last=50)
    assert post.asked[0][1] == b"old 20"


def test_checkpoint_with_extension_lines_is_cosigned_whole(honest_post):
    """What the log adds below the root is under the cosignature."""
    note = sign_note(checkpoint_text(LOG.name, 20, HONEST.root(20)) + b"extension\n", LOG)
    from dataclasses import replace

    assert ask(honest_post, head=replace(HEAD, note=note)).stand is Stand.COSIGNED
