"""Moving records between subjects: two turn out to be one person, or one turns out to be two.

There is no atomic commit across both stores, so that the order is the promise, as for an erasure: the mark in the data
store, in the transaction that decides; new keys; one transaction that seals the records for the subject whose they are
from then on; then the former keys are destroyed and what finds a person is moved. Each step can be repeated, and
``SubjectMover.resume`` goes on where a crash stopped.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, or_, select, update

from audit.events import Act, Event
from consent.asking import Asking
from consent.entries import EntryLog, accepted_refs, event_of, now_in_log
from consent.standing import lock_subjects
from consent.wake import REVISED, Closing, WakePlanner
from kernel.catalogue import Compartment, Field
from kernel.database import Database
from kernel.encoding import canonical_json
from kernel.errors import Conflict, IntegrityFailed, NotFound
from kernel.ids import BatchId, RecordId, RequestId, SubjectId, new_id
from kernel.ports import Clock
from vault._begun import STARTED
from vault._blinding import (
    blinding_in_use,
    destroy_former_blinding,
    reblind,
    renew_blinding_key,
    unlocked_blinding,
)
from vault._erasable import rows_of
from vault._identity_moves import Stated, merge_identity, source_digests, split_identity, stated_of
from vault._keyring import keyring_of
from vault._keys import UnlockedKeys
from vault._moves import Moved, move_rows
from vault._resealing import Move, keys_left, reseal
from vault._rows import SealedRow, lost_keys, rows_where
from vault.keystore import KeyStore, destroy_keys, destroy_subject_keys, destroyed_keys
from vault.leftovers import is_leftover
from vault.pseudonyms import forget_pseudonyms
from vault.scrubbing import flush_log
from vault.tables import SEALED_TABLES, erasure, legal_hold, record_change, sealed_record
from vault.tombstones import bury, naming_keys

__all__ = ["MoveOutcome", "Selection", "SubjectMover"]

_LOGGER: Final = logging.getLogger("consentry.vault")


class _Kind(StrEnum):
    MERGE = "merge"
    SPLIT = "split"


class _State(StrEnum):
    STARTED = "started"
    MOVED = "moved"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records of a subject are another person's; whatever is named moves, with every version of it.

    Attributes:
        sources: all records of these sources.
        batches: all that came in these batches.
        records: single records, by the id of any version.
        source_ids: what the sources call the other person, as source and id; later records follow them.
    """

    sources: frozenset[str] = frozenset()
    batches: frozenset[BatchId] = frozenset()
    records: frozenset[RecordId] = frozenset()
    source_ids: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Selection({len(self.sources)} sources, {len(self.batches)} batches, {len(self.records)} records)"

    def encoded(self) -> str:
        """Return it for the store, without the sources' ids of persons."""
        named = {"sources": self.sources, "batches": self.batches, "records": self.records}
        return canonical_json({name: sorted(values) for name, values in named.items()}).decode()

    @classmethod
    def decoded(cls, text: str) -> "Selection":
        """Return what was stored."""
        named = json.loads(text)
        return cls(frozenset(named["sources"]), frozenset(named["batches"]), frozenset(named["records"]))


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """How a move ended.

    Attributes:
        counts: rows and values that moved, rows that were there already, keys destroyed.
    """

    change_id: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Work:
    change_id: str
    kind: _Kind
    to: SubjectId
    origin: SubjectId
    asking: Asking
    selection: Selection
    links: tuple[bytes, ...]
    key_ids: tuple[bytes, ...]
    counts: Mapping[str, int]


class SubjectMover:
    """Moves records between subjects of one deployment."""

    def __init__(
        self,
        data: Database,
        keystore: KeyStore,
        log: EntryLog,
        clock: Clock,
        *,
        deployment: str,
        fields: Mapping[str, Field] | None = None,
        forget: Callable[[SubjectId, Asking], None] = lambda _subject, _asking: None,
        wake: WakePlanner | None = None,
    ) -> None:
        """Take the parts.

        Args:
            fields: of the pack, of which some are indexed.
            forget: lets the parts above forget what they derived of a subject, while its pseudonyms can be told.
            wake: told of the subjects whose records changed.
        """
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._log = log
        self._clock = clock
        self._deployment = deployment
        self._fields = fields or {}
        self._forget = forget
        self._wake = wake

    def begin_merge(self, connection: Connection, *, kept: SubjectId, dropped: SubjectId, asking: Asking) -> str:
        """Note that all records of one subject are another's, in the transaction that decides so; returns an id.

        Args:
            connection: a write transaction of the data store that holds both subjects exclusively.
            kept: who goes on.
            dropped: whose records move; it must take no more data from this commit on.
            asking: who merges.

        Raises:
            Conflict: records of one of them are being moved or erased, an erasure has left only what the law holds of
                one, or a hold on the dropped one does not stand for the kept one as well.
        """
        self._check_still(connection, kept, dropped)
        _check_holds_follow(connection, kept, dropped)
        return self._mark(connection, _Kind.MERGE, to=kept, origin=dropped, asking=asking)

    def begin_split(
        self, connection: Connection, *, origin: SubjectId, fresh: SubjectId, selection: Selection, asking: Asking
    ) -> str:
        """Note that some records of a subject are another person's, with the entry that says so; returns an id.

        Args:
            connection: a write transaction of the data store that holds both subjects exclusively.
            origin: whose records they were.
            fresh: whose they are.
            selection: which ones.
            asking: who splits.

        Raises:
            NotFound: nothing is selected, or a named record is not the subject's.
            Conflict: records of one of them are being moved or erased, or the origin is under a hold.
        """
        self._check_still(connection, fresh, origin)
        _check_not_held(connection, origin)
        if not _chosen(connection, origin, selection):
            raise NotFound(f"Nothing of subject {origin} is selected", hint="Name sources, batches or records of it.")
        refs = {"fresh": fresh, **accepted_refs(asking)}
        event = replace(event_of(asking, Act.SUBJECT_SPLIT), subject=origin, refs=refs)
        self._log.record(connection, event)
        links = self._digests(selection)
        return self._mark(
            connection, _Kind.SPLIT, to=fresh, origin=origin, asking=asking,
            selection=selection.encoded(), links=canonical_json([one.hex() for one in links]).decode(),
        )  # fmt: skip

    def finish(self, change_id: str) -> MoveOutcome:
        """Carry a move out, or to its end.

        Raises:
            IntegrityFailed: a row does not verify; nothing was moved, and the move stays open.
        """
        for state, step in ((_State.STARTED, self._make_keys), (_State.STARTED, self._move)):
            if self._state(change_id) is state:
                step(self._work(change_id))
        for step in (self._destroy, self._conclude):
            if self._state(change_id) is _State.MOVED:
                step(self._work(change_id))
        for database in (self._data, self._keystore.database):
            flush_log(database)
        return MoveOutcome(change_id, self._work(change_id).counts)

    def resume(self) -> list[MoveOutcome]:
        """Finish the moves that a crash interrupted, at start-up; one whose rows do not verify stays open."""
        with self._data.read() as connection:
            query = select(record_change.c.change_id).where(
                record_change.c.state != _State.DONE, record_change.c.from_subject.is_not(None)
            )
            begun = connection.execute(query.order_by(record_change.c.started_at)).scalars().all()
        outcomes = []
        for change_id in begun:
            try:
                outcomes.append(self.finish(change_id))
            except IntegrityFailed as err:
                _LOGGER.warning("Move %s stays open: %s", change_id, err.diagnostics())
        return outcomes

    def _check_still(self, connection: Connection, to: SubjectId, origin: SubjectId) -> None:
        pair, changes, erasures = [to, origin], record_change.c, erasure.c
        moving = select(changes.change_id).where(
            changes.state != _State.DONE, or_(changes.subject_id.in_(pair), changes.from_subject.in_(pair))
        )
        erasing = select(erasures.erasure_id).where(erasures.state == STARTED, erasures.subject_id.in_(pair))
        for query, what in ((moving, "moved"), (erasing, "erased")):
            if connection.scalar(query.limit(1)) is not None:
                raise Conflict(f"Records of {origin} or {to} are being {what}", hint="Try again when that is done.")
        for subject in pair:
            if is_leftover(connection, subject):
                raise Conflict(
                    f"Subject {subject} asked for erasure, and only what the law holds is left",
                    hint="Its records stay its own until the hold has passed.",
                )

    def _mark(
        self,
        connection: Connection,
        kind: _Kind,
        *,
        to: SubjectId,
        origin: SubjectId,
        asking: Asking,
        **more: str,
    ) -> str:
        change_id = new_id("chg")
        row = {
            "change_id": change_id,
            "kind": kind,
            "state": _State.STARTED,
            "subject_id": to,
            "from_subject": origin,
            "actor": asking.actor,
            "role": asking.role,
            "request_id": asking.request_id,
            "started_at": now_in_log(connection, self._log, self._clock),
            "counts": {},
        }
        connection.execute(insert(record_change).values(row | more))
        return change_id

    def _digests(self, selection: Selection) -> list[bytes]:
        with self._keystore.database.read() as connection:
            return source_digests(connection, self._keyring, selection.source_ids)

    # the steps, each of which may be repeated

    def _make_keys(self, work: _Work) -> None:
        """Make the keys durable that the records, and what stays beside them, will be sealed under."""
        with self._data.read() as connection:
            rows, in_use = _rows_to_move(connection, work), blinding_in_use(connection, work.origin)
        compartments = {Compartment(row.compartment) for row in rows}
        self._keystore.ensure_data_keys({(work.to, one) for one in compartments}, batch=None)
        if work.kind is _Kind.SPLIT:
            with self._keystore.database.write() as connection:
                self._keyring.make_successors(connection, keys_left([Move(row) for row in rows]))
                renew_blinding_key(connection, self._keyring, work.origin, in_use=in_use)

    def _move(self, work: _Work) -> None:
        """Seal the records for their subject, in one transaction; what stays moves to newer keys of its own."""
        with self._data.write() as connection:
            lock_subjects(connection, [work.to, work.origin], exclusive=True)
            if _state_of(connection, work.change_id) is not _State.STARTED:
                return  # another process was faster
            rows = _rows_to_move(connection, work)
            pair = [work.to, work.origin]
            with (
                self._keyring.unlocked(pair, list(Compartment)) as keys,
                unlocked_blinding(self._keyring, pair) as blinding,
            ):
                destroyed = lost_keys(rows, keys, self._keyring)
                readable = [row for row in rows if row.key_id not in destroyed]
                moved = move_rows(connection, readable, keys, blinding, to=work.to, deployment=self._deployment)
                if work.kind is _Kind.SPLIT:
                    self._reseal_rest(connection, work, moved, keys)
                    reblind(connection, work.origin, blinding)
            self._tell(connection, work, moved)
            key_ids = canonical_json(sorted(key_id.hex() for key_id in moved.key_ids)).decode()
            connection.execute(
                update(record_change)
                .where(record_change.c.change_id == work.change_id)
                .values(state=_State.MOVED, key_ids=key_ids, counts=moved.as_counts())
            )

    def _reseal_rest(self, connection: Connection, work: _Work, moved: Moved, keys: UnlockedKeys) -> None:
        rest = [Move(row) for row in rows_of(connection, work.origin) if row.key_id in moved.key_ids]
        reseal(connection, rest, keys, deployment=self._deployment)

    def _tell(self, connection: Connection, work: _Work, moved: Moved) -> None:
        """Record the move, and have what was derived of both made anew."""
        event = replace(self._event(work, Act.RECORDS_MOVED), counts=moved.as_counts())
        entry_id = self._log.record(connection, replace(event, refs={**event.refs, "from": work.origin}))
        if self._wake is not None:
            now = now_in_log(connection, self._log, self._clock)
            changed = [work.to, work.origin] if work.kind is _Kind.SPLIT else [work.to]
            self._wake.plan(connection, [Closing(subject, REVISED, "", "", None, entry_id, now) for subject in changed])

    def _destroy(self, work: _Work) -> None:
        """Move what finds a person, and destroy the former keys; tombstones stay."""
        if work.kind is _Kind.MERGE:
            self._forget(work.origin, work.asking)
            with self._keystore.database.write() as connection:
                merge_identity(connection, self._keyring, origin=work.origin, to=work.to)
                destroy_subject_keys(connection, work.origin, needed=(), erasure=work.change_id, clock=self._clock)
                forget_pseudonyms(connection, work.origin)
            return
        said = {subject: self._stated(subject) for subject in (work.origin, work.to)}
        with self._data.read() as connection:
            in_use = blinding_in_use(connection, work.origin)
        with self._keystore.database.write() as connection:
            split_identity(
                connection, self._keyring, origin=(work.origin, said[work.origin]), to=(work.to, said[work.to]),
                links=work.links, leaving=work.key_ids,
            )  # fmt: skip
            destroy_keys(connection, work.key_ids, erasure=work.change_id, clock=self._clock)
            destroy_former_blinding(connection, work.origin, in_use=in_use)

    def _stated(self, subject: SubjectId) -> Stated:
        with self._data.read() as connection:
            rows = rows_of(connection, subject)
        with self._keyring.unlocked([subject], list(Compartment)) as keys:
            return stated_of(subject, rows, keys, self._deployment, fields=self._fields)

    def _conclude(self, work: _Work) -> None:
        """Leave tombstones and write the last entry, in one transaction."""
        with self._keystore.database.read() as connection:
            key_ids = destroyed_keys(connection, work.change_id)
        with self._data.write() as connection:
            lock_subjects(connection, [work.to, work.origin], exclusive=True)
            if _state_of(connection, work.change_id) is not _State.MOVED:
                return  # another process was faster
            now = now_in_log(connection, self._log, self._clock)
            bury(connection, key_ids, erasure_id=work.change_id, at=now)
            event = replace(self._event(work, Act.KEYS_DESTROYED), subject=work.origin)
            self._log.record(connection, naming_keys(event, key_ids))
            ended = {"state": _State.DONE, "finished_at": now, "counts": {**work.counts, "keys": len(key_ids)}}
            connection.execute(update(record_change).where(record_change.c.change_id == work.change_id).values(**ended))

    def _event(self, work: _Work, act: Act) -> Event:
        return replace(event_of(work.asking, act), subject=work.to, refs={"change": work.change_id})

    def _state(self, change_id: str) -> _State:
        with self._data.read() as connection:
            return _state_of(connection, change_id)

    def _work(self, change_id: str) -> _Work:
        with self._data.read() as connection:
            row = connection.execute(select(record_change).where(record_change.c.change_id == change_id)).one()
        return _work_of(row)


def _work_of(row: Row[Any]) -> _Work:
    return _Work(
        change_id=row.change_id,
        kind=_Kind(row.kind),
        to=SubjectId(row.subject_id),
        origin=SubjectId(row.from_subject),
        asking=Asking(row.actor, row.role, RequestId(row.request_id)),
        selection=Selection() if row.selection is None else Selection.decoded(row.selection),
        links=_bytes_of(row.links),
        key_ids=_bytes_of(row.key_ids),
        counts=row.counts,
    )


def _bytes_of(text: str | None) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(one) for one in json.loads(text or "[]"))


def _state_of(connection: Connection, change_id: str) -> _State:
    query = select(record_change.c.state).where(record_change.c.change_id == change_id)
    return _State(connection.execute(query).scalar_one())


def _rows_to_move(connection: Connection, work: _Work) -> list[SealedRow]:
    if work.kind is _Kind.MERGE:
        return rows_of(connection, work.origin)
    return _chosen(connection, work.origin, work.selection)


def _chosen(connection: Connection, origin: SubjectId, selection: Selection) -> list[SealedRow]:
    """Return the rows of every version of the selected records."""
    keys: set[str] = set()
    for table in SEALED_TABLES:
        named = [table.c.source.in_(sorted(selection.sources)), table.c.record_id.in_(sorted(selection.records))]
        if table is sealed_record:
            named.append(table.c.batch_id.in_(sorted(selection.batches)))
        query = select(table.c.record_key).where(table.c.subject_id == origin, or_(*named))
        keys.update(connection.execute(query).scalars())
    return [row for row in rows_where(connection, lambda table: table.c.subject_id == origin) if row.record_key in keys]


def _check_not_held(connection: Connection, subject: SubjectId) -> None:
    held = _live_holds(connection, subject)
    if held:
        raise Conflict(
            f"Subject {subject} is under hold {held[0].hold_id}: its records stay together",
            hint="Release the hold first.",
        )


def _check_holds_follow(connection: Connection, kept: SubjectId, dropped: SubjectId) -> None:
    """Refuse to move what is held away from under its hold."""
    over = _live_holds(connection, kept)
    for hold in _live_holds(connection, dropped):
        if not any(_covers(one, hold) for one in over):
            raise Conflict(
                f"Subject {dropped} is under hold {hold.hold_id}, and {kept} is not",
                hint="Set the same hold on the one that is kept first.",
            )


def _covers(one: Row[Any], other: Row[Any]) -> bool:
    """Say whether one hold keeps all that another one keeps, for as long."""
    wide = one.compartment in (None, other.compartment) and one.field in (None, other.field)
    lasts = one.ends_at is None or (other.ends_at is not None and one.ends_at >= other.ends_at)
    return wide and lasts


def _live_holds(connection: Connection, subject: SubjectId) -> Sequence[Row[Any]]:
    query = select(legal_hold).where(legal_hold.c.subject_id == subject, legal_hold.c.released_at.is_(None))
    return connection.execute(query.order_by(legal_hold.c.set_at)).all()
