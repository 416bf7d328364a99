"""What finds people by values whose keys are destroyed once more goes again. For the modules of this package alone.

An older key store does not know why keys went. The data store's rows of erasures and sweeps tell which fields went with
them; where nothing does, what the keys had sealed tells it.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, select

from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from vault._erasable import rows_of
from vault._expired import Swept
from vault._field_plan import stored_fields
from vault._identifiers import names_under
from vault._rows import SealedRow
from vault.blind_index import IDENTIFIERS, LOW, indexes_of
from vault.leftovers import ERASED
from vault.pseudonyms import forget_pseudonyms
from vault.setwise import chunks
from vault.subjects import forget_fields, forget_subject, forget_unheld
from vault.tables import erasure, rotation, sweep


class Cause(NamedTuple):
    """Why keys were destroyed.

    Attributes:
        fields: of which something went; None for all of a subject.
        is_over: nothing of the subject is held.
        is_swept: the fields went of many, and of one subject only those that its keys had sealed.
    """

    fields: frozenset[str] | None
    is_over: bool = False
    is_swept: bool = False


def causes_of(connection: Connection, ids: Collection[str]) -> dict[str, Cause]:
    """Return by id what the data store knows of erasures and sweeps."""
    found: dict[str, Cause] = {}
    for some in chunks(ids):
        erasures = select(erasure.c.erasure_id, erasure.c.state, erasure.c.fields)
        for row in connection.execute(erasures.where(erasure.c.erasure_id.in_(some))):
            fields = None if row.fields is None else frozenset[str](json.loads(row.fields))
            found[row.erasure_id] = Cause(fields, is_over=row.state == ERASED)
        sweeps = select(sweep.c.sweep_id, sweep.c.counts).where(sweep.c.sweep_id.in_(some))
        for sweep_id, counts in connection.execute(sweeps):
            found[sweep_id] = Cause(frozenset(Swept.of(counts).fields), is_swept=True)
    return found


def living_fields(connection: Connection, subject: SubjectId, destroyed: Collection[bytes]) -> frozenset[str]:
    """Return the fields of which something is stored under a key that is not destroyed."""
    return codes_of(row for row in rows_of(connection, subject) if row.key_id not in destroyed)


def codes_of(rows: Iterable[SealedRow]) -> frozenset[str]:
    """Return the codes of all values; of a row whose payload is broken, nothing, since nobody can open it."""
    codes = set[str]()
    for row in rows:
        with suppress(IntegrityFailed):
            codes |= stored_fields([row])
    return frozenset(codes)


def forget_again(
    connection: Connection, subject: SubjectId, cause: Cause | None, key_ids: Collection[bytes], stored: Collection[str]
) -> None:
    """Delete what found a subject by what went, in the caller's transaction on the key store.

    Args:
        connection: on the key store.
        subject: whose keys they were.
        cause: as far as it is known.
        key_ids: the keys; only what they sealed tells what went, unless an erasure does.
        stored: fields of which something is left.
    """
    if cause is not None and cause.fields is None:
        if cause.is_over:
            forget_subject(connection, subject)
        else:
            forget_unheld(connection, subject, stored)
        forget_pseudonyms(connection, subject)
    elif cause is not None and not cause.is_swept:
        forget_fields(connection, subject, cause.fields or (), stored)
    else:
        sealed = {name.removeprefix(LOW) for name in names_under(connection, subject, key_ids)} - {*stored}
        if cause is None:
            _forget_searched(connection, subject, sealed)
        else:
            forget_fields(connection, subject, sealed & (cause.fields or frozenset()), stored)


def forget_rows(
    connection: Connection, subject: SubjectId, causes: Mapping[str, Collection[SealedRow]], stored: Collection[str]
) -> None:
    """Delete what found a subject by the values of rows that go, in the caller's transaction on the key store.

    Args:
        connection: on the key store.
        subject: whose rows they are.
        causes: the rows by the id under which the tombstones of their keys stand.
        stored: fields of which something is left.
    """
    rotations = select(rotation.c.rotation_id).where(rotation.c.rotation_id.in_(sorted(causes)))
    rotated = set(connection.scalars(rotations))
    for cause, rows in causes.items():
        gone = codes_of(rows) - {*stored}
        if cause in rotated:  # the data is missing, and was not erased: whom it was about can still be told
            _forget_searched(connection, subject, gone)
        else:
            forget_fields(connection, subject, gone, stored)


def _forget_searched(connection: Connection, subject: SubjectId, gone: Collection[str]) -> None:
    """Delete what was stored for searching; what resolves a person may have been said by nobody's record."""
    forget_subject(connection, subject, fields={*indexes_of(gone)} - {*IDENTIFIERS})
