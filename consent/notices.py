"""Notices: complete before they are published, immutable afterwards, and counted in editions.

An edition is one version of a notice code, in as many locales as it is translated to. It is material when what the
law ties consent to has changed: purposes, method, categories of data, what is collected, third parties (PIPL 14
paragraph 2, 网络数据安全管理条例 22(6)); grants under earlier editions then no longer cover.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.setwise import insert_missing
from consent.tables import notice as notice_table
from consent.tables import notice_head
from consent.turnstile import NOTICES, queue
from kernel.catalogue import Catalogue, NoticeText, Purpose
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import EntryId

SECTIONS: Final = (
    "controller",
    "contact",
    "purpose",
    "method",
    "categories",
    "retention",
    "end_of_retention",
    "rights",
)
"""PIPL 17 and 网络数据安全管理条例 21: without one of these a notice cannot be published."""

MATERIAL_SECTIONS: Final = ("purpose", "method", "categories")


class NoticeIncomplete(BadInput):
    """Something that the law asks for is missing from a notice."""


class NoticeNotCurrent(Conflict):
    """A newer edition of the notice is published."""


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
        material: whether this text changed what consent is tied to.
    """

    ref: NoticeRef
    edition: int
    material: bool
    hash: str
    content: bytes
    purposes: frozenset[str]
    published_at: datetime
    entry_id: EntryId


def publish(
    connection: Connection, notice: NoticeText, catalogue: Catalogue, *, asking: Asking, log: EntryLog
) -> PublishedNotice:
    """Publish one text; the same text again changes nothing and leaves no second entry.

    The stored content holds the label, necessity and impact of each purpose beside the text itself, because they are
    part of what the person is told (PIPL 30).

    Raises:
        NoticeIncomplete: R01, R02 or R03 is not met; the message names all that is missing.
        Conflict: this version is published with another text, or an older version is to be published after a newer.
    """
    check_complete(notice, catalogue)
    ref = NoticeRef(notice.code, notice.version, notice.locale)
    content = canonical_json(_content(notice, catalogue))
    newest = _lock_head(connection, notice.code)
    stored = find_notice(connection, ref)
    if stored is not None:
        if stored.content != content:
            raise Conflict(f"Notice {ref} is published with another text", hint="Publish the change as a new version.")
        return stored
    edition = _edition(connection, ref, newest)
    material = _is_material(connection, ref, edition, content)
    event = event_of(asking, Act.NOTICE_PUBLISHED)
    refs = {"notice": str(ref), "hash": sha256(content).hexdigest(), "catalogue": catalogue.hash}
    entry_id = log.record(connection, replace(event, refs=refs, counts={"edition": edition, "material": int(material)}))
    published = PublishedNotice(
        ref, edition, material, refs["hash"], content, frozenset(notice.purposes), log.now(connection), entry_id
    )
    _store(connection, published)
    return published


def check_complete(notice: NoticeText, catalogue: Catalogue) -> None:
    """Raise ``NoticeIncomplete`` naming everything that keeps the text from being published."""
    purposes = [catalogue.get_purpose(code) for code in notice.purposes]
    missing = [f"section {name}" for name in SECTIONS if not notice.sections.get(name, "").strip()]
    missing += [f"necessity and impact of {p.code}" for p in purposes if p.sensitive and not (p.necessity and p.impact)]
    if not notice.title.strip():
        missing.append("title")
    if not purposes:
        missing.append("purposes")
    if not _is_table(notice.collected):
        missing.append("table of what is collected")
    shares = any(purpose.per_recipient or purpose.recipients for purpose in purposes)
    if not _is_table(notice.third_parties) and (notice.third_parties or shares):
        missing.append("table of third parties")
    if missing:
        raise NoticeIncomplete(
            f"Notice {notice.code} {notice.version} {notice.locale} lacks {', '.join(missing)}",
            hint="Complete it and publish again.",
        )


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


def newest_edition(connection: Connection, code: str) -> int:
    """Return the number of the newest edition of a code; 0 when nothing is published."""
    edition: int | None = connection.scalar(select(notice_head.c.edition).where(notice_head.c.code == code))
    return edition or 0


def _lock_head(connection: Connection, code: str) -> int:
    """Hold the code's head row exclusively and return its newest edition; see ``situations.material_editions``."""
    queue(connection, [NOTICES], exclusive=True)
    insert_missing(connection, notice_head, {"code": code, "edition": 0, "material_edition": 0})
    statement = select(notice_head.c.edition).where(notice_head.c.code == code).with_for_update()
    edition: int = connection.execute(statement).scalar_one()
    return edition


def _store(connection: Connection, published: PublishedNotice) -> None:
    ref, edition = published.ref, published.edition
    row = {
        "code": ref.code,
        "version": ref.version,
        "locale": ref.locale,
        "edition": edition,
        "material": published.material,
        "hash": published.hash,
        "content": published.content,
        "published_at": published.published_at,
        "entry_id": published.entry_id,
    }
    connection.execute(insert(notice_table), row)
    moved = {"edition": edition} | ({"material_edition": edition} if published.material else {})
    connection.execute(update(notice_head).where(notice_head.c.code == ref.code).values(moved))


def _edition(connection: Connection, ref: NoticeRef, newest: int) -> int:
    statement = select(notice_table.c.edition).where(
        notice_table.c.code == ref.code, notice_table.c.version == ref.version
    )
    edition: int | None = connection.scalars(statement).first()
    if edition is None:
        return newest + 1
    if edition < newest:
        raise Conflict(
            f"Notice {ref} belongs to an edition that a newer one replaced", hint="Translate the newest one."
        )
    return edition


def _is_material(connection: Connection, ref: NoticeRef, edition: int, content: bytes) -> bool:
    """Compare with the text before in the same locale; where there is none to compare with, the stricter side."""
    if edition == 1:
        return True
    before = connection.scalar(
        select(notice_table.c.content).where(
            notice_table.c.code == ref.code, notice_table.c.locale == ref.locale, notice_table.c.edition == edition - 1
        )
    )
    return before is None or _material_part(before) != _material_part(content)


def _material_part(content: bytes) -> JsonValue:
    text = json.loads(content)
    purposes = sorted(purpose["code"] for purpose in text["purposes"])
    sections = [text["sections"][name] for name in MATERIAL_SECTIONS]
    return [purposes, sections, text["collected"], text["third_parties"]]


def _content(notice: NoticeText, catalogue: Catalogue) -> dict[str, JsonValue]:
    language = "zh" if notice.locale.startswith("zh") else "en"
    return {
        "code": notice.code,
        "version": notice.version,
        "locale": notice.locale,
        "title": notice.title,
        "purposes": [_purpose_content(catalogue.purposes[code], language) for code in notice.purposes],
        "sections": dict(notice.sections),
        "collected": [dict(row) for row in notice.collected],
        "third_parties": [dict(row) for row in notice.third_parties],
    }


def _purpose_content(purpose: Purpose, language: str) -> dict[str, JsonValue]:
    texts = {"label": purpose.label, "necessity": purpose.necessity, "impact": purpose.impact}
    chosen: dict[str, JsonValue] = {
        name: label.zh if language == "zh" else label.en for name, label in texts.items() if label is not None
    }
    return {"code": purpose.code} | chosen


def _is_table(rows: Sequence[Mapping[str, str]]) -> bool:
    return bool(rows) and all(
        row and row.keys() == rows[0].keys() and all(map(str.strip, row.values())) for row in rows
    )


def _published(row: Row[*tuple[Any, ...]]) -> PublishedNotice:
    purposes = frozenset(purpose["code"] for purpose in json.loads(row.content)["purposes"])
    ref = NoticeRef(row.code, row.version, row.locale)
    return PublishedNotice(
        ref, row.edition, row.material, row.hash, row.content, purposes, row.published_at, EntryId(row.entry_id)
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
)
