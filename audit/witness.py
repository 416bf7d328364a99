"""A witness: cosigns the checkpoints of logs that it knows, each only when it extends what was cosigned before.

It sees sizes and hashes, never an entry.
Source: c2sp.org/tlog-witness, c2sp.org/tlog-cosignature.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from audit.cosignatures import check_witness_key, cosign, signature_line, with_signatures
from audit.signing import NoteSigner
from audit.verifier import EMPTY_ROOT, HASH_BYTES, Checkpoint, VerificationError, VerifierKey, check_consistency
from audit.verifier.notes import Note, parse_checkpoint, parse_note, strict_base64
from audit.witness_state import Cosigned, Fork, find_cosigned, keep_fork, remember
from kernel.database import Database
from kernel.errors import BadInput, Conflict, ConsentryError, Denied, IntegrityFailed, NotFound
from kernel.ports import Clock

MAX_BODY_BYTES: Final = 64 * 1024
"""Of a submission: 63 hashes, a checkpoint, and sixteen signatures even of a post-quantum kind."""

MAX_PROOF_HASHES: Final = 63
"""c2sp.org/tlog-witness: "The client MUST NOT send more than 63 consistency proof lines"."""

_MAX_SIZE: Final = (1 << 63) - 1
_OLD: Final = re.compile(rb"old (0|[1-9][0-9]{0,18})")


class SubmissionMalformed(BadInput):
    """The bytes are no submission, or its old size lies above the checkpoint's."""


class LogUnknown(NotFound):
    """The witness does not watch a log of this origin."""


class SignatureMissing(Denied):
    """No key that is trusted for the origin signed the checkpoint, or one of their signatures is bad."""


class SizeConflict(Conflict):
    """The submission does not start at what was cosigned last, or has another root at the same size.

    Attributes:
        size: of the checkpoint that was cosigned last; 0 before the first.
    """

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message, hint=f"{size} entries were cosigned last.")
        self.size = size


class ProofRefused(IntegrityFailed):
    """The proof does not show that the checkpoint extends what was cosigned last."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One request, parsed and not verified."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes = field(repr=False)


def parse_submission(body: bytes) -> Submission:
    """Parse ``old N``, the proof's hashes, an empty line and a note.

    Raises:
        SubmissionMalformed: the bytes have another form, or one of them is too many.
    """
    head, split, note = body.partition(b"\n\n")
    first, *hashes = head.split(b"\n")
    old = _OLD.fullmatch(first)
    if len(body) > MAX_BODY_BYTES or not split or old is None or int(old[1]) > _MAX_SIZE:
        raise SubmissionMalformed("The body is no submission", hint="Send `old N`, a proof, an empty line and a note.")
    if len(hashes) > MAX_PROOF_HASHES:
        raise SubmissionMalformed(f"The proof has more than {MAX_PROOF_HASHES} hashes")
    return Submission(int(old[1]), tuple(map(_parse_hash, hashes)), note)


def encode_submission(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the bytes of a submission; ``parse_submission`` reads them."""
    lines = [f"old {old_size}".encode(), *map(b64encode, proof), b"", b""]
    return b"\n".join(lines) + note


class Witness:
    """Cosigns for several logs; safe for several threads and processes that share one state file.

    Args:
        signer: the witness's key.
        logs: every key that is trusted; several of one name while a log hands over from key to key.
        state: see ``audit.witness_state``.
        clock: tells the time of cosignatures.
    Raises:
        ConfigurationError: the key is not one for cosignatures.
    """

    def __init__(self, signer: NoteSigner, logs: Iterable[VerifierKey], state: Database, clock: Clock) -> None:
        check_witness_key(signer)
        self._signer = signer
        self._logs = tuple(dict.fromkeys(logs))
        self._state = state
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign a submitted checkpoint and return the signature line; the state has reached the disk before.

        Raises:
            SubmissionMalformed: 400 of the protocol.
            SignatureMissing: 403.
            LogUnknown: 404.
            SizeConflict: 409.
            ProofRefused: 422.
            Unavailable: the state cannot be written; nothing was cosigned.
        """
        submission = parse_submission(body)
        note, signed = self._opened(submission)
        with self._state.write() as connection:
            known = find_cosigned(connection, signed.origin)
            refusal = find_refusal(submission, signed, known)
            at = self._clock.now()
            if (fork := _find_fork(signed, known, at)) is not None:
                keep_fork(connection, fork)
            if refusal is None:
                line = cosign(note.text, self._signer, at)
                made = Checkpoint(signed.origin, signed.size, signed.root, with_signatures(signed.note, [line]))
                remember(connection, Cosigned(made, at))
        if refusal is not None:
            raise refusal
        return line

    def last_note(self, origin: str) -> bytes:
        """Return the note that was cosigned last of a log, with the cosignature.

        Raises:
            LogUnknown: nothing of this origin was cosigned.
        """
        with self._state.read() as connection:
            known = find_cosigned(connection, origin)
        if known is None:
            raise LogUnknown("No checkpoint of this origin was cosigned")
        return known.checkpoint.note

    def _opened(self, submission: Submission) -> tuple[Note, Checkpoint]:
        """Return note and checkpoint, verified; of the signatures only those that verify are kept."""
        try:
            note = parse_note(submission.note)
            signed = parse_checkpoint(note.text, submission.note)
        except VerificationError as err:
            raise SubmissionMalformed(f"The note is no checkpoint: {err.message}") from None
        if submission.old_size > signed.size or signed.size > _MAX_SIZE:
            raise SubmissionMalformed("The old size lies above the checkpoint's")
        keys = [key for key in self._logs if key.name == signed.origin]
        if not keys:
            raise LogUnknown(
                "This witness does not watch a log of this origin", hint="Ask its operator to add the key."
            )
        lines = _verified_lines(note, keys)
        return note, Checkpoint(signed.origin, signed.size, signed.root, f"{note.text}\n".encode() + b"".join(lines))


def find_refusal(submission: Submission, signed: Checkpoint, known: Cosigned | None) -> ConsentryError | None:
    """Return why a verified checkpoint is not cosigned, or None when it extends what was cosigned last."""
    last = known.checkpoint if known else Checkpoint(signed.origin, 0, EMPTY_ROOT, b"")
    if submission.old_size != last.size:
        return SizeConflict("The old size is not that of the checkpoint that was cosigned last", last.size)
    if signed.size == last.size and signed.root != last.root and known:
        return SizeConflict("Another root was cosigned at this size", last.size)
    try:
        _check_extends(last, signed, submission.proof)
    except VerificationError as err:
        return ProofRefused(f"The checkpoint is not shown to extend the last one: {err.message}")
    return None


def _check_extends(last: Checkpoint, signed: Checkpoint, proof: Sequence[bytes]) -> None:
    if last.size:
        check_consistency(last.size, signed.size, proof, last.root, signed.root)
    elif proof:
        raise VerificationError("proof", "a proof from the empty tree is empty")
    elif not signed.size and signed.root != EMPTY_ROOT:
        raise VerificationError("proof", "the empty tree has another root")


def _find_fork(signed: Checkpoint, known: Cosigned | None, at: datetime) -> Fork | None:
    """Return the proof of a fork where the log signed two roots at one size, whatever else the request says."""
    if known is None or signed.size != known.checkpoint.size or signed.root == known.checkpoint.root:
        return None
    return Fork(signed.origin, signed.size, known.checkpoint.note, signed.note, at)


def _verified_lines(note: Note, keys: Sequence[VerifierKey]) -> list[bytes]:
    """Return the lines by trusted keys; unknown signatures are ignored, one bad by a trusted key refuses the note."""
    ours = [(line, key) for line in dict.fromkeys(note.signatures) for key in keys if line.is_by(key)]
    if not ours or not all(key.is_signed(note.text.encode(), line.signature) for line, key in ours):
        raise SignatureMissing("The checkpoint is not signed by a key that is trusted for its origin")
    return [signature_line(line) for line, _ in ours]


def _parse_hash(line: bytes) -> bytes:
    raw = strict_base64(line.decode("ascii", errors="replace"))
    if raw is None or len(raw) != HASH_BYTES:
        raise SubmissionMalformed("A line of the proof is no hash in base64")
    return raw
