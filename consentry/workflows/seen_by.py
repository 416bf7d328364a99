"""Who saw me: every access to one person's data, for the person, its guardian, and the officer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.accesses import find_accesses
from audit.aliases import aliases_of
from audit.events import Act, Event, Outcome
from audit.queries import Sought
from consent.cohorts import entries_of
from consent.standing import get_standing
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.access_words import AccessTeller
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
    """A page of accesses, codes beside words, and where to go on; None at the end."""

    subject: SubjectId
    rows: list[dict[str, JsonValue]]
    next_after: int | None


def read_seen_by(
    platform: Platform, caller: Principal, subject: SubjectId, asked: Stretch, *, locale: str = "zh-CN"
) -> SeenBy:
    """Return a page of the accesses to a subject; the reading leaves its entry first.

    The person and its guardian are told roles of staff; an officer is told the ids.

    Args:
        platform: every part.
        caller: the person, its guardian, or an officer; that it speaks for the subject was checked before.
        subject: whose data.
        asked: which accesses; its limit counts entries, several of which may be one access.
        locale: whose words.
    Raises:
        Denied: the role may not read accesses.
        NotFound: nobody is registered under this id.
        BadInput: the limit is out of range.
    """
    record_reading(platform, caller, subject, what="accesses", asked=asked)
    with platform.data.read() as connection:
        also = entries_of(connection, subject)
        page = find_accesses(connection, asked.sought(subject), limit=asked.limit, also=also)
        teller = teller_for(platform, connection, caller, aliases_of(connection, subject), locale)
        rows = [teller.row(connection, access) for access in page.accesses]
    return SeenBy(subject, rows, page.next_index)


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
    platform: Platform, connection: Connection, caller: Principal, own: Sequence[str], locale: str
) -> AccessTeller:
    """Return who tells the accesses: ids of staff to staff, roles to the person and its guardian."""
    return AccessTeller.of(platform, connection, own, locale=locale, names_staff=caller.subject is None)
