"""Writes what finds people again, in one transaction of the key store. For the modules of this package alone.

A link is written under every live version of its field's key, with the identifier sealed beside it; a link of an older
release, which has no copy, gets one when it is said again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, bindparam, select, update

from kernel.catalogue import Compartment
from kernel.errors import Conflict
from kernel.ids import BatchId, SubjectId
from kernel.plaintext import Plaintext
from vault._identifiers import seal_identifier
from vault._keyring import Keyring, keep_epoch
from vault._keys import UnlockedKeys
from vault.blind_index import ONE_PERSON, Digest, Digester, Message, owners_of
from vault.setwise import among, chunks, insert_absent
from vault.tables import blind_index, identity_fact


@dataclass(frozen=True, slots=True, repr=False)
class Mention(Plaintext):
    """An identifier or a fact of one person; plaintext.

    Attributes:
        name: of the index, or of the fact.
        content: what is digested.
        compartment: whose key seals the copy.
    """

    subject: SubjectId
    name: str
    content: bytes
    compartment: Compartment

    def __repr__(self) -> str:
        return f"Mention(subject={self.subject}, name={self.name!r}, redacted)"


class Stored(NamedTuple):
    """What is stored of a link or a fact already."""

    version: int
    digest: bytes
    is_sealed: bool
    batch: str | None


@dataclass(frozen=True, slots=True)
class Linking:
    """One call of the resolver.

    Attributes:
        batch: that says so; None is never undone.
    """

    keyring: Keyring
    batch: BatchId | None

    def store(self, connection: Connection, links: Collection[Mention], facts: Collection[Mention]) -> None:
        """Store links and facts that are not there yet.

        Raises:
            Conflict: an identifier belongs to somebody else by now; the caller's transaction must end with it.
        """
        keep_epoch(connection)
        digester = Digester.make(self.keyring, connection, sorted({each.name for each in (*links, *facts)}))
        known_links = _known_links(connection, digester, links)
        known_facts = _known_facts(connection, facts)
        news = [each for each in links if _is_news(each, digester, known_links)]
        new_facts = [each for each in facts if not _is_whole(known_facts.get((each.subject, each.name)))]
        pairs = {(each.subject, each.compartment) for each in (*news, *new_facts)}
        with self.keyring.unlocked_in(connection, pairs, batch=self.batch) as keys:
            self._put_links(connection, digester, news, known_links, keys)
            self._put_facts(connection, digester, new_facts, known_facts, keys)
        _check_owners(connection, digester, links)
        self._vouch_links(connection, known_links)
        self._vouch_facts(connection, digester, facts, known_facts)

    def _put_links(
        self,
        connection: Connection,
        digester: Digester,
        links: Collection[Mention],
        known: Mapping[tuple[Digest, str], Stored],
        keys: UnlockedKeys,
    ) -> None:
        rows, copies = [], []
        now = self.keyring.clock.now()
        for each in links:
            sealed = _sealed(each, keys, blind_index)
            for name, version, digest in digester.digests((each.name, each.content)):
                row = {"field": name, "version": version, "digest": digest, "subject_id": each.subject}
                if ((name, version, digest), each.subject) not in known:
                    rows.append(row | {"batch_id": self.batch, "linked_at": now, "sealed": sealed})
                else:
                    copies.append({f"b_{column}": value for column, value in row.items()} | {"copy": sealed})
        insert_absent(connection, blind_index, rows)
        _fill(connection, blind_index, copies)

    def _put_facts(
        self,
        connection: Connection,
        digester: Digester,
        facts: Collection[Mention],
        known: Mapping[tuple[str, str], Stored],
        keys: UnlockedKeys,
    ) -> None:
        """Store facts; the first word stands, and gets its copy when it is said again."""
        rows, copies = [], []
        for each in facts:
            stored, message = known.get((each.subject, each.name)), (each.name, each.content)
            if stored is None:
                name, version, digest = digester.canonical(message)
                row = {"subject_id": each.subject, "fact": name, "version": version, "digest": digest}
                rows.append(row | {"batch_id": self.batch, "sealed": _sealed(each, keys, identity_fact)})
            elif _says(digester, message, stored):
                copy = _sealed(each, keys, identity_fact)
                copies.append({"b_subject_id": each.subject, "b_fact": each.name, "copy": copy})
        insert_absent(connection, identity_fact, rows)
        _fill(connection, identity_fact, copies)

    def _vouch_links(self, connection: Connection, known: Mapping[tuple[Digest, str], Stored]) -> None:
        """Take away the single batch from links that another one had made and this one now confirms."""
        rows = [
            {"b_field": name, "b_version": version, "b_digest": digest, "b_subject_id": subject}
            for ((name, version, digest), subject), stored in known.items()
            if stored.batch is not None and stored.batch != self.batch
        ]
        _unbatch(connection, blind_index, rows)

    def _vouch_facts(
        self,
        connection: Connection,
        digester: Digester,
        facts: Collection[Mention],
        known: Mapping[tuple[str, str], Stored],
    ) -> None:
        rows = []
        for each in facts:
            stored = known.get((each.subject, each.name))
            if stored is None or stored.batch is None or stored.batch == self.batch:
                continue
            if _says(digester, (each.name, each.content), stored):
                rows.append({"b_subject_id": each.subject, "b_fact": each.name})
        _unbatch(connection, identity_fact, rows)


def _known_links(
    connection: Connection, digester: Digester, links: Collection[Mention]
) -> dict[tuple[Digest, str], Stored]:
    """Return what is stored of these links, by digest and person."""
    wanted: dict[tuple[str, int], list[bytes]] = {}
    for each in links:
        for name, version, digest in digester.digests((each.name, each.content)):
            wanted.setdefault((name, version), []).append(digest)
    said = {(each.subject, digest) for each in links for digest in digester.digests((each.name, each.content))}
    found: dict[tuple[Digest, str], Stored] = {}
    query = select(blind_index.c.digest, blind_index.c.subject_id, blind_index.c.batch_id, _is_sealed(blind_index))
    for (name, version), digests in wanted.items():
        same = (blind_index.c.field == name, blind_index.c.version == version)
        for some in chunks(digests):
            for value, subject, batch, is_sealed in connection.execute(
                query.where(*same, blind_index.c.digest.in_(some))
            ):
                if (subject, (name, version, value)) in said:
                    found[(name, version, value), subject] = Stored(version, value, is_sealed, batch)
    return found


def _known_facts(connection: Connection, facts: Collection[Mention]) -> dict[tuple[str, str], Stored]:
    """Return what is stored of these people's facts, by person and fact."""
    columns = (identity_fact.c.version, identity_fact.c.digest, _is_sealed(identity_fact), identity_fact.c.batch_id)
    people = sorted({each.subject for each in facts})
    query = select(identity_fact.c.subject_id, identity_fact.c.fact, *columns)
    rows = connection.execute(query.where(among(connection, identity_fact.c.subject_id, people)))
    return {(subject, fact): Stored(*rest) for subject, fact, *rest in rows}


def _is_news(each: Mention, digester: Digester, known: Mapping[tuple[Digest, str], Stored]) -> bool:
    digests = digester.digests((each.name, each.content))
    return not all(_is_whole(known.get((digest, each.subject))) for digest in digests)


def _is_whole(stored: Stored | None) -> bool:
    return stored is not None and stored.is_sealed


def _is_sealed(table: Table) -> ColumnElement[bool]:
    return table.c.sealed.is_not(None).label("is_sealed")


def _sealed(each: Mention, keys: UnlockedKeys, table: Table) -> bytes:
    key = keys.sealing((each.subject, each.compartment))
    return seal_identifier(each.content, key=key, table=table, subject=each.subject, name=each.name)


def _says(digester: Digester, message: Message, stored: Stored) -> bool:
    """Say whether a stored fact is the stated one."""
    is_live = stored.version in digester.versions(message[0])
    return is_live and digester.digest(message, stored.version)[2] == stored.digest


def _unbatch(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        same = [column == bindparam(f"b_{column.name}") for column in table.primary_key]
        connection.execute(update(table).where(*same).values(batch_id=None), list(rows))


def _fill(connection: Connection, table: Table, copies: Sequence[Mapping[str, Any]]) -> None:
    """Give rows that have no copy of their identifier one."""
    if copies:
        same = [column == bindparam(f"b_{column.name}") for column in table.primary_key]
        query = update(table).where(*same, table.c.sealed.is_(None)).values(sealed=bindparam("copy"))
        connection.execute(query, list(copies))


def _check_owners(connection: Connection, digester: Digester, links: Iterable[Mention]) -> None:
    said = {(digest, each.subject) for each in links for digest in digester.digests((each.name, each.content))}
    stored = owners_of(connection, {digest for digest, _ in said if digest[0] in ONE_PERSON})
    others = [subject for digest, subject in stored if (digest, subject) not in said]
    if others:
        raise Conflict(
            f"An identifier belongs to subject {others[0]} by now",
            hint="Resolve the records again; nothing was stored.",
        )
