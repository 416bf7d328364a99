"""Asking witnesses to cosign a checkpoint; how bytes travel is the caller's business.

Source: c2sp.org/tlog-witness.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Final, Protocol

from audit.cosignatures import signature_line
from audit.verifier import Checkpoint, VerificationError, VerifierKey
from audit.verifier.notes import NoteSignature, open_cosignatures, parse_note
from audit.verifier.policy import PolicyWitness
from audit.witness import encode_submission
from kernel.errors import IntegrityFailed, Unavailable

_ATTEMPTS: Final = 2
"""Once from where the witness stood last as far as we know, once from where it says that it stands."""

_MEDIA_TYPE: Final = "text/plain; charset=utf-8"
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class HeadBehindWitness(IntegrityFailed):
    """A witness cosigned more entries than the log has, or another history: the store was rolled back or rewritten."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a witness answered."""

    status: int
    content: bytes = field(repr=False)


class Post(Protocol):
    """Posts bytes to an address that the operator configured, within bounds."""

    def __call__(self, url: str, content: bytes, content_type: str) -> Reply:
        """Return the answer; raises ``Unavailable`` when there is none in time."""
        ...


class Stand(Enum):
    """What a witness's answer means for the log."""

    COSIGNED = "cosigned"
    FAILED = "failed"
    AHEAD = "ahead"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one witness said of a checkpoint.

    Attributes:
        line: its cosignature, verified; set when it cosigned.
        size: what it cosigned last; set when that is more than the checkpoint covers.
        problem: what went wrong, without anything that the witness wrote; empty when it cosigned.
    """

    witness: PolicyWitness
    stand: Stand
    line: bytes = field(default=b"", repr=False)
    size: int = 0
    problem: str = ""


Prove = Callable[[int], Sequence[bytes]]
"""Returns the consistency proof from an old size to the checkpoint's."""


def ask_witness(witness: PolicyWitness, signed: Checkpoint, *, last: int, prove: Prove, post: Post) -> Statement:
    """Submit a checkpoint to one witness and verify what comes back.

    Args:
        witness: of the policy.
        signed: the checkpoint, without cosignatures.
        last: the size that it cosigned last, as far as we know.
        prove: see ``Prove``.
        post: see ``Post``.
    """
    if witness.url is None:
        return Statement(witness, Stand.FAILED, problem="has no URL in the policy")
    old = min(last, signed.size)
    try:
        for _ in range(_ATTEMPTS):
            reply = post(f"{witness.url.rstrip('/')}/add-checkpoint", _submission(signed, old, prove), _MEDIA_TYPE)
            if reply.status != HTTPStatus.CONFLICT:
                return _read(witness, signed, reply)
            named = _SIZE.fullmatch(reply.content)
            size = int(named[1]) if named else old
            if size > signed.size or size == old:
                return _read_conflict(witness, signed, size=size if named else None)
            old = size
    except Unavailable as err:
        return Statement(witness, Stand.FAILED, problem=err.message)
    return Statement(witness, Stand.FAILED, problem="named one size after the other")


def check_statements(signed: Checkpoint, said: Sequence[Statement]) -> None:
    """Raise ``HeadBehindWitness`` where a witness says that the log was rolled back or rewritten."""
    for one in said:
        if one.stand is Stand.AHEAD:
            raise HeadBehindWitness(
                f"The log holds {signed.size} entries, but witness {one.witness.name!a} cosigned {one.size}",
                hint=_RESTORE,
            )
        if one.stand is Stand.CONTRADICTS:
            raise HeadBehindWitness(
                f"The log's {signed.size} entries are not the history that witness {one.witness.name!a} cosigned",
                hint=_RESTORE,
            )


_RESTORE: Final = (
    "The data store was rolled back or changed: restore its newest copy. Where the witness is wrong, ask its operator "
    "for both notes, and take it out of the policy."
)


def _read(witness: PolicyWitness, signed: Checkpoint, reply: Reply) -> Statement:
    match reply.status:
        case HTTPStatus.OK:
            line = _find_line(signed, witness.key, reply.content)
            if line is None:
                return Statement(witness, Stand.FAILED, problem="answered without a valid cosignature of its own")
            return Statement(witness, Stand.COSIGNED, line)
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return Statement(witness, Stand.CONTRADICTS)
        case HTTPStatus.FORBIDDEN:
            return Statement(
                witness, Stand.FAILED, problem="does not trust the log's key (403); it starts with --log KEY"
            )
        case HTTPStatus.NOT_FOUND:
            return Statement(witness, Stand.FAILED, problem="does not watch this log (404); it starts with --log KEY")
        case status:
            return Statement(witness, Stand.FAILED, problem=f"answered {int(status)}")


def _read_conflict(witness: PolicyWitness, signed: Checkpoint, *, size: int | None) -> Statement:
    """Return what a 409 means after which there is nothing to try.

    Args:
        witness: of the policy.
        signed: what was submitted.
        size: larger than the checkpoint's, or the one that was submitted; None when the answer names none.
    """
    if size is None:
        return Statement(witness, Stand.FAILED, problem="answered 409 without a size")
    if size > signed.size:
        return Statement(witness, Stand.AHEAD, size=size)
    if size == signed.size:  # from our own size, which means: with another root
        return Statement(witness, Stand.CONTRADICTS)
    return Statement(witness, Stand.FAILED, problem="refuses the size that it names")


def _submission(signed: Checkpoint, old: int, prove: Prove) -> bytes:
    return encode_submission(old, prove(old) if 0 < old < signed.size else (), signed.note)


def _find_line(signed: Checkpoint, key: VerifierKey, content: bytes) -> bytes | None:
    """Return the witness's newest cosignature among lines that may hold others, or None where it is not sound.

    The lines are read as part of the note, whose text they must not change.
    """
    note = signed.note + content
    try:
        parsed = parse_note(note)
        if parsed.text != parse_note(signed.note).text or key not in open_cosignatures(note, [key]):
            return None
    except VerificationError:
        return None
    return signature_line(NoteSignature(key.name, key.key_id, max(parsed.by(key))))
