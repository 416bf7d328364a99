"""Blind indexes: keyed digests of identifiers, and what is known through them of the people of one unit of work.

Each field has a key of its own, in one version or, while its rows are digested anew, in two: a look-up asks every live
version and a link is written under each, so that nobody is missed. Which versions live is read in the transaction that
uses them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, bindparam, select

from kernel.catalogue import Field, IndexKind
from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from vault._keyring import FIRST_VERSION, WRAPPED_IN, KeyKind, Keyring
from vault._keys import MacKey, named_key_context
from vault.envelope import length_prefixed
from vault.identity import Evidence, IdentityKeys, normalised, normalised_mobile
from vault.setwise import among, chunks
from vault.suites import suite_of
from vault.tables import blind_index, epoch, identity_fact, named_key

ID_NUMBER: Final = "id_number"
SOURCE_ID: Final = "source_subject"
MOBILE: Final = "mobile"
FACTS: Final = ("birth_date", "sex")
IDENTIFIERS: Final = (ID_NUMBER, SOURCE_ID, MOBILE)
ONE_PERSON: Final = frozenset({ID_NUMBER, SOURCE_ID})
"""Indexes in which a digest belongs to one person only; the unique index of the table says the same."""

LOW: Final = "low:"
"""Begins the name of a truncated index, which many values share."""

_LOW_BYTES: Final = 1
"""256 buckets: where a field has more values than that, the digest tells the bucket and not the value."""

Digest = tuple[str, int, bytes]
"""Name of the index, version of its key, and digest."""

Message = tuple[str, bytes]
"""Name of the index, and what is digested; plaintext."""


class Digester:
    """Computes the digests of identifiers under every live version of their field's key."""

    def __init__(self, keys: Mapping[str, Mapping[int, MacKey]]) -> None:
        self._keys = keys

    @classmethod
    def load(cls, keyring: Keyring, connection: Connection, names: Collection[str]) -> "Digester":
        """Read the live versions of these fields' keys, in a transaction of the key store."""
        keys: dict[str, dict[int, MacKey]] = {}
        unwrap = keyring.unwrapper()
        for row in connection.execute(_LIVE, {"names": list(names)}):
            context = named_key_context(row.key_id, row.kind, row.name, row.version, row.suite)
            keys.setdefault(row.name, {})[row.version] = MacKey(unwrap(row, context), suite_of(row.suite))
        return cls(keys)

    @classmethod
    def make(cls, keyring: Keyring, connection: Connection, names: Collection[str]) -> "Digester":
        """As ``load``, in a write transaction, with a first version of each key that is not there yet."""
        found = cls.load(keyring, connection, names)
        missing = [name for name in names if name not in found]
        if missing:
            keyring.make_named_keys(connection, KeyKind.INDEX, missing, version=FIRST_VERSION)
            found = cls.load(keyring, connection, names)
        return found

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def versions(self, name: str) -> frozenset[int]:
        """Return the live versions of a field's key."""
        return frozenset(self._keys.get(name, {}))

    def newest(self, name: str) -> int:
        """Return the newest live version of a field's key."""
        return max(self._keys[name])

    def digest(self, message: Message, version: int) -> Digest:
        """Return the digest of a message under one version."""
        name, content = message
        return name, version, _cut(name, self._keys[name][version].digest(content))

    def digests(self, message: Message) -> list[Digest]:
        """Return the digest of a message under every live version, the newest last; none for a field without a key."""
        name, content = message
        return [(name, version, _cut(name, key.digest(content))) for version, key in self._keys.get(name, {}).items()]

    def canonical(self, message: Message) -> Digest:
        """Return the digest that stands for a message in memory: that of the newest version."""
        return self.digest(message, self.newest(message[0]))


def id_number_message(stated: IdentityKeys) -> Message | None:
    """Return what is digested of the ID number, or None without one."""
    return None if stated.id_number is None else (ID_NUMBER, length_prefixed(normalised(stated.id_number)))


def source_id_message(stated: IdentityKeys) -> Message | None:
    """Return what is digested of source and source id together, or None without one."""
    if stated.source_subject is None:
        return None
    return SOURCE_ID, length_prefixed(stated.source, stated.source_subject)


def mobile_message(stated: IdentityKeys) -> Message | None:
    """Return what is digested of the mobile number, or None without one."""
    return None if stated.mobile is None else (MOBILE, length_prefixed(normalised_mobile(stated.mobile)))


def identifier_messages(stated: IdentityKeys) -> list[Message]:
    """Return what is digested of every identifier that the record gives."""
    found = (id_number_message(stated), source_id_message(stated), mobile_message(stated))
    return [message for message in found if message is not None]


def fact_messages(subject: SubjectId, stated: IdentityKeys) -> list[Message]:
    """Return what is digested of birth date and sex: bound to a person, so that equal values differ between people."""
    return [(fact, length_prefixed(subject, value)) for fact, value in stated.facts.items()]


def field_message(field: Field, value: JsonValue) -> Message | None:
    """Return what is digested of a field's value, so that it can be searched; None where the pack declares no index.

    An ID number is digested where it resolves a person, and not here: it leads to one person only.
    """
    if field.index is IndexKind.NONE or field.code == ID_NUMBER or not isinstance(value, str) or not value:
        return None
    text = normalised_mobile(value) if field.code == MOBILE else normalised(value)
    return (LOW + field.code if field.index is IndexKind.LOW else field.code), length_prefixed(text)


def indexes_of(codes: Iterable[str]) -> list[str]:
    """Return the names that the indexes of these fields can have."""
    return [name for code in sorted(codes) for name in (code, LOW + code)]


@dataclass
class Acquaintance:
    """What is known of the people that a unit of work may meet, and what it learns on the way.

    Attributes:
        owners: who is behind an identifier, by its canonical digest.
        id_numbers: version and digest of every ID number that is known of a person.
        facts: version and digest of each fact that is known of a person.
    """

    digester: Digester
    owners: dict[Digest, SubjectId] = field(default_factory=dict)
    id_numbers: dict[SubjectId, set[tuple[int, bytes]]] = field(default_factory=dict)
    facts: dict[SubjectId, dict[str, tuple[int, bytes]]] = field(default_factory=dict)

    def evidence(self, stated: IdentityKeys) -> Evidence:
        """Return what is known that bears on one record."""
        return Evidence(
            stated=stated,
            by_id_number=self._owner(id_number_message(stated)),
            by_source_id=self._owner(source_id_message(stated)),
            contradicts=lambda person: self._contradicts(person, stated),
            has_other_id_number=lambda person: self._has_other_id_number(person, stated),
        )

    def learn(self, person: SubjectId, stated: IdentityKeys) -> None:
        """Take in what a record states of the person that it was found to be about; the first word stands."""
        for message in (id_number_message(stated), source_id_message(stated)):
            if message is not None:
                digest = self.digester.canonical(message)
                self.owners.setdefault(digest, person)
                if digest[0] == ID_NUMBER:
                    self.id_numbers.setdefault(person, set()).add(digest[1:])
        known = self.facts.setdefault(person, {})
        for message in fact_messages(person, stated):
            known.setdefault(message[0], self.digester.canonical(message)[1:])

    def _owner(self, message: Message | None) -> SubjectId | None:
        return None if message is None else self.owners.get(self.digester.canonical(message))

    def _has_other_id_number(self, person: SubjectId, stated: IdentityKeys) -> bool:
        message = id_number_message(stated)
        if message is None:
            return False
        same = {(version, value) for _, version, value in self.digester.digests(message)}
        return bool(self.id_numbers.get(person, set()) - same)

    def _contradicts(self, person: SubjectId, stated: IdentityKeys) -> bool:
        known = self.facts.get(person, {})
        for message in fact_messages(person, stated):
            version, value = known.get(message[0], (0, b""))
            if version in self.digester.versions(message[0]) and self.digester.digest(message, version)[2] != value:
                return True
        return False


def acquaint(connection: Connection, digester: Digester, records: Iterable[IdentityKeys]) -> Acquaintance:
    """Read what the key store knows of everybody whom these records may be about."""
    known = Acquaintance(digester)
    wanted = {message for stated in records for message in (id_number_message(stated), source_id_message(stated))}
    standing_for = {
        digest: digester.canonical(message)
        for message in wanted
        if message is not None
        for digest in digester.digests(message)
    }
    for digest, subject in owners_of(connection, standing_for):
        known.owners[standing_for[digest]] = subject
    _read_known(connection, known)
    return known


def _read_known(connection: Connection, known: Acquaintance) -> None:
    """Read the ID numbers and facts of everybody who was found."""
    people = set(known.owners.values())
    ids = select(blind_index.c.subject_id, blind_index.c.version, blind_index.c.digest).where(
        blind_index.c.field == ID_NUMBER, among(connection, blind_index.c.subject_id, people)
    )
    live = known.digester.versions(ID_NUMBER)
    for subject, version, value in connection.execute(ids):
        if version in live:
            known.id_numbers.setdefault(subject, set()).add((version, value))
    facts = select(identity_fact.c.subject_id, identity_fact.c.fact, identity_fact.c.version, identity_fact.c.digest)
    for subject, fact, version, value in connection.execute(
        facts.where(among(connection, identity_fact.c.subject_id, people))
    ):
        known.facts.setdefault(subject, {})[fact] = (version, value)


def owners_of(
    connection: Connection, digests: Collection[Digest], *, limit: int | None = None
) -> list[tuple[Digest, SubjectId]]:
    """Return who is behind the digests, one line for each digest and person; of each field at most ``limit``."""
    by_version: dict[tuple[str, int], list[bytes]] = {}
    for name, version, value in digests:
        by_version.setdefault((name, version), []).append(value)
    found: list[tuple[Digest, SubjectId]] = []
    for (name, version), values in by_version.items():
        for chunk in chunks(values):
            asked = {"name": name, "version": version, "digests": chunk}
            rows = connection.execute(_OWNERS if limit is None else _OWNERS.limit(limit), asked)
            found.extend(((name, version, value), SubjectId(subject)) for value, subject in rows)
    return found


def _cut(name: str, digest: bytes) -> bytes:
    return digest[:_LOW_BYTES] if name.startswith(LOW) else digest


_LIVE: Final = (
    select(named_key, *WRAPPED_IN[1:])
    .join(epoch, epoch.c.epoch_id == named_key.c.epoch_id)
    .where(named_key.c.kind == KeyKind.INDEX.value, named_key.c.retired_at.is_(None))
    .where(named_key.c.name.in_(bindparam("names", expanding=True)))
    .order_by(named_key.c.version)
)
_OWNERS: Final = (
    select(blind_index.c.digest, blind_index.c.subject_id)
    .where(blind_index.c.field == bindparam("name"), blind_index.c.version == bindparam("version"))
    .where(blind_index.c.digest.in_(bindparam("digests", expanding=True)))
    .order_by(blind_index.c.subject_id)
)
"""Built once: a look-up would spend a third of its time on that."""
