"""The journal: writes an event into the log's inbox inside the caller's transaction, so that both stand or fall."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, ScalarSelect, func, insert, select

from audit.aliases import ensure_aliases
from audit.entries import NewEntry, cohort_digest, encode_entry, mentioned_subjects
from audit.events import Event
from audit.tables import cohort, cohort_member, detail, head, inbox
from kernel.clock import require_aware, to_micros
from kernel.encoding import JsonValue
from kernel.ids import EntryId, SubjectId, new_id
from kernel.ports import Clock, Sealer
from kernel.prepared import Prepared

_SALT_BYTES: Final = 32


def latest_times() -> tuple[ScalarSelect[datetime | None], ScalarSelect[datetime | None]]:
    """Return expressions of the latest entry's time, in the log and in its inbox; null where there is none."""
    waiting = select(inbox.c.at).order_by(inbox.c.seq.desc()).limit(1).scalar_subquery()
    return select(func.max(head.c.at)).scalar_subquery(), waiting


class Journal:
    """Turns events into inbox rows."""

    def __init__(self, clock: Clock, sealer: Sealer) -> None:
        self._clock = clock
        self._sealer = sealer

    def now(self, connection: Connection) -> datetime:
        """Return the time for a new entry: the clock's, or that of the latest entry when the clock lags behind it."""
        latest: list[datetime | None] = list(connection.execute(_LATEST).one())
        return self._not_before(max((time for time in latest if time is not None), default=None))

    def record_known(
        self, connection: Connection, event: Event, *, at: datetime, aliases: Mapping[SubjectId, str]
    ) -> EntryId:
        """Write one entry without a cohort, for a caller who has read in this transaction what it needs.

        Args:
            connection: the caller's transaction.
            event: what happened; it names no other subjects than ``aliases`` does.
            at: not before the latest entry's time; see ``latest_times``.
            aliases: those of the entry's year.

        Raises:
            BadInput: the event cannot stand in the log; see ``encode_entry``.
        """
        if event.cohort or event.details is not None or mentioned_subjects(event):
            return self.record(connection, event)
        entry_id = EntryId(new_id("ent"))
        entry = encode_entry(event, entry_id, at, aliases=aliases, cohort=None)
        _INSERT.rows(connection, entry_id=entry_id, at=to_micros(at), body=entry.body)
        return entry_id

    def record(self, connection: Connection, event: Event) -> EntryId:
        """Write one entry in the caller's transaction.

        Take every lock that the act needs before this call: the order of entries is the order of the locks.

        Raises:
            BadInput: the event cannot stand in the log; see ``encode_entry``.
        """
        return self.record_many(connection, (event,))[0]

    def record_many(self, connection: Connection, events: Sequence[Event]) -> list[EntryId]:
        """Write entries in the given order in the caller's transaction; one round of statements for all.

        Raises:
            BadInput: an event cannot stand in the log; see ``encode_entry``.
        """
        entries = self.encode(connection, events)
        _INSERT.insert_many(connection, [(entry.entry_id, to_micros(entry.at), entry.body) for entry in entries])
        return [EntryId(entry.entry_id) for entry in entries]

    def encode(
        self, connection: Connection, events: Sequence[Event], *, latest: datetime | None = None
    ) -> list[NewEntry]:
        """Return the entries of events, with all that lies beside them written; the caller stores the entries.

        Args:
            connection: the caller's transaction.
            events: what happened.
            latest: time of the latest entry, where the caller holds the head and knows it; else it is read.
        Raises:
            BadInput: an event cannot stand in the log; see ``encode_entry``.
        """
        if not events:
            return []
        at = self.now(connection) if latest is None else self._not_before(latest)
        aliases = ensure_aliases(connection, _all_subjects(events), at.year)
        return [self._entry(connection, event, at, aliases) for event in events]

    def read_details(self, connection: Connection, entry_id: EntryId) -> Mapping[str, JsonValue] | None:
        """Open the sealed details of an entry, for the officer; None without details.

        Raises:
            IntegrityFailed: the details were not sealed for this entry.
        """
        sealed = connection.scalar(select(detail.c.sealed).where(detail.c.entry_id == entry_id))
        return None if sealed is None else self._sealer.open_details(sealed, context=entry_id)

    def _not_before(self, latest: datetime | None) -> datetime:
        """Return the time, and tell a clock that lags behind the log where the log stands."""
        now = require_aware(self._clock.now())
        if latest is None or latest <= now:
            return now
        self._clock.not_before(latest)
        return latest

    def _entry(self, connection: Connection, event: Event, at: datetime, aliases: Mapping[SubjectId, str]) -> NewEntry:
        entry_id = EntryId(new_id("ent"))
        members = _record_cohort(connection, entry_id, [aliases[subject] for subject in dict.fromkeys(event.cohort)])
        entry = encode_entry(event, entry_id, at, aliases=aliases, cohort=members)
        if event.details is not None:
            sealed = self._sealer.seal_details(event.details, context=entry_id)
            connection.execute(insert(detail), {"entry_id": entry_id, "sealed": sealed})
        return entry


def _all_subjects(events: Sequence[Event]) -> set[SubjectId]:
    subjects: set[SubjectId] = set()
    for event in events:
        subjects.update(event.cohort, mentioned_subjects(event), (event.subject,) if event.subject else ())
    return subjects


def _record_cohort(connection: Connection, entry_id: EntryId, aliases: Sequence[str]) -> dict[str, JsonValue] | None:
    if not aliases:
        return None
    salt = secrets.token_bytes(_SALT_BYTES)
    connection.execute(insert(cohort), {"entry_id": entry_id, "salt": salt, "size": len(aliases)})
    connection.execute(insert(cohort_member), [{"alias": alias, "entry_id": entry_id} for alias in aliases])
    return {"size": len(aliases), "digest": cohort_digest(salt, aliases)}


_LATEST: Final = select(*latest_times())
_INSERT: Final = Prepared(insert(inbox).inline(), columns=("entry_id", "at", "body"))
