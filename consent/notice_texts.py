"""Published notices as they are stored: read by version, by edition, or as the text to show now."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, select

from consent.notice_content import audience_of
from consent.register_facts import Aspect
from consent.tables import notice as notice_table
from consent.tables import notice_change, notice_head
from kernel.errors import NotFound
from kernel.ids import EntryId


@dataclass(frozen=True, slots=True)
class NoticeRef:
    """Names one exact text."""

    code: str
    version: str
    locale: str

    def __str__(self) -> str:
        return f"{self.code}/{self.version}/{self.locale}"


@dataclass(frozen=True, slots=True)
class PublishedNotice:
    """A notice as it is stored.

    Attributes:
        content: the canonical JSON bytes that were published; ``hash`` is their SHA-256 in hexadecimal.
        edition: counts the versions of the code from 1.
        material: whether this text changed what consent is tied to, for a purpose, a field or a recipient.
        audience: general, or child.
        inform: whether the edition changed controller, contact, rights or the end of the data, so that people who
            decided under an earlier one have to be told.
    """

    ref: NoticeRef
    edition: int
    material: bool
    hash: str
    content: bytes
    purposes: frozenset[str]
    published_at: datetime
    entry_id: EntryId
    audience: str
    inform: bool

    def __str__(self) -> str:
        return str(self.ref)


def get_notice(connection: Connection, code: str, version: str, locale: str) -> PublishedNotice:
    """Return the exact text of one version.

    Raises:
        NotFound: it was never published.
    """
    found = find_notice(connection, NoticeRef(code, version, locale))
    if found is None:
        raise NotFound(f"Notice {code}/{version}/{locale} is not published", hint="Publish it first.")
    return found


def current_notice(connection: Connection, code: str, locale: str) -> PublishedNotice:
    """Return the text to show now: the newest edition of the code in a locale.

    Raises:
        NotFound: the newest edition is not published in this locale.
    """
    row = connection.execute(
        _SELECT.join(notice_head, notice_head.c.code == notice_table.c.code).where(
            notice_table.c.code == code,
            notice_table.c.locale == locale,
            notice_table.c.edition == notice_head.c.edition,
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"Notice {code} has no current text in {locale}", hint="Publish its newest version there.")
    return _published(row)


def find_notice(connection: Connection, ref: NoticeRef) -> PublishedNotice | None:
    """Return the exact text of one version, or None."""
    row = connection.execute(
        _SELECT.where(
            notice_table.c.code == ref.code,
            notice_table.c.version == ref.version,
            notice_table.c.locale == ref.locale,
        )
    ).one_or_none()
    return None if row is None else _published(row)


def list_notices(
    connection: Connection, *, code: str | None = None, as_of: datetime | None = None
) -> list[PublishedNotice]:
    """Return everything that was published, or what was by an instant; by code, edition and locale."""
    table = notice_table.c
    statement = _SELECT.order_by(table.code, table.edition, table.locale)
    if code is not None:
        statement = statement.where(table.code == code)
    if as_of is not None:
        statement = statement.where(table.published_at <= as_of)
    return [_published(row) for row in connection.execute(statement).all()]


def newest_edition(connection: Connection, code: str) -> int:
    """Return the number of the newest edition of a code; 0 when nothing is published."""
    edition: int | None = connection.scalar(select(notice_head.c.edition).where(notice_head.c.code == code))
    return edition or 0


def content_at(connection: Connection, code: str, locale: str, edition: int) -> bytes | None:
    """Return the stored bytes of an edition in a locale, or None."""
    table = notice_table.c
    found = select(table.content).where(table.code == code, table.locale == locale, table.edition == edition)
    content: bytes | None = connection.scalar(found)
    return content


def _published(row: Row[*tuple[Any, ...]]) -> PublishedNotice:
    content = json.loads(row.content)
    return PublishedNotice(
        NoticeRef(row.code, row.version, row.locale),
        row.edition,
        row.material,
        row.hash,
        row.content,
        frozenset(purpose["code"] for purpose in content["purposes"]),
        row.published_at,
        EntryId(row.entry_id),
        audience_of(content),
        bool(row.inform),
    )


_INFORMS: Final = exists().where(
    notice_change.c.code == notice_table.c.code,
    notice_change.c.edition == notice_table.c.edition,
    notice_change.c.aspect == Aspect.INFORM,
)
_SELECT: Final = select(
    notice_table.c.code,
    notice_table.c.version,
    notice_table.c.locale,
    notice_table.c.edition,
    notice_table.c.material,
    notice_table.c.hash,
    notice_table.c.content,
    notice_table.c.published_at,
    notice_table.c.entry_id,
    _INFORMS.label("inform"),
)
