"""Looks at rows of a restored store without giving anything away: does each still verify under its key?"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from kernel.catalogue import Compartment
from kernel.database import Database
from kernel.ids import SubjectId
from vault._keyring import keyring_of
from vault._keys import UnlockedKeys
from vault._rows import COLUMNS, SealedRow, verify_header
from vault.keystore import KeyStore
from vault.setwise import chunks
from vault.tables import sealed_record

_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Sampled:
    """What became of a sample of rows.

    Attributes:
        checked: whose first value opened, and was dropped.
        erased: whose key an erasure has destroyed.
        without_key: whose key is missing; more than none means that the key store is older than the rows.
    """

    checked: int = 0
    erased: int = 0
    without_key: int = 0


def check_sample(data: Database, keystore: KeyStore, *, deployment: str, rows: int) -> Sampled:
    """Verify so many rows of records, picked at random, or all where there are fewer.

    Raises:
        IntegrityFailed: a row was changed.
    """
    with data.read() as connection:
        picked = _pick(connection, rows)
    keyring = keyring_of(keystore)
    checked = erased = without_key = 0
    for some in chunks(picked, _AT_ONCE):
        with keyring.unlocked({SubjectId(row.subject_id) for row in some}, list(Compartment)) as keys:
            readable = [row for row in some if row.key_id in keys]
            _verify(readable, keys, deployment)
        lost = [row.key_id for row in some if row.key_id not in {one.key_id for one in readable}]
        destroyed = keyring.destroyed_among(set(lost))
        checked += len(readable)
        erased += sum(key_id in destroyed for key_id in lost)
        without_key += sum(key_id not in destroyed for key_id in lost)
    return Sampled(checked, erased, without_key)


def _verify(rows: Sequence[SealedRow], keys: UnlockedKeys, deployment: str) -> None:
    for row in rows:
        verify_header(row, keys, deployment)


def _pick(connection: Connection, rows: int) -> list[SealedRow]:
    """Return rows at random places; by their numbers, so that a large store is not read through."""
    number = sealed_record.c.row_no
    count, least, greatest = connection.execute(select(func.count(), func.min(number), func.max(number))).one()
    query = select(*COLUMNS).order_by(number)
    if count <= rows:
        return list(connection.execute(query).all())
    places = random.SystemRandom().sample(range(least, greatest + 1), rows)
    found = (connection.execute(query.where(number >= place).limit(1)).one() for place in places)
    return list({row.row_no: row for row in found}.values())
