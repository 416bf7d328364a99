"""A witness: what it cosigns, what it refuses, and what it never forgets."""

import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.notes import checkpoint_text, sign_checkpoint, sign_note
from audit.signing import NoteSigner
from audit.verifier import open_checkpoint
from audit.verifier.notes import COSIGNATURE, open_cosignatures
from audit.witness import (
    MAX_BODY_BYTES,
    LogUnknown,
    ProofRefused,
    SignatureMissing,
    SizeConflict,
    SubmissionMalformed,
    Witness,
    encode_submission,
    parse_submission,
)
from audit.witness_state import MAX_CONFLICTS, all_cosigned, all_forks, open_witness_state
from kernel.database import open_database
from kernel.errors import ConfigurationError, Conflict, Unavailable
from tests.audit.memory_log import MemoryLog

LOG = NoteSigner("log.example/audit", b"l" * 32)
ROTATED = NoteSigner("log.example/audit", b"r" * 32)
THIRD = NoteSigner("other.example/audit", b"o" * 32)
WITNESS = NoteSigner("w.example/1", b"w" * 32, algorithm=COSIGNATURE)


@pytest.fixture
def state_path(tmp_path):
    """A state file that is new."""
    path = tmp_path / "witness.state"
    with open_witness_state(path, is_new=True):
        return path


@pytest.fixture
def state(state_path):
    """An open state."""
    with open_witness_state(state_path) as database:
        yield database


@pytest.fixture
def witness(state, clock):
    """A witness of one log."""
    return Witness(WITNESS, [LOG.key], state, clock)


@pytest.fixture
def honest():
    """A log of twenty entries."""
    return MemoryLog(LOG, 20)


def last_size(state):
    with state.read() as connection:
        return [one.checkpoint.size for one in all_cosigned(connection)]


def forks(state):
    with state.read() as connection:
        return all_forks(connection)


def test_first_and_later_checkpoints_are_cosigned(witness, honest, state, clock):
    """200: the line verifies over the submitted checkpoint, with the witness's time."""
    for old, size in ((0, 7), (7, 7), (7, 8), (8, 20)):
        clock.advance(timedelta(minutes=1))
        line = witness.add_checkpoint(honest.submission(old, size))
        note = honest.checkpoint(size).note + line
        assert open_cosignatures(note, [WITNESS.key]) == {WITNESS.key: int(clock.now().timestamp())}
        assert last_size(state) == [size]


@pytest.mark.parametrize("size", range(1, 21))
def test_every_extension_of_every_size_is_cosigned(witness, state, honest, size):
    """From each size to the end, the log's proof is enough."""
    witness.add_checkpoint(honest.submission(0, size))
    witness.add_checkpoint(honest.submission(size, 20))
    assert last_size(state) == [20]


def test_last_note_carries_the_log_s_signature_and_ours(witness, honest):
    """A monitor reads what was cosigned last; unknown signatures are not kept."""
    stranger = sign_note(checkpoint_text(LOG.name, 5, honest.root(5)), THIRD).splitlines(keepends=True)[-1]
    submitted = honest.checkpoint(5).note + stranger
    line = witness.add_checkpoint(encode_submission(0, [], submitted))
    note = witness.last_note(LOG.name)
    assert note == honest.checkpoint(5).note + line
    assert open_checkpoint(note, LOG.key).size == 5
    with pytest.raises(LogUnknown):
        witness.last_note("other.example/audit")


def test_empty_tree_has_its_one_root(witness):
    """Size 0 is cosigned with the root of nothing, and grows from there without a proof."""
    empty = MemoryLog(LOG, 3)
    with pytest.raises(ProofRefused):
        witness.add_checkpoint(encode_submission(0, [], sign_checkpoint(0, b"x" * 32, LOG).note))
    witness.add_checkpoint(empty.submission(0, 0))
    witness.add_checkpoint(empty.submission(0, 3))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0",
        b"old 0\n",
        b"old 00\n\nNOTE",
        b"old -1\n\nNOTE",
        b"old +1\n\nNOTE",
        b"old 1 \n\nNOTE",
        b"old  1\n\nNOTE",
        b"Old 0\n\nNOTE",
        b"old 0\r\n\r\nNOTE",
        b"old \xd9\xa1\n\nNOTE",
        b"old 9223372036854775808\n\nNOTE",
        b"\nold 0\n\nNOTE",
        b"old 0\nAAAA\n\nNOTE",
        b"old 0\nnot base64\n\nNOTE",
        b"old 0\n\xff\n\nNOTE",
        b"old 0\n" + b"A" * 43 + b"B\n\nNOTE",
        b"old 0\n\n",
        b"old 0\n\n\nNOTE",
        b"old 0\n\nNOTEtrailing",
        b"old 0\n\nNOTE\n",
        b"old 0\n\nNOTE\x00",
        b"old 0\n\nlog.example/audit\n1\n",
        b"old 0\n\nlog.example/audit\nno size\nAAAA\n\n\xe2\x80\x94 log.example/audit AAAAAAAA\n",
        b"old 0\n" + b"\n" * MAX_BODY_BYTES,
    ],
)
def test_what_is_no_submission_is_malformed(witness, honest, state, body):
    """400: wrong sizes, hashes, line ends, trailing bytes; nothing is remembered."""
    with pytest.raises(SubmissionMalformed):
        witness.add_checkpoint(body.replace(b"NOTE", honest.checkpoint(3).note))
    assert last_size(state) == []


def test_proof_has_at_most_63_hashes(honest):
    """400 with one more; as many as the protocol allows are read."""
    note = honest.checkpoint(3).note
    assert len(parse_submission(encode_submission(1, [b"h" * 32] * 63, note)).proof) == 63
    with pytest.raises(SubmissionMalformed, match="63"):
        parse_submission(encode_submission(1, [b"h" * 32] * 64, note))


def test_sizes_beyond_what_the_state_holds_are_malformed(witness):
    """400: a size of nineteen digits may be larger than 2^63 - 1."""
    with pytest.raises(SubmissionMalformed):
        witness.add_checkpoint(encode_submission(0, [], sign_checkpoint(1 << 63, b"x" * 32, LOG).note))
    witness.add_checkpoint(encode_submission(0, [], sign_checkpoint((1 << 63) - 1, b"x" * 32, LOG).note))


def test_old_size_above_the_checkpoint_s_is_malformed(witness, honest, state):
    """400, whatever was cosigned before: nobody rolls back by asking for it."""
    witness.add_checkpoint(honest.submission(0, 20))
    with pytest.raises(SubmissionMalformed):
        witness.add_checkpoint(encode_submission(20, [], honest.checkpoint(7).note))
    assert last_size(state) == [20]


def test_foreign_origin_is_unknown(witness):
    """404: the log's key does not speak for another origin."""
    with pytest.raises(LogUnknown):
        witness.add_checkpoint(MemoryLog(THIRD, 3).submission(0, 3))
    text = checkpoint_text(THIRD.name, 3, MemoryLog(THIRD, 3).root(3))
    with pytest.raises(LogUnknown):
        witness.add_checkpoint(encode_submission(0, [], sign_note(text, LOG)))


def test_checkpoint_without_a_trusted_signature_is_refused(witness, honest):
    """403: unsigned by the known key, or signed by another of the same name."""
    with pytest.raises(SignatureMissing):
        witness.add_checkpoint(MemoryLog(ROTATED, 3).submission(0, 3))
    foreign = sign_note(checkpoint_text(LOG.name, 3, honest.root(3)), THIRD)
    with pytest.raises(SignatureMissing):
        witness.add_checkpoint(encode_submission(0, [], foreign))


def test_bad_signature_by_a_trusted_key_refuses_the_note(witness, honest, state):
    """403, although a good one by the same key stands beside it."""
    bad = honest.checkpoint(4).note.splitlines(keepends=True)[-1]
    with pytest.raises(SignatureMissing):
        witness.add_checkpoint(encode_submission(0, [], honest.checkpoint(3).note + bad))
    assert last_size(state) == []


def test_every_flipped_bit_of_a_checkpoint_is_refused(witness, honest, state):
    """No changed note is cosigned."""
    note = honest.checkpoint(3).note
    for position in range(len(note)):
        for bit in (1, 0x80):
            changed = bytearray(note)
            changed[position] ^= bit
            with pytest.raises((SubmissionMalformed, LogUnknown, SignatureMissing)):
                witness.add_checkpoint(encode_submission(0, [], bytes(changed)))
    assert last_size(state) == []


def test_old_size_that_is_not_the_last_one_conflicts_and_the_last_is_named(witness, honest):
    """409 with the size, before the first checkpoint as well."""
    with pytest.raises(SizeConflict) as caught:
        witness.add_checkpoint(honest.submission(3, 7))
    assert caught.value.size == 0
    witness.add_checkpoint(honest.submission(0, 7))
    for old in (0, 3):
        with pytest.raises(SizeConflict) as caught:
            witness.add_checkpoint(honest.submission(old, 20))
        assert caught.value.size == 7


def test_replayed_checkpoint_is_not_cosigned_again(witness, honest, state):
    """409: an old checkpoint with its good signature and good proof is behind."""
    witness.add_checkpoint(honest.submission(0, 7))
    witness.add_checkpoint(honest.submission(7, 20))
    for body in (honest.submission(0, 7), honest.submission(7, 20), honest.submission(3, 7)):
        with pytest.raises(SizeConflict):
            witness.add_checkpoint(body)
    assert last_size(state) == [20]
    assert forks(state) == []


def test_proof_from_the_empty_tree_must_be_empty(witness, honest):
    """422."""
    with pytest.raises(ProofRefused):
        witness.add_checkpoint(encode_submission(0, [b"h" * 32], honest.checkpoint(7).note))


def test_wrong_proofs_are_refused(witness, honest, state):
    """422: missing, of another size, changed, too long, or empty where one is needed."""
    witness.add_checkpoint(honest.submission(0, 7))
    good = honest.proof(7, 20)
    bad = [[], good[:-1], [*good, b"h" * 32], good[::-1], honest.proof(6, 20), [bytes(32), *good[1:]]]
    for proof in bad:
        with pytest.raises(ProofRefused):
            witness.add_checkpoint(encode_submission(7, proof, honest.checkpoint(20).note))
    with pytest.raises(ProofRefused):
        witness.add_checkpoint(encode_submission(7, [b"h" * 32], honest.checkpoint(7).note))
    assert last_size(state) == [7]


def test_stolen_log_key_cannot_rewrite_what_was_cosigned(witness, honest, state):
    """Another history under the real key: 409 at the same size, 422 above it; the evidence is kept once."""
    witness.add_checkpoint(honest.submission(0, 7))
    forged = MemoryLog(LOG, 20, history="b")
    for _ in range(2):
        with pytest.raises(SizeConflict) as caught:
            witness.add_checkpoint(encode_submission(7, [], forged.checkpoint(7).note))
        assert caught.value.size == 7
    with pytest.raises(ProofRefused):
        witness.add_checkpoint(forged.submission(7, 20))
    (fork,) = forks(state)
    assert (fork.origin, fork.size) == (LOG.name, 7)
    assert open_checkpoint(fork.note, LOG.key).root == forged.root(7)
    assert open_checkpoint(fork.known_note, LOG.key).root == honest.root(7)
    assert last_size(state) == [7]


def test_fork_is_kept_whatever_old_size_the_thief_states(witness, honest, state):
    """Two signed roots of one size are proof by themselves."""
    witness.add_checkpoint(honest.submission(0, 7))
    with pytest.raises(SizeConflict):
        witness.add_checkpoint(MemoryLog(LOG, 7, history="b").submission(0, 7))
    assert len(forks(state)) == 1


def test_kept_forks_are_bounded(witness, honest, state):
    """Whoever stole the key cannot fill the witness's disk."""
    witness.add_checkpoint(honest.submission(0, 7))
    for number in range(MAX_CONFLICTS + 3):
        with pytest.raises(SizeConflict):
            witness.add_checkpoint(MemoryLog(LOG, 7, history=str(number)).submission(7, 7))
    assert len(forks(state)) == MAX_CONFLICTS


def test_rotated_key_is_accepted_once_it_is_given(state, clock, honest):
    """Several keys of one origin: the new one goes on where the old one ended, and alone afterwards."""
    handed_over = MemoryLog(ROTATED, 20)
    Witness(WITNESS, [LOG.key], state, clock).add_checkpoint(honest.submission(0, 7))
    both = Witness(WITNESS, [LOG.key, ROTATED.key, LOG.key], state, clock)
    both.add_checkpoint(handed_over.submission(7, 8))
    both.add_checkpoint(honest.submission(8, 9))
    after = Witness(WITNESS, [ROTATED.key], state, clock)
    after.add_checkpoint(handed_over.submission(9, 20))
    with pytest.raises(SignatureMissing):
        after.add_checkpoint(honest.submission(20, 20))


def test_note_signed_by_both_keys_is_cosigned_and_one_bad_of_them_refuses(state, clock, honest):
    """At a hand-over both sign; each signature by a trusted key must be good."""
    both = Witness(WITNESS, [LOG.key, ROTATED.key], state, clock)
    text = checkpoint_text(LOG.name, 3, honest.root(3))
    second, other = (sign_note(t, ROTATED).splitlines(keepends=True)[-1] for t in (text, text[:-2] + b"\n"))
    with pytest.raises(SignatureMissing):
        both.add_checkpoint(encode_submission(0, [], sign_note(text, LOG) + other))
    both.add_checkpoint(encode_submission(0, [], sign_note(text, LOG) + second))
    assert both.last_note(LOG.name).count("\u2014".encode()) == 3


def test_extension_lines_are_cosigned_with_the_rest(witness, honest):
    """What the log adds below the root is part of the signed text."""
    text = checkpoint_text(LOG.name, 3, honest.root(3)) + b"extension\n"
    note = sign_note(text, LOG)
    line = witness.add_checkpoint(encode_submission(0, [], note))
    assert set(open_cosignatures(note + line, [WITNESS.key])) == {WITNESS.key}


def test_logs_do_not_touch_each_other(state, clock, honest):
    """The state of each origin stands alone."""
    witness = Witness(WITNESS, [LOG.key, THIRD.key], state, clock)
    witness.add_checkpoint(honest.submission(0, 7))
    witness.add_checkpoint(MemoryLog(THIRD, 3).submission(0, 3))
    assert last_size(state) == [7, 3]


def test_witness_needs_a_key_for_cosignatures(state, clock):
    """A log's key is refused at the start."""
    with pytest.raises(ConfigurationError):
        Witness(LOG, [LOG.key], state, clock)


def test_state_is_never_made_by_the_way(tmp_path, state_path):
    """A witness that forgot would cosign a rolled-back log: a missing file is refused, an existing one not replaced."""
    with pytest.raises(Unavailable) as gone, open_witness_state(tmp_path / "none"):
        pass
    assert "Never restore an older copy" in gone.value.hint
    assert not (tmp_path / "none").exists()
    with pytest.raises(Conflict), open_witness_state(state_path, is_new=True):
        pass


def test_other_files_are_no_state(tmp_path):
    """A text, and a database of something else."""
    (tmp_path / "text").write_text("This is no database, however long it is.\n" * 100)
    with pytest.raises(Unavailable) as damaged, open_witness_state(tmp_path / "text"):
        pass
    assert damaged.value.hint.startswith("Never restore an older copy")
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigurationError), open_witness_state(tmp_path / "empty"):
        pass


def test_state_that_cannot_be_written_cosigns_nothing(state_path, clock, honest):
    """503 while another holds the state: no line leaves without its row."""
    patient = open_database(f"sqlite:///{state_path}", label="witness state", busy_timeout_ms=50)
    witness = Witness(WITNESS, [LOG.key], patient, clock)
    with open_witness_state(state_path) as holder:
        with holder.write(), pytest.raises(Unavailable):
            witness.add_checkpoint(honest.submission(0, 3))
        assert last_size(holder) == []
        witness.add_checkpoint(honest.submission(0, 3))
        assert last_size(holder) == [3]
    patient.dispose()


def test_threads_never_roll_the_size_back(state_path, clock, honest):
    """Sixteen racing submissions on one state: sizes only grow, and each cosignature was the largest of its moment."""
    with ExitStack() as opened:
        witnesses = [
            Witness(WITNESS, [LOG.key], opened.enter_context(open_witness_state(state_path)), clock) for _ in range(4)
        ]
        witnesses[0].add_checkpoint(honest.submission(0, 2))
        start, granted = threading.Barrier(16), []

        def race(number):
            start.wait(20)
            for size in range(3, 21):
                try:
                    witnesses[number % 4].add_checkpoint(honest.submission(size - 1 - number % 2, size))
                except SizeConflict:
                    continue
                granted.append(size)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        with open_witness_state(state_path) as state:
            assert last_size(state) == [max(granted)]
        assert len(granted) == len(set(granted))


_RACER = """
import sys
from pathlib import Path
from audit.signing import NoteSigner
from audit.verifier.notes import COSIGNATURE
from audit.witness import SizeConflict, Witness
from audit.witness_state import open_witness_state
from kernel.clock import SystemClock
from tests.audit.memory_log import MemoryLog
log = NoteSigner("log.example/audit", b"l" * 32)
honest = MemoryLog(log, 40)
with open_witness_state(Path(sys.argv[1])) as state:
    witness = Witness(NoteSigner("w.example/1", b"w" * 32, algorithm=COSIGNATURE), [log.key], state, SystemClock())
    last = 0
    for size in range(1, 41):
        if size <= last:
            continue
        try:
            witness.add_checkpoint(honest.submission(last, size))
        except SizeConflict as err:
            last = err.size
        else:
            print(size, flush=True)
            last = size
        if "die" in sys.argv and size == 20:
            import os
            os.kill(os.getpid(), 9)
"""


def run_racers(state_path, *words, count=1):
    command = [sys.executable, "-c", _RACER, str(state_path), *words]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return [(racer.communicate(timeout=120)[0], racer.returncode) for racer in racers]


def test_processes_never_roll_the_size_back(state_path):
    """Three processes on one state: no size is cosigned twice, and the largest one stands."""
    ended = run_racers(state_path, count=3)
    assert [code for _, code in ended] == [0, 0, 0]
    granted = [int(size) for said, _ in ended for size in said.split()]
    assert len(granted) == len(set(granted))
    with open_witness_state(state_path) as state:
        assert last_size(state) == [max(granted)]


def test_killed_witness_keeps_what_it_cosigned(state_path, clock):
    """Kill -9 after the state was written and before the answer left: the log learns the size and goes on."""
    ((_, code),) = run_racers(state_path, "die")
    assert code == -9
    with open_witness_state(state_path) as state:
        assert last_size(state) == [20]
        honest, witness = MemoryLog(LOG, 40), Witness(WITNESS, [LOG.key], state, clock)
        with pytest.raises(SizeConflict) as caught:
            witness.add_checkpoint(honest.submission(19, 20))
        assert caught.value.size == 20
        assert witness.add_checkpoint(honest.submission(20, 20))


@given(st.binary(max_size=400))
def test_any_bytes_are_parsed_or_refused(body):
    """The parser has one way to fail."""
    try:
        parsed = parse_submission(b"old 0\n" + body)
    except SubmissionMalformed:
        return
    assert encode_submission(parsed.old_size, parsed.proof, parsed.note) == b"old 0\n" + body


@given(st.integers(0, (1 << 63) - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_submissions_survive_the_round_trip(old, proof):
    """What is written is read back."""
    note = sign_checkpoint(5, b"r" * 32, LOG).note
    parsed = parse_submission(encode_submission(old, proof, note))
    assert (parsed.old_size, list(parsed.proof), parsed.note) == (old, proof, note)
