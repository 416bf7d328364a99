"""Time as an argument: every component is given a clock, and instants are whole microseconds in UTC."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from kernel.errors import BadInput

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_PACE: Final = 0.5
"""How fast time goes on behind which the machine's clock was set back: terms end, and the clock catches up."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """The machine's clock, which never goes back within a process; safe for many threads.

    Where the machine's is set back, this one goes on at half the pace from where it was until the other has caught up,
    so that what was to end in a minute ends within two, and not when the day comes round again.

    Args:
        wall: the machine's clock.
        elapsed: seconds of real time since some moment, which nobody can set.
    """

    def __init__(
        self, *, wall: Callable[[], datetime] = _utc_now, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._mutex = threading.Lock()
        self._told, self._at = wall(), elapsed()

    def now(self) -> datetime:
        """Return the current instant in UTC; never before one that was told before."""
        with self._mutex:
            return self._read()

    def not_before(self, instant: datetime) -> None:
        """Go on from an instant that has been, as the log tells, where the machine's clock is behind it."""
        with self._mutex:
            if instant > self._read():
                self._told, self._at = require_aware(instant), self._elapsed()

    def _read(self) -> datetime:
        wall, at = self._wall(), self._elapsed()
        moved = self._told + timedelta(seconds=(at - self._at) * _PACE)
        if wall < moved:
            return moved
        self._told, self._at = wall, at
        return wall


class FixedClock:
    """A clock that moves only when told; for replays and tests."""

    def __init__(self, instant: datetime) -> None:
        self._instant = require_aware(instant)

    def now(self) -> datetime:
        """Return the instant that was set last."""
        return self._instant

    def not_before(self, instant: datetime) -> None:
        """Stay: it moves only when told."""

    def advance(self, step: timedelta) -> None:
        """Move the clock; a negative step moves it back."""
        self._instant += step


def require_aware(instant: datetime) -> datetime:
    """Return the instant in UTC.

    Raises:
        BadInput: the instant has no time zone.
    """
    if instant.tzinfo is None:
        raise BadInput("An instant without a time zone cannot be ordered", hint="Give an offset, for example +08:00.")
    return instant.astimezone(UTC)


def to_micros(instant: datetime) -> int:
    """Return whole microseconds since 1970-01-01T00:00:00Z."""
    return (require_aware(instant) - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """Return the UTC instant that lies ``micros`` microseconds after 1970-01-01T00:00:00Z."""
    return _EPOCH + timedelta(microseconds=micros)


def format_instant(instant: datetime) -> str:
    """Return RFC 3339 in UTC with six digits, so that text order is time order."""
    return require_aware(instant).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> datetime:
    """Parse RFC 3339 with an offset.

    Raises:
        BadInput: the text is no instant, or lacks its offset.
    """
    try:
        return require_aware(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise BadInput("Not an RFC 3339 instant", hint="Write 2026-01-31T08:00:00+08:00.") from None


def age_in_years(birth_date: date, on: date) -> int:
    """Return completed years of life on a day; a 29 February birthday completes on 1 March (GB/T 7408 practice)."""
    return on.year - birth_date.year - ((on.month, on.day) < (birth_date.month, birth_date.day))
