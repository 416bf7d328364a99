"""Checkpoints: has committed tree heads signed that extend what was signed before, and nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from audit.handovers import handover_keys
from audit.origins import Origin, current_origin
from audit.sequencer import Appended, check_head, read_head
from audit.signer import HASHES_MAX, HeadSigner, NotAtHead
from audit.state import SignerState
from audit.tables import checkpoint as checkpoint_table
from audit.tables import leaf
from audit.verifier import Checkpoint, CompactRange, VerificationError, VerifierKey, leaf_hash, open_checkpoint
from kernel.database import Database
from kernel.errors import IntegrityFailed, Unavailable
from kernel.prepared import Prepared

_READ_SIZE: Final = 2_048
"""Leaves read at once while a tree grows, in a transaction of their own: some megabytes at the most."""

_ATTEMPTS: Final = 20
"""Another process may have its leaves signed in between, so that ours start elsewhere."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A stored head that continues what was signed.

    Attributes:
        is_stored: whether the newest checkpoint stands in its table.
        steps: the signed tree, and the trees that it grows into, each by no more than a signer takes at once.
        hashes: of the first step, where they are kept.
    """

    origin: Origin
    is_stored: bool
    steps: list[CompactRange]
    hashes: list[bytes] = field(default_factory=list, repr=False)


class Checkpointer:
    """Has the heads of one log signed; safe for several threads and processes.

    It trusts the database for the new entries' bytes only. It hashes them itself on top of the tree that was signed
    last, so a head that went back, or whose past was rewritten, is never signed.
    """

    def __init__(self, database: Database, signer: HeadSigner) -> None:
        self._database = database
        self._signer = signer

    @property
    def verifier_key(self) -> VerifierKey:
        """The public key that checkpoints verify under."""
        return self._signer.verifier_key

    @property
    def signer(self) -> HeadSigner:
        """Who signs."""
        return self._signer

    def sign_head(self, appended: Sequence[Appended] = ()) -> Checkpoint:
        """Have the committed head signed; it is remembered on disk before it is handed out.

        Args:
            appended: batches that this process has just committed; where they do not continue what was signed, the
                store is read. An unchanged head costs no write.
        Raises:
            IntegrityFailed: the head lies behind what was signed before, or has another past.
            Unavailable: store or signer cannot be used.
        """
        for _ in range(_ATTEMPTS):
            state = self._signer.head()
            try:
                return self._sign_appended(state, appended) or self._sign_stored(state)
            except NotAtHead:
                continue
        raise Unavailable("The signer never stood where the log does", hint="Too many processes sign; try again.")

    def check(self) -> None:
        """Raise ``IntegrityFailed`` when the stored head lies behind what was signed, or has another past."""
        self._check_stored(self._signer.head())

    def last_signed(self) -> Checkpoint | None:
        """Return the checkpoint that was signed last, whatever the store says now; None before the first.

        Raises:
            IntegrityFailed: the state is damaged.
        """
        state = self._signer.head()
        return None if state is None else state.checkpoint

    def store_signed(self, connection: Connection, origin: Origin | None = None) -> None:
        """Write the last signed checkpoint into its table, within a transaction that is made anyway.

        Between two such calls the newest checkpoint stands with the signer alone: one commit less for each access.

        Args:
            connection: of a transaction that may write.
            origin: the current one, where the caller has read it.
        Raises:
            IntegrityFailed: the state is damaged.
        """
        signed = self.last_signed()
        if signed is not None:
            _store(connection, origin or current_origin(connection), signed)

    def _sign_appended(self, state: SignerState | None, appended: Sequence[Appended]) -> Checkpoint | None:
        """Have batches signed that continue the signed tree; None where they do not, or where there are none."""
        size, peaks = (state.checkpoint.size, state.peaks) if state else (0, ())
        hashes: list[bytes] = []
        for batch in appended:
            if batch.size_before != size or (batch.origin.name or self._signer.name) != self._signer.name:
                return None
            if batch.peaks_before != peaks:
                raise _rewritten(size)
            size, peaks = batch.size, batch.peaks
            hashes.extend(batch.hashes)
        if not hashes or len(hashes) > HASHES_MAX:
            return None
        return self._signer.extend(size - len(hashes), hashes)

    def _sign_stored(self, state: SignerState | None) -> Checkpoint:
        """Have the stored head signed, in steps where it is far ahead; all of it was checked before the first one."""
        found = self._check_stored(state, keeps=True)
        if state is not None and len(found.steps) == 1:
            return state.checkpoint
        signed, is_stored = (state.checkpoint if state else None), found.is_stored
        for before, step in pairwise(found.steps):
            if signed is not None and not is_stored:
                with self._database.write() as connection:
                    _store(connection, found.origin, signed)
            is_first = before is found.steps[0]
            hashes = found.hashes if is_first else self._read_step(found.origin, before, step)
            signed, is_stored = self._signer.extend(before.size, hashes), False
        return signed or self._signer.extend(0, [])

    def _read_step(self, origin: Origin, before: CompactRange, after: CompactRange) -> list[bytes]:
        """Return the hashes between two sizes, which still lead from the one tree to the other."""
        tree, hashes = _copy(before), list[bytes]()
        for body in _bodies(self._database, origin, before.size, after.size):
            hashes.append(leaf_hash(body))
            tree.append(hashes[-1])
        if tree.peaks != after.peaks:
            raise _rewritten(after.size)
        return hashes

    def _check_stored(self, state: SignerState | None, *, keeps: bool = False) -> "_Found":
        """Compare the stored head with all that was signed, reading in windows that keep no writer waiting.

        Args:
            state: what was signed last.
            keeps: whether the hashes up to the first step are kept.
        """
        with self._database.read() as connection:
            stored = read_head(connection)
            check_head(connection, stored)
            self._check_origin(stored.origin)
            later = self._later_roots(connection, stored.origin, state)
            is_stored = state is None or _is_stored(connection, stored.origin, state.checkpoint)
        tree, size = _tree(state), stored.tree.size
        if size < (signed := max([tree.size, *later])):
            raise IntegrityFailed(
                f"The log holds {size} entries, but {signed} were signed",
                hint="The data store was rolled back. Restore its newest copy, or see `consentry audit recover`; "
                "nothing is opened until then.",
            )
        found = _Found(stored.origin, is_stored, [_copy(tree)])
        for body in _bodies(self._database, stored.origin, tree.size, size):
            hashed = leaf_hash(body)
            tree.append(hashed)
            if keeps and len(found.steps) == 1:
                found.hashes.append(hashed)
            if tree.size in later and later[tree.size] != tree.root():
                raise _rewritten(tree.size)
            if tree.size == size or tree.size - found.steps[-1].size == HASHES_MAX:
                found.steps.append(_copy(tree))
        if tree.peaks != stored.tree.peaks:
            raise _rewritten(size)
        return found

    def _check_origin(self, origin: Origin) -> None:
        if origin.name is not None and origin.name != self._signer.name:
            raise IntegrityFailed(
                "The signer signs for another origin than the log's",
                hint="A new origin was opened after a loss: use its signing key.",
            )

    def _later_roots(self, connection: Connection, origin: Origin, state: SignerState | None) -> dict[int, bytes]:
        """Return size and root of checkpoints that were signed after the state, which then is an older copy.

        Without any state the signer has lost its memory, and someone must know.
        """
        known = state.checkpoint.size if state else -1
        query = select(checkpoint_table.c.note).where(
            checkpoint_table.c.origin_no == origin.number, checkpoint_table.c.size > known
        )
        notes = list(connection.scalars(query))
        if state is None and notes:
            raise IntegrityFailed(
                "The signer's state is missing, but the log has signed checkpoints",
                hint="Restore a copy of the state file.",
            )
        if not notes:
            return {}
        keys = [self._signer.verifier_key, *(handover_keys(note)[0] for note in self._signer.handovers())]
        return dict(_opened(note, keys) for note in notes)


def _tree(state: SignerState | None) -> CompactRange:
    return state.tree() if state else CompactRange()


def _copy(tree: CompactRange) -> CompactRange:
    return CompactRange(tree.size, list(tree.peaks))


def _opened(note: bytes, keys: Sequence[VerifierKey]) -> tuple[int, bytes]:
    """Return size and root of a stored note that one of the log's keys signed."""
    for key in keys:
        try:
            opened = open_checkpoint(note, key)
        except VerificationError:
            continue
        return opened.size, opened.root
    raise IntegrityFailed("A stored checkpoint is not signed by this log's key", hint="Verify the log.")


def _rewritten(size: int) -> IntegrityFailed:
    return IntegrityFailed(
        f"The log's past below {size} entries is not the one that was signed",
        hint="The data store was changed. Export the log and run consentry-verify.",
    )


def _bodies(database: Database, origin: Origin, start: int, end: int) -> Iterator[bytes]:
    for first in range(origin.base + start, origin.base + end, _READ_SIZE):
        last = min(first + _READ_SIZE, origin.base + end) - 1
        query = select(leaf.c.body).where(leaf.c.leaf_index.between(first, last)).order_by(leaf.c.leaf_index)
        with database.read() as connection:
            bodies = connection.scalars(query).all()
        yield from bodies


def _is_stored(connection: Connection, origin: Origin, signed: Checkpoint) -> bool:
    return bool(_STORED.rows(connection, number=origin.number, size=signed.size))


def _store(connection: Connection, origin: Origin, signed: Checkpoint) -> None:
    if _is_stored(connection, origin, signed):
        return
    _STORE[connection.dialect.name].rows(
        connection, origin_no=origin.number, size=signed.size, root=signed.root, note=signed.note
    )


_STORED: Final = Prepared(
    select(checkpoint_table.c.size).where(
        checkpoint_table.c.origin_no == bindparam("number"), checkpoint_table.c.size == bindparam("size")
    )
)
_STORE: Final = {
    dialect.dialect.name: Prepared(
        dialect.insert(checkpoint_table).inline().on_conflict_do_nothing(),
        columns=("origin_no", "size", "root", "note"),
    )
    for dialect in (postgresql, sqlite)
}
