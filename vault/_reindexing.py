"""The steps of an index key's rotation; ``vault.index_rotation`` says why. For the modules of this package alone."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    literal,
    select,
    tuple_,
    update,
)

from kernel.errors import IntegrityFailed
from vault._identifiers import keys_of_identifiers, open_identifier
from vault._keyring import KeyKind, Keyring, Lock, keep_epoch
from vault._keys import KeyUnavailable
from vault._rotation_rows import RotationRow, advance, counts_of, finish, rewind
from vault.blind_index import FACTS, ONE_PERSON, Digester
from vault.envelope import length_prefixed
from vault.setwise import chunks, insert_absent
from vault.tables import blind_index, doubtful_identity, identity_fact, named_key

_AT_ONCE: Final = 2_000
"""Rows filled or deleted in one transaction: well below 250 ms of lock."""

_FILLED: Final = "filled"
_UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True)
class IndexRotation:
    """How the rotation of one index key ended, or where it waits.

    Attributes:
        index: name of the index.
        version: the new version of its key.
        filled: rows that were digested anew.
        unsealed: rows without an identifier to digest, which keep the old version alive; 0 when it is done.
    """

    index: str
    version: int
    filled: int
    unsealed: int

    @property
    def is_done(self) -> bool:
        """Whether the old versions are gone."""
        return not self.unsealed


class Place(NamedTuple):
    """Where a pass over the links of one index stands."""

    version: int
    digest: bytes
    subject_id: str

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Return the place of a row."""
        return cls(row.version, row.digest, row.subject_id)

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the place that was written down, or the beginning."""
        version, digest, subject = text.split(":") if text else ("0", "", "")
        return cls(int(version), bytes.fromhex(digest), subject)

    def written(self) -> str:
        """Return it as text."""
        return f"{self.version}:{self.digest.hex()}:{self.subject_id}"

    def before(self) -> ColumnElement[bool]:
        """Return the condition that a row comes after it, in the order of the primary key."""
        columns = blind_index.c
        here = (literal(self.version, Integer), literal(self.digest, LargeBinary), literal(self.subject_id, String))
        return tuple_(columns.version, columns.digest, columns.subject_id) > tuple_(*here)


@dataclass(frozen=True, slots=True)
class Reindexing:
    """One rotation under way.

    Attributes:
        told: hears how many more rows were digested anew.
        at: called at each point where a crash leaves another state, with its name.
    """

    keyring: Keyring
    row: RotationRow
    told: Callable[[int], None]
    at: Callable[[str], None]

    @property
    def index(self) -> str:
        """The index's name."""
        return str(self.row.scope["index"])

    @property
    def version(self) -> int:
        """The new version."""
        return int(self.row.scope["version"])

    def run(self, *, without_unsealed: bool = False) -> IndexRotation:
        """Do all steps, or stop before the old versions are retired, where rows are left that cannot be digested."""
        if not self._is_retired():
            if not without_unsealed and self._only_waits():
                return replace(self._outcome(), unsealed=self._left())
            self._fill_links()
            self._fill_facts()
            self.at("index.filled")
            left, outcome = self._left(), self._outcome()
            if left and not without_unsealed:
                with self.keyring.database.write() as connection:
                    rewind(connection, self.row.rotation_id)
                return replace(outcome, unsealed=left)
            self._retire()
            self.at("index.retired")
        self._drop()
        return self._outcome()

    def _outcome(self) -> IndexRotation:
        with self.keyring.database.read() as connection:
            counts = counts_of(connection, self.row.rotation_id)
        return IndexRotation(self.index, self.version, counts.get(_FILLED, 0), 0)

    # filling

    def _fill_links(self) -> None:
        after = Place.read(self.row.position)
        while rows := self._links_after(after):
            after = Place.of(rows[-1])
            contents = self._opened(rows, blind_index)
            with self.keyring.database.write() as connection:
                keep_epoch(connection, Lock.EXCLUSIVE)  # nobody is forgotten between this look and the insert
                there = self._still_there(connection, rows)
                digester = Digester.load(self.keyring, connection, [self.index])
                made = [self._anew(digester, row, contents[place]) for place, row in there.items() if place in contents]
                insert_absent(connection, blind_index, made)
                counts = {_FILLED: len(made), _UNREADABLE: len(there) - len(made)}
                advance(connection, self.row.rotation_id, position=after.written(), counts=counts)
            self.told(len(made))
            self.at("index.chunk")

    def _links_after(self, after: Place) -> Sequence[Row[Any]]:
        columns = blind_index.c
        query = (
            select(blind_index, columns.field.label("name"))
            .where(columns.field == self.index, columns.version < self.version, columns.sealed.is_not(None))
            .where(after.before())
            .order_by(columns.version, columns.digest, columns.subject_id)
            .limit(_AT_ONCE)
        )
        with self.keyring.database.read() as connection:
            return connection.execute(query).all()

    def _opened(self, rows: Sequence[Row[Any]], table: Table) -> dict[Any, bytes]:
        """Return what is digested, by place, of those rows that can be opened."""
        found: dict[Any, bytes] = {}
        with (
            self.keyring.database.read() as connection,
            keys_of_identifiers(self.keyring, connection, [row.sealed for row in rows]) as keys,
        ):
            for row in rows:
                place = Place.of(row)
                try:
                    found[place] = open_identifier(row, keys=keys, table=table)
                except (IntegrityFailed, KeyUnavailable):
                    continue  # it is counted, and keeps the old version alive
        return found

    def _still_there(self, connection: Connection, rows: Sequence[Row[Any]]) -> dict[Place, Row[Any]]:
        """Return those links as they are now; others were deleted since."""
        columns = blind_index.c
        wanted = {Place.of(row) for row in rows}
        found: dict[Place, Row[Any]] = {}
        for version in {place.version for place in wanted}:
            query = select(blind_index).where(columns.field == self.index, columns.version == version)
            for some in chunks({place.digest for place in wanted if place.version == version}):
                found |= {Place.of(row): row for row in connection.execute(query.where(columns.digest.in_(some)))}
        return {place: row for place, row in found.items() if place in wanted}

    def _anew(self, digester: Digester, row: Row[Any], content: bytes) -> dict[str, Any]:
        name, version, digest = digester.digest((self.index, content), self.version)
        same = {"batch_id": row.batch_id, "linked_at": row.linked_at, "sealed": row.sealed}
        return {"field": name, "version": version, "digest": digest, "subject_id": row.subject_id} | same

    def _fill_facts(self) -> None:
        """Digest facts anew in their place; they are looked up by person and compared under their own version."""
        after = ""
        while self.index in FACTS and (rows := self._facts_after(after)):
            after = rows[-1].subject_id
            contents = self._opened(rows, identity_fact)
            with self.keyring.database.write() as connection:
                digester = Digester.load(self.keyring, connection, [self.index])
                changes = [
                    {"who": who, "was": was, "is": digester.digest((self.index, text), self.version)[2]}
                    for (_, was, who), text in contents.items()
                ]
                same = (identity_fact.c.fact == self.index, identity_fact.c.digest == bindparam("was"))
                anew = update(identity_fact).where(identity_fact.c.subject_id == bindparam("who"), *same)
                if changes:
                    connection.execute(anew.values(digest=bindparam("is"), version=self.version), changes)
                counts = {_FILLED: len(changes), _UNREADABLE: len(rows) - len(changes)}
                advance(connection, self.row.rotation_id, position=_AT_END, counts=counts)
            self.told(len(changes))
            self.at("index.facts")

    def _facts_after(self, after: str) -> Sequence[Row[Any]]:
        columns = identity_fact.c
        query = (
            select(identity_fact, columns.fact.label("name"))
            .where(columns.fact == self.index, columns.version < self.version, columns.sealed.is_not(None))
            .where(columns.subject_id > after)
            .order_by(columns.subject_id)
            .limit(_AT_ONCE)
        )
        with self.keyring.database.read() as connection:
            return connection.execute(query).all()

    def _left(self) -> int:
        """Return how many rows of older versions have nothing that could be digested anew; there are never more."""
        with self.keyring.database.read() as connection:
            unsealed = self._unsealed(connection)
            return unsealed + counts_of(connection, self.row.rotation_id).get(_UNREADABLE, 0)

    def _only_waits(self) -> bool:
        """Say whether all that can be digested anew was, in a pass before: then another would read all for nothing.

        A link under the new version has its twin under the older one, as long as both live.
        """
        new = blind_index.c.field == self.index, blind_index.c.version == self.version
        links, facts = ((*self._older(table), table.c.sealed.is_not(None)) for table in (blind_index, identity_fact))
        with self.keyring.database.read() as connection:
            return (
                self._unsealed(connection) > 0
                and _count(connection, blind_index, *links) == _count(connection, blind_index, *new)
                and _count(connection, identity_fact, *facts) == 0
            )

    def _unsealed(self, connection: Connection) -> int:
        tables = (blind_index, identity_fact)
        return sum(_count(connection, table, *self._older(table), table.c.sealed.is_(None)) for table in tables)

    # the old versions' end

    def _is_retired(self) -> bool:
        query = select(named_key.c.key_id).where(*self._old_keys(), named_key.c.retired_at.is_(None))
        with self.keyring.database.read() as connection:
            return connection.execute(query).first() is None

    def _retire(self) -> None:
        """From this commit on nobody asks the old versions or writes under them."""
        with self.keyring.database.write() as connection:
            keep_epoch(connection, Lock.EXCLUSIVE)
            if self.index in ONE_PERSON:
                self._hide_doubts(connection)
            retired = update(named_key).where(*self._old_keys(), named_key.c.retired_at.is_(None))
            connection.execute(retired.values(retired_at=self.keyring.clock.now()))

    def _hide_doubts(self, connection: Connection) -> None:
        """Digest the digests of open doubts, so that the old key finds none of them; equal ones stay equal.

        Their identifiers are nobody's yet, so that no key could seal them. A record that comes again is listed again.
        """
        digester = Digester.load(self.keyring, connection, [self.index])
        table = doubtful_identity
        changes = [
            {"doubt": doubt, "is": digester.digest((self.index, length_prefixed("doubt") + digest), self.version)[2]}
            for doubt, digest in connection.execute(select(table.c.doubt_id, table.c.digest))
        ]
        if changes:
            anew = update(table).where(table.c.doubt_id == bindparam("doubt"))
            connection.execute(anew.values(digest=bindparam("is")), changes)

    def _drop(self) -> None:
        """Delete the rows of the old versions, then their keys."""
        for table in (blind_index, identity_fact):
            for _ in self._deleting(table):
                self.at("index.dropping")
        with self.keyring.database.write() as connection:
            keep_epoch(connection, Lock.EXCLUSIVE)
            connection.execute(delete(named_key).where(*self._old_keys()))
            finish(connection, self.row.rotation_id, now=self.keyring.clock.now())
        self.at("index.done")

    def _deleting(self, table: Table) -> Iterator[int]:
        key = tuple_(*table.primary_key)
        some = select(*table.primary_key).where(*self._older(table)).limit(_AT_ONCE)
        deleted = _AT_ONCE
        while deleted == _AT_ONCE:
            with self.keyring.database.write() as connection:
                deleted = connection.execute(delete(table).where(key.in_(some))).rowcount
            yield deleted

    def _older(self, table: Table) -> Collection[ColumnElement[bool]]:
        name = table.c.field if table is blind_index else table.c.fact
        return name == self.index, table.c.version < self.version

    def _old_keys(self) -> Collection[ColumnElement[bool]]:
        columns = named_key.c
        return columns.kind == KeyKind.INDEX, columns.name == self.index, columns.version < self.version


def _count(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


_AT_END: Final = Place(1 << 30, b"", "").written()
"""Behind every link."""
