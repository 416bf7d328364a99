"""The log of a restored data store: is it whole, and is it the one that was signed?"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from audit.origins import Origin, current_origin
from audit.sequencer import check_head, read_head
from audit.tables import leaf
from audit.tree import StoredTree
from audit.verifier import Checkpoint, VerificationError, VerifierKey, leaf_hash, open_checkpoint
from audit.verifier.merkle import EMPTY_ROOT
from kernel.errors import Conflict, IntegrityFailed
from vault.backups import BackupHeader

_READ_SIZE: Final = 2_048
_ANOTHER: Final = "Take another backup, and find out who made this one."


def check_restored_log(connection: Connection, header: BackupHeader, key: VerifierKey) -> int:
    """Return the size of a restored log, every entry of which is what was hashed, under its backup's checkpoint.

    Raises:
        IntegrityFailed: it is not whole, or not the one that the checkpoint signs.
    """
    stored = read_head(connection)
    check_head(connection, stored)
    checkpoint = open_known(header.checkpoint.encode(), key)
    if stored.tree.size < checkpoint.size or _root(connection, stored.origin, checkpoint.size) != checkpoint.root:
        raise IntegrityFailed("The log in the backup is not the one that its checkpoint signs", hint=_ANOTHER)
    for first in range(stored.origin.base, stored.origin.base + stored.tree.size, _READ_SIZE):
        within = leaf.c.leaf_index.between(first, first + _READ_SIZE - 1)
        for body, hashed in connection.execute(select(leaf.c.body, leaf.c.leaf_hash).where(within)):
            if body and leaf_hash(body) != hashed:
                raise IntegrityFailed("An entry of the log in the backup is not the one that was hashed", hint=_ANOTHER)
    return stored.tree.size


def compare_with_signed(
    connection: Connection,
    header: BackupHeader,
    *,
    known: Sequence[Checkpoint],
    key: VerifierKey,
    for_recovery: bool,
) -> int | None:
    """Return how many signed entries a restored log lacks; None where it is whole, and can be gone on with.

    Raises:
        IntegrityFailed: it has another past than a checkpoint that is known.
        Conflict: it lacks entries, or the signer's memory is older than it, and this is not for a recovery.
    """
    size = check_restored_log(connection, header, key)
    origin = current_origin(connection)
    for checkpoint in known:
        if checkpoint.size <= size and _root(connection, origin, checkpoint.size) != checkpoint.root:
            raise IntegrityFailed("The log in the backup has another past than the one that was signed", hint=_ANOTHER)
    missing = max((one.size for one in known), default=0) - size
    remembered = open_known(header.checkpoint.encode(), key).size
    forgot = max((one.size for one in known), default=0) < remembered
    if missing <= 0 and not forgot:
        return None
    if not for_recovery:
        what = (
            "The signer's memory is older than the backup" if forgot else f"The backup lacks {missing} signed entries"
        )
        raise Conflict(
            f"{what}; nothing was put in place",
            hint="Take the newest of each. Otherwise --for-recovery puts it in place, and `consentry audit recover` "
            "has to follow before anything opens.",
        )
    return max(missing, 0)


def _root(connection: Connection, origin: Origin, size: int) -> bytes:
    return StoredTree(connection, origin).root(size) if size else EMPTY_ROOT


def open_known(note: bytes, key: VerifierKey) -> Checkpoint:
    """Return a checkpoint that the log's key signed; raises ``IntegrityFailed`` for any other."""
    try:
        return open_checkpoint(note, key)
    except VerificationError:
        raise IntegrityFailed("A checkpoint is not signed by the log's key", hint="Give --log-key.") from None
