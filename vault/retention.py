"""The end of keeping: what has expired is deleted, cycle by cycle, and the keys that sealed it are destroyed.

The order is the promise, as with an erasure. New keys are durable before anything changes. Then one transaction of the
data store, under the subjects' locks, seals what stays under the new keys, deletes what has expired and remembers
which keys must go; from its commit on nothing but old copies is sealed under them. ``Sweeper.sweep`` goes on with a
cycle that a crash interrupted. What is held stays, and so does all of a subject who is restricted or being erased.
"""

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, now_in_log
from consent.standing import Standing, find_standings, lock_subjects
from consent.wake import REVISED, Closing, WakePlanner
from kernel.catalogue import Compartment
from kernel.database import Database
from kernel.errors import IntegrityFailed, Unavailable
from kernel.ids import EntryId, SubjectId
from kernel.ports import Clock, Signer
from vault._cycle import STARTED, Cycle, SweepOutcome, begin, end, find_begun, get_row, note, outcome_of
from vault._erasable import rows_of, verify_rows
from vault._expired import Expired, Swept, count_expired, due_subjects, find_expired
from vault._holding import holding_of
from vault._keyring import keyring_of
from vault._keys import Pair
from vault._resealing import reseal
from vault._retiring import Retirement
from vault._rows import SealedRow, delete_rows
from vault.finality import Finality, Keeping, foresee
from vault.keystore import KeyStore, destroyed_keys
from vault.scrubbing import flush_log
from vault.setwise import chunks
from vault.sweep_certificates import SweepDone, certify_sweep
from vault.tables import doubtful_identity, retiring_key

__all__ = ["SweepOutcome", "Sweeper"]

_LOGGER: Final = logging.getLogger("consentry.vault")

SUBJECTS_AT_ONCE: Final = 20
_PAGE: Final = 2_000
_MOVED_AT_ONCE: Final = 500
"""Rows sealed anew in one transaction: some tens of milliseconds of write lock."""

DOUBTS_KEPT: Final = timedelta(days=180)
"""A doubt that nobody has settled by then is about a record that was not stored: its digests go."""


class Sweeper:
    """Deletes what has expired of one deployment."""

    def __init__(
        self,
        data: Database,
        keystore: KeyStore,
        log: EntryLog,
        signer: Signer,
        clock: Clock,
        *,
        deployment: str,
        keeping: Keeping | None = None,
        wake: WakePlanner | None = None,
        at: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """Take the parts.

        Args:
            data: the data store.
            keystore: the key store.
            log: of the data store.
            signer: of certificates.
            clock: for times.
            deployment: that the certificates name.
            keeping: of key epochs and archives; see ``vault.finality``.
            wake: told whose fields have lost values, so that what was derived of them goes as well.
            at: told of each point at which a crash could come.
        """
        self._data = data
        self._keystore = keystore
        self._keyring = keyring_of(keystore)
        self._log = log
        self._signer = signer
        self._clock = clock
        self._deployment = deployment
        self._keeping = keeping or Keeping()
        self._wake = wake
        self._at = at
        self._retirement = Retirement(data, keystore, log, at)

    def sweep(self, *, asking: Asking) -> SweepOutcome | None:
        """Run one cycle to its end; None where nothing has expired.

        Raises:
            Unavailable: a store cannot be used; the next call goes on.
        """
        return next((done for done in self.steps(asking=asking) if done is not None), None)

    def steps(self, *, asking: Asking) -> Iterator[SweepOutcome | None]:
        """Run one cycle, some subjects at a time; yields None after each, and the outcome at the end if there is one.

        Whoever stops between two steps leaves the cycle to the next call.
        """
        self._drop_doubts()
        with self._data.read() as connection:
            cycle = find_begun(connection)
        if cycle is None:
            if not self._page(self._clock.now(), ""):
                return
            cycle = self._begin(asking)
        self._retire(cycle)
        after = ""
        while subjects := self._page(cycle.started_at, after):
            for some in chunks(subjects, SUBJECTS_AT_ONCE):
                self._sweep_some(cycle, some)
                yield None
            after = subjects[-1]
        yield self._conclude(cycle)

    def resume(self) -> None:
        """Destroy the keys that an interrupted cycle has noted, at start-up; ``sweep`` goes on with the cycle."""
        with self._data.read() as connection:
            cycle = find_begun(connection)
        if cycle is not None:
            self._retire(cycle)

    # the cycle

    def _begin(self, asking: Asking) -> Cycle:
        """Begin a cycle; raises ``Unavailable`` where another process was faster."""
        try:
            with self._data.write() as connection:
                now = now_in_log(connection, self._log, self._clock)
                cycle = begin(connection, self._log, asking=asking, now=now)
        except IntegrityError:
            raise Unavailable("Another process has just begun a sweep", hint="Let it go on, or try again.") from None
        self._at("begun")
        return cycle

    def _page(self, cutoff: datetime, after: str) -> list[SubjectId]:
        with self._data.read() as connection:
            return due_subjects(connection, cutoff, after=after, limit=_PAGE)

    def _sweep_some(self, cycle: Cycle, subjects: Sequence[SubjectId]) -> None:
        self._make_keys(cycle, subjects)
        self._at("keys made")
        self._move(cycle, subjects)
        self._delete(cycle, subjects)
        self._at("deleted")
        self._retire(cycle)

    def _make_keys(self, cycle: Cycle, subjects: Collection[SubjectId]) -> None:
        """Make new keys durable for all that stays, and for what comes next in the same compartments."""
        leaving: dict[Pair, set[bytes]] = {}
        with self._data.read() as connection:
            for subject in subjects:
                leaving |= self._planned(connection, cycle, subject).keys
        if leaving:
            with self._keystore.database.write() as connection:
                self._keyring.make_successors(connection, leaving)

    def _move(self, cycle: Cycle, subjects: Collection[SubjectId]) -> None:
        """Seal most of what stays under the new keys beforehand, so that the lock is never held for long."""
        for subject in subjects:
            with suppress(IntegrityFailed):  # the deletion finds it again, says so, and leaves the subject as it is
                while self._move_some(cycle, subject):
                    pass

    def _move_some(self, cycle: Cycle, subject: SubjectId) -> bool:
        """Move one round of rows; False where the last transaction can take what is left."""
        with self._data.write() as connection:
            lock_subjects(connection, [subject], exclusive=True)
            moves = self._planned(connection, cycle, subject).moves
            if len(moves) <= _MOVED_AT_ONCE:
                return False
            with self._keyring.unlocked([subject], list(Compartment)) as keys:
                reseal(connection, moves[:_MOVED_AT_ONCE], keys, deployment=self._deployment)
        return True

    def _delete(self, cycle: Cycle, subjects: Sequence[SubjectId]) -> None:
        """Delete what has expired, and note the keys that must go, in one transaction."""
        with self._data.write() as connection:
            lock_subjects(connection, subjects, exclusive=True)
            standings = find_standings(connection, subjects)
            swept, gone = Swept(), dict[SubjectId, frozenset[str]]()
            for subject in subjects:
                found = standings.get(subject)
                is_active = found is not None and found.state is Standing.ACTIVE
                expired = self._taken(connection, cycle, subject) if is_active else None
                if expired is not None and expired.going:
                    swept.add(expired)
                    gone[subject] = frozenset(expired.fields)
            if gone:
                self._tell(connection, note(connection, self._log, cycle, swept, list(gone)), gone)

    def _tell(self, connection: Connection, entry_id: EntryId, gone: Mapping[SubjectId, frozenset[str]]) -> None:
        """Have what was derived of the deleted values taken away, from the same commit on."""
        if self._wake is not None:
            now = now_in_log(connection, self._log, self._clock)
            lost = [Closing(one, REVISED, "", "", None, entry_id, now, fields) for one, fields in gone.items()]
            self._wake.plan(connection, lost)

    def _taken(self, connection: Connection, cycle: Cycle, subject: SubjectId) -> Expired | None:
        """Take one subject's expired rows; None where they cannot be believed, or a new key is missing."""
        try:
            with self._keyring.unlocked([subject], list(Compartment)) as keys:
                rows = rows_of(connection, subject)
                verify_rows(rows, keys, self._keyring, subject=subject, deployment=self._deployment)
                expired = self._expired(connection, cycle, subject, rows)
                if any(keys.sealing(pair).key_id in leaving for pair, leaving in expired.keys.items()):
                    return None  # a record came meanwhile; the next cycle has a new key for it
                reseal(connection, expired.moves, keys, deployment=self._deployment)
        except IntegrityFailed as err:
            _LOGGER.warning("What has expired of subject %s stays: %s", subject, err.diagnostics())
            return None
        delete_rows(connection, [row.row_no for row in expired.going])
        retiring = [
            {"key_id": key_id, "sweep_id": cycle.sweep_id, "subject_id": subject, "compartment": pair[1],
             "fields": json.dumps(expired.fields)}
            for pair, key_ids in expired.keys.items() for key_id in key_ids
        ]  # fmt: skip
        if retiring:
            connection.execute(insert(retiring_key), retiring)
        return expired

    def _retire(self, cycle: Cycle) -> None:
        self._retirement.finish(cycle.sweep_id, cycle.event(Act.KEYS_DESTROYED))

    def _conclude(self, cycle: Cycle) -> SweepOutcome:
        """Sign what the cycle did, and end it."""
        with self._keystore.database.read() as connection:
            key_ids = destroyed_keys(connection, cycle.sweep_id)
        final = foresee(self._keystore.database, self._keeping, now=self._clock.now())
        with self._data.write() as connection:
            row = get_row(connection, cycle.sweep_id)
            if row.state == STARTED:  # another process may have been faster
                self._certify(connection, cycle, Swept.of(row.counts), key_ids, final)
            row = get_row(connection, cycle.sweep_id)
        for database in (self._data, self._keystore.database):
            with suppress(Unavailable):  # somebody reads; the end of the epoch removes old pages
                flush_log(database)
        return outcome_of(row)

    def _certify(
        self, connection: Connection, cycle: Cycle, swept: Swept, key_ids: Sequence[bytes], final: Finality
    ) -> None:
        swept.counts["left_rows"] = count_expired(connection, cycle.started_at)
        event = replace(cycle.event(Act.SWEEP_COMPLETED), fields=tuple(sorted(swept.fields)))
        entry_id = self._log.record(connection, replace(event, counts=dict(swept.counts)))
        now = self._clock.now()
        done = SweepDone(
            sweep_id=cycle.sweep_id,
            deployment=self._deployment,
            started_at=cycle.started_at,
            finished_at=now,
            final=final,
            key_ids=key_ids,
            counts=dict(swept.counts),
            fields=dict(swept.fields),
            kinds=dict(swept.kinds),
            entries={"started": cycle.started_entry, "completed": entry_id},
        )
        end(connection, cycle, certify_sweep(done, self._signer), swept, now=now)

    def _drop_doubts(self) -> None:
        """Forget the digests of records that nobody has placed in half a year."""
        with self._keystore.database.write() as connection:
            old = doubtful_identity.c.noted_at < self._clock.now() - DOUBTS_KEPT
            connection.execute(delete(doubtful_identity).where(old))

    def _expired(self, connection: Connection, cycle: Cycle, subject: SubjectId, rows: Sequence[SealedRow]) -> Expired:
        holding = holding_of(connection, subject, after=cycle.started_at)
        return find_expired(rows, holding, cycle.started_at)

    def _planned(self, connection: Connection, cycle: Cycle, subject: SubjectId) -> Expired:
        """Return what would go by what the rows say, which nothing has verified yet; enough to make keys by."""
        return self._expired(connection, cycle, subject, rows_of(connection, subject))
