"""Proofs that one entry stands in a log, and proofs that one checkpoint extends another.

Source: c2sp.org/tlog-proof, RFC 9162 sections 2.1.3.2 and 2.1.4.2.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from audit.verifier.entry_bytes import entry_id
from audit.verifier.failures import VerificationError
from audit.verifier.merkle import HASH_BYTES, check_consistency, check_inclusion, leaf_hash
from audit.verifier.notes import Checkpoint, VerifierKey, open_checkpoint, parse_note, strict_base64
from audit.verifier.policy import Policy
from audit.verifier.tiles import ENTRY_MAX_BYTES, TiledTree

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
PROOF_MAX_BYTES: Final = 1 << 16
PROOF_MAX_HASHES: Final = 64
"""No tree of fewer than 2^63 entries needs more."""

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof as it was parsed; nothing in it is verified.

    Attributes:
        extra: what nobody vouches for.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: bytes = field(repr=False)
    extra: bytes | None = None


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry that stands in a log.

    Attributes:
        witnesses: names of the keys that cosigned the checkpoint, where a policy was given.
    """

    origin: str
    size: int
    index: int
    entry_id: str | None
    witnesses: tuple[str, ...] = ()


def parse_proof(data: bytes) -> Proof:
    """Parse the text of a proof, at most 64 KiB with 64 hashes.

    Raises:
        VerificationError: ``proof``: it is none.
    """
    head, blank, note = data.partition(b"\n\n")
    if len(data) > PROOF_MAX_BYTES or not blank or not head.isascii():
        raise VerificationError("proof", "the file is no proof of an entry")
    header, *lines = head.decode().split("\n")
    extra = _taken(lines, "extra ")
    index = _taken(lines, "index ")
    if header != PROOF_HEADER or index is None or not _INDEX.fullmatch(index):
        raise VerificationError("proof", "the file is no proof of an entry")
    opaque = None if extra is None else strict_base64(extra)
    if extra is not None and not opaque:
        raise VerificationError("proof", "the proof's extra data is malformed")
    return Proof(int(index), parse_hashes(lines), note, opaque)


def parse_hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    """Return the hashes of a proof, each in base64 on a line of its own."""
    if len(lines) > PROOF_MAX_HASHES:
        raise VerificationError("proof", "the proof has more than {} hashes", PROOF_MAX_HASHES)
    hashes = [strict_base64(line) for line in lines]
    if any(found is None or len(found) != HASH_BYTES for found in hashes):
        raise VerificationError("proof", "a hash of the proof is malformed")
    return tuple(found for found in hashes if found is not None)


def open_by_any(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Verify a checkpoint under those of the trusted keys that signed it; one must have, and none badly.

    Raises:
        VerificationError: as ``open_checkpoint``.
    """
    parsed = parse_note(note)
    signers = [key for key in keys if parsed.by(key)] or list(keys[:1])
    opened = [open_checkpoint(note, key) for key in signers]
    return opened[0]


def verify_proof(
    proof_bytes: bytes, entry_bytes: bytes, keys: Sequence[VerifierKey], policy: Policy | None = None
) -> ProvenEntry:
    """Verify that an entry stands in the log that one of the keys signs for.

    Args:
        proof_bytes: the text of a proof.
        entry_bytes: exactly the bytes that were logged.
        keys: public keys of the log, from a trusted place; at least one.
        policy: whose quorum the checkpoint must have.
    Raises:
        VerificationError: ``proof``, ``malformed``, ``signature``, ``checkpoint`` or ``quorum``.
    """
    if not 0 < len(entry_bytes) <= ENTRY_MAX_BYTES:
        raise VerificationError("malformed", "an entry has 1 to {} bytes", ENTRY_MAX_BYTES)
    proof = parse_proof(proof_bytes)
    signed = open_by_any(proof.note, keys)
    witnesses = () if policy is None else tuple(key.name for key in policy.check(proof.note))
    check_inclusion(proof.index, signed.size, leaf_hash(entry_bytes), proof.hashes, signed.root)
    return ProvenEntry(signed.origin, signed.size, proof.index, entry_id(entry_bytes), witnesses)


def compare_heads(one: Checkpoint, other: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raise unless the larger of two checkpoints extends the smaller one.

    Args:
        one: a verified checkpoint.
        other: one of the same log.
        proof: the consistency proof; empty for two of one size.
    Raises:
        VerificationError: ``forked``: two roots of one size; ``proof``: the proof does not show it.
    """
    old, new = sorted((one, other), key=lambda each: each.size)
    _check_one_log(old, new)
    if old.size == new.size and old.root != new.root:
        raise _forked(old.size)
    check_consistency(old.size, new.size, proof, old.root, new.root)


def compare_with_tiles(one: Checkpoint, other: Checkpoint, tree: TiledTree) -> None:
    """Raise unless the larger of two checkpoints extends the smaller one, by the hash tiles of an export.

    Raises:
        VerificationError: ``forked``: the larger one extends another tree of the smaller one's size; ``proof``: the
            tiles are not those of the larger one; ``missing_file``.
    """
    old, new = sorted((one, other), key=lambda each: each.size)
    _check_one_log(old, new)
    if old.size and old.size < new.size:
        proof, root = tree.consistency_proof(old.size, new.size), tree.root(old.size)
        check_consistency(old.size, new.size, proof, root, new.root)
        if root != old.root:
            raise _forked(old.size)
    else:
        compare_heads(old, new, ())


def _check_one_log(old: Checkpoint, new: Checkpoint) -> None:
    if old.origin != new.origin:
        raise VerificationError("checkpoint", "the checkpoints are of two logs")


def _forked(size: int) -> VerificationError:
    return VerificationError("forked", "two logs of {} entries were signed with the same key", size)


def _taken(lines: list[str], head: str) -> str | None:
    """Take the first line away when it begins as it must; returns what follows."""
    if not lines or not lines[0].startswith(head):
        return None
    return lines.pop(0).removeprefix(head)
