"""Rows of attachments: what is told of a file, and how its key is wrapped. For the modules of this package alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, or_

from kernel.encoding import JsonValue
from kernel.errors import Conflict, IntegrityFailed, NotFound
from kernel.ids import SubjectId
from vault._content import CONTENT_KEY_SCHEMA, ContentKey, read_content_key
from vault._keyring import Keyring
from vault._keys import UnlockedKeys
from vault._rows import binding_of, header_of, lost_keys
from vault.envelope import Binding, DataKey, RowHeader, of_row, open_value, seal_value
from vault.payload import pack, unpack
from vault.tables import attachment

KIND: Final = "attachment"
OPEN: Final = "open"
COMPLETE: Final = "complete"

_DETAILS: Final = ("name", "media_type", "size_bytes", "chunks", "digest")


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """What can be told of a stored file without opening it.

    Attributes:
        size_bytes: of its content.
        expires_at: end of keeping; None for the life of the account.
        is_repeated: whether the same file of the same record was there already.
    """

    attachment_id: str
    subject: SubjectId
    field: str
    source: str
    size_bytes: int
    observed_at: datetime
    stored_at: datetime
    expires_at: datetime | None
    is_repeated: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Details:
    """What is sealed beside a content, under its key.

    Attributes:
        name: the file's own.
        digest: of the whole content, the algorithm's name before it.
    """

    name: str
    media_type: str
    size_bytes: int
    chunks: int
    digest: str

    def as_json(self) -> Mapping[str, JsonValue]:
        """Return it to be sealed."""
        return {name: getattr(self, name) for name in _DETAILS}

    @classmethod
    def read(cls, told: JsonValue) -> "Details":
        """Return what ``as_json`` returned; verified by the content's key."""
        if not isinstance(told, Mapping) or told.keys() != set(_DETAILS):
            raise IntegrityFailed(
                "The details of an attachment have another shape", hint="A newer release may have written them."
            )
        name, media_type, size_bytes, chunks, digest = (told[member] for member in _DETAILS)
        return cls(str(name), str(media_type), int(str(size_bytes)), int(str(chunks)), str(digest))

    def __repr__(self) -> str:
        return "Details(redacted)"


def visible(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for files that are whole and still to be kept."""
    ends = attachment.c.expires_at
    return attachment.c.state == COMPLETE, or_(ends.is_(None), ends > now)


def stored(row: Row[Any], *, is_repeated: bool = False) -> StoredAttachment:
    """Return what a row of ``attachment`` tells."""
    return StoredAttachment(
        attachment_id=row.record_id,
        subject=SubjectId(row.subject_id),
        field=row.field,
        source=row.source,
        size_bytes=row.size_bytes,
        observed_at=row.observed_at,
        stored_at=row.stored_at,
        expires_at=row.expires_at,
        is_repeated=is_repeated,
    )


def wrapped(key: ContentKey, header: RowHeader, field: str, *, data_key: DataKey, deployment: str) -> bytes:
    """Return the payload of an attachment's row: its content key, sealed like the value of its field."""
    binding = Binding(of_row(deployment, header), field, CONTENT_KEY_SCHEMA)
    return pack({field: seal_value(key.as_plaintext(), data_key=data_key, binding=binding)})


def content_key_of(row: Row[Any], keys: UnlockedKeys, keyring: Keyring, *, deployment: str) -> ContentKey | None:
    """Return the content key of a row that was selected with the columns of a sealed row and ``field``.

    Returns:
        None where an erasure has destroyed the data key.

    Raises:
        IntegrityFailed: a byte of the row or a column of its header was changed.
        KeyUnavailable: the data key is missing, and no erasure has destroyed it.
    """
    if lost_keys([row], keys, keyring):
        return None
    sealed = dict(unpack(row.payload))
    if set(sealed) != {row.field} or row.schema_version != CONTENT_KEY_SCHEMA:
        raise IntegrityFailed(
            f"The row of attachment {row.record_id} holds no key of {row.field!r}",
            hint="It was changed or moved; restore it from a backup of the data store.",
        )
    binding = binding_of(row, of_row(deployment, header_of(row)), row.field)
    plaintext = open_value(sealed[row.field], data_key=keys.opening(row.key_id), binding=binding)
    return read_content_key(plaintext, row.record_id)


def no_such(attachment_id: str) -> NotFound:
    """Return the error for a file that is not there, not any more, or not yet."""
    return NotFound(f"There is no attachment {attachment_id}", hint="`consentry attach list` names a subject's.")


def gone(attachment_id: str) -> Conflict:
    """Return the error for a file that went away while it came."""
    return Conflict(f"Attachment {attachment_id} was taken away while it came", hint="Send the file again.")
