"""Notices: complete before they are published, immutable afterwards, and counted in editions.

An edition is one version of a notice code, in as many locales as it is translated to. It is material when what the
law ties consent to has changed: purposes, method, categories of data, what is collected, third parties (PIPL 14
paragraph 2, 网络数据安全管理条例 22(6)); grants under earlier editions then no longer cover.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.notice_changes import Change, compare, rows_of
from consent.notice_content import SECTIONS, NoticeIncomplete, check_complete, content_of, is_same_text
from consent.notice_texts import (
    NoticeRef,
    PublishedNotice,
    content_at,
    current_notice,
    find_notice,
    get_notice,
    list_notices,
    newest_edition,
)
from consent.register_facts import WHOLE_NOTICE, Aspect
from consent.register_head import hold_head, move_head
from consent.setwise import insert_missing, insert_rows
from consent.tables import notice as notice_table
from consent.tables import notice_change, notice_head
from kernel.catalogue import Catalogue, NoticeText
from kernel.clock import format_instant
from kernel.errors import Conflict, NotFound

__all__ = [
    "SECTIONS",
    "Change",
    "NoticeDifferences",
    "NoticeIncomplete",
    "NoticeNotCurrent",
    "NoticeRef",
    "PublishedNotice",
    "check_complete",
    "current_notice",
    "differences",
    "find_notice",
    "get_notice",
    "informs",
    "list_notices",
    "newest_edition",
    "publish",
]


class NoticeNotCurrent(Conflict):
    """A newer edition of the notice is published."""


@dataclass(frozen=True, slots=True)
class NoticeDifferences:
    """What differs between two editions of a code in one locale."""

    code: str
    locale: str
    from_edition: int
    to_edition: int
    changes: tuple[Change, ...]

    @property
    def is_material(self) -> bool:
        """Whether a grant under the older edition leaves anything of the newer one uncovered."""
        return any(change.aspect not in (None, Aspect.INFORM) for change in self.changes)

    @property
    def inform(self) -> bool:
        """Whether people have to be told of a change that ends no grant (PIPL 17, 22)."""
        return any(change.aspect is Aspect.INFORM for change in self.changes)

    def of_purpose(self, purpose: str) -> tuple[Change, ...]:
        """Return what concerns one purpose, with what concerns the whole notice."""
        return tuple(change for change in self.changes if change.purpose in (purpose, WHOLE_NOTICE))


def publish(
    connection: Connection, notice: NoticeText, catalogue: Catalogue, *, asking: Asking, log: EntryLog
) -> PublishedNotice:
    """Publish one text; the same text again changes nothing and leaves no second entry.

    What it changes against the edition before is recorded for each purpose, field and recipient in ``notice_change``,
    see ``consent.notice_changes``; the first edition changes nothing.

    Raises:
        NoticeIncomplete: R01, R02, R03 or R08 is not met; the message names all that is missing.
        Conflict: this version is published with another text or with other facts behind it, or an older version is to
            be published after a newer.
    """
    check_complete(notice, catalogue)
    ref = NoticeRef(notice.code, notice.version, notice.locale)
    content = content_of(notice, catalogue)
    newest = _hold(connection, notice.code)
    stored = find_notice(connection, ref)
    if stored is not None:
        if not is_same_text(stored.content, content):
            raise Conflict(
                f"Notice {ref} is published with another text, or its purposes had other fields or recipients",
                hint="Publish the change as a new version.",
            )
        return stored
    edition = _edition(connection, ref, newest)
    changed = (
        [] if edition == 1 else rows_of(compare(content_at(connection, ref.code, ref.locale, edition - 1), content))
    )
    material = edition == 1 or any(aspect is not Aspect.INFORM for _, aspect, _ in changed)
    moved = move_head(connection)
    now = log.now(connection)  # before the entry's own time: whoever decides by the log's time sees the change
    event = event_of(asking, Act.NOTICE_PUBLISHED)
    refs = {"notice": str(ref), "hash": sha256(content).hexdigest(), "catalogue": catalogue.hash}
    refs |= moved | {"published_at": format_instant(now)}
    entry_id = log.record(connection, replace(event, refs=refs, counts={"edition": edition, "material": int(material)}))
    _store(
        connection,
        {
            "code": ref.code,
            "version": ref.version,
            "locale": ref.locale,
            "edition": edition,
            "material": material,
            "hash": refs["hash"],
            "content": content,
            "published_at": now,
            "entry_id": entry_id,
        },
    )
    _store_changes(connection, ref.code, edition, changed, now)
    return get_notice(connection, ref.code, ref.version, ref.locale)


def differences(
    connection: Connection, code: str, from_edition: int, to_edition: int, *, locale: str = "zh-CN"
) -> NoticeDifferences:
    """Return what changed between two editions, older first, for people who ask.

    Raises:
        NotFound: one of the two is not published in this locale.
    """
    contents = []
    for edition in (from_edition, to_edition):
        content = content_at(connection, code, locale, edition)
        if content is None:
            raise NotFound(f"Edition {edition} of notice {code} is not published in {locale}", hint="See its editions.")
        contents.append(content)
    return NoticeDifferences(code, locale, from_edition, to_edition, compare(*contents))


def informs(connection: Connection) -> Mapping[str, int]:
    """Return for each notice code the newest edition that people who decided under an earlier one have to be told of.

    A successor who takes the controller's place (PIPL 22) is such an edition: no grant ends by it.
    """
    table = notice_change.c
    statement = select(table.code, func.max(table.edition)).where(table.aspect == Aspect.INFORM).group_by(table.code)
    return {code: edition for code, edition in connection.execute(statement).all()}  # noqa: C416 - rows, not pairs


def _hold(connection: Connection, code: str) -> int:
    """Hold the register's and the code's head exclusively and return the newest edition."""
    hold_head(connection)
    insert_missing(connection, notice_head, {"code": code, "edition": 0, "material_edition": 0})
    statement = select(notice_head.c.edition).where(notice_head.c.code == code).with_for_update()
    edition: int = connection.execute(statement).scalar_one()
    return edition


def _store(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(notice_table), row)
    moved = {"edition": row["edition"]} | ({"material_edition": row["edition"]} if row["material"] else {})
    connection.execute(update(notice_head).where(notice_head.c.code == row["code"]).values(moved))


def _store_changes(
    connection: Connection, code: str, edition: int, changed: Sequence[tuple[str, Aspect, str]], now: datetime
) -> None:
    """Insert what another locale of the edition has not brought yet; the register's head is held."""
    columns = notice_change.c
    of_edition = select(columns.purpose, columns.aspect, columns.item).where(
        columns.code == code, columns.edition == edition
    )
    known = {(row.purpose, row.aspect, row.item) for row in connection.execute(of_edition)}
    shared = {"code": code, "edition": edition, "published_at": now}
    rows = [
        shared | {"purpose": purpose, "aspect": aspect, "item": item}
        for purpose, aspect, item in changed
        if (purpose, aspect, item) not in known
    ]
    insert_rows(connection, notice_change, rows)


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
