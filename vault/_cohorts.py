"""A part of a cohort, from its rows to one Arrow batch. For the modules of this package alone: it returns plaintext."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from consent.permits import Permit
from kernel.ids import SubjectId
from vault._keys import UnlockedKeys
from vault._opened_columns import OpenedColumns, OpenedRows
from vault._opening import Settling, open_plaintexts
from vault._reading import Reading
from vault._rows import SealedRow
from vault.setwise import chunks

if TYPE_CHECKING:
    import pyarrow as pa

SUBJECTS_AT_ONCE: Final = 500
"""Subjects of a cohort whose keys and values are in memory together."""


@dataclass(frozen=True, slots=True)
class CohortPart:
    """Some subjects of a permit whose receipt was redeemed; names nothing that is secret.

    Attributes:
        fields: which are asked for.
        narrowed: the smaller sets of those subjects for whom not all of them are permitted.
        kinds: only records of these; None for all.
        current_until: see ``Vault.open_cohort``.
    """

    subjects: tuple[SubjectId, ...]
    fields: frozenset[str]
    narrowed: Mapping[SubjectId, frozenset[str]]
    kinds: frozenset[str] | None
    current_until: datetime | None


def parts_of(
    permit: Permit, fields: frozenset[str], kinds: Collection[str] | None, current_until: datetime | None
) -> Iterator[CohortPart]:
    """Cut a permit's cohort into parts, in the order of the subjects."""
    only = None if kinds is None else frozenset(kinds)
    for some in chunks(sorted(permit.subjects), SUBJECTS_AT_ONCE):
        narrowed = {subject: fields & permit.narrowed[subject] for subject in some if subject in permit.narrowed}
        yield CohortPart(tuple(some), fields, narrowed, only, current_until)


def open_part(part: CohortPart, reading: Reading, now: datetime) -> "pa.RecordBatch":
    """Open the records of a part, of what is to be kept at an instant; keys are dropped before the columns are made.

    Raises:
        IntegrityFailed: a stored byte was changed.
        KeyUnavailable: a key is missing that was not destroyed by an erasure.
    """
    fields, narrowed, deployment = part.fields, part.narrowed, reading.deployment
    settling = None if part.current_until is None else Settling(reading.catalogue, part.current_until)

    def opened(subject: SubjectId, rows: list[SealedRow], keys: UnlockedKeys) -> OpenedRows:
        wanted = narrowed.get(subject, fields)
        return open_plaintexts(rows, fields=wanted, keys=keys, deployment=deployment, settling=settling)

    columns = OpenedColumns([reading.catalogue.get_field(code) for code in sorted(fields)])
    return columns.batch(reading.some(part.subjects, fields, part.kinds, now, opened).values())
