"""Files as they come: sealed piece by piece, invisible until the last one is stored and the gate was asked once more.

Until then the content's key lives in memory alone: what a crash leaves cannot be opened by anybody, and is swept.
"""

import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of, now_in_log
from consent.permits import Permit
from consent.rules import STORAGE_AND_SECURITY
from consent.standing import Standing, find_standings, lock_subjects
from kernel.catalogue import Catalogue, Compartment, Field, FieldType
from kernel.clock import from_micros, to_micros
from kernel.database import Database
from kernel.errors import BadInput, Denied
from kernel.ids import SubjectId, new_id
from kernel.ports import Clock
from vault._attached import COMPLETE, KIND, OPEN, Details, StoredAttachment, gone, stored, wrapped
from vault._blinding import unlocked_blinding
from vault._content import CONTENT_KEY_SCHEMA, new_content_key
from vault._incoming import NewAttachment, TooLarge, Upload
from vault._keyring import KeyKind, keyring_of
from vault.envelope import RowHeader, length_prefixed
from vault.keystore import KeyStore
from vault.tables import attachment, attachment_chunk

__all__ = ["DEFAULT_MAX_BYTES", "NewAttachment", "StoredAttachment", "TooLarge", "Upload", "Uploads"]

DEFAULT_MAX_BYTES: Final = 50 * 1024 * 1024

STALE_AFTER: Final = timedelta(hours=1)
"""Longer than a file may take to come, with room for the clocks of several machines."""

_RECORD_KEY: Final = "record-key"
_CONTENT_KEY: Final = "attachment-content"
_MAX_NAME: Final = 255


class Uploads:
    """Takes files into the attachments of one deployment."""

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
        self.clock = clock
        self.max_bytes = max_bytes
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._catalogue = catalogue
        self._log = log
        self._deployment = deployment

    def begin(self, connection: Connection, wanted: NewAttachment, *, permit: Permit) -> Upload:
        """Prepare for a file's pieces, in the transaction in which the gate gave the permit.

        Raises:
            BadInput: the field is no attachment, the media type is not among its own, its time of keeping is over, or
                the name is empty or too long.
            Denied: the permit does not cover the field, or the subject takes no more data.
        """
        field = self._check(connection, wanted, permit)
        header = self._header(wanted, field)
        if header.expires_at is not None and header.expires_at <= to_micros(self._now(connection)):
            raise BadInput(f"The time of keeping {wanted.field!r} is over", hint="It is not stored.")
        row = {
            **header._asdict(),
            "row_no": -1 - secrets.randbits(62),
            "observed_at": wanted.observed_at,
            "expires_at": None if header.expires_at is None else from_micros(header.expires_at),
            "held_until": None if header.held_until is None else from_micros(header.held_until),
            "field": wanted.field,
            "permit_id": permit.permit_id,
            "state": OPEN,
            "schema_version": CONTENT_KEY_SCHEMA,
            "size_bytes": 0,
            "opened_at": self.clock.now(),
        }
        connection.execute(insert(attachment), row)
        return Upload(self, wanted, header, new_content_key(self._keyring.suite, header.record_id))

    def complete(self, connection: Connection, upload: Upload, *, permit: Permit, asking: Asking) -> StoredAttachment:
        """Make a file visible that has come whole, in the transaction in which the gate was asked once more.

        The same file of the same record is kept once: the one that is there is returned.

        Raises:
            Conflict: ``Upload.end`` was not called, or the file was taken away meanwhile.
            Denied: the permit does not cover the field, or the subject takes no more data.
        """
        wanted, header, details = upload.wanted, upload.header, upload.details
        self._check(connection, wanted, permit)
        mine = (attachment.c.record_id == header.record_id, attachment.c.state == OPEN)
        digest = self._digest(wanted, header, details)
        with unlocked_blinding(self._keyring, [wanted.subject]) as blinding:
            by = blinding.newest(wanted.subject)
            content_key = by.blind(digest)
        columns = attachment.c
        blinded = and_(columns.content_key == content_key, columns.blinding_id == by.key_id)
        older = and_(columns.content_key == digest, columns.blinding_id.is_(None))
        same = select(attachment).where(columns.subject_id == wanted.subject, or_(blinded, older))
        found = connection.execute(same).first()
        if found is not None:
            connection.execute(delete(attachment).where(*mine))
            return stored(found, is_repeated=True)
        with self._keyring.unlocked([wanted.subject], [Compartment(header.compartment)]) as keys:
            data_key = keys.sealing((wanted.subject, Compartment(header.compartment)))
            payload = wrapped(upload.key, header, wanted.field, data_key=data_key, deployment=self._deployment)
        values = {
            "key_id": data_key.key_id,
            "payload": payload,
            "details": upload.key.seal_details(details.as_json()),
            "content_key": content_key,
            "blinding_id": by.key_id,
            "permit_id": permit.permit_id,
            "state": COMPLETE,
            "size_bytes": details.size_bytes,
            "stored_at": self._now(connection),
        }
        if connection.execute(update(attachment).where(*mine).values(**values)).rowcount != 1:
            raise gone(header.record_id)
        self._record(connection, upload, permit, asking)
        return stored(connection.execute(select(attachment).where(attachment.c.record_id == header.record_id)).one())

    def discard(self, attachment_id: str) -> None:
        """Remove a file that has not come whole; one that has, or is gone, stays as it is."""
        with self._data.write() as connection:
            connection.execute(
                delete(attachment).where(attachment.c.record_id == attachment_id, attachment.c.state == OPEN)
            )

    def sweep_stale(self) -> int:
        """Remove files that stopped coming more than an hour ago, and return how many; safe to repeat."""
        stale = attachment.c.opened_at < self.clock.now() - STALE_AFTER
        with self._data.read() as connection:
            query = select(attachment.c.record_id).where(attachment.c.state == OPEN, stale)
            left = connection.execute(query).scalars().all()
        for attachment_id in left:
            self.discard(attachment_id)
        return len(left)

    def add_chunks(self, header: RowHeader, sealed: Mapping[int, bytes]) -> None:
        """Store sealed chunks of a file that is still coming, in a transaction of its own; called by ``Upload``.

        Raises:
            Conflict: the file was taken away meanwhile.
            Unavailable: the store cannot be written, for example because the disk is full.
        """
        rows = [{"record_id": header.record_id, "number": number, "sealed": sealed[number]} for number in sealed]
        try:
            with self._data.write() as connection:
                connection.execute(insert(attachment_chunk), rows)
        except IntegrityError:
            raise gone(header.record_id) from None

    def ensure_data_key(self, header: RowHeader) -> None:
        """Make the data key durable under which the file's own will be sealed; called by ``Upload``."""
        pair = (SubjectId(header.subject_id), Compartment(header.compartment))
        self._keystore.ensure_data_keys([pair], batch=None)

    def _check(self, connection: Connection, wanted: NewAttachment, permit: Permit) -> Field:
        """Raise unless the pack, the permit and the subject's standing, now locked, allow the file."""
        field = self._catalogue.get_field(wanted.field)
        if field.type is not FieldType.ATTACHMENT:
            raise BadInput(f"Field {wanted.field!r} holds no files", hint="Send its value in a record.")
        if wanted.media_type not in field.media:
            raise BadInput(
                f"Field {wanted.field!r} takes no such files", hint=f"It takes {', '.join(sorted(field.media))}."
            )
        if not 0 < len(wanted.name) <= _MAX_NAME:
            raise BadInput(f"A file's name has 1 to {_MAX_NAME} characters", hint="Rename the file.")
        lock_subjects(connection, [wanted.subject], exclusive=False)
        permit.check_live(self._now(connection))
        if permit.purpose != field.collect or not permit.allows(wanted.subject, wanted.field):
            raise Denied(
                f"No permit for {field.collect} covers field {wanted.field!r} of subject {wanted.subject}",
                hint="Nothing was stored; ask the gate.",
            )
        found = find_standings(connection, [wanted.subject]).get(wanted.subject)
        state = None if found is None else found.state
        may_stay = state is Standing.RESTRICTED and field.collect in STORAGE_AND_SECURITY
        if state is not Standing.ACTIVE and not may_stay:
            raise Denied(f"Subject {wanted.subject} takes no more data: {state or 'not registered'}")
        return field

    def _header(self, wanted: NewAttachment, field: Field) -> RowHeader:
        ends = field.retention.expires_at(wanted.observed_at)
        held = field.retention.held_until(wanted.observed_at)
        mac = self._keyring.mac_keys(KeyKind.SERVICE, [_RECORD_KEY])[_RECORD_KEY]
        digest = mac.digest(length_prefixed(wanted.subject, wanted.source, KIND, wanted.source_record))
        return RowHeader(
            kind=KIND,
            source=wanted.source,
            compartment=field.compartment.value,
            purpose=field.collect,
            subject_id=wanted.subject,
            record_id=new_id("att"),
            record_key=b64encode(digest).decode().rstrip("="),
            observed_at=to_micros(wanted.observed_at),
            expires_at=None if ends is None else to_micros(ends),
            held_until=None if held is None else to_micros(held),
        )

    def _digest(self, wanted: NewAttachment, header: RowHeader, details: Details) -> bytes:
        """Return the keyed digest that tells a file from others; it begins with its record's, as a record's does."""
        mac = self._keyring.mac_keys(KeyKind.SERVICE, [_CONTENT_KEY])[_CONTENT_KEY]
        told = (header.record_key, wanted.field, details.name, details.media_type, details.digest)
        return mac.digest(length_prefixed(*told, str(header.observed_at)))

    def _record(self, connection: Connection, upload: Upload, permit: Permit, asking: Asking) -> None:
        event = replace(
            event_of(asking, Act.ATTACHMENT_STORED),
            subject=upload.wanted.subject,
            purpose=permit.purpose,
            fields=(upload.wanted.field,),
            refs={"attachment": upload.header.record_id, "permit": permit.permit_id},
            counts={"bytes": upload.details.size_bytes, "chunks": upload.details.chunks},
        )
        self._log.record(connection, event)

    def _now(self, connection: Connection) -> datetime:
        return now_in_log(connection, self._log, self.clock)
