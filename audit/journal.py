"""The journal: writes an event into the log's inbox inside the caller's transaction, so that both stand or fall."""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import ARRAY, Connection, ScalarSelect, String, bindparam, func, insert, select

from audit.aliases import (
    aliases_of,
    check_names,
    cohort_names,
    ensure_aliases,
    name_moved,
    read_all_names,
    read_name,
    read_names,
    unmarked,
)
from audit.entries import NewEntry, cohort_digest, details_digest, encode_entry, mentioned_subjects
from audit.events import Event
from audit.scanning import find_scanned
from audit.tables import cohort, cohort_member, detail, head, inbox
from kernel.clock import from_micros, require_aware, to_micros
from kernel.encoding import JsonValue
from kernel.errors import IntegrityFailed
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

    @property
    def sealer(self) -> Sealer:
        """Seals details and marks names."""
        return self._sealer

    def now(self, connection: Connection) -> datetime:
        """Return the time for a new entry: the clock's, or that of the latest entry when the clock lags behind it."""
        latest = max((micros for micros in _LATEST.rows(connection)[0] if micros is not None), default=None)
        return self._not_before(None if latest is None else from_micros(latest))

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
        aliases = ensure_aliases(connection, _all_subjects(events), at.year, sealer=self._sealer)
        made = [self._entry(connection, event, at, aliases) for event in events]
        _INSERT_DETAIL.insert_many(
            connection, [(entry.entry_id, sealed) for entry, sealed in made if sealed is not None]
        )
        return [entry for entry, _ in made]

    def read_details(self, connection: Connection, entry_id: EntryId) -> Mapping[str, JsonValue] | None:
        """Open the sealed details of an entry, for the officer; None where it has none, or they were rightly destroyed.

        Raises:
            IntegrityFailed: the details were not sealed for this entry, or the entry says that it has some and they
                are not there.
        """
        sealed = connection.scalar(select(detail.c.sealed).where(detail.c.entry_id == entry_id))
        if sealed is None:
            self._check_without_details(connection, entry_id)
            return None
        return self._sealer.open_details(sealed, context=entry_id)

    def get_details(self, connection: Connection, entry_id: EntryId) -> Mapping[str, JsonValue]:
        """Open the sealed details of an entry that always has some and never loses them.

        Raises:
            IntegrityFailed: as ``read_details``, or there are none.
        """
        found = self.read_details(connection, entry_id)
        if found is None:
            raise _details_gone(entry_id)
        return found

    def find_subject(self, connection: Connection, alias: str) -> SubjectId | None:
        """Return the subject behind an alias, or None when there is none or the mapping was destroyed.

        Raises:
            IntegrityFailed: the name was moved or made by hand.
        """
        names = read_name(connection, alias)
        check_names(names, self._sealer)
        return next((SubjectId(name.subject) for name in names if not name.is_forgotten), None)

    def find_subjects(self, connection: Connection, aliases: Collection[str]) -> dict[str, SubjectId | IntegrityFailed]:
        """Return the same for several names: each with its subject, or with what is wrong with it."""
        names = read_all_names(connection, aliases)
        moved = {id(name) for name in unmarked(names, self._sealer)}
        return {
            name.alias: name_moved(name) if id(name) in moved else SubjectId(name.subject)
            for name in names
            if id(name) in moved or not name.is_forgotten
        }

    def aliases_of(self, connection: Connection, subject: SubjectId) -> tuple[str, ...]:
        """Return every alias of a subject, oldest year first; raises as ``find_subject``."""
        aliases = aliases_of(connection, subject)
        check_names(read_names(connection, aliases), self._sealer)
        return aliases

    def cohort_subjects(self, connection: Connection, entry_id: EntryId) -> dict[SubjectId, str]:
        """Return the subjects behind the cohort of an entry, with their aliases; raises as ``find_subject``."""
        names = cohort_names(connection, entry_id)
        check_names(names, self._sealer)
        return {SubjectId(name.subject): name.alias for name in names}

    def _check_without_details(self, connection: Connection, entry_id: EntryId) -> None:
        """Raise ``IntegrityFailed`` where an entry says that it has details and nobody whom it names was forgotten."""
        entry = find_scanned(connection, [entry_id]).get(entry_id)
        if entry is None or "details" not in entry.members:
            return
        named = [text for text in (entry.members.get("subject"), entry.members.get("actor")) if isinstance(text, str)]
        names = read_names(connection, named)
        check_names(names, self._sealer)
        if not any(name.is_forgotten for name in names):
            raise _details_gone(entry_id)

    def _not_before(self, latest: datetime | None) -> datetime:
        """Return the time, and tell a clock that lags behind the log where the log stands."""
        now = require_aware(self._clock.now())
        if latest is None or latest <= now:
            return now
        self._clock.not_before(latest)
        return latest

    def _entry(
        self, connection: Connection, event: Event, at: datetime, aliases: Mapping[SubjectId, str]
    ) -> tuple[NewEntry, bytes | None]:
        """Return the entry of an event and its sealed details; its cohort is written."""
        entry_id = EntryId(new_id("ent"))
        members = _record_cohort(connection, entry_id, [aliases[subject] for subject in dict.fromkeys(event.cohort)])
        sealed = None if event.details is None else self._sealer.seal_details(event.details, context=entry_id)
        digest = None if sealed is None else details_digest(sealed)
        return encode_entry(event, entry_id, at, aliases=aliases, cohort=members, details=digest), sealed


def _details_gone(entry_id: str) -> IntegrityFailed:
    return IntegrityFailed(
        f"The details of entry {entry_id} are gone",
        hint="Run `consentry audit reconcile`, and compare audit_detail with a backup.",
    )


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
    given = json.dumps(sorted(aliases)) if connection.dialect.name == "sqlite" else sorted(aliases)
    _members(connection.dialect.name).rows(connection, aliases=given, entry_id=entry_id)
    return {"size": len(aliases), "digest": cohort_digest(salt, aliases)}


@cache
def _members(dialect: str) -> Prepared:
    """Insert the members of a cohort at once; given in the order of their index, since a statement a row costs more."""
    each = (
        func.json_each(bindparam("aliases", type_=String)).table_valued("value")
        if dialect == "sqlite"
        else func.unnest(bindparam("aliases", type_=ARRAY(String))).table_valued("value").render_derived()
    )
    rows = select(each.c.value, bindparam("entry_id", type_=String))
    return Prepared(insert(cohort_member).inline().from_select(["alias", "entry_id"], rows))


_LATEST: Final = Prepared(select(*latest_times()))
_INSERT: Final = Prepared(insert(inbox).inline(), columns=("entry_id", "at", "body"))
_INSERT_DETAIL: Final = Prepared(insert(detail).inline(), columns=("entry_id", "sealed"))
