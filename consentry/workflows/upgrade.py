"""Bring the stores of a deployment to this version's schema, and mark the names of the log that an older one made."""

from typing import Final

from sqlalchemy import Connection, select

from audit.aliases import mark_names, recall_forgotten
from audit.entries import decode_entry, mentioned_aliases
from audit.events import Act, Event, Outcome
from audit.journal import Journal
from audit.tables import cohort_member, leaf
from consentry.migrations import Store, check_made, upgrade
from consentry.platform import open_keystore, open_stores
from consentry.receipt_keys import create_receipt_key
from consentry.settings import Settings
from consentry.workflows.initialise import SYSTEM
from kernel.clock import SystemClock
from kernel.database import Database
from kernel.errors import BadInput
from kernel.ids import RequestId, new_id
from vault.details import DetailSealer

_MARKED_SINCE: Final = "0005"
"""The revision of the data store from which on the log's names bear a mark."""

_BATCH: Final = 10_000


def upgrade_stores(settings: Settings) -> None:
    """Upgrade the key store, then the data store; each in one transaction. Makes key files that came later.

    Raises:
        ConfigurationError: a store is empty, or at a revision that this version does not know; nothing was changed.
        Unavailable: a store is missing, locked or damaged.
    """
    data, keys = open_stores(settings, must_exist=True)
    try:
        stores = ((keys, Store.KEYS), (data, Store.DATA))
        for database, store in stores:
            check_made(database, store)
        upgrade(keys, Store.KEYS)
        if check_made(data, Store.DATA) < _MARKED_SINCE:
            journal = _journal(settings, keys)
            upgrade(data, Store.DATA, finish=lambda connection: _mark_old_names(connection, journal))
        else:
            upgrade(data, Store.DATA)
        if not settings.receipt_key_path.exists():
            create_receipt_key(settings.receipt_key_path)
    finally:
        data.dispose()
        keys.dispose()


def _mark_old_names(connection: Connection, journal: Journal) -> None:
    """Mark the names of an older version, in the transaction that brings the marks, with an entry that counts them.

    Names that entries mention and nobody knows were destroyed by it, and are noted as such.
    """
    marked = mark_names(connection, journal.sealer)
    recall_forgotten(connection, _mentioned(connection), journal.sealer)
    if marked:
        event = Event(
            Act.LOG_CONFIGURED, Outcome.DONE, SYSTEM, "administrator", RequestId(new_id("req")),
            counts={"names": marked}, refs={"what": "names"},
        )  # fmt: skip
        journal.record(connection, event)


def _mentioned(connection: Connection) -> dict[str, int]:
    """Return the names that stored entries mention, each with the year of an entry."""
    found: dict[str, int] = {}
    last = -1
    while True:
        page = select(leaf.c.leaf_index, leaf.c.at, leaf.c.body).where(leaf.c.leaf_index > last)
        rows = connection.execute(page.order_by(leaf.c.leaf_index).limit(_BATCH)).all()
        for row in rows:
            found.update(dict.fromkeys(_aliases(row.body), row.at.year))
        if len(rows) < _BATCH:
            break
        last = rows[-1].leaf_index
    members = select(cohort_member.c.alias, leaf.c.at).join(leaf, leaf.c.entry_id == cohort_member.c.entry_id)
    found.update((alias, at.year) for alias, at in connection.execute(members))
    return found


def _aliases(body: bytes) -> set[str]:
    """Return the aliases in stored bytes; none where these are no entry, of which the next comparison tells."""
    try:
        return mentioned_aliases(decode_entry(body)) if body else set()
    except (BadInput, ValueError):
        return set()


def _journal(settings: Settings, keys: Database) -> Journal:
    clock = SystemClock()
    return Journal(clock, DetailSealer(open_keystore(settings, keys, clock)))
