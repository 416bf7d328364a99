"""Checks a subject's rows before an erasure believes what they say. For the modules of this package alone."""

from datetime import datetime

from sqlalchemy import select

from kernel.catalogue import Compartment
from kernel.clock import to_micros
from kernel.database import Database
from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from vault._keyring import Keyring
from vault._keys import KeyUnavailable
from vault._rows import COLUMNS, SealedRow, lost_keys, verify_header
from vault.tables import sealed_record

_WHAT_TO_DO = (
    "Nothing was destroyed by this attempt and the subject stays blocked. Restore the named row from a backup of the "
    "data store, or its key from one of the key store, then erase the subject again."
)


def verified_rows(data: Database, keyring: Keyring, subject: SubjectId, *, deployment: str) -> list[SealedRow]:
    """Return a subject's rows as of one instant, every header verified by the key that stands to be destroyed.

    Free and held rows alike: a forged end of a hold would destroy what the law holds, a forged beginning would keep
    what it does not. A row whose key an erasure has destroyed already cannot be verified; it comes back unread.

    Raises:
        IntegrityFailed: a row does not verify, or its key is missing; names record and field and says what to do.
    """
    with data.read() as connection:
        rows = list(connection.execute(select(*COLUMNS).where(sealed_record.c.subject_id == subject)).all())
    try:
        with keyring.unlocked([subject], list(Compartment)) as keys:
            destroyed = lost_keys(rows, keys, keyring)
            for row in rows:
                if row.key_id not in destroyed:
                    verify_header(row, keys, deployment)
    except (IntegrityFailed, KeyUnavailable) as err:
        raise IntegrityFailed(f"The erasure of subject {subject} stops: {err.message}", hint=_WHAT_TO_DO) from None
    return rows


def held_keys(rows: list[SealedRow], *, held_after: datetime) -> set[bytes]:
    """Return the ids of the keys that rows held beyond this instant need."""
    after = to_micros(held_after)
    return {row.key_id for row in rows if row.held_until is not None and row.held_until > after}
