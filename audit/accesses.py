"""What was done with one person's data, told from the log: the entries of a request become one access, or a few."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from audit.events import Act, Outcome
from audit.queries import PAGE_MAX, EntryView, Sought, find_page
from audit.tables import leaf
from kernel.catalogue import Label
from kernel.encoding import JsonValue
from kernel.ids import EntryId, RequestId, SubjectId


class AccessKind(StrEnum):
    """What an access did, as far as the log shows it."""

    DISCLOSED = "disclosed"
    OPENED = "opened"
    TAGS_READ = "tags_read"
    WITHHELD = "withheld"
    VIEW_USED = "view_used"
    COLLECTED = "collected"
    USED = "used"
    LOOKED_UP = "looked_up"
    CONSENTS_READ = "consents_read"
    LOG_READ = "log_read"
    ATTEMPTED = "attempted"


KINDS: Final[Mapping[AccessKind, Label]] = {
    AccessKind.DISCLOSED: Label("提供给外部接收方", "given to somebody outside"),
    AccessKind.OPENED: Label("查看明文", "opened in clear"),
    AccessKind.TAGS_READ: Label("查看标签", "tags were read"),
    AccessKind.WITHHELD: Label(
        "准备对外提供但被拒绝，未提供", "meant for somebody outside and refused: nothing was given"
    ),
    AccessKind.VIEW_USED: Label("用于去标识化数据集", "used in a de-identified data set"),
    AccessKind.COLLECTED: Label("收集并加密保存", "collected and stored encrypted"),
    AccessKind.USED: Label("获准使用", "cleared for use"),
    AccessKind.LOOKED_UP: Label("按编号查找", "looked up by an id"),
    AccessKind.CONSENTS_READ: Label("查看同意记录", "consent records were read"),
    AccessKind.LOG_READ: Label("查看访问日志", "the access log was read"),
    AccessKind.ATTEMPTED: Label("尝试访问", "access was tried"),
}

_TELLS: Final[Mapping[Act, AccessKind]] = {
    Act.EXPORT_RELEASED: AccessKind.DISCLOSED,
    Act.REVEAL: AccessKind.OPENED,
    Act.TAGS_READ: AccessKind.TAGS_READ,
    Act.TAGS_EXPLAINED: AccessKind.TAGS_READ,
    Act.VIEW_BUILT: AccessKind.VIEW_USED,
    Act.VIEW_READ: AccessKind.VIEW_USED,
    Act.TAGS_EVALUATED: AccessKind.VIEW_USED,
    Act.COHORT_COUNTED: AccessKind.VIEW_USED,
    Act.EXPORT_REFUSED: AccessKind.WITHHELD,
    Act.BATCH_OPENED: AccessKind.COLLECTED,
    Act.BATCH_CHUNK_STORED: AccessKind.COLLECTED,
    Act.BATCH_COMPLETED: AccessKind.COLLECTED,
    Act.PERMIT: AccessKind.USED,
    Act.REFUSAL: AccessKind.ATTEMPTED,
    Act.ACCESS_DENIED: AccessKind.ATTEMPTED,
    Act.SUBJECT_LOOKED_UP: AccessKind.LOOKED_UP,
    Act.CONSENT_READ: AccessKind.CONSENTS_READ,
    Act.EVIDENCE_READ: AccessKind.CONSENTS_READ,
    Act.RECEIPT_ISSUED: AccessKind.CONSENTS_READ,
    Act.AUDIT_READ: AccessKind.LOG_READ,
}
"""What each act says of the access that it belongs to; other acts are none. Of several the first one counts."""

_RANKS: Final = {kind: rank for rank, kind in enumerate(AccessKind)}

_COMPANIONS: Final = (
    Act.EXPORT_RELEASED,
    Act.EXPORT_REFUSED,
    Act.VIEW_BUILT,
    Act.VIEW_READ,
    Act.TAGS_EVALUATED,
    Act.COHORT_COUNTED,
    Act.BATCH_OPENED,
    Act.BATCH_CHUNK_STORED,
    Act.BATCH_COMPLETED,
)
"""Entries about many people at once, which name nobody: they say what became of the permits of their request."""


@dataclass(frozen=True, slots=True)
class Access:
    """One access to one person's data, or one that was denied.

    Attributes:
        index, at: of its first entry about the person.
        allowed: whether the data could be used.
        actor: id of the principal; the alias of a person who acts for itself or another.
        fields: catalogue codes; level: the highest among them.
        basis: what its permit rests on: decision ids, joined by a slash, or the name of a lawful basis.
        reason: the rule that denied it.
        released: whether a de-identified export was released.
        ticket: what the caller named as the occasion, in a system of the operator's.
        evidence: the indexes of all its entries.
    """

    index: int
    at: datetime
    kind: AccessKind
    allowed: bool
    actor: str
    role: str
    request_id: str
    purpose: str | None = None
    recipient: str | None = None
    fields: tuple[str, ...] = ()
    level: int | None = None
    basis: str | None = None
    reason: str | None = None
    released: bool = False
    ticket: str | None = None
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessPage:
    """Accesses in the order asked for, and the entry to go on after; None at the end."""

    accesses: list[Access]
    next_index: int | None


class _Strand(NamedTuple):
    """What belongs together within a request."""

    request_id: str
    purpose: str | None
    recipient: str | None
    allowed: bool


def find_accesses(
    connection: Connection, sought: Sought, *, limit: int = 100, also: Collection[EntryId] = ()
) -> AccessPage:
    """Return the accesses to one person whose first entries stand on a page of the log.

    Args:
        connection: a read transaction of the data store.
        sought: with a subject; the other conditions narrow the entries.
        limit: entries of the page; several may be one access.
        also: as in ``audit.queries.find_page``.
    """
    page = find_page(connection, sought, limit=limit, also=also)
    requests = sorted({_text(view, "request_id") for view in page.entries})
    whole = _whole_requests(connection, sought.subject, requests, also)
    here = {view.index for view in page.entries}
    found = [access for access in gather_accesses(whole, _companions(connection, requests)) if access.index in here]
    found.sort(key=lambda access: access.index, reverse=sought.newest_first)
    return AccessPage(found, page.next_index)


def every_access(connection: Connection, sought: Sought, *, also: Collection[EntryId] = ()) -> Iterator[Access]:
    """Yield every access to one person that fits, in the log's order; see ``find_accesses``."""
    after = sought.after_index
    while True:
        asked = Sought(sought.subject, since=sought.since, until=sought.until, after_index=after)
        page = find_accesses(connection, asked, limit=PAGE_MAX, also=also)
        yield from page.accesses
        if page.next_index is None:
            return
        after = page.next_index


def gather_accesses(entries: Iterable[EntryView], companions: Iterable[EntryView] = ()) -> list[Access]:
    """Return what some entries about one person tell.

    Args:
        entries: whole requests, as far as they are about the person, in the log's order.
        companions: entries of the same requests that are about many and name nobody.
    """
    strands: dict[_Strand, list[EntryView]] = {}
    for view in entries:
        if _kind(view) is not None:
            strands.setdefault(_strand(view), []).append(view)
    beside: dict[str, list[EntryView]] = {}
    for view in companions:
        beside.setdefault(_text(view, "request_id"), []).append(view)
    return [_access(strand, views, beside.get(strand.request_id, ())) for strand, views in strands.items()]


def _access(strand: _Strand, views: Sequence[EntryView], beside: Sequence[EntryView]) -> Access:
    fitting = [view for view in beside if strand.allowed and _fits(view, strand)]
    first, shown = views[0], {code for view in views for code in _texts(view, "fields")}
    kind = _strongest([*views, *fitting])
    if kind is AccessKind.USED and strand.recipient is not None:
        kind = AccessKind.DISCLOSED
    return Access(
        index=first.index,
        at=first.at,
        kind=kind,
        allowed=strand.allowed,
        actor=_text(first, "actor"),
        role=_text(first, "role"),
        request_id=strand.request_id,
        purpose=strand.purpose,
        recipient=strand.recipient,
        fields=tuple(sorted(shown)),
        level=max((level for view in views if isinstance(level := view.members.get("level"), int)), default=None),
        basis=next((text for view in views if (text := _text(view, "basis"))), None),
        reason=next((text for view in views if (text := _text(view, "reason"))), None),
        released=any(_act(view) is Act.EXPORT_RELEASED for view in fitting),
        ticket=next((text for view in views if (text := _ref(view, "ticket"))), None),
        evidence=tuple(sorted({view.index for view in (*views, *fitting)})),
    )


def _fits(companion: EntryView, strand: _Strand) -> bool:
    """Say whether an entry about many tells of a strand of its request: one without a purpose tells of each."""
    purpose, recipient = _text(companion, "purpose"), _text(companion, "recipient")
    return purpose in ("", strand.purpose) and recipient in ("", strand.recipient or "")


def _strand(view: EntryView) -> _Strand:
    allowed = view.members.get("outcome") in (Outcome.ALLOWED.value, Outcome.DONE.value)
    purpose, recipient = _text(view, "purpose") or None, _text(view, "recipient") or None
    return _Strand(_text(view, "request_id"), purpose, recipient, allowed)


def _strongest(views: Iterable[EntryView]) -> AccessKind:
    kinds = [kind for view in views if (kind := _kind(view)) is not None]
    return min(kinds, key=lambda kind: _RANKS[kind])


def _kind(view: EntryView) -> AccessKind | None:
    act = _act(view)
    return None if act is None else _TELLS.get(act)


def _act(view: EntryView) -> Act | None:
    name = view.members.get("act")
    return Act(name) if name in _ACT_NAMES else None


def _whole_requests(
    connection: Connection, subject: SubjectId | None, requests: Sequence[str], also: Collection[EntryId]
) -> list[EntryView]:
    """Return every entry of some requests that is about the subject, those of other pages as well."""
    entries: list[EntryView] = []
    after: int | None = None
    while requests:
        chains = tuple(RequestId(name) for name in requests)
        sought = Sought(subject, request_ids=chains, after_index=after)
        page = find_page(connection, sought, limit=PAGE_MAX, also=also)
        entries += page.entries
        if page.next_index is None:
            break
        after = page.next_index
    return entries


def _companions(connection: Connection, requests: Sequence[str]) -> list[EntryView]:
    query = select(leaf).where(leaf.c.request_id.in_(requests), leaf.c.act.in_([act.value for act in _COMPANIONS]))
    rows = connection.execute(query.order_by(leaf.c.leaf_index)).all()
    return [EntryView(row.leaf_index, EntryId(row.entry_id), row.at, row.body) for row in rows]


def _text(view: EntryView, member: str) -> str:
    value = view.members.get(member)
    return value if isinstance(value, str) else ""


def _ref(view: EntryView, name: str) -> str:
    refs = view.members.get("refs")
    value = refs.get(name) if isinstance(refs, Mapping) else None
    return value if isinstance(value, str) else ""


def _texts(view: EntryView, member: str) -> Sequence[str]:
    value: JsonValue = view.members.get(member)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


_ACT_NAMES: Final = frozenset(act.value for act in Act)
