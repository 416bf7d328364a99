"""The time that tokens are judged by: the clock's, and never before the log's."""

from datetime import datetime

from audit.log import AuditLog
from kernel.database import Database


class LogClock:
    """A clock that does not follow when the machine's is set back: what has expired stays expired, as at the gate.

    Each reading opens a short read of the latest entry's time; do not ask it inside another transaction.
    """

    def __init__(self, data: Database, log: AuditLog) -> None:
        self._data = data
        self._log = log

    def now(self) -> datetime:
        """Return the current instant in UTC; raises ``Unavailable`` where the store cannot be read."""
        with self._data.read() as connection:
            return self._log.now(connection)

    def not_before(self, instant: datetime) -> None:
        """Do nothing: what has been stands in the log, which is asked each time."""
