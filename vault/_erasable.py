"""Checks a subject's rows before an erasure believes what they say. For the modules of this package alone."""

from collections.abc import Sequence

from sqlalchemy import Connection

from kernel.catalogue import Compartment
from kernel.database import Database
from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from vault._keyring import Keyring
from vault._keys import KeyUnavailable, UnlockedKeys
from vault._rows import SealedRow, lost_keys, rows_where, verify_header

_WHAT_TO_DO = (
    "Nothing was destroyed by this attempt. Restore the named row from a backup of the data store, or its key from one "
    "of the key store, then erase again; a subject that is to be erased as a whole stays blocked."
)


def rows_of(connection: Connection, subject: SubjectId) -> list[SealedRow]:
    """Return all of a subject's rows, of records and of attachments, those of open batches as well."""
    return rows_where(connection, lambda table: table.c.subject_id == subject)


def verified_rows(data: Database, keyring: Keyring, subject: SubjectId, *, deployment: str) -> list[SealedRow]:
    """Return a subject's rows as of one instant, every header verified by the key that stands to be destroyed.

    Raises:
        IntegrityFailed: see ``verify_rows``.
    """
    with data.read() as connection:
        rows = rows_of(connection, subject)
    with keyring.unlocked([subject], list(Compartment)) as keys:
        verify_rows(rows, keys, keyring, subject=subject, deployment=deployment)
    return rows


def verify_rows(
    rows: Sequence[SealedRow], keys: UnlockedKeys, keyring: Keyring, *, subject: SubjectId, deployment: str
) -> list[SealedRow]:
    """Verify the header of every row of a subject, and return those whose key is there.

    Free and held rows alike: a forged end of a hold would destroy what the law holds, a forged beginning would keep
    what it does not. A row whose key an erasure has destroyed already cannot be verified; it is left unread.

    Raises:
        IntegrityFailed: a row does not verify, or its key is missing; names record and field and says what to do.
    """
    try:
        destroyed = lost_keys(rows, keys, keyring)
        readable = [row for row in rows if row.key_id not in destroyed]
        for row in readable:
            verify_header(row, keys, deployment)
    except (IntegrityFailed, KeyUnavailable) as err:
        raise IntegrityFailed(f"The erasure of subject {subject} stops: {err.message}", hint=_WHAT_TO_DO) from None
    return readable
