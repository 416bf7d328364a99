"""Tombstones: the random ids of destroyed keys, in the data store and in the log; the key store has its own."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from audit.events import Event
from vault.setwise import insert_absent
from vault.tables import tombstone


def bury(connection: Connection, key_ids: Sequence[bytes], *, erasure_id: str, at: datetime) -> None:
    """Leave tombstones in the data store, in the caller's transaction; those that stand already stay."""
    rows = [{"key_id": key_id, "erasure_id": erasure_id, "destroyed_at": at} for key_id in key_ids]
    insert_absent(connection, tombstone, rows)


def naming_keys(event: Event, key_ids: Sequence[bytes]) -> Event:
    """Name the destroyed keys in an entry, so that the log alone can replay their tombstones."""
    named = {f"key_{number}": key_id.hex() for number, key_id in enumerate(key_ids, start=1)}
    return replace(event, refs={**event.refs, **named}, counts={**event.counts, "keys": len(key_ids)})
