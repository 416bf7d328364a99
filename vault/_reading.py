"""Reads rows together with the keys that open them. For the modules of this package alone: it hands out keys."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from kernel.catalogue import Catalogue, Compartment
from kernel.database import Database
from kernel.ids import SubjectId
from vault._keyring import Keyring
from vault._keys import UnlockedKeys, WrappedKeys
from vault._opening import readable_rows, visible_rows
from vault._rows import SealedRow

_T = TypeVar("_T")

Use = Callable[[SubjectId, list[SealedRow], UnlockedKeys], _T]
"""Makes something of one subject's rows, while its keys are held."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Both stores of one deployment, to be read."""

    data: Database
    keyring: Keyring
    catalogue: Catalogue
    deployment: str

    def some(
        self,
        subjects: Sequence[SubjectId],
        fields: Collection[str],
        kinds: Collection[str] | None,
        now: datetime,
        use: Use[_T],
        *,
        with_batch: bool = False,
        first: dict[SubjectId, list[SealedRow]] | None = None,
    ) -> dict[SubjectId, _T]:
        """Return what ``use`` makes of each subject's readable rows, with its keys of their compartments.

        ``first`` are the rows where the caller has read them already, in the transaction of its receipt.
        """
        compartments: set[Compartment] = {self.catalogue.get_field(code).compartment for code in fields}
        lost: set[int] | None = None
        while True:
            rows, first = first, None
            if rows is None:
                with self.data.read() as connection:
                    rows = visible_rows(
                        connection, subjects, compartments=compartments, kinds=kinds, now=now, with_batch=with_batch
                    )
            with self.keyring.wrapped(subjects, compartments) as wrapped:
                readable = readable_rows(rows, wrapped, self.keyring)
                before, lost = lost, _unread(rows, readable)
                if lost and lost != before:
                    continue  # other fields were erased since the rows were read, and what stays has new keys by now
                return {subject: _used(subject, readable.get(subject, []), wrapped, use) for subject in subjects}


def _used(subject: SubjectId, rows: list[SealedRow], wrapped: WrappedKeys, use: Use[_T]) -> _T:
    """Return what is made of one subject's rows, with its keys alone in clear."""
    keys = UnlockedKeys()
    try:
        if rows:
            wrapped.unlock(subject, keys)
        return use(subject, rows, keys)
    finally:
        keys.drop()


def _unread(
    rows: Mapping[SubjectId, Sequence[SealedRow]], readable: Mapping[SubjectId, Sequence[SealedRow]]
) -> set[int]:
    """Return the numbers of the rows that cannot be read."""
    missing = [subject for subject, own in rows.items() if len(readable[subject]) < len(own)]
    return {row.row_no for subject in missing for row in set(rows[subject]).difference(readable[subject])}
