"""The file of the key that signs consent receipts: a private JWK, for its owner only."""

import os
from pathlib import Path

from consent.receipts import ReceiptKey
from consentry.places import OWNER_FILE
from kernel.errors import ConfigurationError, Conflict
from kernel.files import sync_folder

_OTHERS = 0o077


def create_receipt_key(path: Path) -> None:
    """Write a fresh key, readable by its owner only; raises ``Conflict`` when the file exists."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_FILE)
    except FileExistsError:
        raise Conflict(f"{path} exists already", hint="Remove it first if it is really not needed.") from None
    with os.fdopen(handle, "w") as file:
        file.write(ReceiptKey.generate().private_jwk())
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def load_receipt_key(path: Path) -> ReceiptKey:
    """Read the key file.

    It is read when a receipt is issued or checked and not before, so that a deployment that is older than receipts
    works without it.

    Raises:
        ConfigurationError: it is missing, damaged or open to others.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"The receipt key {path} is missing or cannot be read",
            hint="Restore it from its backup; where there never was one, run `consentry upgrade`.",
        ) from None
    if mode & _OTHERS:
        raise ConfigurationError(f"The receipt key {path} can be read by others", hint="Run chmod 600 on it.")
    return ReceiptKey.from_jwk(text)
