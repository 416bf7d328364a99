"""What officers are still to be told at once, by target; kept until each has it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from consentry.stores.tables import alarm


@dataclass(frozen=True, slots=True)
class Alarm:
    """One message for one target; ``body`` is JSON of codes, ids and instants."""

    alarm_id: str
    target_id: str
    body: str
    created_at: datetime
    attempts: int
    next_at: datetime | None


def add_alarm(connection: Connection, made: Alarm) -> None:
    """Keep a message that is to be sent."""
    connection.execute(insert(alarm), {name: getattr(made, name) for name in Alarm.__slots__})


def due_alarms(connection: Connection, now: datetime, *, limit: int) -> list[Alarm]:
    """Return what is due, the oldest first."""
    query = select(alarm).where(alarm.c.next_at <= now).order_by(alarm.c.created_at, alarm.c.alarm_id).limit(limit)
    return [Alarm(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - a row's columns by name


def claim(connection: Connection, one: Alarm, *, next_at: datetime) -> bool:
    """Count an attempt, and say whether it is this process that makes it."""
    mine = (alarm.c.alarm_id == one.alarm_id) & (alarm.c.attempts == one.attempts) & alarm.c.next_at.is_not(None)
    values = {"attempts": one.attempts + 1, "next_at": next_at}
    return connection.execute(update(alarm).where(mine).values(values)).rowcount == 1


def settle(connection: Connection, alarm_id: str) -> None:
    """Note that a message is told, or that nobody is there to be told."""
    connection.execute(update(alarm).where(alarm.c.alarm_id == alarm_id).values(next_at=None))
