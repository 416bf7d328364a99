"""Doubtful identities: a person says about whom a source's record is, and the next one like it is no doubt."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import SubjectId
from vault._identity_moves import move_source_id
from vault._keyring import Keyring, keep_epoch, keyring_of
from vault.blind_index import FACTS, ID_NUMBER, SOURCE_ID, Digester
from vault.identity import Rule
from vault.keystore import KeyStore
from vault.setwise import insert_absent
from vault.subjects import forget_facts
from vault.tables import blind_index, doubtful_identity


@dataclass(frozen=True, slots=True)
class SettledDoubt:
    """A doubt that somebody has decided.

    Attributes:
        subject: about whom the records are; None for a person whom nobody knew.
        was: whom the source's id led to before, or None.
    """

    doubt_id: str
    source: str
    rule: Rule
    subject: SubjectId | None
    was: SubjectId | None


def settle_doubt(keystore: KeyStore, doubt_id: str, subject: SubjectId | None) -> SettledDoubt:
    """Let the id by which a source calls somebody lead to one of the candidates, or to a new person.

    A candidate is told apart by its birth date and sex no more, until a record states them again. The records that
    raised the doubt were not stored: their source sends them again.

    Args:
        keystore: where doubts are listed.
        doubt_id: which one.
        subject: a candidate; None for a person of its own.

    Raises:
        NotFound: the doubt is not on the list, or was settled.
        BadInput: the subject is no candidate.
        Conflict: the record's ID number leads to somebody else than the subject, and goes on doing so until it is
            corrected or the two are merged.
    """
    with keystore.database.write() as connection:
        keep_epoch(connection)
        doubt = _get(connection, doubt_id)
        rule = Rule(doubt.rule)
        if subject is not None and subject not in doubt.candidates.split():
            raise BadInput(f"Subject {subject} is no candidate of {doubt_id}", hint="Merge the two, if they are one.")
        if subject is None and rule in (Rule.ID_NUMBER_CONTRADICTED, Rule.TWO_PEOPLE):
            raise Conflict(
                "The record states the ID number of a candidate",
                hint="Correct that ID number, in the record or at the source, then send the record again.",
            )
        was = _leads_to(connection, doubt)
        if rule is Rule.TWO_PEOPLE and subject == was:
            raise Conflict(
                f"The record states the ID number of another subject than {subject}",
                hint="Merge the two, or correct the ID number, then send the record again.",
            )
        _lead(connection, keyring_of(keystore), doubt, was=was, subject=subject)
        if subject is not None:
            forget_facts(connection, subject, FACTS)
        connection.execute(delete(doubtful_identity).where(doubtful_identity.c.doubt_id == doubt_id))
    return SettledDoubt(doubt_id, doubt.source, rule, subject, was)


def _get(connection: Connection, doubt_id: str) -> Row[Any]:
    row = connection.execute(select(doubtful_identity).where(doubtful_identity.c.doubt_id == doubt_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no doubt {doubt_id}", hint="`consentry subject doubts` lists them.")
    columns = blind_index.c
    by_number = select(columns.subject_id).where(columns.field == ID_NUMBER, columns.digest == row.digest)
    if connection.scalar(by_number.limit(1)) is not None:
        raise Conflict(f"{doubt_id} names no id of a source", hint="Correct the ID number, or merge the candidates.")
    return row


def _leads_to(connection: Connection, doubt: Row[Any]) -> SubjectId | None:
    columns = blind_index.c
    query = select(columns.subject_id).where(columns.field == SOURCE_ID, columns.digest == doubt.digest)
    found = connection.scalar(query.limit(1))
    return None if found is None else SubjectId(found)


def _lead(
    connection: Connection, keyring: Keyring, doubt: Row[Any], *, was: SubjectId | None, subject: SubjectId | None
) -> None:
    """Let the source's id lead to somebody; without a copy of the id where nobody has it, until the next record."""
    if was is not None:
        move_source_id(connection, keyring, doubt.digest, origin=was, to=subject)
    elif subject is not None:
        row = {
            "field": SOURCE_ID,
            "version": Digester.make(keyring, connection, [SOURCE_ID]).newest(SOURCE_ID),
            "digest": doubt.digest,
            "subject_id": subject,
            "batch_id": None,
            "linked_at": keyring.clock.now(),
        }
        insert_absent(connection, blind_index, [row])
