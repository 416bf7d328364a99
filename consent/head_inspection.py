"""The register's head and the differences of notices against the log and the texts that they are made from."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from audit.events import Act
from audit.scanning import differing_head, entries_of
from consent.inspection import Findings
from consent.notice_changes import compare, rows_of
from consent.notice_texts import content_at
from consent.register_facts import WHOLE_NOTICE, Aspect
from consent.register_head import MOVING_ACTS, logged_revision, read_head
from consent.tables import notice, notice_change

_MOVING: Final = [act.value for act in MOVING_ACTS]
_SWITCHING: Final = (Act.REGISTER_SUSPENDED.value, Act.REGISTER_RELEASED.value)
_Item = tuple[str, str, str]
"""Purpose, aspect and item of a row of ``notice_change``."""

_Change = tuple[str, int, str, str, str]
"""The key of a row of ``notice_change``: code, edition, purpose, aspect, item."""


def inspect_head(connection: Connection, found: Findings) -> None:
    """Compare the register's head with the entries that moved it, and the log's with its entries.

    The first entry that names a revision is where the count begins: those before it are older than the word. A
    difference is named by the revision that should stand, so that it can be put right. A suspension without an entry,
    as a lost log leaves it, is none: it opens nothing.
    """
    stored, suspended = read_head(connection)
    revision = logged_revision(stored)
    wanted: int | None = None
    is_suspended = False
    for entry in entries_of(connection, _MOVING):
        said = str(entry.refs.get("revision", ""))
        if wanted is not None:
            wanted += 1
        elif said.isdecimal():
            wanted = int(said)
        if entry.members.get("act") in _SWITCHING:
            is_suspended = entry.members.get("act") == Act.REGISTER_SUSPENDED.value
    differs = ["suspended"] if is_suspended is (suspended is None) and stored == revision else []
    if wanted is not None and wanted != revision:
        differs.append("revision")
    found.add("head", f"revision {revision if wanted is None else wanted}", differs)
    found.add("log", "head", differing_head(connection))


def inspect_notice_changes(connection: Connection, found: Findings) -> None:
    """Compare what each edition changed with its texts: a row less would let older grants cover more.

    A row that is too many would end grants. A change of the whole notice that no text explains stands for an edition
    that was published before these rows were kept; it needs a material edition.
    """
    columns = notice_change.c
    stored: dict[tuple[str, int], dict[_Item, datetime]] = {}
    for row in connection.execute(select(notice_change).order_by(columns.code, columns.edition)):
        stored.setdefault((row.code, row.edition), {})[row.purpose, row.aspect, row.item] = row.published_at
    texts = select(notice.c.code, notice.c.locale, notice.c.edition, notice.c.material, notice.c.published_at)
    explained: dict[tuple[str, int], set[_Item]] = {}
    published: dict[tuple[str, int], set[datetime]] = {}
    whole = (WHOLE_NOTICE, Aspect.PURPOSE.value, "")
    for row in connection.execute(texts.order_by(notice.c.code, notice.c.edition, notice.c.locale)).all():
        edition = row.code, row.edition
        published.setdefault(edition, set()).add(row.published_at)
        held = explained.setdefault(edition, {whole} if row.material else set())
        changed = _changes_of(connection, row.code, row.locale, row.edition)
        held |= changed
        kept = stored.get(edition, {})
        is_covered = whole in kept or changed <= kept.keys()
        found.add("notice", f"{row.code}/{row.edition}/{row.locale}", [] if is_covered else ["changes"])
    for edition, items in stored.items():
        differs = _unexplained(items, explained.get(edition, set()), published.get(edition, set()))
        found.add("notice", "/".join(map(str, edition)), differs)


def _changes_of(connection: Connection, code: str, locale: str, edition: int) -> set[_Item]:
    """Return what a text changes against the edition before it; the first one changes nothing."""
    if edition == 1:
        return set()
    content = content_at(connection, code, locale, edition)
    if content is None:
        return set()
    before = content_at(connection, code, locale, edition - 1)
    return {(purpose, aspect.value, item) for purpose, aspect, item in rows_of(compare(before, content))}


def _unexplained(
    items: Mapping[_Item, datetime], explained: Collection[_Item], published: Collection[datetime]
) -> list[str]:
    differs = [] if all(item in explained for item in items) else ["unexplained changes"]
    return differs if all(at in published for at in items.values()) else [*differs, "published_at"]
