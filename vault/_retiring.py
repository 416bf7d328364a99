"""Destroys the keys that sealed what has expired, and what found it. For the modules of this package alone."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from audit.events import Event
from consent.entries import EntryLog
from kernel.database import Database
from kernel.ids import SubjectId
from vault._erasable import rows_of
from vault._field_plan import stored_fields
from vault._identifiers import carry_identifiers
from vault._keyring import keyring_of
from vault.keystore import KeyStore, destroy_keys
from vault.setwise import chunks
from vault.subjects import forget_fields
from vault.tables import retiring_key
from vault.tombstones import bury, naming_keys


class Retirement:
    """The last steps of a sweep's chunk: keys destroyed, tombstones in both stores, and the entry that names them."""

    def __init__(
        self,
        data: Database,
        keystore: KeyStore,
        log: EntryLog,
        at: Callable[[str], None],
    ) -> None:
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._log = log
        self._at = at

    def finish(self, sweep_id: str, event: Event) -> None:
        """Destroy the keys that a sweep has noted; safe to repeat.

        Args:
            sweep_id: whose keys.
            event: of the act that names destroyed keys.
        """
        with self._data.read() as connection:
            rows = connection.execute(select(retiring_key).where(retiring_key.c.sweep_id == sweep_id)).all()
        if not rows:
            return
        subjects = [SubjectId(subject) for subject in dict.fromkeys(row.subject_id for row in rows)]
        with self._keystore.database.write() as connection:
            for subject in subjects:
                self._destroy(connection, sweep_id, subject, [row for row in rows if row.subject_id == subject])
        self._at("keys destroyed")
        self._bury(sweep_id, event, sorted(row.key_id for row in rows))
        self._at("keys buried")

    def _destroy(self, connection: Connection, sweep_id: str, subject: SubjectId, rows: Sequence[Row[Any]]) -> None:
        """Destroy one subject's keys, with the digests of what is stored of it no longer."""
        with self._data.read() as reading:
            left = rows_of(reading, subject)
        stored = stored_fields(left)
        lost = {code for row in rows for code in json.loads(row.fields)} - stored
        key_ids = [row.key_id for row in rows]
        forget_fields(connection, subject, lost, stored)
        carry_identifiers(connection, self._keyring, subject, leaving=key_ids, without=lost)
        destroy_keys(connection, key_ids, erasure=sweep_id, clock=self._keyring.clock)

    def _bury(self, sweep_id: str, event: Event, key_ids: Sequence[bytes]) -> None:
        """Leave tombstones in the data store, and name the keys in the log, unless another process was faster."""
        with self._data.write() as connection:
            bury(connection, key_ids, erasure_id=sweep_id, at=self._keyring.clock.now())
            forgotten = 0
            for some in chunks(key_ids):
                forgotten += connection.execute(delete(retiring_key).where(retiring_key.c.key_id.in_(some))).rowcount
            if forgotten:
                self._log.record(connection, naming_keys(event, key_ids))
