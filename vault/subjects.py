"""Subjects: resolves who a record is about before consent is asked, and keeps the links that later records need."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, update

from kernel.errors import Conflict
from kernel.ids import BatchId, SubjectId, new_id
from vault._keyring import FIRST_VERSION, keyring_of
from vault.blind_index import MOBILE, Digest, Digester, acquaint, owners_of
from vault.identity import IdentityKeys, Resolution, ResolutionKind, Rule, decide
from vault.keystore import KeyStore
from vault.setwise import insert_absent
from vault.tables import blind_index, doubtful_identity, identity_fact

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

    def __init__(self, keystore: KeyStore) -> None:
        self._database = keystore.database
        self._keyring = keyring_of(keystore)

    def resolve_many(self, records: Sequence[IdentityKeys]) -> list[Resolution]:
        """Say for each record whom it is about, in the records' order; stores nothing.

        Records of one call also meet each other: a later one finds a person whom an earlier one brought.
        """
        digester = Digester(self._keyring)
        with self._database.read() as connection:
            known = acquaint(connection, digester, records)
        resolutions = []
        for stated in records:
            resolution = decide(known.evidence(stated))
            if resolution.kind is ResolutionKind.NEW:
                resolution = replace(resolution, subject=SubjectId(new_id("sub")))
            if resolution.subject is not None:
                known.learn(resolution.subject, stated)
            resolutions.append(resolution)
        return resolutions

    def link(self, entries: Collection[tuple[SubjectId, IdentityKeys]], *, batch: BatchId | None) -> None:
        """Store what finds these people again; durable when this returns.

        Args:
            entries: person and what a stored record stated.
            batch: undone by ``unlink_batch`` while no other batch says the same; None is never undone.

        Raises:
            Conflict: an identifier was linked to somebody else in the meantime; nothing was stored.
        """
        digester = Digester(self._keyring)
        links = {(digest, subject) for subject, stated in entries for digest in digester.all(stated)}
        facts: dict[tuple[SubjectId, str], bytes] = {}
        for subject, stated in entries:
            for fact, value in digester.facts(subject, stated).items():
                facts.setdefault((subject, fact), value)
        with self._database.write() as connection:
            self._store_links(connection, links, batch)
            self._store_facts(connection, facts, batch)

    def unlink_batch(self, batch: BatchId) -> None:
        """Remove what only this batch said; safe to repeat."""
        with self._database.write() as connection:
            for table in (blind_index, identity_fact, doubtful_identity):
                connection.execute(delete(table).where(table.c.batch_id == batch))

    def find(self, source: str, source_subject: str) -> SubjectId | None:
        """Return the person whom a source calls so, or None."""
        return self._find(Digester(self._keyring).source_id(IdentityKeys(source, source_subject)))

    def find_by_id_number(self, id_number: str) -> SubjectId | None:
        """Return the person with this ID number, or None."""
        return self._find(Digester(self._keyring).id_number(IdentityKeys("", id_number=id_number)))

    def note_doubtful(self, entries: Sequence[tuple[IdentityKeys, Resolution]], *, batch: BatchId | None) -> None:
        """List records that came back DOUBTFUL for a person; one that is on the list is not listed again."""
        digester = Digester(self._keyring)
        now = self._keyring.clock.now()
        rows = []
        for stated, resolution in entries:
            digest = digester.source_id(stated) or digester.id_number(stated)
            if digest is not None and resolution.kind is ResolutionKind.DOUBTFUL:
                rows.append(
                    {
                        "doubt_id": new_id("dbt"),
                        "source": stated.source,
                        "digest": digest[1],
                        "rule": resolution.how,
                        "candidates": " ".join(resolution.candidates),
                        "batch_id": batch,
                        "noted_at": now,
                    }
                )
        with self._database.write() as connection:
            insert_absent(connection, doubtful_identity, rows)

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

    def _find(self, digest: Digest | None) -> SubjectId | None:
        with self._database.read() as connection:
            return next((subject for _, subject in owners_of(connection, [digest] if digest else [])), None)

    def _store_links(self, connection: Connection, links: set[tuple[Digest, SubjectId]], batch: BatchId | None) -> None:
        now = self._keyring.clock.now()
        rows = [
            {
                "field": name,
                "version": FIRST_VERSION,
                "digest": value,
                "subject_id": subject,
                "batch_id": batch,
                "linked_at": now,
            }
            for (name, value), subject in sorted(links)
        ]
        insert_absent(connection, blind_index, rows)
        stored = owners_of(connection, {digest for digest, _ in links})
        others = [subject for digest, subject in stored if digest[0] != MOBILE and (digest, subject) not in links]
        if others:
            raise Conflict(
                f"An identifier belongs to subject {others[0]} by now",
                hint="Resolve the records again; nothing was stored.",
            )
        _vouch(
            connection, blind_index, [{"b_digest": value, "b_subject": subject} for (_, value), subject in links], batch
        )

    def _store_facts(
        self, connection: Connection, facts: dict[tuple[SubjectId, str], bytes], batch: BatchId | None
    ) -> None:
        rows: list[dict[str, Any]] = [
            {"subject_id": subject, "fact": fact, "digest": value, "batch_id": batch}
            for (subject, fact), value in facts.items()
        ]
        insert_absent(connection, identity_fact, rows)
        _vouch(
            connection,
            identity_fact,
            [{"b_digest": row["digest"], "b_subject": row["subject_id"]} for row in rows],
            batch,
        )


def forget_subject(connection: Connection, subject: SubjectId, *, fields: Collection[str] | None = None) -> int:
    """Delete what finds a person, in the caller's transaction on the key store.

    Args:
        connection: on the key store.
        subject: whom to forget.
        fields: only these indexes; None for everything, facts and doubts included.

    Returns:
        The number of index rows deleted.
    """
    links = delete(blind_index).where(blind_index.c.subject_id == subject)
    if fields is not None:
        return connection.execute(links.where(blind_index.c.field.in_(sorted(fields)))).rowcount
    connection.execute(delete(identity_fact).where(identity_fact.c.subject_id == subject))
    connection.execute(delete(doubtful_identity).where(doubtful_identity.c.candidates.contains(subject)))
    return connection.execute(links).rowcount


def forget_facts(connection: Connection, subject: SubjectId, facts: Collection[str]) -> int:
    """Delete these facts of a person, in the caller's transaction on the key store; return how many there were."""
    mine = (identity_fact.c.subject_id == subject, identity_fact.c.fact.in_(sorted(facts)))
    return connection.execute(delete(identity_fact).where(*mine)).rowcount if facts else 0


def _vouch(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], batch: BatchId | None) -> None:
    """Take away the single batch from rows that another batch had made and this one now confirms."""
    if not rows:
        return
    another = table.c.batch_id.is_not(None) if batch is None else table.c.batch_id != batch
    connection.execute(
        update(table)
        .where(table.c.digest == bindparam("b_digest"), table.c.subject_id == bindparam("b_subject"), another)
        .values(batch_id=None),
        list(rows),
    )
