"""A certificate that a recipient returned or destroyed the data: the register keeps the file's name and hash."""

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Final

from kernel.errors import BadInput

_MAX_NAME_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is kept of the file; the file itself stays with the operator's documents.

    Attributes:
        name: without folders.
        sha256: of its bytes, in hexadecimal.
    """

    name: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} sha256:{self.sha256}"


def read_certificate(path: Path) -> Certificate:
    """Return name and hash of a certificate.

    Raises:
        BadInput: there is no such file, it is empty, or its name is too long or unprintable.
    """
    name = path.name
    if not path.is_file() or path.stat().st_size == 0:
        raise BadInput(f"The certificate {name!r} is no file with content", hint="Name the signed document.")
    if len(name) > _MAX_NAME_CHARS or not name.isprintable():
        raise BadInput(
            f"The certificate's name is not 1 to {_MAX_NAME_CHARS} printable characters", hint="Rename the file."
        )
    with path.open("rb") as content:
        return Certificate(name, file_digest(content, "sha256").hexdigest())
