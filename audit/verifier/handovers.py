"""Hand-overs of a log from one signing key to the next, and which key may sign which checkpoint.

Source: docs/reference/audit-format.md, "Key hand-over".
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from audit.verifier.failures import VerificationError
from audit.verifier.merkle import HASH_BYTES
from audit.verifier.notes import (
    Checkpoint,
    KeyTextError,
    VerifierKey,
    not_signed_by,
    parse_checkpoint,
    parse_note,
    strict_base64,
)

HANDOVER_HEADER: Final = "consentry log key handover v1"

_HANDOVER_LINES: Final = 6
_HANDOVER_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Handover:
    """One hand-over: until ``size`` entries the old key was in charge, from there on the new one is."""

    old: VerifierKey
    new: VerifierKey
    size: int
    root: bytes
    note: bytes = field(repr=False)


def open_handover(note: bytes) -> Handover:
    """Parse a hand-over and verify the signatures of both keys that it names; that neither is trusted yet is no error.

    Raises:
        VerificationError: ``handover``: it is none, or one of the two did not sign it; ``checkpoint``: no note.
    """
    parsed = parse_note(note)
    lines = parsed.text.split("\n")[:-1]
    if len(lines) != _HANDOVER_LINES or lines[0] != HANDOVER_HEADER or not _HANDOVER_SIZE.fullmatch(lines[4]):
        raise VerificationError("handover", "the note is no hand-over of a key")
    old, new, root = _parse_handover_key(lines[2]), _parse_handover_key(lines[3]), strict_base64(lines[5])
    if root is None or len(root) != HASH_BYTES:
        raise VerificationError("handover", "the note is no hand-over of a key")
    if not old.name == new.name == lines[1] or old.public_key == new.public_key:
        raise VerificationError("handover", "a hand-over needs two keys of the one log")
    for key in (old, new):
        signatures = parsed.by(key)
        if not signatures or not all(key.is_signed(parsed.text.encode(), signature) for signature in signatures):
            raise VerificationError("handover", "the hand-over is not signed by {}", ascii(str(key)))
    return Handover(old, new, int(lines[4]), root, note)


class KeyChain:
    """The keys of a log, one after the other, as one trusted key and the hand-overs vouch for them.

    Both keys sign a hand-over, so that trust in either reaches the other: forwards from an early key, backwards from a
    late one.
    """

    def __init__(self, trusted: VerifierKey, notes: Sequence[bytes] = ()) -> None:
        """Verify the hand-overs, given in their order.

        Raises:
            VerificationError: ``handover``: one is none, they make no chain, or the trusted key is not in it.
        """
        self.origin = trusted.name
        self.handovers = tuple(map(open_handover, notes))
        for before, after in itertools.pairwise(self.handovers):
            if before.new != after.old or before.size > after.size:
                raise VerificationError("handover", "the hand-overs do not follow one from the other")
        self.keys = (self.handovers[0].old, *(each.new for each in self.handovers)) if notes else (trusted,)
        if len({key.public_key for key in self.keys}) != len(self.keys):
            raise VerificationError("handover", "a key that was retired came back")
        if trusted not in self.keys:
            raise VerificationError("handover", "the hand-overs do not lead to the key {}", ascii(str(trusted)))

    def open(self, note: bytes) -> Checkpoint:
        """Verify a checkpoint under the key that was in charge at its size.

        Raises:
            VerificationError: not a note, not a checkpoint of this log, no signature by a key of the chain, a bad one,
                or one by a key that was not in charge.
        """
        parsed = parse_note(note)
        signers = [number for number, key in enumerate(self.keys) if parsed.by(key)]
        if not signers:
            raise not_signed_by(parsed, self.keys[-1])
        for number in signers:
            key = self.keys[number]
            if not all(key.is_signed(parsed.text.encode(), signature) for signature in parsed.by(key)):
                raise VerificationError("signature", "the checkpoint's signature by {} is bad", ascii(str(key)))
        checkpoint = parse_checkpoint(parsed.text, note)
        if checkpoint.origin != self.origin:
            raise VerificationError("checkpoint", "the checkpoint belongs to another log than the key")
        for number in signers:
            self._check_in_charge(number, checkpoint.size)
        return checkpoint

    def _check_in_charge(self, number: int, size: int) -> None:
        """Raise unless a key of the chain may sign a tree of that size; at a hand-over both keys may."""
        if number < len(self.handovers) and size > (retired := self.handovers[number].size):
            message = "a retired key signed {} entries, its last were {}"
            raise VerificationError("signature", message, size, retired)
        if number and size < (first := self.handovers[number - 1].size):
            message = "a key signed {} entries, before its first {}"
            raise VerificationError("signature", message, size, first)


def _parse_handover_key(text: str) -> VerifierKey:
    try:
        key = VerifierKey.parse(text)
    except KeyTextError:
        raise VerificationError("handover", "the note is no hand-over of a key") from None
    if str(key) != text:
        raise VerificationError("handover", "the note is no hand-over of a key")
    return key
