"""Replays tombstones: what an older copy of a store brought back goes again, and the keys of the erased stay destroyed.

The tombstones of destroyed keys stand in the key store, in the data store and in the log. Whichever of the three is the
newest has the most, and all of them count: a key whose tombstone stands anywhere is destroyed, and a row under it goes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Table, func, select

from audit.entries import decode_entry
from audit.events import Act
from audit.tables import inbox, leaf
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.standing import Standing, find_standings, lock_subjects
from kernel.database import Database
from kernel.ids import SubjectId
from kernel.ports import Clock
from vault._blinding import destroy_blinding
from vault._forgetting import causes_of, forget_again, forget_rows, living_fields
from vault._holding import Holding
from vault._rows import SealedRow, delete_rows, rows_where
from vault.keystore import KeyStore, destroy_keys
from vault.leftovers import sweep_erased
from vault.scopes import Why
from vault.setwise import chunks, insert_absent
from vault.tables import data_key, erasure, key_tombstone, tombstone

NAMING_ACTS: Final = (Act.KEYS_DESTROYED, Act.FIELDS_ERASED)
"""Entries that name destroyed keys; see ``vault.tombstones.naming_keys``."""

_UNKNOWN: Final = ""
"""The erasure of a tombstone of which only the key is known."""

_REASON: Final = "an older copy of a store was put back"


class ErasesAgain(Protocol):
    """The part of ``vault.erasure.Eraser`` that a replay uses."""

    def erase(self, subject: SubjectId, *, asking: Asking, reason: str, why: Why = Why.REQUEST) -> object:
        """Erase all of a subject's data that nothing holds."""
        ...


class Buried(NamedTuple):
    """What is known of one destroyed key."""

    erasure_id: str
    whole: bool


@dataclass(slots=True)
class Replayed:
    """What a replay did.

    Attributes:
        keys: destroyed again.
        rows: deleted of subjects that stay.
        subjects: erased again as a whole.
        tombstones: put into a store that lacked them.
    """

    keys: int = 0
    rows: int = 0
    subjects: list[SubjectId] = field(default_factory=list)
    tombstones: int = 0

    def as_counts(self) -> dict[str, int]:
        """Return the numbers for an entry."""
        return {
            "keys": self.keys, "rows": self.rows, "subjects": len(self.subjects), "tombstones": self.tombstones,
        }  # fmt: skip


class Replayer:
    """Brings the tombstones of both stores and the log together."""

    def __init__(self, data: Database, keystore: KeyStore, log: EntryLog, eraser: ErasesAgain, clock: Clock) -> None:
        self._data = data
        self._keystore = keystore
        self._log = log
        self._eraser = eraser
        self._clock = clock

    def is_due(self) -> bool:
        """Say whether the stores' tombstones differ, at the cost of a few look-ups: one of them is an older copy."""
        with self._data.read() as connection:
            mine = _fingerprint(connection, tombstone)
        with self._keystore.database.read() as connection:
            return _fingerprint(connection, key_tombstone) != mine

    def replay(self, *, asking: Asking) -> Replayed:
        """Destroy, delete and bury what any tombstone tells of; safe to repeat, and to go on with after a crash."""
        known, done = self._known(), Replayed()
        if not known:
            return done
        self._destroy(known, done)
        sweep_erased(self._data, self._keystore)
        self._delete(known, done, asking)
        self._bury(known, done)
        if any(done.as_counts().values()):
            with self._data.write() as connection:
                event = replace(event_of(asking, Act.TOMBSTONES_REPLAYED), counts=done.as_counts())
                self._log.record(connection, event)
        return done

    def _known(self) -> dict[bytes, Buried]:
        """Return every destroyed key; where two tombstones differ, a whole subject counts."""
        with self._data.read() as connection:
            known = _named_in_log(connection)
            parts = select(erasure.c.erasure_id, erasure.c.fields.is_(None).label("is_whole"))
            whole = {row.erasure_id: row.is_whole for row in connection.execute(parts)}
            for row in connection.execute(select(tombstone.c.key_id, tombstone.c.erasure_id)):
                _learn(known, row.key_id, Buried(row.erasure_id, bool(whole.get(row.erasure_id))))
        with self._keystore.database.read() as connection:
            query = select(key_tombstone.c.key_id, key_tombstone.c.erasure_id, key_tombstone.c.whole)
            for key_id, erasure_id, is_whole in connection.execute(query):
                _learn(known, key_id, Buried(erasure_id, is_whole))
        return known

    def _destroy(self, known: Mapping[bytes, Buried], done: Replayed) -> None:
        """Destroy keys that an older key store still has, with what finds their subjects; leave their tombstones."""
        with self._keystore.database.read() as connection:
            alive = _alive(connection, known)
            lacking = known.keys() - _among(connection, key_tombstone, known)
        with self._data.read() as connection:
            causes = causes_of(connection, {known[key_id].erasure_id for key_id in alive})
            stored = {subject: living_fields(connection, subject, known) for subject in set(alive.values())}
        with self._keystore.database.write() as connection:
            for (subject, erasure_id), key_ids in _by_subject(known, alive).items():
                forget_again(connection, subject, causes.get(erasure_id), key_ids, stored[subject])
            for (erasure_id, whole), gone in _by_erasure(known, lacking | alive.keys()).items():
                destroy_keys(connection, gone, erasure=erasure_id, clock=self._clock, whole=whole)
            destroy_blinding(connection, set(alive.values()))  # of the copy's day; what is sent again gets a new one
        done.keys = len(alive)
        done.tombstones += len(lacking)

    def _delete(self, known: Mapping[bytes, Buried], done: Replayed, asking: Asking) -> None:
        """Erase whom an older data store brought back, and delete what it has of parts that were erased.

        What a floor of the law holds stays, although nobody can open it beside this key store: a newer copy of it may
        turn up.
        """
        rows = self._unopenable(known)
        whole = {SubjectId(row.subject_id) for row in rows if known[row.key_id].whole}
        with self._data.read() as connection:
            states = {subject: one.state for subject, one in find_standings(connection, whole).items()}
        for subject in sorted(whole):
            if states.get(subject) in (Standing.ACTIVE, Standing.RESTRICTED):
                self._eraser.erase(subject, asking=asking, reason=_REASON, why=Why.RESTORED)
                done.subjects.append(subject)
        holding = Holding(self._clock.now())
        free = [row for row in rows if row.subject_id not in whole and not holding.is_held(row)]
        self._forget(known, free)
        for some in chunks(free):
            with self._data.write() as connection:
                lock_subjects(connection, {SubjectId(row.subject_id) for row in some}, exclusive=True)
                done.rows += delete_rows(connection, [row.row_no for row in some])

    def _forget(self, known: Mapping[bytes, Buried], rows: Iterable[SealedRow]) -> None:
        """Delete what finds people by values of rows that go, before they do."""
        found: dict[SubjectId, dict[str, list[SealedRow]]] = {}
        for row in rows:
            found.setdefault(SubjectId(row.subject_id), {}).setdefault(known[row.key_id].erasure_id, []).append(row)
        for subject, causes in found.items():
            with self._data.read() as connection:
                stored = living_fields(connection, subject, known)
            with self._keystore.database.write() as connection:
                forget_rows(connection, subject, causes, stored)

    def _unopenable(self, known: Mapping[bytes, Buried]) -> list[SealedRow]:
        with self._data.read() as connection:
            return [row for some in chunks(known) for row in rows_where(connection, _under(some))]

    def _bury(self, known: Mapping[bytes, Buried], done: Replayed) -> None:
        """Leave the tombstones in the data store that it lacks."""
        with self._data.read() as connection:
            lacking = sorted(known.keys() - _among(connection, tombstone, known))
        now = self._clock.now()
        for some in chunks(lacking):
            rows = [{"key_id": one, "erasure_id": known[one].erasure_id, "destroyed_at": now} for one in some]
            with self._data.write() as connection:
                insert_absent(connection, tombstone, rows)
        done.tombstones += len(lacking)


def _under(key_ids: Sequence[bytes]) -> Callable[[Table], ColumnElement[bool]]:
    return lambda table: table.c.key_id.in_(key_ids)


def named_keys(body: bytes) -> dict[bytes, Buried]:
    """Return the destroyed keys that an entry of the log names; none where it is another entry.

    Keys that an erasure destroyed by themselves went with a whole subject; of a part the entry tells the fields.
    """
    said = decode_entry(body)
    act, refs = said.get("act"), said.get("refs")
    if act not in NAMING_ACTS or not isinstance(refs, Mapping):
        return {}
    erasure_id = str(refs.get("erasure", _UNKNOWN))
    buried = Buried(erasure_id, whole=act == Act.KEYS_DESTROYED and erasure_id != _UNKNOWN)
    return {bytes.fromhex(str(value)): buried for name, value in refs.items() if name.startswith("key_")}


def _learn(known: dict[bytes, Buried], key_id: bytes, buried: Buried) -> None:
    if buried.whole or not (key_id in known and known[key_id].whole):
        known[key_id] = buried


def destroy_named(keys: Database, named: Mapping[bytes, Buried], clock: Clock) -> None:
    """Destroy keys of which a newer log tells, at once; the next start replays what follows from their tombstones."""
    with keys.write() as connection:
        for buried, key_ids in _by_erasure(named, named).items():
            destroy_keys(connection, key_ids, erasure=buried.erasure_id, clock=clock, whole=buried.whole)


def _by_erasure(known: Mapping[bytes, Buried], key_ids: Iterable[bytes]) -> dict[Buried, list[bytes]]:
    found: dict[Buried, list[bytes]] = {}
    for key_id in sorted(key_ids):
        found.setdefault(known[key_id], []).append(key_id)
    return found


def _named_in_log(connection: Connection) -> dict[bytes, Buried]:
    settled = select(leaf.c.body).where(leaf.c.act.in_(NAMING_ACTS))
    known: dict[bytes, Buried] = {}
    for query in (settled, select(inbox.c.body)):
        for body in connection.execution_options(yield_per=1_000).scalars(query):
            if body:  # of a pruned entry the copies in both stores count
                known |= named_keys(body)
    return known


def _by_subject(
    known: Mapping[bytes, Buried], alive: Mapping[bytes, SubjectId]
) -> dict[tuple[SubjectId, str], set[bytes]]:
    found: dict[tuple[SubjectId, str], set[bytes]] = {}
    for key_id, subject in alive.items():
        found.setdefault((subject, known[key_id].erasure_id), set()).add(key_id)
    return found


def _alive(connection: Connection, key_ids: Iterable[bytes]) -> dict[bytes, SubjectId]:
    """Return whose those of the keys are that are there."""
    query = select(data_key.c.key_id, data_key.c.subject_id)
    rows = (row for some in chunks(key_ids) for row in connection.execute(query.where(data_key.c.key_id.in_(some))))
    return {key_id: SubjectId(subject) for key_id, subject in rows}


def _among(connection: Connection, table: Table, key_ids: Iterable[bytes]) -> set[bytes]:
    """Return those of the keys that a table has."""
    found: set[bytes] = set()
    for some in chunks(key_ids):
        found.update(connection.scalars(select(table.c.key_id).where(table.c.key_id.in_(some))))
    return found


def _fingerprint(connection: Connection, table: Table) -> tuple[int, bytes | None, bytes | None]:
    """Return count, least and greatest id: they are random, so that sets that differ hardly agree in all."""
    key_id = table.c.key_id
    count = connection.scalar(select(func.count()).select_from(table)) or 0
    least, greatest = (connection.scalar(select(key_id).order_by(end).limit(1)) for end in (key_id, key_id.desc()))
    return count, least, greatest
