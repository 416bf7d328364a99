"""A log in memory, hashed and proven by the recursive definitions of RFC 6962, for those who see its checkpoints."""

import hashlib
from collections.abc import Sequence

from audit.notes import sign_checkpoint
from audit.signing import NoteSigner
from audit.verifier import Checkpoint
from audit.witness import encode_submission


class MemoryLog:
    """Leaves, and what a log says about them."""

    def __init__(self, signer: NoteSigner, leaves: int = 0, *, history: str = "a") -> None:
        self.signer = signer
        self.leaves = [f"{history}-{number}".encode() for number in range(leaves)]

    def root(self, size: int) -> bytes:
        return _root(self.leaves[:size])

    def checkpoint(self, size: int) -> Checkpoint:
        return sign_checkpoint(size, self.root(size), self.signer)

    def proof(self, old: int, size: int) -> list[bytes]:
        return [] if old in (0, size) else _subproof(old, self.leaves[:size], is_whole=True)

    def submission(self, old: int, size: int) -> bytes:
        return encode_submission(old, self.proof(old, size), self.checkpoint(size).note)


def _root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = _split(len(leaves))
    return hashlib.sha256(b"\x01" + _root(leaves[:split]) + _root(leaves[split:])).digest()


def _subproof(old: int, leaves: Sequence[bytes], *, is_whole: bool) -> list[bytes]:
    """RFC 6962 section 2.1.2."""
    if old == len(leaves):
        return [] if is_whole else [_root(leaves)]
    split = _split(len(leaves))
    if old <= split:
        return [*_subproof(old, leaves[:split], is_whole=is_whole), _root(leaves[split:])]
    return [*_subproof(old - split, leaves[split:], is_whole=False), _root(leaves[:split])]


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1
