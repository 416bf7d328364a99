"""The platform's side of a signer that is a process of its own."""

import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from audit.signer import NotAtHead
from audit.signer_protocol import Stream, decoded, encoded, number, read_line, write_line
from audit.state import SignerState
from audit.verifier import HASH_BYTES, Checkpoint, CompactRange, VerificationError, VerifierKey, open_checkpoint
from kernel.encoding import JsonValue
from kernel.errors import BadInput, IntegrityFailed, Unavailable

ANSWER_TIMEOUT_S: Final = 10.0
_NOTE_MAX_BYTES: Final = 64 * 1024
_PEAKS_MAX_BYTES: Final = 64 * HASH_BYTES


class RemoteSigner:
    """A ``HeadSigner`` behind a Unix socket; safe for several threads, which take turns on one connection.

    What comes back is checked against the public key that the signer named first: one that changes it has rotated its
    key or is another, and the platform has to be restarted.
    """

    def __init__(self, socket_path: Path, *, timeout_seconds: float = ANSWER_TIMEOUT_S) -> None:
        self._path = socket_path
        self._timeout = timeout_seconds
        self._turn = threading.Lock()
        self._connection: tuple[socket.socket, Stream] | None = None
        told = self._ask({"do": "key"})
        name = told.get("name")
        if not isinstance(name, str):
            raise IntegrityFailed("The signer named no key", hint="Check what listens on the socket.")
        self._key = VerifierKey(name, decoded(told, "public_key", at_most=HASH_BYTES))

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._drop()

    @property
    def name(self) -> str:
        """The key's name, which is the log's origin."""
        return self._key.name

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._key.public_key

    @property
    def verifier_key(self) -> VerifierKey:
        """The public key that checkpoints verify under now."""
        return self._key

    def head(self) -> SignerState | None:
        """Return what was signed last; see ``audit.signer.HeadSigner``.

        Raises:
            IntegrityFailed: the answer does not verify under the signer's key.
            Unavailable: the signer does not answer.
        """
        told = self._ask({"do": "head"})
        if told.get("note") is None:
            return None
        checkpoint = self._opened(told)
        joined = decoded(told, "peaks", at_most=_PEAKS_MAX_BYTES)
        peaks = tuple(joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES))
        is_shaped = len(peaks) == checkpoint.size.bit_count() and len(joined) == HASH_BYTES * len(peaks)
        if not is_shaped or CompactRange(checkpoint.size, list(peaks)).root() != checkpoint.root:
            raise IntegrityFailed("The signer's head does not fit its own signature", hint="Look at the signer.")
        return SignerState(checkpoint, peaks)

    def extend(self, size: int, hashes: Sequence[bytes]) -> Checkpoint:
        """Have leaf hashes appended and the new head signed; see ``audit.signer.HeadSigner``."""
        return self._opened(self._ask({"do": "extend", "size": size, "hashes": encoded(b"".join(hashes))}))

    def sign(self, message: bytes) -> bytes:
        """Have a document signed; see ``audit.signer.TreeSigner.sign``."""
        signature = decoded(self._ask({"do": "sign", "message": encoded(message)}), "signature", at_most=64)
        if not self._key.is_signed(message, signature):
            raise IntegrityFailed("The signer's signature does not verify under its key", hint="Look at the signer.")
        return signature

    def handovers(self) -> list[bytes]:
        """Return the notes by which earlier keys handed over, the oldest first."""
        notes = self._ask({"do": "handovers"}).get("notes")
        if not isinstance(notes, list):
            raise IntegrityFailed("The signer told no hand-overs", hint="Check what listens on the socket.")
        return [decoded({"note": note}, "note", at_most=_NOTE_MAX_BYTES) for note in notes]

    def _opened(self, told: Mapping[str, JsonValue]) -> Checkpoint:
        try:
            return open_checkpoint(decoded(told, "note", at_most=_NOTE_MAX_BYTES), self._key)
        except VerificationError:
            raise IntegrityFailed(
                "The signer's answer does not verify under the key that it named at the start",
                hint="Was its key rotated? Restart this process; else look at the signer.",
            ) from None

    def _ask(self, asked: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        with self._turn:
            try:
                told = self._exchange(asked)
            except (OSError, BadInput) as err:
                self._drop()
                cause = err.message if isinstance(err, BadInput) else err.strerror or type(err).__name__
                raise Unavailable(
                    f"The signer does not answer: {cause}", hint="Start `consentry audit signer`; nothing is opened."
                ) from None
        if told is None or "error" in told:
            raise _refusal(told or {})
        return told

    def _exchange(self, asked: Mapping[str, JsonValue]) -> Mapping[str, JsonValue] | None:
        """Send one request; a connection that has died since the last one is made anew, once, before it is sent."""
        if self._connection is not None and _is_dead(self._connection[0]):
            self._drop()
        if self._connection is None:
            self._connection = self._connected()
        _, stream = self._connection
        write_line(stream, asked)
        told = read_line(stream)
        if told is None:
            raise ConnectionResetError(104, "it closed the connection")
        return told

    def _connected(self) -> tuple[socket.socket, Stream]:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(self._timeout)
        try:
            link.connect(str(self._path))
        except OSError:
            link.close()
            raise
        return link, link.makefile("rwb")

    def _drop(self) -> None:
        if self._connection is not None:
            link, stream = self._connection
            self._connection = None
            try:
                stream.close()
            except OSError:
                pass  # what was not sent is not sent: the request has failed already
            finally:
                link.close()


def _is_dead(link: socket.socket) -> bool:
    """Say whether the other side has closed a connection on which nothing is under way."""
    patience = link.gettimeout()
    link.setblocking(False)
    try:
        return link.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        link.settimeout(patience)


def _refusal(told: Mapping[str, JsonValue]) -> Exception:
    if told.get("error") == "not_at_head":
        return NotAtHead(number(told, "size"))
    said = str(told.get("message", "no reason"))
    if told.get("error") == "IntegrityFailed":
        return IntegrityFailed(f"The signer refuses: {said}", hint="Look at the signer's state.")
    return Unavailable(f"The signer refuses: {said}", hint="Look at the signer.")
