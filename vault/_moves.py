"""Seals rows anew for another subject, whom their headers name from then on. For the modules of this package alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from kernel.catalogue import Compartment
from kernel.ids import SubjectId
from vault._blinding import Blinding, reblind
from vault._keys import UnlockedKeys
from vault._resealing import Resealed, open_values, put_resealed
from vault._rows import SealedRow, binding_of, delete_rows, header_of
from vault.envelope import of_row, seal_many
from vault.payload import pack
from vault.tables import SEALED_TABLES


@dataclass(slots=True)
class Moved:
    """What one move did.

    Attributes:
        key_ids: the keys that the rows left.
        doubled: rows that the other subject had already, value for value; they are gone.
    """

    rows: int = 0
    values: int = 0
    doubled: int = 0
    key_ids: set[bytes] = field(default_factory=set)

    def as_counts(self) -> dict[str, int]:
        """Return the numbers for an entry."""
        return {"rows": self.rows, "values": self.values, "doubled": self.doubled}


def move_rows(
    connection: Connection,
    rows: Sequence[SealedRow],
    keys: UnlockedKeys,
    blinding: Blinding,
    *,
    to: SubjectId,
    deployment: str,
) -> Moved:
    """Seal rows under the keys of another subject, in the caller's transaction, with both subjects locked.

    Record ids and record keys stay: what a source sends again is found by the former subject's, too.

    Raises:
        KeyUnavailable: a key is missing, or was not made.
        IntegrityFailed: a stored byte or a column of a row's header was changed; nothing was moved.
    """
    contents = _contents_of(connection, rows, blinding)
    known = {(key, content) for _, key, content in _contents(connection, to, blinding)}
    moved, changes = Moved(key_ids={row.key_id for row in rows}), []
    doubled = [row.row_no for row in rows if (row.record_key, contents[row.row_no]) in known]
    for row in rows:
        if row.row_no not in doubled:
            change, values = _moved(row, keys, to, deployment)
            changes.append(change)
            moved.values += values
    moved.rows, moved.doubled = len(changes), delete_rows(connection, doubled)
    put_resealed(connection, changes, subject_id=to)
    if changes:
        reblind(connection, to, blinding)
    return moved


def _moved(row: SealedRow, keys: UnlockedKeys, to: SubjectId, deployment: str) -> tuple[Resealed, int]:
    """Return the new columns of a row, and how many values it holds."""
    key = keys.sealing((to, Compartment(row.compartment)))
    holder = of_row(deployment, header_of(row)._replace(subject_id=to))
    values = open_values(row, keys, deployment)
    sealed = seal_many((key, binding_of(row, holder, code), plaintext) for code, plaintext in values.items())
    payload = pack(dict(zip(values, sealed, strict=True)))
    return Resealed(row.row_no, key.key_id, payload), len(values)


def _contents_of(connection: Connection, rows: Sequence[SealedRow], blinding: Blinding) -> dict[int, bytes]:
    """Return the digest of each row's whole content, by row number."""
    subjects = sorted({row.subject_id for row in rows})
    return {row_no: content for subject in subjects for row_no, _, content in _contents(connection, subject, blinding)}


def _contents(connection: Connection, subject: str, blinding: Blinding) -> Iterator[tuple[int, str, bytes]]:
    """Yield number, record key and digest of a subject's rows; one whose key is gone as it is stored."""
    for table in SEALED_TABLES:
        columns = table.c
        query = select(columns.row_no, columns.record_key, columns.content_key, columns.blinding_id)
        for number, key, stored, by in connection.execute(query.where(columns.subject_id == subject)):
            digest = None if stored is None else blinding.digest(stored, by)
            yield number, key, digest or stored
