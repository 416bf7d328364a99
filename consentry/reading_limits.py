"""How much one person of staff reads: counts in windows of a minute, an hour and a day, and the limits of the role.

Pure functions over counts; ``consentry.stores.reading`` keeps them, in the transaction of the access entry, so that
all processes together see one count. Two other bounds are something else: ``consentry.throttle`` paces the requests of
machines and data subjects in one process, before anything is looked at, and the rules of unusual access look back over
the log and refuse nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from kernel.catalogue import Catalogue
from kernel.oversight import ReadingLimits


class Window(StrEnum):
    """What is counted together."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


class Unit(StrEnum):
    """What is counted."""

    READS = "reads"
    FIELDS = "fields"
    SUBJECTS = "subjects"


_LENGTH: Final = {Window.MINUTE: timedelta(minutes=1), Window.HOUR: timedelta(hours=1), Window.DAY: timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Count:
    """What somebody has read in one window, which began ``at``."""

    at: datetime
    reads: int = 0
    fields: int = 0
    subjects: int = 0

    def of(self, unit: Unit) -> int:
        """Return one of the numbers."""
        number: int = getattr(self, unit.value)
        return number

    def plus(self, *, fields: int, is_new: bool) -> "Count":
        """Return it with one more read, of so many fields, of somebody who was new in the window or not."""
        return Count(self.at, self.reads + 1, self.fields + fields, self.subjects + int(is_new))


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that a count has come to.

    Attributes:
        ends_at: when the window ends.
    """

    window: Window
    unit: Unit
    limit: int
    began_at: datetime
    ends_at: datetime


def window_begins(window: Window, now: datetime, catalogue: Catalogue) -> datetime:
    """Return when the window around an instant began: a minute or hour of UTC, or a natural day of the pack."""
    match window:
        case Window.MINUTE:
            return now.replace(second=0, microsecond=0)
        case Window.HOUR:
            return now.replace(minute=0, second=0, microsecond=0)
        case Window.DAY:
            return catalogue.begin_of(now.astimezone(ZoneInfo(catalogue.time_zone)).date())


def counted(
    before: Mapping[Window, Count],
    *,
    fields: int,
    last_read: datetime | None,
    now: datetime,
    catalogue: Catalogue,
) -> dict[Window, Count]:
    """Return the counts after one more read.

    Args:
        before: as they were kept; those whose window is over begin anew.
        fields: how many are asked for.
        last_read: when the same person was read last, by the same actor; None for never.
        now: of the log.
        catalogue: for the natural day.
    """
    after = {}
    for window in Window:
        begins = window_begins(window, now, catalogue)
        kept = before.get(window)
        count = kept if kept is not None and kept.at == begins else Count(begins)
        after[window] = count.plus(fields=fields, is_new=last_read is None or last_read < begins)
    return after


def limit_of(limits: ReadingLimits, window: Window, unit: Unit) -> int:
    """Return one limit."""
    number: int = getattr(limits, f"{unit.value}_{window.value}")
    return number


def exceeded(counts: Mapping[Window, Count], limits: ReadingLimits) -> Reached | None:
    """Return the limit beyond which counts are; of several the one that lasts longest. None where there is none."""
    found = [one for one in _limits(counts, limits) if counts[one.window].of(one.unit) > one.limit]
    return max(found, key=lambda one: one.ends_at, default=None)


def neared(
    before: Mapping[Window, Count], after: Mapping[Window, Count], limits: ReadingLimits, *, percent: int
) -> list[Reached]:
    """Return the limits of which this read is the first in its window to come to so many per cent."""

    def is_near(count: Count | None, one: Reached) -> bool:
        return count is not None and count.at == one.began_at and 100 * count.of(one.unit) >= percent * one.limit

    return [
        one
        for one in _limits(after, limits)
        if is_near(after[one.window], one) and not is_near(before.get(one.window), one)
    ]


def is_ordinary(
    before: Mapping[Window, Count], after: Mapping[Window, Count], limits: ReadingLimits, *, percent: int
) -> bool:
    """Say whether a read is neither beyond a limit nor the first to come near one; what nearly every read is."""
    for window, bounds in _bounds(limits):
        count, kept = after[window], before.get(window)
        has_begun = kept is not None and kept.at == count.at
        for unit, limit in bounds:
            number = count.of(unit)
            if number > limit:
                return False
            if 100 * number >= percent * limit and not (
                has_begun and kept is not None and 100 * kept.of(unit) >= percent * limit
            ):
                return False
    return True


@lru_cache(maxsize=64)
def _bounds(limits: ReadingLimits) -> tuple[tuple[Window, tuple[tuple[Unit, int], ...]], ...]:
    return tuple((window, tuple((unit, limit_of(limits, window, unit)) for unit in Unit)) for window in Window)


def _limits(counts: Mapping[Window, Count], limits: ReadingLimits) -> Iterator[Reached]:
    for window in Window:
        began_at = counts[window].at
        for unit in Unit:
            yield Reached(window, unit, limit_of(limits, window, unit), began_at, began_at + _LENGTH[window])
