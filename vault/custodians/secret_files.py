"""Secrets in files: passphrases, tokens and PINs that only their owner may read, and systemd's credentials."""

import os
from pathlib import Path
from typing import Final

from kernel.errors import ConfigurationError
from vault.custodian import RootKeyMissing, RootKeyWrong

_MAX_BYTES: Final = 8 * 1024
_NOT_OWNER: Final = 0o077
_OTHERS: Final = 0o007
CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
"""systemd.exec(5), LoadCredential=: the folder that the service's credentials lie in, readable to it alone."""


def read_secret(path: Path, what: str, *, is_credential: bool = False) -> bytes:
    """Return the secret in a file, without the line end that editors leave.

    Args:
        path: the file.
        what: what it holds, for messages.
        is_credential: systemd may show it as readable by its group, by the mask of an access control list.

    Raises:
        RootKeyMissing: there is no such file, it is empty, or it cannot be read.
        RootKeyWrong: the file can be read by others, or is too long.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_BYTES + 1)
    except OSError:
        raise RootKeyMissing(f"The file of the {what} is missing or cannot be read", hint="Check its path.") from None
    if mode & (_OTHERS if is_credential else _NOT_OWNER):
        raise RootKeyWrong(f"The file of the {what} can be read by others", hint="Run chmod 600 on it.")
    secret = content.rstrip(b"\r\n")
    if not secret:
        raise RootKeyMissing(f"The file of the {what} is empty", hint="Write it there.")
    if len(content) > _MAX_BYTES:
        raise RootKeyWrong(f"The file of the {what} is longer than {_MAX_BYTES // 1024} KiB", hint="Check its path.")
    return secret


def credential_path(name: str) -> Path:
    """Return the path of a credential that systemd has loaded for this service.

    Raises:
        ConfigurationError: the name is none, or the process was not started by systemd with credentials.
    """
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    if not folder:
        raise ConfigurationError(
            "A systemd credential is configured, and systemd has given this process none",
            hint="Start it by its unit with LoadCredential=, or by systemd-run --property=LoadCredential=….",
        )
    if not name or Path(name).name != name or name in (".", ".."):
        raise ConfigurationError(
            "The name of a systemd credential is a plain file name", hint="Name it as in its unit."
        )
    return Path(folder) / name
