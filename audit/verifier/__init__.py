"""Offline verifier of an exported audit log: RFC 6962 hashing and proofs, C2SP signed notes, and ``consentry-verify``.

It stands alone: the standard library and ``cryptography`` are all it needs. The log's writer imports the hashing from
here, so that what is written and what is verified cannot drift apart.
"""

from audit.verifier.command import main
from audit.verifier.exports import Report, verify_export
from audit.verifier.failures import VerificationError
from audit.verifier.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    CompactRange,
    check_consistency,
    check_inclusion,
    leaf_hash,
    node_hash,
)
from audit.verifier.notes import Checkpoint, KeyTextError, VerifierKey, is_key_name, open_checkpoint, open_note

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "Checkpoint",
    "CompactRange",
    "KeyTextError",
    "Report",
    "VerificationError",
    "VerifierKey",
    "check_consistency",
    "check_inclusion",
    "is_key_name",
    "leaf_hash",
    "main",
    "node_hash",
    "open_checkpoint",
    "open_note",
    "verify_export",
]
