"""What finds a person, when its records move or an identifier is corrected. For the modules of this package alone.

Everything here runs in one transaction of the key store and can be repeated.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import Connection, delete, exists, select, update

from kernel.ids import SubjectId
from vault._history import said_values
from vault._keyring import FIRST_VERSION, Keyring
from vault._keys import UnlockedKeys
from vault._rows import SealedRow
from vault.blind_index import FACTS, ID_NUMBER, MOBILE, SOURCE_ID, Digest, Digester, owners_of
from vault.identity import IdentityKeys
from vault.setwise import insert_absent
from vault.tables import blind_index, doubtful_identity, identity_fact

FOUND_BY: Final = frozenset({ID_NUMBER, MOBILE, *FACTS})
"""Fields whose values find a person, or tell it from another."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What the records of one person state, as digests.

    Attributes:
        standing: of the values that count.
        superseded: of those that were corrected or replaced since, and no record says any more.
        facts: the first standing birth date and sex.
    """

    standing: frozenset[Digest]
    superseded: frozenset[Digest]
    facts: Mapping[str, bytes]


def stated_of(
    digester: Digester, subject: SubjectId, rows: Sequence[SealedRow], keys: UnlockedKeys, deployment: str
) -> Stated:
    """Read what somebody's records state; the values stay here.

    Raises:
        IntegrityFailed: a stored byte or a column of a row's header was changed.
    """
    standing, before, facts = set[Digest](), set[Digest](), dict[str, bytes]()
    readable = [row for row in rows if row.key_id in keys]
    for code, value, stands in said_values(readable, FOUND_BY, keys, deployment):
        if not isinstance(value, str):
            continue
        if code in FACTS:
            if stands and code not in facts:
                facts[code] = digester.facts(subject, _fact(code, value)).get(code, b"")
        else:
            is_number = code == ID_NUMBER
            digest = (
                digester.id_number(IdentityKeys("", id_number=value))
                if is_number
                else digester.mobile(IdentityKeys("", mobile=value))
            )
            (standing if stands else before).update([digest] if digest is not None else [])
    facts = {fact: digest for fact, digest in facts.items() if digest}
    return Stated(frozenset(standing), frozenset(before - standing), facts)


def restate(connection: Connection, keyring: Keyring, subject: SubjectId, stated: Stated) -> None:
    """Let a person be found by what its records state now, and by nothing that they state no more.

    What no record states stays: a source's own id, or an identifier whose field was never stored.
    """
    for field, digest in stated.superseded:
        _unlink(connection, subject, field, digest)
    _link(connection, keyring, subject, stated.standing)
    _set_facts(connection, subject, stated.facts)


def move_identity(
    connection: Connection,
    keyring: Keyring,
    keys: UnlockedKeys,
    rows: Mapping[SubjectId, Sequence[SealedRow]],
    *,
    pair: tuple[SubjectId, SubjectId],
    links: Collection[bytes] | None,
    deployment: str,
) -> None:
    """Move what finds a person along with its records, which have moved already.

    Args:
        connection: on the key store.
        keyring: of it.
        keys: of both.
        rows: of both, as they are now.
        pair: from whom, and to whom.
        links: digests of the source ids that move; None for everything.
        deployment: for reading what the records state.
    """
    origin, to = pair
    digester = Digester(keyring)
    said = {subject: stated_of(digester, subject, rows[subject], keys, deployment) for subject in pair}
    if links is None:
        _move_links(connection, origin, to)
        connection.execute(delete(identity_fact).where(identity_fact.c.subject_id == origin))
        _replace_candidate(connection, origin, to)
        query = select(identity_fact.c.fact).where(identity_fact.c.subject_id == to)
        known = set(connection.execute(query).scalars())
        facts = {fact: digest for fact, digest in said[to].facts.items() if fact not in known}
        _set_facts(connection, to, facts)
        return
    for digest in links:
        _move_link(connection, origin, to, SOURCE_ID, digest)
    for field, digest in said[to].standing - said[origin].standing:
        _unlink(connection, origin, field, digest)
    _link(connection, keyring, to, said[to].standing)
    _set_facts(connection, to, said[to].facts)
    taken = {fact: said[origin].facts.get(fact) for fact in said[to].facts}
    gone = [fact for fact, digest in taken.items() if digest is None]
    mine = (identity_fact.c.subject_id == origin, identity_fact.c.fact.in_(gone))
    connection.execute(delete(identity_fact).where(*mine))
    _set_facts(connection, origin, {fact: digest for fact, digest in taken.items() if digest is not None})


def source_digests(keyring: Keyring, source_ids: Sequence[tuple[str, str]]) -> list[bytes]:
    """Return the digests under which sources' own ids of persons are found."""
    digester = Digester(keyring)
    found = [digester.source_id(IdentityKeys(source, name)) for source, name in source_ids]
    return [digest[1] for digest in found if digest is not None]


def _fact(code: str, value: str) -> IdentityKeys:
    return IdentityKeys("", sex=value) if code == "sex" else IdentityKeys("", birth_date=date.fromisoformat(value))


def _link(connection: Connection, keyring: Keyring, subject: SubjectId, digests: Collection[Digest]) -> None:
    """Link identifiers that nobody else has; what belongs to another person stays with it."""
    taken = {digest for digest, owner in owners_of(connection, digests) if digest[0] != MOBILE and owner != subject}
    rows = [
        {
            "field": field,
            "version": FIRST_VERSION,
            "digest": value,
            "subject_id": subject,
            "batch_id": None,
            "linked_at": keyring.clock.now(),
        }
        for field, value in sorted(set(digests) - taken)
    ]
    insert_absent(connection, blind_index, rows)


def _unlink(connection: Connection, subject: SubjectId, field: str, digest: bytes) -> None:
    connection.execute(
        delete(blind_index).where(
            blind_index.c.subject_id == subject, blind_index.c.field == field, blind_index.c.digest == digest
        )
    )


def _move_link(connection: Connection, origin: SubjectId, to: SubjectId, field: str, digest: bytes) -> None:
    connection.execute(
        update(blind_index)
        .where(blind_index.c.subject_id == origin, blind_index.c.field == field, blind_index.c.digest == digest)
        .values(subject_id=to, batch_id=None)
    )


def _move_links(connection: Connection, origin: SubjectId, to: SubjectId) -> None:
    """Move every link; one that both have, such as a family's mobile, stays where it is."""
    other = blind_index.alias()
    columns = ("field", "version", "digest")
    both = exists().where(other.c.subject_id == to, *(other.c[name] == blind_index.c[name] for name in columns))
    connection.execute(delete(blind_index).where(blind_index.c.subject_id == origin, both))
    connection.execute(
        update(blind_index).where(blind_index.c.subject_id == origin).values(subject_id=to, batch_id=None)
    )


def _set_facts(connection: Connection, subject: SubjectId, facts: Mapping[str, bytes]) -> None:
    mine = (identity_fact.c.subject_id == subject, identity_fact.c.fact.in_(sorted(facts)))
    connection.execute(delete(identity_fact).where(*mine))
    rows = [{"subject_id": subject, "fact": fact, "digest": digest} for fact, digest in facts.items()]
    insert_absent(connection, identity_fact, rows)


def _replace_candidate(connection: Connection, origin: SubjectId, to: SubjectId) -> None:
    """Let doubts name who goes on; one that names nobody else any more is settled."""
    table = doubtful_identity
    for row in connection.execute(select(table).where(table.c.candidates.contains(origin))).all():
        named = sorted({to if one == origin else one for one in row.candidates.split()})
        mine = table.c.doubt_id == row.doubt_id
        if named == [to] and len(row.candidates.split()) > 1:
            connection.execute(delete(table).where(mine))
        else:
            connection.execute(update(table).where(mine).values(candidates=" ".join(named)))
