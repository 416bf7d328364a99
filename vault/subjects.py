"""Subjects: resolves who a record is about before consent is asked, and keeps the links that later records need."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select

from kernel.catalogue import Field
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import BatchId, SubjectId, new_id
from vault._identifiers import SEALED_IN
from vault._keyring import keep_epoch, keyring_of
from vault._linking import Linking, Mention
from vault.blind_index import (
    FACTS,
    ID_NUMBER,
    IDENTIFIERS,
    MOBILE,
    ONE_PERSON,
    Acquaintance,
    Digester,
    Message,
    acquaint,
    fact_messages,
    field_message,
    id_number_message,
    identifier_messages,
    indexes_of,
    owners_of,
    source_id_message,
)
from vault.identity import IdentityKeys, Resolution, ResolutionKind, Rule, decide
from vault.keystore import KeyStore
from vault.setwise import insert_absent
from vault.tables import blind_index, doubtful_identity, identity_fact, returned

__all__ = ["Doubt", "IdentityKeys", "Resolution", "ResolutionKind", "Rule", "SubjectResolver", "forget_subject"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A record that a person must place.

    Attributes:
        digest: keyed digest of what the source calls the person, in hexadecimal; equal digests are the same caller.
        candidates: whom it could be about.
    """

    doubt_id: str
    source: str
    digest: str
    rule: Rule
    candidates: tuple[SubjectId, ...]
    noted_at: datetime


class SubjectResolver:
    """Identity over keyed indexes in the key store; identifiers stay in memory."""

    def __init__(self, keystore: KeyStore, fields: Mapping[str, Field] | None = None) -> None:
        """Take the key store, and the fields of the pack, of which some are indexed."""
        self._database = keystore.database
        self._keyring = keyring_of(keystore)
        self._fields = fields or {}

    def resolve_many(self, records: Sequence[IdentityKeys]) -> list[Resolution]:
        """Say for each record whom it is about, in the records' order; stores nothing.

        Records of one call also meet each other: a later one finds a person whom an earlier one brought.
        """
        known = self._acquainted(records)
        resolutions = []
        for stated in records:
            resolution = decide(known.evidence(stated))
            if resolution.kind is ResolutionKind.NEW:
                resolution = replace(resolution, subject=SubjectId(new_id("sub")))
            if resolution.subject is not None:
                known.learn(resolution.subject, stated)
            resolutions.append(resolution)
        return resolutions

    def _acquainted(self, records: Sequence[IdentityKeys]) -> Acquaintance:
        """Read what is known, by the versions of the indexes that live in the same snapshot."""
        names = [*IDENTIFIERS, *FACTS]
        with self._database.read() as connection:
            digester = Digester.load(self._keyring, connection, names)
            if all(name in digester for name in names):
                return acquaint(connection, digester, records)
        with self._database.write() as connection:
            return acquaint(connection, Digester.make(self._keyring, connection, names), records)

    def link(self, entries: Collection[tuple[SubjectId, IdentityKeys]], *, batch: BatchId | None) -> None:
        """Store what finds these people again; durable when this returns.

        Args:
            entries: person and what a stored record stated.
            batch: undone by ``unlink_batch`` while no other batch says the same; None is never undone.

        Raises:
            Conflict: an identifier was linked to somebody else in the meantime; nothing was stored.
        """
        links = {
            Mention(subject, name, content, SEALED_IN[name])
            for subject, stated in entries
            for name, content in identifier_messages(stated)
        }
        facts: dict[tuple[SubjectId, str], Mention] = {}
        for subject, stated in entries:
            for name, content in fact_messages(subject, stated):
                facts.setdefault((subject, name), Mention(subject, name, content, SEALED_IN[name]))
        if links or facts:
            with self._database.write() as connection:
                Linking(self._keyring, batch).store(connection, links, list(facts.values()))

    def link_fields(self, values: Iterable[tuple[SubjectId, str, JsonValue]], *, batch: BatchId | None) -> None:
        """Store by which values of indexed fields people are found; durable when this returns.

        Args:
            values: person, field code and value; fields without an index are passed over.
            batch: as for ``link``.
        """
        links = set()
        for subject, code, value in values:
            field = self._fields[code]
            message = field_message(field, value)
            if message is not None:
                links.add(Mention(subject, *message, field.compartment))
        if links:
            with self._database.write() as connection:
                Linking(self._keyring, batch).store(connection, links, [])

    def find_by_field(self, code: str, value: str, *, limit: int) -> list[SubjectId]:
        """Return whom a value of an indexed field leads to, by id, at most ``limit`` of them.

        Of a truncated index these are candidates: some of them have another value.

        Raises:
            BadInput: the pack declares no such field, or no index of it.
        """
        field = self._fields.get(code)
        message = None if field is None else field_message(field, value)
        if code == ID_NUMBER and field is not None:
            message = id_number_message(IdentityKeys("", id_number=value))
        if message is None:
            raise BadInput(f"Field {code!a} cannot be searched", hint="The pack says which fields have an index.")
        with self._database.read() as connection:
            digests = Digester.load(self._keyring, connection, [message[0]]).digests(message)
            return sorted({subject for _, subject in owners_of(connection, digests, limit=limit)})[:limit]

    def unlink_batch(self, batch: BatchId) -> None:
        """Remove what only this batch said; safe to repeat."""
        with self._database.write() as connection:
            keep_epoch(connection)
            for table in (blind_index, identity_fact, doubtful_identity):
                connection.execute(delete(table).where(table.c.batch_id == batch))

    def find(self, source: str, source_subject: str) -> SubjectId | None:
        """Return the person whom a source calls so, or None."""
        return self._find(source_id_message(IdentityKeys(source, source_subject)))

    def find_by_id_number(self, id_number: str) -> SubjectId | None:
        """Return the person with this ID number, or None."""
        return self._find(id_number_message(IdentityKeys("", id_number=id_number)))

    def note_doubtful(self, entries: Sequence[tuple[IdentityKeys, Resolution]], *, batch: BatchId | None) -> None:
        """List records that came back DOUBTFUL for a person; one that is on the list is not listed again."""
        with self._database.write() as connection:
            keep_epoch(connection)
            digester = Digester.make(self._keyring, connection, sorted(ONE_PERSON))
            for stated, resolution in entries:
                message = source_id_message(stated) or id_number_message(stated)
                if message is not None and resolution.kind is ResolutionKind.DOUBTFUL:
                    self._note(
                        connection, [digest for *_, digest in digester.digests(message)], stated, resolution, batch
                    )

    def _note(
        self,
        connection: Connection,
        digests: Sequence[bytes],
        stated: IdentityKeys,
        resolution: Resolution,
        batch: BatchId | None,
    ) -> None:
        """List one record under the newest of its digests, unless it is listed under any."""
        table = doubtful_identity
        same = (table.c.source == stated.source, table.c.rule == resolution.how, table.c.digest.in_(digests))
        if connection.execute(select(table.c.doubt_id).where(*same)).first() is None:
            row = {
                "doubt_id": new_id("dbt"),
                "source": stated.source,
                "digest": digests[-1],
                "rule": resolution.how,
                "candidates": " ".join(resolution.candidates),
                "batch_id": batch,
                "noted_at": self._keyring.clock.now(),
            }
            insert_absent(connection, table, [row])

    def doubtful(self, *, after: str = "", limit: int = 100) -> list[Doubt]:
        """Return listed doubts in the order of their ids, those after the given one."""
        table = doubtful_identity
        query = select(table).where(table.c.doubt_id > after).order_by(table.c.doubt_id).limit(limit)
        with self._database.read() as connection:
            return [
                Doubt(
                    row.doubt_id,
                    row.source,
                    row.digest.hex(),
                    Rule(row.rule),
                    tuple(SubjectId(subject) for subject in row.candidates.split()),
                    row.noted_at,
                )
                for row in connection.execute(query)
            ]

    def _find(self, message: Message | None) -> SubjectId | None:
        if message is None:
            return None
        with self._database.read() as connection:
            digests = Digester.load(self._keyring, connection, [message[0]]).digests(message)
            return next((subject for _, subject in owners_of(connection, digests)), None)


def forget_subject(connection: Connection, subject: SubjectId, *, fields: Collection[str] | None = None) -> int:
    """Delete what finds a person, in the caller's transaction on the key store.

    Args:
        connection: on the key store.
        subject: whom to forget.
        fields: only these indexes; None for everything, facts and doubts included.

    Returns:
        The number of index rows deleted.
    """
    keep_epoch(connection)
    links = delete(blind_index).where(blind_index.c.subject_id == subject)
    if fields is not None:
        return connection.execute(links.where(blind_index.c.field.in_(sorted(fields)))).rowcount
    connection.execute(delete(identity_fact).where(identity_fact.c.subject_id == subject))
    connection.execute(
        delete(returned).where(or_(returned.c.subject_id == subject, returned.c.from_subject == subject))
    )
    connection.execute(delete(doubtful_identity).where(doubtful_identity.c.candidates.contains(subject)))
    return connection.execute(links).rowcount


def forget_unheld(connection: Connection, subject: SubjectId, held: Collection[str]) -> int:
    """Delete what finds a person whose data is partly held, but for what resolves it and the indexes of held fields.

    A mobile goes in any case: it never joins, and nobody is called whose data is only kept.
    """
    names = set(connection.scalars(select(blind_index.c.field).where(blind_index.c.subject_id == subject).distinct()))
    return forget_subject(connection, subject, fields=names - ONE_PERSON - {*indexes_of({*held} - {MOBILE})})


def forget_fields(connection: Connection, subject: SubjectId, lost: Collection[str], stored: Collection[str]) -> None:
    """Delete what finds a person by fields that went, and what tells it apart by them.

    Args:
        connection: on the key store, in the caller's transaction.
        subject: whose fields.
        lost: their codes. A mobile is forgotten also where some of it stays: it never joins, and nobody is called whose
            data is only kept. An ID number joins for as long as anything is stored.
        stored: codes of which something stays.
    """
    gone = {*lost} - {*stored}
    names = indexes_of(gone - {ID_NUMBER})
    names += [name for name in (MOBILE, ID_NUMBER) if name in lost and (name == MOBILE or not stored)]
    forget_subject(connection, subject, fields=names)
    forget_facts(connection, subject, gone.intersection(FACTS))


def forget_facts(connection: Connection, subject: SubjectId, facts: Collection[str]) -> int:
    """Delete these facts of a person, in the caller's transaction on the key store; return how many there were."""
    mine = (identity_fact.c.subject_id == subject, identity_fact.c.fact.in_(sorted(facts)))
    return connection.execute(delete(identity_fact).where(*mine)).rowcount if facts else 0
