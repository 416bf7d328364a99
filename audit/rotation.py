"""Rotation of the log's signing key: a new key under the same name, a hand-over that both sign, and the old file gone.

Interrupted anywhere, it is finished when the key is loaded the next time.
"""

from pathlib import Path

from audit.handovers import Handovers
from audit.signer import TreeSigner
from audit.signing import NoteSigner, create_signing_key, load_signing_key
from audit.verifier import VerifierKey
from kernel.errors import Unavailable
from kernel.files import sync_folder


def load_tree_signer(key_path: Path, state_path: Path) -> TreeSigner:
    """Load the signing key with its state; a rotation that was interrupted is finished first.

    Raises:
        Unavailable: a file cannot be read or moved.
        ConfigurationError: the key file is open to others, or holds no key.
    """
    return TreeSigner(_load_current(key_path, state_path), state_path)


def rotate_signing_key(key_path: Path, state_path: Path) -> bytes:
    """Hand the log over to a new key; settle the log before. Returns the hand-over's note.

    Raises:
        Conflict: nothing was signed yet, or nothing since the last hand-over.
        Unavailable: a file cannot be read or written; the old key still signs.
    """
    signer = load_tree_signer(key_path, state_path)
    signer.head()
    following = _next_key(_next_path(key_path), signer.name)
    note = signer.hand_over(following)
    _take_into_use(key_path)
    TreeSigner(following, state_path).head()
    return note


def _load_current(key_path: Path, state_path: Path) -> NoteSigner:
    key = load_signing_key(key_path)
    draft = _next_path(key_path)
    if draft.exists() and Handovers.beside(state_path).retired(VerifierKey(key.name, key.public_key)):
        _take_into_use(key_path)
        return load_signing_key(key_path)
    return key


def _next_key(draft: Path, name: str) -> NoteSigner:
    """Return the key that an interrupted rotation made and did not hand over to, or a new one."""
    return load_signing_key(draft) if draft.exists() else create_signing_key(draft, name)


def _next_path(key_path: Path) -> Path:
    return key_path.with_name(f"{key_path.name}.next")


def _take_into_use(key_path: Path) -> None:
    try:
        _next_path(key_path).replace(key_path)
        sync_folder(key_path.parent)
    except OSError as err:
        raise Unavailable(f"The new signing key cannot take the old one's place: {err.strerror}") from None
