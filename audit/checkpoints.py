"""Checkpoints: signs committed tree heads that extend what was signed before, and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from audit.notes import sign_checkpoint
from audit.sequencer import check_head, read_head
from audit.state import SignerState, locked, read_state, write_state
from audit.tables import checkpoint as checkpoint_table
from audit.tables import leaf
from audit.verifier import Checkpoint, CompactRange, VerificationError, VerifierKey, leaf_hash, open_checkpoint
from kernel.database import Database
from kernel.errors import IntegrityFailed
from kernel.ports import Signer

_READ_SIZE: Final = 2_048
"""Leaves read at once while a tree grows: some megabytes at the most."""


class Checkpointer:
    """Signs heads of one log; safe for several threads and processes that share the state file.

    The signer trusts the database for the new entries' bytes only. It hashes them itself on top of the tree that it
    signed last, so a head that went back, or whose past was rewritten, is never signed.
    """

    def __init__(self, database: Database, signer: Signer, state_path: Path) -> None:
        self._database = database
        self._signer = signer
        self._state_path = state_path
        self._key = VerifierKey(signer.name, signer.public_key)

    @property
    def verifier_key(self) -> VerifierKey:
        """The public key that checkpoints verify under."""
        return self._key

    def sign_head(self) -> Checkpoint:
        """Sign the committed head and remember it on disk before it is handed out; unchanged heads cost no write.

        Raises:
            IntegrityFailed: the head lies behind what was signed before, or has another past.
            Unavailable: store or state cannot be read or written, or another process holds the signer.
        """
        with locked(self._state_path):
            state = read_state(self._state_path, self._key)
            with self._database.read() as connection:
                tree = self._grown(connection, state)
                is_stored = state is None or _is_stored(connection, state.checkpoint)
            if state is not None and tree.size == state.checkpoint.size:
                return state.checkpoint
            if state is not None and not is_stored:
                with self._database.write() as connection:
                    _store(connection, state.checkpoint)
            signed = sign_checkpoint(tree.size, tree.root(), self._signer)
            write_state(self._state_path, SignerState(signed, tuple(tree.peaks)))
            return signed

    def last_signed(self) -> Checkpoint | None:
        """Return the checkpoint that was signed last, whatever the store says now; None before the first.

        Raises:
            IntegrityFailed: the state is damaged.
        """
        state = read_state(self._state_path, self._key)
        return None if state is None else state.checkpoint

    def store_signed(self, connection: Connection) -> None:
        """Write the last signed checkpoint into its table, within a transaction that is made anyway.

        Between two such calls the newest checkpoint stands in the state file alone: one commit less for each access.

        Raises:
            IntegrityFailed: the state is damaged.
        """
        signed = self.last_signed()
        if signed is not None:
            _store(connection, signed)

    def _grown(self, connection: Connection, state: SignerState | None) -> CompactRange:
        """Return the signed tree extended by the committed entries, after every check against head and history."""
        tree = state.tree() if state else CompactRange()
        stored = read_head(connection)
        check_head(connection, stored)
        size = stored.tree.size if stored else 0
        later = self._later_roots(connection, state)
        if size < (signed := max([tree.size, *later])):
            raise IntegrityFailed(
                f"The log holds {size} entries, but {signed} were signed",
                hint="The data store was rolled back. Restore its newest copy; nothing is opened until then.",
            )
        for body in _bodies(connection, tree.size, size):
            tree.append(leaf_hash(body))
            if tree.size in later and later[tree.size] != tree.root():
                raise _rewritten(tree.size)
        if stored and tree.peaks != stored.tree.peaks:
            raise _rewritten(size)
        return tree

    def _later_roots(self, connection: Connection, state: SignerState | None) -> dict[int, bytes]:
        """Return size and root of checkpoints that were signed after the state, which then is an older copy.

        Without any state the signer has lost its memory, and someone must know.
        """
        known = state.checkpoint.size if state else -1
        query = select(checkpoint_table.c.note).where(checkpoint_table.c.size > known)
        notes = list(connection.scalars(query))
        if state is None and notes:
            raise IntegrityFailed(
                "The signer's state is missing, but the log has signed checkpoints",
                hint="Restore a copy of the state file.",
            )
        try:
            signed = [open_checkpoint(note, self._key) for note in notes]
        except VerificationError:
            raise IntegrityFailed(
                "A stored checkpoint is not signed by this log's key", hint="Verify the log."
            ) from None
        return {checkpoint.size: checkpoint.root for checkpoint in signed}


def _rewritten(size: int) -> IntegrityFailed:
    return IntegrityFailed(
        f"The log's past below {size} entries is not the one that was signed",
        hint="The data store was changed. Export the log and run consentry-verify.",
    )


def stored_notes(connection: Connection, *, below: int) -> Iterator[bytes]:
    """Yield the notes of the checkpoints over fewer than ``below`` entries, smallest first."""
    query = select(checkpoint_table.c.note).where(checkpoint_table.c.size < below).order_by(checkpoint_table.c.size)
    yield from connection.execution_options(yield_per=_READ_SIZE).scalars(query)


def _bodies(connection: Connection, start: int, end: int) -> Iterator[bytes]:
    for first in range(start, end, _READ_SIZE):
        last = min(first + _READ_SIZE, end) - 1
        query = select(leaf.c.body).where(leaf.c.leaf_index.between(first, last)).order_by(leaf.c.leaf_index)
        yield from connection.scalars(query)


def _is_stored(connection: Connection, signed: Checkpoint) -> bool:
    query = select(checkpoint_table.c.size).where(checkpoint_table.c.size == signed.size)
    return connection.scalar(query) is not None


def _store(connection: Connection, signed: Checkpoint) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"size": signed.size, "root": signed.root, "note": signed.note}
    connection.execute(dialect.insert(checkpoint_table).on_conflict_do_nothing(), row)
