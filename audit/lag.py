"""How far the signature is behind the log: what is committed and not yet under a signed checkpoint."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select

from audit.sequencer import read_head
from audit.tables import inbox, leaf
from audit.verifier import Checkpoint

ALARM_AFTER: Final = timedelta(seconds=1)
"""Above this the log is said to lag: reads wait, and what was done is not yet proven."""

_READINGS: Final = 1_024
"""Half a second apart, more than eight minutes."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Entries without a signed checkpoint.

    Attributes:
        entries: how many.
        oldest: how long the oldest one waits; zero without any.
        signed: how many entries have one, over all origins.
    """

    entries: int
    oldest: timedelta
    signed: int = 0

    @property
    def is_alarming(self) -> bool:
        """Whether it lags by more than a second."""
        return self.oldest > ALARM_AFTER


class LagWatch:
    """Bounds a lag by what this process saw before, in time that nobody can set.

    What was signed when it was read has not waited since; what was there and is still unsigned has waited at least
    since then. So a step of the clock neither cries nor hides an alarm while somebody looks at short intervals.

    Args:
        elapsed: seconds of real time since some moment.
    """

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._mutex = threading.Lock()
        self._seen: deque[tuple[int, float]] = deque(maxlen=_READINGS)
        self._signed_at: float | None = None

    def bounded(self, lag: Lag) -> Lag:
        """Return a lag that was read just now, within the bounds."""
        with self._mutex:
            now = self._elapsed()
            while self._seen and self._seen[0][0] <= lag.signed:
                self._signed_at = self._seen.popleft()[1]
            most = timedelta.max if self._signed_at is None else timedelta(seconds=now - self._signed_at)
            least = timedelta(seconds=now - self._seen[0][1]) if self._seen else timedelta(0)
            self._seen.append((lag.signed + lag.entries, now))
        return replace(lag, oldest=max(least, min(lag.oldest, most))) if lag.entries else lag


def read_lag(connection: Connection, signed: Checkpoint | None, now: datetime) -> Lag:
    """Return the lag of one snapshot against the last signed checkpoint."""
    head = read_head(connection)
    size = signed.size if signed else 0
    unsigned = select(leaf.c.at).where(leaf.c.leaf_index == head.origin.base + size)
    waiting = connection.execute(select(func.count(), func.min(inbox.c.at))).one()
    oldest = connection.scalar(unsigned) or waiting[1]
    entries = max(0, head.tree.size - size) + waiting[0]
    waited = max(now - oldest, timedelta(0)) if oldest else timedelta(0)
    return Lag(entries, waited, head.origin.base + size)
