"""Blind indexes: keyed digests of identifiers, and what is known through them of the people of one unit of work."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, select

from kernel.ids import SubjectId
from vault._keyring import FIRST_VERSION, KeyKind, Keyring
from vault._keys import MacKey
from vault.envelope import length_prefixed
from vault.identity import Evidence, IdentityKeys, normalised, normalised_mobile
from vault.setwise import among, chunks
from vault.tables import blind_index, identity_fact

ID_NUMBER: Final = "id_number"
SOURCE_ID: Final = "source_subject"
MOBILE: Final = "mobile"
FACTS: Final = ("birth_date", "sex")

Digest = tuple[str, bytes]
"""Field and digest."""


class Digester:
    """Computes the digests of identifiers, each field under a key of its own."""

    def __init__(self, keyring: Keyring) -> None:
        self._keys: Mapping[str, MacKey] = keyring.mac_keys(KeyKind.INDEX, [ID_NUMBER, SOURCE_ID, MOBILE, *FACTS])

    def id_number(self, stated: IdentityKeys) -> Digest | None:
        """Return the digest of the ID number, or None without one."""
        if stated.id_number is None:
            return None
        return ID_NUMBER, self._keys[ID_NUMBER].digest(length_prefixed(normalised(stated.id_number)))

    def source_id(self, stated: IdentityKeys) -> Digest | None:
        """Return the digest of source and source id together, or None without one."""
        if stated.source_subject is None:
            return None
        return SOURCE_ID, self._keys[SOURCE_ID].digest(length_prefixed(stated.source, stated.source_subject))

    def mobile(self, stated: IdentityKeys) -> Digest | None:
        """Return the digest of the mobile number, or None without one."""
        if stated.mobile is None:
            return None
        return MOBILE, self._keys[MOBILE].digest(length_prefixed(normalised_mobile(stated.mobile)))

    def all(self, stated: IdentityKeys) -> list[Digest]:
        """Return every digest that the record gives."""
        found = (self.id_number(stated), self.source_id(stated), self.mobile(stated))
        return [digest for digest in found if digest is not None]

    def facts(self, subject: SubjectId, stated: IdentityKeys) -> dict[str, bytes]:
        """Return the digests of birth date and sex, bound to one person, so that equal values differ between people."""
        return {fact: self._keys[fact].digest(length_prefixed(subject, value)) for fact, value in stated.facts.items()}


@dataclass
class Acquaintance:
    """What is known of the people that a unit of work may meet, and what it learns on the way."""

    digester: Digester
    owners: dict[Digest, SubjectId] = field(default_factory=dict)
    id_numbers: dict[SubjectId, set[bytes]] = field(default_factory=dict)
    facts: dict[SubjectId, dict[str, bytes]] = field(default_factory=dict)

    def evidence(self, stated: IdentityKeys) -> Evidence:
        """Return what is known that bears on one record."""
        id_number, source_id = self.digester.id_number(stated), self.digester.source_id(stated)
        return Evidence(
            stated=stated,
            by_id_number=self.owners.get(id_number) if id_number else None,
            by_source_id=self.owners.get(source_id) if source_id else None,
            contradicts=lambda person: self._contradicts(person, stated),
            has_other_id_number=lambda person: bool(id_number and self.id_numbers.get(person, set()) - {id_number[1]}),
        )

    def learn(self, person: SubjectId, stated: IdentityKeys) -> None:
        """Take in what a record states of the person that it was found to be about; the first word stands."""
        for digest in (self.digester.id_number(stated), self.digester.source_id(stated)):
            if digest is not None:
                self.owners.setdefault(digest, person)
                if digest[0] == ID_NUMBER:
                    self.id_numbers.setdefault(person, set()).add(digest[1])
        known = self.facts.setdefault(person, {})
        for fact, value in self.digester.facts(person, stated).items():
            known.setdefault(fact, value)

    def _contradicts(self, person: SubjectId, stated: IdentityKeys) -> bool:
        known = self.facts.get(person, {})
        return any(known.get(fact, value) != value for fact, value in self.digester.facts(person, stated).items())


def acquaint(connection: Connection, digester: Digester, records: Iterable[IdentityKeys]) -> Acquaintance:
    """Read what the key store knows of everybody whom these records may be about."""
    known = Acquaintance(digester)
    wanted = {digest for stated in records for digest in (digester.id_number(stated), digester.source_id(stated))}
    for digest, subject in owners_of(connection, [digest for digest in wanted if digest is not None]):
        known.owners[digest] = subject
    people = set(known.owners.values())
    ids = select(blind_index.c.subject_id, blind_index.c.digest).where(
        blind_index.c.field == ID_NUMBER, among(connection, blind_index.c.subject_id, people)
    )
    for subject, value in connection.execute(ids):
        known.id_numbers.setdefault(subject, set()).add(value)
    facts = select(identity_fact.c.subject_id, identity_fact.c.fact, identity_fact.c.digest).where(
        among(connection, identity_fact.c.subject_id, people)
    )
    for subject, fact, value in connection.execute(facts):
        known.facts.setdefault(subject, {})[fact] = value
    return known


def owners_of(connection: Connection, digests: Collection[Digest]) -> list[tuple[Digest, SubjectId]]:
    """Return who is behind the digests, one line for each digest and person."""
    by_field: dict[str, list[bytes]] = {}
    for name, value in digests:
        by_field.setdefault(name, []).append(value)
    found: list[tuple[Digest, SubjectId]] = []
    for name, values in by_field.items():
        for chunk in chunks(values):
            query = select(blind_index.c.digest, blind_index.c.subject_id).where(
                blind_index.c.field == name,
                blind_index.c.version == FIRST_VERSION,
                blind_index.c.digest.in_(chunk),
            )
            found.extend(((name, value), SubjectId(subject)) for value, subject in connection.execute(query))
    return found
