"""A house that also keeps files."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from audit.log import AuditLog
from consent.gate import Gate
from consent.permits import Permit
from kernel.catalogue import Catalogue, Compartment, FieldType, Retention
from kernel.ids import SubjectId
from tests.vault.conftest import ASKING, DEPLOYMENT, YEAR, House, _field
from vault.attachments import Attachments, OpenedAttachment
from vault.uploads import NewAttachment, StoredAttachment, Upload

PNG = b"\x89PNG\r\n\x1a\n"


def with_files(catalogue: Catalogue) -> Catalogue:
    """The small catalogue, with one field that the law holds and one that goes with the account."""
    files = (
        _field("images", Compartment.CLINICAL, "P02", Retention(15 * YEAR, 15 * YEAR)),
        _field("id_photo", Compartment.IDENTITY, "P01", Retention(YEAR / 52)),
        _field("recording", Compartment.CLINICAL, "P02", Retention(None)),
    )
    media = frozenset({"image/png", "application/pdf"})
    files = {one.code: replace(one, type=FieldType.ATTACHMENT, media=media) for one in files}
    return replace(catalogue, fields={**catalogue.fields, **files})


@dataclass
class Filing:
    """Short forms of what is done with files in a house."""

    house: House
    gate: Gate
    attachments: Attachments

    @classmethod
    def of(cls, house: House, *, max_bytes: int = 8 * 1024 * 1024) -> "Filing":
        catalogue = with_files(house.catalogue)
        made = Attachments(
            house.data, house.keystore, catalogue, house.log, house.clock, DEPLOYMENT, max_bytes=max_bytes
        )
        return cls(house, Gate(catalogue, house.log, house.clock), made)

    @property
    def log(self) -> AuditLog:
        return self.house.log

    def wanted(self, subject: SubjectId, field: str = "images", number: object = 1, **other: object) -> NewAttachment:
        made = NewAttachment(
            subject=subject,
            field=field,
            source="pacs",
            source_record=f"image-{number}",
            observed_at=self.house.clock.now(),
            name="胸片.png",
            media_type="image/png",
        )
        return replace(made, **other)

    def permit(self, connection, subject: SubjectId, purpose: str, field: str) -> Permit:
        said = self.gate.check(connection, asking=ASKING, purpose=purpose, subject=subject, fields=[field])
        assert isinstance(said, Permit)
        return said

    def begin(self, wanted: NewAttachment) -> Upload:
        purpose = {"id_photo": "P01"}.get(wanted.field, "P02")
        with self.house.data.write() as connection:
            permit = self.permit(connection, wanted.subject, purpose, wanted.field)
            return self.attachments.uploads.begin(connection, wanted, permit=permit)

    def complete(self, upload: Upload) -> StoredAttachment:
        purpose = {"id_photo": "P01"}.get(upload.wanted.field, "P02")
        with self.house.data.write() as connection:
            permit = self.permit(connection, upload.wanted.subject, purpose, upload.wanted.field)
            return self.attachments.uploads.complete(connection, upload, permit=permit, asking=ASKING)

    def store(self, wanted: NewAttachment, pieces: Iterable[bytes] | bytes) -> StoredAttachment:
        with self.begin(wanted) as upload:
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                upload.write(piece)
            upload.end()
            return self.complete(upload)

    def open(self, stored: StoredAttachment, purpose: str = "P02") -> OpenedAttachment:
        with self.house.data.write() as connection:
            permit = self.permit(connection, stored.subject, purpose, stored.field)
        return self.attachments.open(permit, self.house.receipt(permit), attachment_id=stored.attachment_id)

    def content(self, stored: StoredAttachment, purpose: str = "P02") -> bytes:
        return b"".join(self.open(stored, purpose).pieces)

    def listed(self, subject: SubjectId) -> list[str]:
        with self.house.data.read() as connection:
            return [one.attachment_id for one in self.attachments.list_of(connection, subject)]


def content_of(size: int, seed: bytes = b"x") -> bytes:
    """Bytes that repeat nowhere, beginning like a picture."""
    blocks = (hashlib.sha512(seed + number.to_bytes(8)).digest() for number in range(size // 64 + 1))
    return (PNG + b"".join(blocks))[:size]
