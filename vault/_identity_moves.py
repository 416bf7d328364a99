"""What finds a person, when its records move or an identifier is corrected. For the modules of this package alone.

Everything here runs in one transaction of the key store and can be repeated. A link of an older release, which has no
copy of its identifier, moves as it is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, select, update

from kernel.catalogue import Compartment, Field, IndexKind
from kernel.ids import BatchId, SubjectId
from kernel.plaintext import Plaintext
from vault._history import said_values
from vault._identifiers import SEALED_IN, carry_identifiers, keys_of_identifiers, open_identifier
from vault._keyring import Keyring, keep_epoch
from vault._keys import UnlockedKeys
from vault._linking import Linking, Mention
from vault._rows import SealedRow
from vault._sealing import EVENT
from vault.blind_index import (
    FACTS,
    ID_NUMBER,
    LOW,
    MOBILE,
    ONE_PERSON,
    SOURCE_ID,
    Digester,
    Message,
    fact_messages,
    field_message,
    id_number_message,
    mobile_message,
    owners_of,
    source_id_message,
)
from vault.envelope import length_prefixed, read_key_id
from vault.identity import IdentityKeys
from vault.setwise import chunks
from vault.subjects import forget_facts
from vault.tables import blind_index, data_key, doubtful_identity, identity_fact

FOUND_BY: Final = frozenset({ID_NUMBER, MOBILE, *FACTS})
"""Fields whose values find a person, or tell it from another, whatever the pack says; see ``finding_fields``."""


@dataclass(frozen=True, slots=True, repr=False)
class Stated(Plaintext):
    """What the records of one person state.

    Attributes:
        standing: the identifiers that count.
        superseded: those that were corrected or replaced since, and no record states any more.
        facts: what is digested of the first standing birth date and sex, by fact.
        unsure: facts of which different values were said, or one was corrected.
        compartments: of the standing identifiers, by the name of their index.
    """

    standing: frozenset[Message]
    superseded: frozenset[Message]
    facts: dict[str, bytes]
    unsure: frozenset[str]
    compartments: Mapping[str, Compartment] = field(default_factory=lambda: SEALED_IN)

    def __repr__(self) -> str:
        return "Stated(redacted)"


def finding_fields(fields: Mapping[str, Field]) -> frozenset[str]:
    """Return the codes of fields whose values find a person: these, and those of the pack that have an index."""
    return FOUND_BY | {code for code, one in fields.items() if one.index is not IndexKind.NONE}


def stated_of(
    subject: SubjectId,
    rows: Sequence[SealedRow],
    keys: UnlockedKeys,
    deployment: str,
    *,
    fields: Mapping[str, Field],
) -> Stated:
    """Read what somebody's records state.

    Args:
        subject: somebody.
        rows: of its records.
        keys: that are held; a row whose key is not there states nothing.
        deployment: whose rows they are.
        fields: of the pack, of which some are indexed.

    Raises:
        IntegrityFailed: a stored byte or a column of a row's header was changed.
    """
    standing, before, facts = set[Message](), set[Message](), dict[str, bytes]()
    said = set[Message]()
    readable = [row for row in rows if row.key_id in keys]
    compartments = dict(SEALED_IN)
    for code, message, stands in _searched(readable, keys, deployment, fields):
        (standing if stands else before).add(message)
        compartments[message[0]] = fields[code].compartment
    for code, value, stands in said_values(readable, FOUND_BY, keys, deployment):
        keys_said = _as_keys(code, value)
        messages = [id_number_message(keys_said), mobile_message(keys_said)]
        (standing if stands else before).update(message for message in messages if message is not None)
        for name, content in fact_messages(subject, keys_said):
            said.add((name, content))
            if stands:
                facts.setdefault(name, content)
    unsure = frozenset(name for name in FACTS if sum(one == name for one, _ in said) > 1)
    return Stated(frozenset(standing), frozenset(before - standing), facts, unsure, compartments)


def _searched(
    rows: Sequence[SealedRow], keys: UnlockedKeys, deployment: str, fields: Mapping[str, Field]
) -> Iterator[tuple[str, Message, bool]]:
    """Yield field, what is digested and whether it stands, of values that are indexed for searching: not of events."""
    codes = finding_fields(fields) & fields.keys() - {ID_NUMBER, MOBILE}
    profiles = [row for row in rows if row.kind != EVENT]
    for code, value, stands in said_values(profiles, codes, keys, deployment):
        message = field_message(fields[code], value)
        if message is not None:
            yield code, message, stands


def restate(connection: Connection, keyring: Keyring, subject: SubjectId, stated: Stated) -> None:
    """Let a person be found by what its records state now, and by nothing that they state no more.

    What no record states stays: a source's own id, or an identifier whose field was never stored. A birth date or sex
    of which two values were said tells nobody apart until a record states one again: the source that was corrected may
    go on stating the wrong one, and its other records must not be doubted for that.

    Raises:
        Conflict: an identifier is somebody else's; the caller's transaction must end with it.
    """
    keep_epoch(connection)
    digester = Digester.make(keyring, connection, sorted({*FOUND_BY, *_names(stated.superseded)}))
    _unlink(connection, digester, subject, stated.superseded)
    forget_facts(connection, subject, stated.unsure)
    _say(connection, keyring, subject, stated.standing, {}, compartments=stated.compartments)


def merge_identity(connection: Connection, keyring: Keyring, *, origin: SubjectId, to: SubjectId) -> None:
    """Let everything that finds one subject find another; facts that the other one has already stay its own."""
    keep_epoch(connection)
    links = _rows_of(connection, blind_index, blind_index.c.field, origin)
    facts = _rows_of(connection, identity_fact, identity_fact.c.fact, origin)
    sealed = [row.sealed for row in (*links, *facts) if row.sealed is not None]
    compartments = _compartments(connection, [read_key_id(each) for each in sealed])
    with keys_of_identifiers(keyring, connection, sealed) as keys:
        mentions = {
            Mention(to, row.name, open_identifier(row, keys=keys, table=blind_index), compartments[_key_id(row)])
            for row in links
            if row.sealed is not None and _key_id(row) in keys
        }
        told = [
            Mention(to, row.name, length_prefixed(to) + _value_of(row, keys, origin), compartments[_key_id(row)])
            for row in facts
            if row.sealed is not None and _key_id(row) in keys
        ]
    _drop_links(connection, origin, to)
    connection.execute(delete(identity_fact).where(identity_fact.c.subject_id == origin))
    Linking(keyring, None).store(connection, mentions, told)
    _replace_candidate(connection, origin, to)


def hand_over_identity(
    connection: Connection, keyring: Keyring, *, origin: SubjectId, to: SubjectId, batch: BatchId | None
) -> None:
    """Let what leads to one person only lead from one subject to another: ID numbers, sources' ids, and doubts.

    What only searches and what tells people apart stays with the values that said it. Links keep no batch: what this
    call moves is not undone by forgetting what it said.

    Args:
        connection: on the key store.
        keyring: of it.
        origin, to: subjects.
        batch: that the keys bear which are made for it.
    """
    keep_epoch(connection)
    rows = [row for row in _rows_of(connection, blind_index, blind_index.c.field, origin) if row.name in ONE_PERSON]
    sealed = [row.sealed for row in rows if row.sealed is not None]
    with keys_of_identifiers(keyring, connection, sealed) as keys:
        mentions = {
            Mention(to, row.name, open_identifier(row, keys=keys, table=blind_index), SEALED_IN[row.name])
            for row in rows
            if row.sealed is not None and _key_id(row) in keys
        }
        readable = {(row.name, row.version, row.digest) for row in rows if row.sealed and _key_id(row) in keys}
    columns = blind_index.c
    mine = (columns.subject_id == origin, columns.field.in_(sorted(ONE_PERSON)))
    for name, version, value in readable:
        connection.execute(
            delete(blind_index).where(*mine, columns.field == name, columns.version == version, columns.digest == value)
        )
    connection.execute(update(blind_index).where(*mine).values(subject_id=to, sealed=None, batch_id=None))
    if mentions:
        pairs = {(to, each.compartment) for each in mentions}
        with keyring.unlocked_in(connection, pairs, batch=batch):
            pass  # makes the keys, which bear the batch; the links do not
        Linking(keyring, None).store(connection, mentions, [])
    _replace_candidate(connection, origin, to)


def split_identity(
    connection: Connection,
    keyring: Keyring,
    *,
    origin: tuple[SubjectId, Stated],
    to: tuple[SubjectId, Stated],
    links: Collection[bytes],
    leaving: Collection[bytes],
) -> None:
    """Let what the moved records and source ids say find their person, and the former subject no more.

    Args:
        connection: on the key store.
        keyring: of it.
        origin, to: subject and what its records state.
        links: digests of the source ids that move.
        leaving: keys that are to be destroyed; copies under them that stay get another.
    """
    keep_epoch(connection)
    (before, own), (after, other) = origin, to
    theirs = (other.standing | other.superseded) - own.standing
    digester = Digester.make(keyring, connection, sorted({*FOUND_BY, SOURCE_ID, *_names(theirs)}))
    moved = _taken(connection, keyring, digester, before, links)
    _move_old_links(connection, before, after, links)
    _unlink(connection, digester, before, theirs)
    found_by = {*moved, *_free(connection, digester, after, other.standing)}
    _say(connection, keyring, after, found_by, other.facts, compartments=other.compartments)
    forget_facts(connection, before, other.facts)
    shared = {message for message in own.standing if message[0].startswith(LOW)}  # two values may have one digest
    kept = {fact: own.facts[fact] for fact in other.facts if fact in own.facts}
    _say(connection, keyring, before, shared, kept, compartments=own.compartments)
    carry_identifiers(connection, keyring, before, leaving=leaving)


def move_source_id(
    connection: Connection, keyring: Keyring, digest: bytes, *, origin: SubjectId, to: SubjectId | None
) -> None:
    """Let one source's id of a person lead to another subject, or to nobody."""
    digester = Digester.make(keyring, connection, [SOURCE_ID])
    moved = _taken(connection, keyring, digester, origin, [digest])
    if to is None:
        columns = blind_index.c
        connection.execute(delete(blind_index).where(columns.field == SOURCE_ID, columns.digest == digest))
        return
    _move_old_links(connection, origin, to, [digest])
    _say(connection, keyring, to, moved, {})


def source_digests(connection: Connection, keyring: Keyring, source_ids: Iterable[tuple[str, str]]) -> list[bytes]:
    """Return the digests under which sources' own ids of persons are found."""
    digester = Digester.load(keyring, connection, [SOURCE_ID])
    messages = [source_id_message(IdentityKeys(source, name)) for source, name in source_ids]
    return [value for one in messages if one is not None for _, _, value in digester.digests(one)]


def _as_keys(code: str, value: object) -> IdentityKeys:
    """Return one value in the shape in which a record states who it is about."""
    text = value if isinstance(value, str) else None
    if code == "birth_date":
        return IdentityKeys("", birth_date=None if text is None else date.fromisoformat(text))
    return IdentityKeys(
        "",
        id_number=text if code == ID_NUMBER else None,
        sex=text if code == "sex" else None,
        mobile=text if code == MOBILE else None,
    )


def _say(
    connection: Connection,
    keyring: Keyring,
    subject: SubjectId,
    identifiers: Iterable[Message],
    facts: dict[str, bytes],
    *,
    compartments: Mapping[str, Compartment] = SEALED_IN,
) -> None:
    """Store links and facts; a fact takes the place of the one before it."""
    forget_facts(connection, subject, facts)
    links = {Mention(subject, name, content, compartments[name]) for name, content in identifiers}
    told = [Mention(subject, name, content, SEALED_IN[name]) for name, content in facts.items()]
    if links or told:
        Linking(keyring, None).store(connection, links, told)


def _free(
    connection: Connection, digester: Digester, subject: SubjectId, identifiers: Iterable[Message]
) -> set[Message]:
    """Return those identifiers that nobody else is found by; two people's mobile may be the same."""
    taken = set()
    for message in identifiers:
        owners = {owner for _, owner in owners_of(connection, digester.digests(message))}
        if message[0] in ONE_PERSON and owners - {subject}:
            taken.add(message)
    return set(identifiers) - taken


def _names(messages: Iterable[Message]) -> set[str]:
    return {name for name, _ in messages}


def _unlink(connection: Connection, digester: Digester, subject: SubjectId, identifiers: Iterable[Message]) -> None:
    columns = blind_index.c
    for message in identifiers:
        for name, version, value in digester.digests(message):
            mine = (columns.subject_id == subject, columns.field == name)
            connection.execute(delete(blind_index).where(*mine, columns.version == version, columns.digest == value))


def _taken(
    connection: Connection, keyring: Keyring, digester: Digester, subject: SubjectId, links: Collection[bytes]
) -> set[Message]:
    """Take away a subject's source ids that move, under every version, and return them."""
    rows = [
        row
        for row in _rows_of(connection, blind_index, blind_index.c.field, subject)
        if row.name == SOURCE_ID and row.digest in links and row.sealed is not None
    ]
    with keys_of_identifiers(keyring, connection, [row.sealed for row in rows]) as keys:
        moved = {(row.name, open_identifier(row, keys=keys, table=blind_index)) for row in rows if _key_id(row) in keys}
    _unlink(connection, digester, subject, moved)
    return moved


def _rows_of(connection: Connection, table: Any, name: Any, subject: SubjectId) -> Sequence[Row[Any]]:  # noqa: ANN401 - a table and its column
    return connection.execute(select(table, name.label("name")).where(table.c.subject_id == subject)).all()


def _key_id(row: Row[Any]) -> bytes:
    return read_key_id(row.sealed)


def _value_of(row: Row[Any], keys: UnlockedKeys, subject: SubjectId) -> bytes:
    """Return a fact's value with its length, without the subject that it is bound to."""
    return open_identifier(row, keys=keys, table=identity_fact).removeprefix(length_prefixed(subject))


def _compartments(connection: Connection, key_ids: Collection[bytes]) -> dict[bytes, Compartment]:
    query = select(data_key.c.key_id, data_key.c.compartment)
    rows = (row for some in chunks(key_ids) for row in connection.execute(query.where(data_key.c.key_id.in_(some))))
    return {key_id: Compartment(name) for key_id, name in rows}


def _drop_links(connection: Connection, origin: SubjectId, to: SubjectId) -> None:
    """Delete links that have a copy, and move the others; one that both have stays where it is."""
    other = blind_index.alias()
    columns = ("field", "version", "digest")
    both = exists().where(other.c.subject_id == to, *(other.c[name] == blind_index.c[name] for name in columns))
    mine = blind_index.c.subject_id == origin
    connection.execute(delete(blind_index).where(mine, blind_index.c.sealed.is_not(None)))
    connection.execute(delete(blind_index).where(mine, both))
    connection.execute(update(blind_index).where(mine).values(subject_id=to, batch_id=None))


def _move_old_links(connection: Connection, origin: SubjectId, to: SubjectId, links: Collection[bytes]) -> None:
    """Move source ids of an older release, which have no copy."""
    columns = blind_index.c
    for some in chunks(links):
        connection.execute(
            update(blind_index)
            .where(columns.subject_id == origin, columns.field == SOURCE_ID, columns.digest.in_(some))
            .where(columns.sealed.is_(None))
            .values(subject_id=to, batch_id=None)
        )


def _replace_candidate(connection: Connection, origin: SubjectId, to: SubjectId) -> None:
    """Let doubts name who goes on; one that was between these two is settled."""
    table = doubtful_identity
    for row in connection.execute(select(table).where(table.c.candidates.contains(origin))).all():
        before = row.candidates.split()
        named = sorted({to if one == origin else one for one in before})
        mine = table.c.doubt_id == row.doubt_id
        if named == [to] and len(before) > 1:
            connection.execute(delete(table).where(mine))
        else:
            connection.execute(update(table).where(mine).values(candidates=" ".join(named)))
