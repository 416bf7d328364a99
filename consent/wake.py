"""What follows a closing act: an outbox in its transaction, and the handlers that empty it.

Shapes only so far; the outbox stands in ``wake_item``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from kernel.ids import EntryId, SubjectId


@dataclass(frozen=True, slots=True)
class Closing:
    """An act that closed something.

    Attributes:
        cause: withdraw, refuse, expire, end, restrict, erase or deceased.
        purpose: empty for all purposes.
        recipient: empty where none was named.
    """

    subject: SubjectId
    cause: str
    purpose: str
    recipient: str
    decision_id: str | None
    entry_id: EntryId
    at: datetime


class WakePlanner(Protocol):
    """Plans what a closing act sets in motion, in the transaction of the act."""

    def plan(self, connection: Connection, closings: Sequence[Closing]) -> None:
        """Insert what has to be done."""
        ...
