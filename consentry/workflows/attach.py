"""Take a file into a person's record, list a person's files, and open one: gate and log as for any field."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.permits import Permit, Refusal
from consent.standing import get_standing
from consentry.attachment_media import HEAD_BYTES, check_begins_as, clean_name, media_type_of
from consentry.contracts import check_purposes, find_mandate
from consentry.platform import Platform
from consentry.principals import Principal, check_daily_cap
from consentry.sources.cleaning import clean_key
from consentry.workflows.admit import NotPermitted, admit, begin_reading
from consentry.workflows.denials import check_allowed, check_source, contract_kept
from kernel.clock import format_instant, require_aware
from kernel.encoding import JsonValue
from kernel.errors import BadInput, NotFound
from kernel.ids import SubjectId
from vault.attachments import OpenedAttachment, StoredAttachment
from vault.uploads import NewAttachment, Upload

LIST_ACT: Final = "attachments.list"
STORE_ACT: Final = "records.ingest"

_SKEW: Final = timedelta(minutes=5)
"""How far a sender's clock may run ahead of ours."""


@dataclass(frozen=True, slots=True, repr=False)
class SentFile:
    """What a sender says of a file.

    Attributes:
        source_subject: the person's id at the source; or ``subject``, our own.
        source_record: the file's id at the source.
        media_type: as sent; parameters do not count.
    """

    source: str
    source_record: str
    field: str
    observed_at: datetime
    name: str
    media_type: str
    source_subject: str | None = None
    subject: SubjectId | None = None

    def __repr__(self) -> str:
        return f"SentFile(source={self.source!r}, field={self.field!r}, redacted)"


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An opened file and where the log says so."""

    attachment: OpenedAttachment = field(repr=False)
    entry_id: str
    log_index: int
    tree_size: int


def store_attachment(
    platform: Platform, caller: Principal, sent: SentFile, pieces: Iterable[bytes]
) -> StoredAttachment:
    """Seal a file as it comes; it is visible once it is whole and the gate was asked a second time.

    Args:
        platform: every part.
        caller: who may send records.
        sent: whose, which field, when, and under which name.
        pieces: the content, in pieces of any size; read once.

    Raises:
        ForeignSource: the key is bound to other sources; nothing was read.
        Denied: the role, a processor's contract, a key's daily cap or the gate refuses; nothing stays.
        NotFound: the source has not sent the person yet.
        BadInput: the field or its media types do not fit, the file is empty, too large, or not what it says.
        Unavailable: a store cannot be used, or the file took too long; nothing stays.
    """
    check_allowed(platform, caller, STORE_ACT)
    check_source(platform, caller, sent.source, act=STORE_ACT)
    wanted = _wanted(platform, sent)
    asking = platform.asking(caller)
    begun = iter(pieces)
    head = _head(begun)
    check_begins_as(wanted.media_type, head[:HEAD_BYTES])
    with (
        contract_kept(platform, caller, subject=wanted.subject, refs={"act": STORE_ACT}),
        _begun(platform, caller, asking, wanted) as upload,
    ):
        for piece in chain([head], begun):
            upload.write(piece)
        upload.end()
        stored = _complete(platform, caller, asking, upload)
    platform.log.settle()
    return stored


def list_attachments(platform: Platform, caller: Principal, subject: SubjectId) -> list[StoredAttachment]:
    """Return what can be told of a person's files without opening one; the reading leaves its entry.

    Raises:
        Denied: the role may not.
        NotFound: nobody is registered under this id; "no files" would be a wrong answer.
    """
    check_allowed(platform, caller, LIST_ACT, persons_only=True, subject=subject)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        get_standing(connection, subject)
        found = platform.attachments.list_of(connection, subject)
        event = Event(
            Act.ATTACHMENTS_LISTED, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, subject=subject,
            fields=tuple(sorted({one.field for one in found})), counts={"attachments": len(found)},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()
    return found


def open_attachment(
    platform: Platform,
    caller: Principal,
    attachment_id: str,
    *,
    purpose: str,
    reason: str,
    approval: str | None = None,
    case: str | None = None,
    ticket: str | None = None,
) -> OpenedFile:
    """Open one file for a person of staff, as any field is opened.

    Raises:
        NotFound: there is none; the try stays out of the log, for it names nobody.
        Denied, Unavailable: see ``consentry.workflows.admit``; nothing was opened.
    """
    with platform.data.read() as connection:
        told = platform.attachments.get(connection, attachment_id)
    reading = begin_reading(
        platform, caller, subject=told.subject, purpose=purpose, fields=[told.field], reason=reason, ticket=ticket,
        of_file=True,
    )  # fmt: skip
    reading = replace(reading, refs={**reading.refs, "attachment": attachment_id})
    admitted = admit(platform, reading, approval=approval, case=case, may_mask=False)
    opened = platform.attachments.open(admitted.permit, admitted.receipt, attachment_id=attachment_id)
    return OpenedFile(opened, admitted.permit.entry_id, admitted.receipt.index, admitted.receipt.tree_size)


def attachment_json(one: StoredAttachment) -> dict[str, JsonValue]:
    """Return what is told of a file for programs."""
    return {
        "attachment": one.attachment_id,
        "subject": one.subject,
        "field": one.field,
        "source": one.source,
        "size_bytes": one.size_bytes,
        "observed_at": format_instant(one.observed_at),
        "stored_at": format_instant(one.stored_at),
        "expires_at": None if one.expires_at is None else format_instant(one.expires_at),
    }


def _wanted(platform: Platform, sent: SentFile) -> NewAttachment:
    observed_at = require_aware(sent.observed_at)
    if observed_at > platform.clock.now() + _SKEW:
        raise BadInput("The file was made in the future", hint="Check observed_at and its offset.")
    platform.catalogue.get_field(sent.field)
    return NewAttachment(
        subject=_subject(platform, sent),
        field=sent.field,
        source=sent.source,
        source_record=clean_key(sent.source_record),
        observed_at=observed_at,
        name=clean_name(sent.name),
        media_type=media_type_of(sent.media_type),
    )


def _subject(platform: Platform, sent: SentFile) -> SubjectId:
    if (sent.subject is None) == (sent.source_subject is None):
        raise BadInput("A file is of one person", hint="Give the person's id at the source, or ours.")
    if sent.subject is not None:
        return sent.subject
    found = platform.resolver.find(sent.source, clean_key(str(sent.source_subject)))
    if found is None:
        raise NotFound("The source has not sent this person yet", hint="Send the person's profile first.")
    return found


def _begun(platform: Platform, caller: Principal, asking: Asking, wanted: NewAttachment) -> Upload:
    with platform.data.write() as connection:
        said = _ask(platform, connection, caller, asking, wanted)
        if isinstance(said, Permit):
            return platform.attachments.uploads.begin(connection, wanted, permit=said)
    raise _refused(said)


def _complete(platform: Platform, caller: Principal, asking: Asking, upload: Upload) -> StoredAttachment:
    with platform.data.write() as connection:
        said = _ask(platform, connection, caller, asking, upload.wanted)
        if isinstance(said, Permit):
            return platform.attachments.uploads.complete(connection, upload, permit=said, asking=asking)
    raise _refused(said)


def _ask(
    platform: Platform, connection: Connection, caller: Principal, asking: Asking, wanted: NewAttachment
) -> Permit | Refusal:
    """Ask the gate, within the caller's contract and daily cap; a refusal's entry stays with the transaction."""
    purpose = platform.catalogue.get_field(wanted.field).collect
    check_purposes(find_mandate(platform, connection, caller), [purpose])
    check_daily_cap(connection, caller, [wanted.subject], clock=platform.clock)
    return platform.gate.check(
        connection, asking=asking, purpose=purpose, subject=wanted.subject, fields=[wanted.field]
    )


def _refused(said: Refusal) -> NotPermitted:
    listed = ", ".join(f"{name}: {why.value}" for name, why in sorted(said.reasons.items()))
    return NotPermitted(f"The gate refuses {listed}", hint="Only what the subject has decided can be stored.")


def _head(pieces: Iterator[bytes]) -> bytes:
    """Return the first pieces, as many as the look at a file's beginning needs."""
    head = b""
    while len(head) < HEAD_BYTES:
        piece = next(pieces, None)
        if piece is None:
            break
        head += piece
    return head
