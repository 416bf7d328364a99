"""What several readers are about to open, read by one statement of each store; nothing of it is in clear.

Rows are as they are stored and keys as they are wrapped: whoever holds a ``Gathered`` opens nothing without permit and
receipt, as without it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from kernel.catalogue import Compartment
from kernel.ids import SubjectId
from vault._keyring import WrappedKey
from vault._rows import SealedRow

_COMPARTMENT: Final = 2
"""Where a wrapped key says its own, as the key ring reads it."""

FRESH_FOR: Final = timedelta(seconds=1)
"""After that what was gathered is read anew: an erasure may have come in between."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose record one reader opens, and which fields of it."""

    subject: SubjectId
    fields: Collection[str]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Sealed rows and wrapped keys of some subjects, of these compartments.

    Attributes:
        at: when the rows were read.
        compartments: of which all that is visible was read.
    """

    at: datetime
    subjects: frozenset[SubjectId]
    compartments: frozenset[Compartment]
    rows: Mapping[SubjectId, Sequence[SealedRow]] = field(repr=False)
    keys: Mapping[SubjectId, Sequence[WrappedKey]] = field(repr=False)

    def covers(
        self, subject: SubjectId, compartments: Collection[Compartment], *, since: datetime, now: datetime
    ) -> bool:
        """Say whether all of a subject in these compartments was read: not before an instant, and just now."""
        is_fresh = since <= self.at and now - self.at <= FRESH_FOR
        return is_fresh and subject in self.subjects and self.compartments.issuperset(compartments)

    def rows_of(self, subject: SubjectId, compartments: Collection[Compartment]) -> list[SealedRow]:
        """Return a subject's rows in these compartments, in the order of storing."""
        return [row for row in self.rows.get(subject, ()) if row.compartment in compartments]

    def keys_of(self, subject: SubjectId, compartments: Collection[Compartment]) -> list[WrappedKey]:
        """Return a subject's keys of these compartments, the oldest first."""
        return [row for row in self.keys.get(subject, ()) if row[_COMPARTMENT] in compartments]
