"""One file on its way in: cut, sealed and stored while it comes. For the modules of this package alone."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.hashes import Hash

from kernel.errors import BadInput, Conflict, Unavailable
from kernel.ids import SubjectId
from vault._attached import Details
from vault._content import CHUNK_BYTES, ContentKey
from vault.envelope import RowHeader

if TYPE_CHECKING:
    from vault.uploads import Uploads

COMES_WITHIN: Final = timedelta(minutes=15)
"""How long a file may take to come, however slow its sender is."""

_TOGETHER: Final = 4
"""Chunks inserted in one transaction: a megabyte, some milliseconds of write lock."""


class TooLarge(BadInput):
    """A file is larger than the deployment takes."""


@dataclass(frozen=True, slots=True, repr=False)
class NewAttachment:
    """What comes with a file.

    Attributes:
        field: a code of type attachment.
        source: the sending system.
        source_record: the file's id there, kept as a keyed digest only.
        observed_at: when it was made.
        name: the file's own name, sealed with it.
        media_type: one that the field allows.
    """

    subject: SubjectId
    field: str
    source: str
    source_record: str
    observed_at: datetime
    name: str
    media_type: str

    def __repr__(self) -> str:
        return f"NewAttachment(subject={self.subject}, field={self.field!r}, redacted)"


class Upload:
    """One file that is coming; leaving its block takes away what was not completed."""

    def __init__(self, uploads: "Uploads", wanted: NewAttachment, header: RowHeader, key: ContentKey) -> None:
        self.wanted = wanted
        self.header = header
        self.key = key
        self._uploads = uploads
        self._until = uploads.clock.now() + COMES_WITHIN
        self._hash = Hash(key.suite.digest)
        self._buffer = bytearray()
        self._sealed: dict[int, bytes] = {}
        self._size = 0
        self._chunks = 0
        self._details: Details | None = None

    @property
    def attachment_id(self) -> str:
        """The id under which it will be found."""
        return self.header.record_id

    @property
    def details(self) -> Details:
        """What is told of the whole content; raises ``Conflict`` before its end."""
        if self._details is None:
            raise Conflict(f"Attachment {self.attachment_id} has not come whole", hint="Send the file again.")
        return self._details

    def write(self, piece: bytes) -> None:
        """Take the next piece, of any size.

        Raises:
            TooLarge: the file is larger than the deployment takes.
            Unavailable: the store cannot be written, or the file has been coming for too long.
            Conflict: the file was taken away meanwhile, or its end has come already.
        """
        if self._details is not None:
            raise Conflict(f"Attachment {self.attachment_id} has come whole", hint="Send a new file.")
        if self._uploads.clock.now() >= self._until:
            raise Unavailable("The file took too long to come", hint="Send it again over a faster line.")
        self._size += len(piece)
        if self._size > self._uploads.max_bytes:
            raise TooLarge(
                f"An attachment has at most {self._uploads.max_bytes} bytes",
                hint="See the setting max_attachment_bytes.",
            )
        self._hash.update(piece)
        self._buffer += piece
        while len(self._buffer) > CHUNK_BYTES:  # the last chunk is known by the end alone, so that one is held back
            self._seal(is_last=False)

    def end(self) -> None:
        """Seal and store what is left; the file is whole, and still invisible.

        Raises:
            BadInput: it is empty.
            Conflict, Unavailable: as ``write``.
        """
        if not self._size:
            raise BadInput("A file without content is not stored", hint="Send the file itself.")
        self._seal(is_last=True)
        self._flush()
        self._uploads.ensure_data_key(self.header)
        digest = f"{self.key.suite.digest.name}:{self._hash.finalize().hex()}"
        self._details = Details(self.wanted.name, self.wanted.media_type, self._size, self._chunks, digest)

    def _seal(self, *, is_last: bool) -> None:
        chunk = bytes(self._buffer[:CHUNK_BYTES])
        del self._buffer[:CHUNK_BYTES]
        self._sealed[self._chunks] = self.key.seal(chunk, number=self._chunks, is_last=is_last)
        self._chunks += 1
        if len(self._sealed) == _TOGETHER:
            self._flush()

    def _flush(self) -> None:
        if self._sealed:
            self._uploads.add_chunks(self.header, self._sealed)
            self._sealed = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(Unavailable):  # what cannot be removed now is invisible, and swept later
            self._uploads.discard(self.attachment_id)

    def __repr__(self) -> str:
        return f"Upload({self.attachment_id}, redacted)"
