"""Leftovers: what an erasure leaves of a subject, and what reaches the key store just afterwards and goes again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, Exists, delete, select

from consent.standing import Standing, find_standings
from kernel.database import Database
from kernel.ids import SubjectId
from vault.keystore import KeyStore
from vault.setwise import among
from vault.tables import blind_index, data_key, erasure, identity_fact, pseudonym, returned

ERASED: Final = "erased"
"""State of an erasure that left nothing."""


def is_leftover(connection: Connection, subject: SubjectId) -> bool:
    """Say whether a whole erasure of a subject has begun: what is there it has yet to take, or the law holds."""
    return bool(find_leftovers(connection, [subject]))


def find_leftovers(connection: Connection, subjects: Collection[SubjectId]) -> set[SubjectId]:
    """Return those of some subjects of whom a whole erasure has begun; see ``is_leftover``."""
    query = select(erasure.c.subject_id).where(erasure.c.fields.is_(None))
    return set(connection.scalars(query.where(among(connection, erasure.c.subject_id, subjects))))


@dataclass(frozen=True, slots=True)
class Leftover:
    """What the law holds of somebody whose erasure is done.

    Attributes:
        erasure_id: of the latest erasure.
        begun_at: when that began.
    """

    erasure_id: str
    begun_at: datetime


def find_restricted(connection: Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, Leftover]:
    """Return those of some subjects of whom an erasure left only what is held, and who may come back.

    Not the deceased, who do not come back, and not who goes on as another subject.
    """
    query = select(erasure.c.subject_id, erasure.c.erasure_id, erasure.c.started_at).where(erasure.c.fields.is_(None))
    rows = connection.execute(
        query.where(among(connection, erasure.c.subject_id, subjects)).order_by(erasure.c.started_at)
    ).all()
    if not rows:
        return {}
    latest = {SubjectId(row.subject_id): Leftover(row.erasure_id, row.started_at) for row in rows}
    standings = find_standings(connection, latest)
    return {
        subject: left
        for subject, left in latest.items()
        if (one := standings.get(subject)) is not None
        and (one.state, one.deceased, one.merged_into) == (Standing.RESTRICTED, False, None)
    }


def sweep_erased(data: Database, keystore: KeyStore) -> int:
    """Delete what the key store holds of erased subjects, and return how many rows that were.

    An ingestion or a view that had found a subject just before its erasure may bring a link, a pseudonym or an unused
    key after it. Nothing is ever stored or opened by them; the start-up and the end of an epoch remove them.
    """
    with data.read() as connection:
        query = select(erasure.c.subject_id).where(erasure.c.state == ERASED, erasure.c.fields.is_(None))
        subjects = connection.execute(query).scalars().all()
    columns = [table.c.subject_id for table in (blind_index, identity_fact, pseudonym, data_key, returned)]
    columns.append(returned.c.from_subject)
    with keystore.database.read() as connection:
        left = [column for column in columns if connection.scalar(select(_any(connection, column, subjects)))]
    if not left:
        return 0
    with keystore.database.write() as connection:
        return sum(
            connection.execute(delete(column.table).where(among(connection, column, subjects))).rowcount
            for column in left
        )


def _any(connection: Connection, column: Column[str], subjects: Sequence[str]) -> Exists:
    return select(column).where(among(connection, column, subjects)).exists()
