"""What officers are told at once, through the webhooks that the operator registered for them.

A message is kept in the transaction of what it tells of, so that none is lost and none tells of what did not happen.
It names principals, emergencies and rules; whose record it was stands in the log.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from consentry.stores.alarms import Alarm, add_alarm
from consentry.stores.webhooks import list_targets
from kernel.clock import format_instant
from kernel.encoding import JsonValue, canonical_json
from kernel.ids import new_id

OFFICERS: Final = "*officers"
"""The recipient of a webhook that is told of alarms, in the place of a recipient's code."""


class AlarmKind(StrEnum):
    """What an alarm tells of; the type of its message."""

    BREAK_GLASS = "break_glass.opened"
    FROZEN = "account.frozen"
    LIMIT_NEARED = "limit.neared"
    LIMIT_REACHED = "limit.reached"


def raise_alarm(connection: Connection, kind: AlarmKind, told: Mapping[str, JsonValue], *, now: datetime) -> int:
    """Keep a message for every target of the officers, in the caller's transaction; returns for how many."""
    targets = [one for one in list_targets(connection, enabled_only=True) if one.recipient == OFFICERS]
    at = format_instant(now)
    body = canonical_json({"type": kind.value, "timestamp": at, "data": dict(told)}).decode()
    for target in targets:
        add_alarm(connection, Alarm(new_id("alm"), target.target_id, body, now, 0, now))
    return len(targets)
