"""How far the signature is behind the log: what is committed and not yet under a signed checkpoint."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select

from audit.sequencer import read_head
from audit.tables import inbox, leaf
from audit.verifier import Checkpoint

ALARM_AFTER: Final = timedelta(seconds=1)
"""Above this the log is said to lag: reads wait, and what was done is not yet proven."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Entries without a signed checkpoint.

    Attributes:
        entries: how many.
        oldest: how long the oldest one waits; zero without any.
    """

    entries: int
    oldest: timedelta

    @property
    def is_alarming(self) -> bool:
        """Whether it lags by more than a second."""
        return self.oldest > ALARM_AFTER


def read_lag(connection: Connection, signed: Checkpoint | None, now: datetime) -> Lag:
    """Return the lag of one snapshot against the last signed checkpoint."""
    head = read_head(connection)
    size = signed.size if signed else 0
    unsigned = select(leaf.c.at).where(leaf.c.leaf_index == head.origin.base + size)
    waiting = connection.execute(select(func.count(), func.min(inbox.c.at))).one()
    oldest = connection.scalar(unsigned) or waiting[1]
    entries = max(0, head.tree.size - size) + waiting[0]
    return Lag(entries, max(now - oldest, timedelta(0)) if oldest else timedelta(0))
