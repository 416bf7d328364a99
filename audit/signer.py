"""The signer: signs a tree head only when it extends the one that was signed before, and remembers it first.

It is given the hashes of appended leaves and nothing else; the tree over them is its own. In the embedded profile it
runs inside the process that asks, with the same rules; as a process of its own (``audit.signer_service``) it holds the
key where the platform cannot read it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from audit.handovers import Handovers
from audit.notes import sign_checkpoint, with_signature
from audit.signing import NoteSigner
from audit.state import SignerState, StateFile, locked
from audit.verifier import HASH_BYTES, Checkpoint, CompactRange, VerifierKey
from kernel.errors import BadInput, Conflict, Denied, IntegrityFailed, Unavailable
from kernel.ports import Signer

HASHES_MAX: Final = 65_536
"""Leaves in one request: 2 MiB of hashes."""

_DOCUMENT: Final = b"consentry"
"""How every document of ours begins that is no checkpoint."""

_HANDOVER: Final = b"consentry log key handover"


class NotAtHead(Conflict):
    """The leaves do not continue the tree that was signed last.

    Attributes:
        size: of the tree that was signed last.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"The signer stands at {size} entries", hint="Ask again from there.")
        self.size = size


class HeadSigner(Signer, Protocol):
    """Signs the heads of one log, and documents that are no heads."""

    @property
    def verifier_key(self) -> VerifierKey:
        """The public key that checkpoints verify under now."""
        ...

    def head(self) -> SignerState | None:
        """Return what was signed last; None before the first signature."""
        ...

    def extend(self, size: int, hashes: Sequence[bytes]) -> Checkpoint:
        """Append leaf hashes to the tree of ``size`` leaves that was signed last, remember the new head and sign it.

        Raises:
            NotAtHead: another size was signed last; nothing was signed.
            BadInput: too many hashes, or a hash that is none.
            Unavailable: the state cannot be written; nothing was signed.
        """
        ...

    def handovers(self) -> list[bytes]:
        """Return the notes by which earlier keys handed over, the oldest first."""
        ...


class TreeSigner:
    """A ``HeadSigner`` with its key and its state file in this process; safe for several threads and processes."""

    def __init__(self, signer: NoteSigner, state_path: Path) -> None:
        self._signer = signer
        self._state_path = state_path
        self._state = StateFile(state_path)
        self._key = VerifierKey(signer.name, signer.public_key)
        self._handovers = Handovers.beside(state_path)

    @property
    def name(self) -> str:
        """The key's name, which is the log's origin."""
        return self._signer.name

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._signer.public_key

    @property
    def verifier_key(self) -> VerifierKey:
        """The public key that checkpoints verify under now."""
        return self._key

    def head(self) -> SignerState | None:
        """Return what was signed last; see ``HeadSigner.head``.

        Raises:
            IntegrityFailed: the state is damaged.
            Unavailable: it cannot be read, or the key was handed over to another.
        """
        with locked(self._state_path):
            return self._read()

    def extend(self, size: int, hashes: Sequence[bytes]) -> Checkpoint:
        """Append, remember, sign; see ``HeadSigner.extend``."""
        if len(hashes) > HASHES_MAX or any(len(one) != HASH_BYTES for one in hashes):
            raise BadInput(f"A signer takes at most {HASHES_MAX} hashes of 32 bytes", hint="Append in steps.")
        with locked(self._state_path):
            state = self._read()
            tree = state.tree() if state else CompactRange()
            if tree.size != size:
                raise NotAtHead(tree.size)
            if state is not None and not hashes:
                return state.checkpoint
            for one in hashes:
                tree.append(one)
            signed = sign_checkpoint(tree.size, tree.root(), self._signer)
            self._state.write(SignerState(signed, tuple(tree.peaks)), self._key)
            return signed

    def sign(self, message: bytes) -> bytes:
        """Sign a document: a certificate or a manifest, never anything that could pass for a checkpoint.

        Raises:
            Denied: the message does not begin as documents do.
        """
        check_document(message, self.name)
        return self._signer.sign(message)

    def handovers(self) -> list[bytes]:
        """Return the notes by which earlier keys handed over, the oldest first."""
        return self._handovers.read()

    def hand_over(self, following: NoteSigner) -> bytes:
        """Let another key sign from now on; both sign the hand-over and the head that it takes over.

        Args:
            following: the next key, under the same name.
        Returns:
            The hand-over's note.
        Raises:
            BadInput: the key has another name, or is the same.
            Conflict: nothing was signed yet, or nothing since the last hand-over: the log keeps one for each size.
        """
        if following.name != self.name or following.public_key == self.public_key:
            raise BadInput("The next key needs the log's name and other key material", hint="Make a new key.")
        with locked(self._state_path):
            state = self._read()
            if state is None:
                raise Conflict("Nothing was signed yet: there is nothing to hand over", hint="Replace the key file.")
            if self._handovers.last_size() == state.checkpoint.size:
                raise Conflict(
                    "The log has not grown since this key took over",
                    hint="Let the platform start once in between: it writes the last hand-over into the log.",
                )
            return self._handovers.append(state.checkpoint, self._signer, following)

    def _read(self) -> SignerState | None:
        if self._handovers.retired(self._key):
            raise Unavailable(
                "This signing key was handed over to another one", hint="Restart the process: it reads the new key."
            )
        try:
            return self._state.read(self._key)
        except IntegrityFailed:
            before = self._handovers.predecessor(self._key)
            if before is None:
                raise
            return self._take_over(before)

    def _take_over(self, before: VerifierKey) -> SignerState | None:
        """Sign the head that the key before handed over, once."""
        state = self._state.read(before)
        if state is not None:
            note = with_signature(state.checkpoint.note, self._signer)
            state = replace(state, checkpoint=replace(state.checkpoint, note=note))
            self._state.write(state, self._key)
        return state


def check_document(message: bytes, name: str) -> None:
    """Raise ``Denied`` unless a message is a document: neither a head, which begins with the name, nor a hand-over."""
    is_head = message.partition(b"\n")[0] == name.encode()
    if is_head or not message.startswith(_DOCUMENT) or message.startswith(_HANDOVER):
        raise Denied("A signer signs documents only here", hint="Heads are signed by appending leaves.")
