"""Attachments: files of a subject, listed without opening them, and opened for a permit and its receipt only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from audit.receipts import Receipt
from consent.entries import EntryLog, now_in_log
from consent.permits import Permit, PermitExpired
from kernel.catalogue import Catalogue
from kernel.database import Database
from kernel.errors import Denied, IntegrityFailed
from kernel.ids import SubjectId
from kernel.ports import Clock
from vault._attached import Details, StoredAttachment, content_key_of, no_such, stored, visible
from vault._content import ContentKey
from vault._keyring import keyring_of
from vault._rows import columns_of
from vault.keystore import KeyStore
from vault.tables import attachment, attachment_chunk
from vault.uploads import DEFAULT_MAX_BYTES, Uploads

__all__ = ["Attachments", "OpenedAttachment", "StoredAttachment"]

OPENS_WITHIN: Final = timedelta(minutes=10)
"""The bound within which a reading that has begun must end, however slowly its pieces are fetched."""


@dataclass(frozen=True, slots=True, repr=False)
class OpenedAttachment:
    """A file in clear: its own name, and its pieces, which are opened one by one as they are asked for.

    Attributes:
        digest: of the whole content, the algorithm's name before it.
        pieces: raises ``IntegrityFailed`` at the first that does not verify, ``NotFound`` once the file was erased, and
            ``PermitExpired`` ten minutes after the opening.
    """

    attachment_id: str
    subject: SubjectId
    field: str
    name: str
    media_type: str
    size_bytes: int
    digest: str
    pieces: Iterator[bytes]

    def __repr__(self) -> str:
        return f"OpenedAttachment({self.attachment_id}, redacted)"


class Attachments:
    """The attachments of one deployment.

    Attributes:
        uploads: takes new ones.
    """

    def __init__(  # noqa: PLR0917 - the parts that are wired together once
        self,
        data: Database,
        keystore: KeyStore,
        catalogue: Catalogue,
        log: EntryLog,
        clock: Clock,
        deployment: str,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.uploads = Uploads(data, keystore, catalogue, log, clock, deployment, max_bytes=max_bytes)
        self._data = data
        self._keyring = keyring_of(keystore)
        self._log = log
        self._clock = clock
        self._deployment = deployment
        self._catalogue = catalogue

    def list_of(self, connection: Connection, subject: SubjectId) -> list[StoredAttachment]:
        """Return the visible attachments of a subject, oldest first; nothing is opened."""
        query = select(attachment).where(attachment.c.subject_id == subject, *visible(self._now(connection)))
        rows = connection.execute(query.order_by(attachment.c.observed_at, attachment.c.record_id))
        return [stored(row) for row in rows]

    def get(self, connection: Connection, attachment_id: str) -> StoredAttachment:
        """Return what can be told of a visible attachment; raises ``NotFound``."""
        query = select(attachment).where(attachment.c.record_id == attachment_id, *visible(self._now(connection)))
        row = connection.execute(query).one_or_none()
        if row is None:
            raise no_such(attachment_id)
        return stored(row)

    def open(self, permit: Permit, receipt: Receipt, *, attachment_id: str) -> OpenedAttachment:
        """Open one file; the receipt is used up by the call itself.

        Raises:
            NotFound: there is none, its time of keeping is over, or its key was destroyed by an erasure.
            Denied: permit or receipt do not cover this access, or are over.
            IntegrityFailed: a stored byte or column was changed, or a piece is missing.
            KeyUnavailable: a key is missing that was not destroyed by an erasure.
        """
        with self._data.read() as connection:
            now = self._now(connection)
            told = self.get(connection, attachment_id)
        if not permit.allows(told.subject, told.field):
            raise Denied(f"Permit {permit.permit_id} does not cover this attachment", hint="Ask the gate for it.")
        permit.check_live(now)
        if receipt.entry_id != permit.entry_id:
            raise Denied("The audit receipt belongs to another permit", hint="Ask the log for this permit's receipt.")
        receipt.redeem(actor=permit.actor, purpose=permit.purpose, subjects=[told.subject], fields={told.field})
        key, details = self._unlocked(told, now)
        return OpenedAttachment(
            attachment_id=attachment_id,
            subject=told.subject,
            field=told.field,
            name=details.name,
            media_type=details.media_type,
            size_bytes=details.size_bytes,
            digest=details.digest,
            pieces=self._pieces(permit, attachment_id, key, details.chunks),
        )

    def _unlocked(self, told: StoredAttachment, now: datetime) -> tuple[ContentKey, Details]:
        """Return the key of a file and what is told of it.

        A row whose key was destroyed since it was read has a new one by now, or is gone.
        """
        compartment = self._catalogue.get_field(told.field).compartment
        before: bytes | None = None
        while True:
            with self._data.read() as connection:
                row = self._row(connection, told.attachment_id, now)
            if (row.field, row.subject_id) != (told.field, told.subject):
                raise no_such(told.attachment_id)  # permit and receipt are for what it was a moment ago
            with self._keyring.unlocked([told.subject], [compartment]) as keys:
                key = content_key_of(row, keys, self._keyring, deployment=self._deployment)
            if key is not None:
                return key, self._details(row, key)
            if row.key_id == before:
                raise no_such(told.attachment_id)
            before = row.key_id

    def _row(self, connection: Connection, attachment_id: str, now: datetime) -> Row[Any]:
        columns = (*columns_of(attachment), attachment.c.field, attachment.c.details)
        query = select(*columns).where(attachment.c.record_id == attachment_id, *visible(now))
        row = connection.execute(query).one_or_none()
        if row is None:
            raise no_such(attachment_id)
        return row

    def _details(self, row: Row[Any], key: ContentKey) -> Details:
        """Return what is told of the content; a missing chunk shows before the first one is given out."""
        details = Details.read(key.open_details(row.details))
        query = select(attachment_chunk.c.number).where(attachment_chunk.c.record_id == row.record_id)
        with self._data.read() as connection:
            numbers = sorted(connection.execute(query).scalars())
        if numbers != list(range(details.chunks)):
            raise IntegrityFailed(
                f"Attachment {row.record_id} has not the chunks that it was stored with",
                hint="Restore the data store from a backup.",
            )
        return details

    def _pieces(self, permit: Permit, attachment_id: str, key: ContentKey, chunks: int) -> Iterator[bytes]:
        until = self._clock.now() + OPENS_WITHIN
        for number in range(chunks):
            if self._clock.now() >= until:
                raise PermitExpired(
                    f"The reading of {attachment_id} under permit {permit.permit_id} took too long",
                    hint="Ask the gate again.",
                )
            mine = (attachment_chunk.c.record_id == attachment_id, attachment_chunk.c.number == number)
            with self._data.read() as connection:
                sealed = connection.scalar(select(attachment_chunk.c.sealed).where(*mine))
            if sealed is None:
                raise no_such(attachment_id)
            yield key.open(sealed, number=number, is_last=number == chunks - 1)

    def _now(self, connection: Connection) -> datetime:
        return now_in_log(connection, self._log, self._clock)
