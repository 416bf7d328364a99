"""Returning: who was erased while the law held something, and registers again, goes on as a fresh subject.

What the erasure left stays what it is: restricted, found by its own id, and gone with the end of the last floor. The
person's ID number and the sources' ids lead to the fresh subject from then on.

The identifiers move in one transaction of the key store, before the fresh subject is registered in the data store. A
crash between leaves them with a subject that nobody knows yet: the next registration takes it up, and ``resume`` gives
them back where none comes. They always lead to one of the two, and go with the leftover where that is erased meanwhile.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from consent.standing import Standing, find_standings, lock_subjects
from kernel.database import Database
from kernel.errors import Conflict
from kernel.ids import BatchId, SubjectId, new_id
from kernel.ports import Clock
from vault._blinding import without_blinding
from vault._identity_moves import hand_over_identity
from vault._keyring import keep_epoch, keyring_of
from vault.blind_index import ONE_PERSON
from vault.keystore import KeyStore
from vault.leftovers import find_restricted
from vault.setwise import among
from vault.tables import blind_index, returned

_UNDER_WAY: Final = timedelta(hours=1)
"""A registration is done within seconds; one that is older was cut off."""


@dataclass(frozen=True, slots=True)
class Return:
    """One return.

    Attributes:
        subject: the fresh one.
        former: what the erasure left.
    """

    subject: SubjectId
    former: SubjectId
    erasure_id: str
    returned_at: datetime


class Returner:
    """Gives returning people a fresh subject."""

    def __init__(self, data: Database, keystore: KeyStore, clock: Clock) -> None:
        """Take both stores."""
        self._data = data
        self._database = keystore.database
        self._keyring = keyring_of(keystore)
        self._clock = clock

    def come_back(self, asked: Mapping[SubjectId, datetime], *, batch: BatchId) -> dict[SubjectId, SubjectId]:
        """Give those of some subjects who are leftovers of an erasure a fresh subject; durable when this returns.

        Args:
            asked: who registers, each with the instant of the act; an act from before the erasure brings nobody back.
            batch: of the registration; bears the keys that are made for it.

        Returns:
            The fresh subject of each who came back.
        Raises:
            Conflict: somebody else registered the same person in this moment; nothing was moved.
        """
        if not asked:
            return {}
        with self._data.read() as connection:
            left = find_restricted(connection, asked)
        fresh: dict[SubjectId, SubjectId] = {}
        for former, leftover in sorted(left.items()):
            if asked[former] > leftover.begun_at:
                made = Return(SubjectId(new_id("sub")), former, leftover.erasure_id, self._clock.now())
                self._move(made, batch)
                fresh[former] = made.subject
        return fresh

    def _move(self, made: Return, batch: BatchId) -> None:
        with self._database.write() as connection:
            keep_epoch(connection)
            hand_over_identity(connection, self._keyring, origin=made.former, to=made.subject, batch=batch)
            if not _is_found(connection, made.subject):
                raise Conflict(f"Subject {made.former} came back in this moment", hint="Resolve the person again.")
            row = insert(returned).values(
                subject_id=made.subject,
                from_subject=made.former,
                erasure_id=made.erasure_id,
                returned_at=made.returned_at,
            )
            connection.execute(row)

    def find_unregistered(self, subjects: Collection[SubjectId]) -> dict[SubjectId, Return]:
        """Return the returns by which some subjects came to be, as far as these are not registered yet."""
        with self._database.read() as connection:
            found = _returns(connection, subjects)
        if not found:
            return {}
        with self._data.read() as connection:
            registered = find_standings(connection, found)
        return {subject: one for subject, one in found.items() if subject not in registered}

    def hold(self, connection: Connection, made: Collection[Return]) -> None:
        """Keep returns from being taken back until the caller's transaction on the data store ends.

        Raises:
            Conflict: one of them was taken back already, or what the erasure left is being erased, or the person has
                died; the person must be resolved again.
        """
        if not made:
            return
        former = {one.former for one in made}
        lock_subjects(connection, former, exclusive=True)
        standings = find_standings(connection, former).items()
        ended = {one for one, standing in standings if standing.state is Standing.ERASING or standing.deceased}
        with self._database.read() as keys:
            there = _returns(keys, {one.subject for one in made})
        gone = [one.subject for one in made if one.subject not in there or one.former in ended]
        if gone:
            raise Conflict(f"Subject {min(gone)} is not to be registered any more", hint="Resolve the person again.")

    def take_back(self, made: Collection[Return]) -> None:
        """Give the identifiers back to what the erasure left, where the fresh subject was not registered."""
        for one in made:
            with self._data.write() as connection:
                lock_subjects(connection, [one.former], exclusive=True)  # a registration holds it; see ``hold``
                standings = find_standings(connection, [one.subject, one.former])
                former = standings.get(one.former)
                if one.subject not in standings and former is not None and former.state is Standing.RESTRICTED:
                    self._give_back(one)  # to the deceased as well; what is being erased takes them by itself

    def _give_back(self, one: Return) -> None:
        with self._database.write() as connection:
            keep_epoch(connection)
            mine = returned.c.subject_id == one.subject
            if connection.execute(delete(returned).where(mine)).rowcount:
                hand_over_identity(connection, self._keyring, origin=one.subject, to=one.former, batch=None)

    def resume(self) -> None:
        """Take back what a crash cut off before its registration, and nobody has gone on with."""
        query = select(returned.c.subject_id).where(returned.c.returned_at < self._clock.now() - _UNDER_WAY)
        with self._database.read() as connection:
            old = [SubjectId(subject) for subject in connection.scalars(query)]
        if old:
            self.take_back(self.find_unregistered(old).values())


def find_cut_off(data: Database, keystore: KeyStore, former: SubjectId) -> list[SubjectId]:
    """Return the fresh subjects of a leftover that were never registered; one that is being erased gets no other.

    One that is not registered and has a blinding key had records: the data store is an older copy.
    """
    with keystore.database.read() as connection:
        query = select(returned.c.subject_id).where(returned.c.from_subject == former)
        fresh = sorted(without_blinding(connection, {SubjectId(subject) for subject in connection.scalars(query)}))
    with data.read() as connection:
        registered = find_standings(connection, fresh)
    return [subject for subject in fresh if subject not in registered]


def _returns(connection: Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, Return]:
    query = select(returned).where(among(connection, returned.c.subject_id, subjects))
    return {
        row.subject_id: Return(row.subject_id, row.from_subject, row.erasure_id, row.returned_at)
        for row in connection.execute(query)
    }


def _is_found(connection: Connection, subject: SubjectId) -> bool:
    mine = (blind_index.c.subject_id == subject, blind_index.c.field.in_(sorted(ONE_PERSON)))
    return connection.execute(select(blind_index.c.field).where(*mine).limit(1)).first() is not None
