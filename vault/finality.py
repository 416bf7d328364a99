"""When an erasure is final: once no copy of the key store can be opened in which the destroyed keys still stand.

Destroyed keys were wrapped by the key of their epoch. A copy of the key store from before the erasure holds them until
that epoch's key is destroyed; what archives the database keeps on its own may hold it for longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from kernel.clock import format_instant
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from kernel.ports import Clock
from vault._begun import STARTED
from vault.keystore import KeyStore
from vault.tables import epoch, erasure

_AT_ONCE: Final = 500
"""Entries in one transaction: short enough that nobody waits long for the lock."""


class Because(StrEnum):
    """What an erasure still waits for."""

    KEY_EPOCH = "key_epoch"
    KEY_EPOCH_AND_ARCHIVES = "key_epoch_and_archives"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long that may live which could bring a destroyed key back.

    Attributes:
        epoch: the longest life of a key epoch, and so of a backup of the key store.
        archives: how long, beyond the end of an epoch, archives of the stores are kept that the database writes.
    """

    epoch: timedelta = timedelta(days=1)
    archives: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Finality:
    """When an erasure becomes final.

    Attributes:
        epoch_id: whose end it waits for.
        at: the latest instant.
    """

    epoch_id: str
    at: datetime
    because: Because

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for a certificate."""
        return {"at": format_instant(self.at), "epoch": self.epoch_id, "because": self.because.value}


def foresee(keys: Database, keeping: Keeping, *, now: datetime) -> Finality:
    """Return when what is destroyed now becomes final; an epoch that is overdue is given one more life."""
    query = select(epoch.c.epoch_id, epoch.c.opened_at).where(epoch.c.wrapped.is_not(None))
    with keys.read() as connection:
        newest = connection.execute(query.order_by(epoch.c.opened_at.desc()).limit(1)).one()
    end = newest.opened_at + keeping.epoch
    if end <= now:
        end = now + keeping.epoch
    because = Because.KEY_EPOCH_AND_ARCHIVES if keeping.archives else Because.KEY_EPOCH
    return Finality(newest.epoch_id, end + keeping.archives, because)


def confirm_final(
    data: Database, keystore: KeyStore, log: EntryLog, *, asking: Asking, keeping: Keeping, clock: Clock
) -> list[str]:
    """Say of each erasure that has become final that it has, with an entry of its own; returns their ids.

    An epoch that today's key store does not know, because an older copy of it was restored, has not ended for sure.
    """
    confirmed: list[str] = []
    while ended := _ended(data, keystore, keeping, clock):
        with data.write() as connection:
            confirmed += [row.erasure_id for row in ended if _confirm(connection, log, row, asking=asking)]
    return confirmed


def _ended(data: Database, keystore: KeyStore, keeping: Keeping, clock: Clock) -> list[Row[*tuple[Any, ...]]]:
    columns = erasure.c
    query = select(columns.erasure_id, columns.subject_id, columns.epoch_id).where(
        columns.state != STARTED, columns.epoch_id.is_not(None), columns.final_entry.is_(None)
    )
    with data.read() as connection:
        waiting = connection.execute(query.order_by(columns.started_at)).all()
    if not waiting:
        return []
    ends = _ends(keystore.database, {row.epoch_id for row in waiting})
    now = clock.now()
    over = [row for row in waiting if row.epoch_id in ends and ends[row.epoch_id] + keeping.archives <= now]
    return over[:_AT_ONCE]


def _ends(keys: Database, wanted: set[str]) -> Mapping[str, datetime]:
    """Return when the keys of these epochs were destroyed, of those that were."""
    query = select(epoch.c.epoch_id, epoch.c.destroyed_at).where(epoch.c.destroyed_at.is_not(None))
    with keys.read() as connection:
        return {row.epoch_id: row.destroyed_at for row in connection.execute(query) if row.epoch_id in wanted}


def _confirm(connection: Connection, log: EntryLog, row: Row[*tuple[Any, ...]], *, asking: Asking) -> bool:
    """Write the entry and note it, unless another process was faster."""
    mine = erasure.c.erasure_id == row.erasure_id
    if connection.scalar(select(erasure.c.final_entry).where(mine)) is not None:
        return False
    event = replace(event_of(asking, Act.ERASURE_FINAL), subject=SubjectId(row.subject_id))
    entry_id = log.record(connection, replace(event, refs={"erasure": row.erasure_id, "epoch": row.epoch_id}))
    connection.execute(update(erasure).where(mine).values(final_entry=entry_id))
    return True
