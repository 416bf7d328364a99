"""Corrections: a wrong value gets a newer version beside it, with a reason (PIPL 46, GDPR 16).

Nothing is overwritten. What the source said stays in the history for as long as it is kept, and the corrected value
lives under the same record, with the same source, compartment, purpose and end of keeping. Each corrected value is a
row of its own, so that an erasure of the field takes its reason along.
"""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of, now_in_log
from consent.permits import Permit
from consent.standing import Standing, get_standing, lock_subjects
from kernel.catalogue import Catalogue, Compartment
from kernel.clock import from_micros, to_micros
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Conflict, Denied, IntegrityFailed, NotFound
from kernel.ids import BatchId, EntryId, RecordId, SubjectId, new_id
from kernel.ports import Clock
from vault._erasable import rows_of
from vault._identity_moves import finding_fields, restate, stated_of
from vault._keyring import keyring_of
from vault._keys import UnlockedKeys
from vault._opening import readable_rows, visible_rows
from vault._rows import SealedRow, header_of, verify_header
from vault._sealing import CONTENT_KEY_BYTES, EVENT, SCHEMA_VERSION, Row, insert_rows
from vault._versions import MARK, Mark
from vault.batches import Batches
from vault.envelope import Binding, RowHeader, encode_plaintext, of_row, seal_many
from vault.keystore import KeyStore
from vault.payload import pack, unpack
from vault.tables import record_change, sealed_record

CORRECTION: Final = "correction"
"""The kind of a batch that holds one correction."""

_LOGGER: Final = logging.getLogger("consentry.vault")


@dataclass(frozen=True, slots=True, repr=False)
class Correction:
    """What is wrong in one record, and how it should be; plaintext.

    Attributes:
        record: any version of the record.
        values: the right value by field code; of a field that the record lacks, what completes it.
        reason: in words; sealed beside each value and nowhere else, since words repeat what was wrong.
    """

    subject: SubjectId
    record: RecordId
    values: Mapping[str, JsonValue]
    reason: str

    def __repr__(self) -> str:
        return f"Correction(subject={self.subject}, record={self.record}, redacted)"


@dataclass(frozen=True, slots=True)
class Corrected:
    """One correction that was stored.

    Attributes:
        records: the id of each new version, by field.
        change_id: of what is still to be done by ``Corrector.follow_up``: what finds its person changed; else None.
    """

    batch_id: BatchId
    entry_id: EntryId
    records: Mapping[str, RecordId]
    at: datetime
    change_id: str | None = None


class Corrector:
    """Stores corrections in the records of one deployment."""

    def __init__(  # noqa: PLR0917 - the parts that are wired together once
        self,
        data: Database,
        keystore: KeyStore,
        catalogue: Catalogue,
        log: EntryLog,
        clock: Clock,
        batches: Batches,
        *,
        deployment: str,
    ) -> None:
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._catalogue = catalogue
        self._log = log
        self._clock = clock
        self._batches = batches
        self._deployment = deployment

    def prepare(self, subject: SubjectId, fields: Collection[str]) -> None:
        """Make the keys that a correction of these fields needs durable, before the transaction that stores it."""
        pairs = {(subject, self._catalogue.get_field(code).compartment) for code in fields}
        self._keystore.ensure_data_keys(pairs, batch=None)

    def correct(
        self, connection: Connection, correction: Correction, *, permits: Mapping[str, Permit], asking: Asking
    ) -> Corrected:
        """Store a correction with its entry; visible with the caller's commit.

        Args:
            connection: a write transaction of the data store; best the one in which the gate gave the permits.
            correction: what to store.
            permits: by purpose of collection; together they must cover every field.
            asking: who corrects; without the reason.

        Raises:
            BadInput: no value, a field that is not in the catalogue or that holds files, a value that has no canonical
                form or is too long, or an event that is to be completed.
            NotFound: the subject has no such record, or nothing of it is kept any more.
            Denied: a permit is missing or over, or the subject is not active.
            IntegrityFailed: a row of the record was changed.
            KeyUnavailable: ``prepare`` did not come first.
        """
        self._check(connection, correction, permits)
        now = now_in_log(connection, self._log, self._clock)
        rows = self._rows_of_record(connection, correction, now)
        with self._keyring.unlocked([correction.subject], list(Compartment)) as keys:
            readable = readable_rows({correction.subject: rows}, keys, self._keyring)[correction.subject]
            for row in readable:
                verify_header(row, keys, self._deployment)
            if not readable:
                raise _no_record(correction)
            headers = {code: self._header(code, readable) for code in sorted(correction.values)}
            sealed = self._sealed(correction, headers, Mark(now, asking.actor, correction.reason), keys)
        opened = self._batches.open(connection, kind=CORRECTION, input_digest=os.urandom(32).hex(), asking=asking)
        insert_rows(connection, sealed, permits=permits, batch=opened.batch_id)
        self._batches.complete(connection, opened, asking=asking)
        entry_id = self._tell(connection, correction, opened.batch_id, asking)
        records = {code: RecordId(header.record_id) for code, header in headers.items()}
        change_id = None
        if not finding_fields(self._catalogue.fields).isdisjoint(correction.values):
            change_id = _note(connection, correction.subject, asking, now)
        return Corrected(opened.batch_id, entry_id, records, now, change_id)

    def follow_up(self, change_id: str) -> None:
        """Let a corrected value of an indexed field find its person, and the wrong one not; safe to repeat.

        Raises:
            Conflict: the identifier is somebody else's; the correction stands, and finds nobody until both are merged.
        """
        changes = record_change.c
        with self._data.read() as connection:
            subject = SubjectId(
                connection.execute(select(changes.subject_id).where(changes.change_id == change_id)).scalar_one()
            )
            rows = rows_of(connection, subject)
        with self._keyring.unlocked([subject], list(Compartment)) as keys:
            stated = stated_of(subject, rows, keys, self._deployment, fields=self._catalogue.fields)
        with self._keystore.database.write() as connection:
            restate(connection, self._keyring, subject, stated)
        with self._data.write() as connection:
            done = {"state": "done", "finished_at": now_in_log(connection, self._log, self._clock)}
            connection.execute(update(record_change).where(changes.change_id == change_id).values(**done))

    def resume(self) -> int:
        """Finish what a crash interrupted, at start-up; returns how many corrections."""
        changes = record_change.c
        with self._data.read() as connection:
            query = select(changes.change_id).where(changes.kind == CORRECTION, changes.state != "done")
            begun = connection.execute(query.order_by(changes.started_at)).scalars().all()
        done = 0
        for change_id in begun:
            try:
                self.follow_up(change_id)
                done += 1
            except (Conflict, IntegrityFailed) as err:
                _LOGGER.warning("Correction %s is not followed up: %s", change_id, err.diagnostics())
        return done

    def _check(self, connection: Connection, correction: Correction, permits: Mapping[str, Permit]) -> None:
        """Raise unless the subject, now locked, and the permits allow the correction."""
        if not correction.values:
            raise BadInput("A correction needs a value", hint="Name at least one field.")
        lock_subjects(connection, [correction.subject], exclusive=True)
        state = get_standing(connection, correction.subject).state
        if state is not Standing.ACTIVE:
            raise Denied(
                f"Subject {correction.subject} is {state}: its records are not corrected",
                hint="Lift the restriction first, and what was merged away correct under the subject that goes on."
                if state is Standing.RESTRICTED
                else "What is left of an erasure stays as it is.",
            )
        now = now_in_log(connection, self._log, self._clock)
        for permit in permits.values():
            permit.check_live(now)
        for code in correction.values:
            purpose = self._catalogue.get_value_field(code).collect
            if purpose not in permits or not permits[purpose].allows(correction.subject, code):
                raise Denied(f"No permit for {purpose} covers field {code!r}", hint="Ask the gate for it.")

    def _rows_of_record(self, connection: Connection, correction: Correction, now: datetime) -> list[SealedRow]:
        """Return the visible rows of all versions of the record, in the order of storing."""
        columns = sealed_record.c
        key = connection.scalar(
            select(columns.record_key)
            .where(columns.subject_id == correction.subject, columns.record_id == correction.record)
            .limit(1)
        )
        found = visible_rows(connection, [correction.subject], compartments=list(Compartment), kinds=None, now=now)
        rows = [row for row in found.get(correction.subject, []) if row.record_key == key]
        if not rows:
            raise _no_record(correction)
        return rows

    def _header(self, code: str, rows: Sequence[SealedRow]) -> RowHeader:
        """Return what the row of one corrected value says of itself: what the newest version of that value says."""
        record_id = new_id("rec")
        holding = [row for row in rows if any(held == code for held, _ in unpack(row.payload))]
        if holding:
            return header_of(holding[-1])._replace(record_id=record_id)
        base = header_of(rows[-1])
        if base.kind == EVENT:
            raise BadInput(
                f"The event has no field {code!r}", hint="What an event says can be corrected, and not added to."
            )
        field, observed_at = self._catalogue.get_field(code), from_micros(base.observed_at)
        expires, held = field.retention.expires_at(observed_at), field.retention.held_until(observed_at)
        return base._replace(
            record_id=record_id,
            compartment=field.compartment.value,
            purpose=field.collect,
            expires_at=None if expires is None else to_micros(expires),
            held_until=None if held is None else to_micros(held),
        )

    def _sealed(
        self, correction: Correction, headers: Mapping[str, RowHeader], mark: Mark, keys: UnlockedKeys
    ) -> list[Row]:
        """Return one row for each value: the value, and the mark beside it.

        Random bytes stand where a source's record has the digest of its content.
        """
        rows = []
        for code, header in headers.items():
            key = keys.sealing((correction.subject, Compartment(header.compartment)))
            holder = of_row(self._deployment, header)
            plaintexts = {code: encode_plaintext(correction.values[code]), MARK: mark.encoded()}
            sealed = seal_many(
                (key, Binding(holder, name, SCHEMA_VERSION), plaintext) for name, plaintext in plaintexts.items()
            )
            payload = pack(dict(zip(plaintexts, sealed, strict=True)))
            rows.append((*header, os.urandom(CONTENT_KEY_BYTES), None, 0, SCHEMA_VERSION, key.key_id, payload))
        return rows

    def _tell(self, connection: Connection, correction: Correction, batch: BatchId, asking: Asking) -> EntryId:
        fields = tuple(sorted(correction.values))
        event = replace(
            event_of(replace(asking, reason=None), Act.RECORD_CORRECTED),
            subject=correction.subject,
            fields=fields,
            level=max(self._catalogue.get_field(code).level for code in fields),
            refs={"record": correction.record, "batch": batch},
            counts={"values": len(fields)},
        )
        return self._log.record(connection, event)


def _note(connection: Connection, subject: SubjectId, asking: Asking, now: datetime) -> str:
    """Note in the outbox that what finds a person changed; returns an id."""
    change_id = new_id("chg")
    row = {
        "change_id": change_id,
        "kind": CORRECTION,
        "state": "started",
        "subject_id": subject,
        "actor": asking.actor,
        "role": asking.role,
        "request_id": asking.request_id,
        "started_at": now,
        "counts": {},
    }
    connection.execute(insert(record_change).values(row))
    return change_id


def _no_record(correction: Correction) -> NotFound:
    return NotFound(
        f"Subject {correction.subject} has no record {correction.record}",
        hint="`consentry reveal --history` names the records of each value.",
    )
