"""Limits of reading (R48): counted with the access entry, refused beyond, and told to officers on the way there."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.access import RuleDenied
from consentry.alarms import AlarmKind, raise_alarm
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.reading_limits import Count, Reached, Window, counted, exceeded, is_ordinary, neared
from consentry.readings import Reading
from consentry.stores.reading import Kept, keep_counts, lock_counts, tell_refusal
from kernel.clock import format_instant
from kernel.ids import SubjectId
from kernel.oversight import ReadingLimits

RULE: Final = "RATE"


class LimitReached(RuleDenied):
    """The caller has read as much as it may for now; nothing was opened.

    Attributes:
        reached: which limit.
        wait_seconds: until its window ends.
    """

    rule = RULE

    def __init__(self, reached: Reached, wait_seconds: int) -> None:
        super().__init__(
            f"The limit of {reached.limit} {reached.unit} a {reached.window} is reached",
            hint=f"Wait {wait_seconds} s; officers were told.",
        )
        self.reached = reached
        self.wait_seconds = wait_seconds


def limits_of(platform: Platform, role: str) -> ReadingLimits:
    """Return the limits of a role."""
    own = platform.catalogue.get_role(role).limits
    return platform.catalogue.oversight.reading.limits if own is None else own


def spend_reading(platform: Platform, connection: Connection, reading: Reading, *, refuses: bool = True) -> None:
    """Count one reading, in the transaction of its entry; all processes share the counts.

    Args:
        platform: every part.
        connection: a write transaction.
        reading: who reads whose fields.
        refuses: False in an emergency, which is counted and does not wait.

    Raises:
        LimitReached: it would be beyond a limit; nothing is counted then.
    """
    _spend(platform, connection, reading.asking, subject=reading.subject, fields=len(reading.fields), refuses=refuses)


def spend_look_up(platform: Platform, connection: Connection, asking: Asking) -> None:
    """Count one try to find somebody by a value, as a reading of one field: it tells who has the value, and who not.

    Raises:
        LimitReached: it would be beyond a limit; nothing is counted then.
    """
    _spend(platform, connection, asking, subject=None, fields=1, refuses=True)


def _spend(
    platform: Platform, connection: Connection, asking: Asking, *, subject: SubjectId | None, fields: int, refuses: bool
) -> None:
    now = platform.log.now(connection)
    kept = lock_counts(connection, asking.actor, subject, first=now)
    last_read = now if subject is None else kept.last_read  # of nobody in particular: no new person
    counts = counted(kept.counts, fields=fields, last_read=last_read, now=now, catalogue=platform.catalogue)
    limits = limits_of(platform, asking.role)
    reached = exceeded(counts, limits)
    if refuses and reached is not None:
        raise LimitReached(reached, max(1, math.ceil((reached.ends_at - now).total_seconds())))
    percent = platform.catalogue.oversight.reading.near_percent
    for one in neared(kept.counts, counts, limits, percent=percent):
        _tell_near(platform, connection, asking, one)
    keep_counts(connection, asking.actor, subject, counts, now=now)


def counted_within(
    platform: Platform, asking: Asking, kept: Kept, *, fields: int, now: datetime
) -> Mapping[Window, Count] | None:
    """Return what is to be kept after one more reading; None where that comes to a limit, or near one."""
    counts = counted(kept.counts, fields=fields, last_read=kept.last_read, now=now, catalogue=platform.catalogue)
    limits, percent = limits_of(platform, asking.role), platform.catalogue.oversight.reading.near_percent
    return counts if is_ordinary(kept.counts, counts, limits, percent=percent) else None


def tell_first_refusal(platform: Platform, connection: Connection, caller: Principal, refused: LimitReached) -> None:
    """Raise the alarm where it is the caller's first refusal in the window of the limit."""
    now, reached = platform.log.now(connection), refused.reached
    if not tell_refusal(connection, caller.principal_id, reached.window, since=reached.began_at, now=now):
        return
    told = _told(caller.principal_id, caller.role, reached)
    raise_alarm(connection, AlarmKind.LIMIT_REACHED, told, now=now)
    structlog.get_logger().error(AlarmKind.LIMIT_REACHED.value, **told)


def _tell_near(platform: Platform, connection: Connection, asking: Asking, one: Reached) -> None:
    told = _told(asking.actor, asking.role, one)
    percent = platform.catalogue.oversight.reading.near_percent
    event = Event(
        Act.LIMIT_NEARED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
        reason=f"{one.unit.name}_{one.window.name}", counts={"limit": one.limit, "percent": percent},
    )  # fmt: skip
    platform.log.record(connection, event)
    raise_alarm(connection, AlarmKind.LIMIT_NEARED, told, now=platform.log.now(connection))
    structlog.get_logger().warning(AlarmKind.LIMIT_NEARED.value, **told)


def _told(actor: str, role: str, one: Reached) -> dict[str, str | int]:
    return {
        "actor": actor,
        "role": role,
        "unit": one.unit.value,
        "window": one.window.value,
        "limit": one.limit,
        "until": format_instant(one.ends_at),
    }
