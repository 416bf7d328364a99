"""Who saw me: every access to one person's data, for the person, its guardian, and the officer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.accesses import find_accesses
from audit.events import Act, Event, Outcome
from audit.queries import Sought, read_pruned
from consent.cohorts import entries_of
from consent.standing import get_standing
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.access_words import AccessTeller
from consentry.workflows.opened_words import add_words, check_may_open_words
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import SubjectId

READ: Final = "access.read"
"""What a role must be allowed for accounts of the accesses to a person's data."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which accesses are asked for: half open in time; ``after`` is where the page before ended."""

    since: datetime | None = None
    until: datetime | None = None
    after: int | None = None
    newest_first: bool = True
    limit: int = 100

    def sought(self, subject: SubjectId) -> Sought:
        """Return what to look for in the log."""
        after, before = (None, self.after) if self.newest_first else (self.after, None)
        return Sought(
            subject, since=self.since, until=self.until, after_index=after, before_index=before,
            newest_first=self.newest_first,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeenBy:
    """A page of accesses, codes beside words, and where to go on; None at the end.

    Attributes:
        pruned: what of the period is not told because it was pruned; None where nothing was.
    """

    subject: SubjectId
    rows: list[dict[str, JsonValue]]
    next_after: int | None
    pruned: dict[str, JsonValue] | None = None


def read_seen_by(
    platform: Platform,
    caller: Principal,
    subject: SubjectId,
    asked: Stretch,
    *,
    locale: str = "zh-CN",
    with_words: bool = False,
) -> SeenBy:
    """Return a page of the accesses to a subject; the reading leaves its entry first.

    The person and its guardian are told roles of staff; an officer is told ids and names.

    Args:
        platform: every part.
        caller: the person, its guardian, or an officer; that it speaks for the subject was checked before.
        subject: whose data.
        asked: which accesses; its limit counts entries, several of which may be one access.
        locale: whose words.
        with_words: opens the stated reasons, for who reviews accesses; this reading leaves an entry of its own.
    Raises:
        Denied: the role may not read accesses, or not the words.
        NotFound: nobody is registered under this id.
        BadInput: the limit is out of range.
    """
    if with_words:
        check_may_open_words(platform, caller, subject=subject)
    record_reading(platform, caller, subject, what="accesses", asked=asked)
    with platform.data.read() as connection:
        also = entries_of(connection, subject)
        page = find_accesses(connection, asked.sought(subject), limit=asked.limit, also=also)
        teller = teller_for(platform, connection, caller, subject, locale)
        rows = [teller.row(connection, access) for access in page.accesses]
        pruned = pruned_of(connection, asked.since)
    if with_words:
        add_words(platform, caller, rows, subject=subject)
    return SeenBy(subject, rows, page.next_index, pruned)


def pruned_of(connection: Connection, since: datetime | None = None) -> dict[str, JsonValue] | None:
    """Return what an answer about a period has to tell of pruning; None where all of the period is there.

    Returns:
        ``before``: up to when only what is always kept was left; ``on`` and ``entry``: when and where the log says so.
    """
    found = read_pruned(connection)
    if found is None or (since is not None and since >= found.before):
        return None
    return {"before": format_instant(found.before), "on": format_instant(found.on), "entry": found.entry_id}


def read_pruned_stretch(platform: Platform) -> dict[str, JsonValue] | None:
    """Return up to when the log was pruned, as ``pruned_of`` does; times of the log itself, no person."""
    with platform.data.read() as connection:
        return pruned_of(connection)


def record_reading(platform: Platform, caller: Principal, subject: SubjectId, *, what: str, asked: Stretch) -> None:
    """Check the role, and bring the entry of a reading under a signed checkpoint before anything is shown."""
    check_may_act(platform.catalogue, caller, READ)
    asking = platform.asking(caller)
    times = {"since": asked.since, "until": asked.until}
    filters: dict[str, JsonValue] = {name: format_instant(at) for name, at in times.items() if at is not None}
    event = Event(
        Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
        subject=subject, refs={"what": what}, details={"filters": filters},
    )  # fmt: skip
    with platform.data.write() as connection:
        get_standing(connection, subject)
        platform.log.record(connection, event)
    platform.log.settle()


def teller_for(
    platform: Platform, connection: Connection, caller: Principal, subject: SubjectId, locale: str
) -> AccessTeller:
    """Return who tells the accesses: ids and names of staff to staff, roles to the person and its guardian."""
    return AccessTeller.of(platform, connection, subject, locale=locale, names_staff=caller.subject is None)
