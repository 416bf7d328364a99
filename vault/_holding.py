"""What keeps a subject's rows from erasure: the law's floor, and holds that an officer set. For this package alone."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, or_, select

from kernel.clock import from_micros, to_micros
from kernel.ids import SubjectId
from vault._rows import SealedRow
from vault.payload import unpack
from vault.tables import legal_hold

FOREVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of a hold that nobody has dated: until it is released."""


class OfficerHold(NamedTuple):
    """A hold of an officer on a subject.

    Attributes:
        compartment: None for all.
        field: None for all.
        until: its end.
    """

    compartment: str | None
    field: str | None
    until: datetime

    def covers(self, row: SealedRow, codes: Collection[str]) -> bool:
        """Say whether it keeps a row that would lose these fields."""
        return self.compartment in (None, row.compartment) and (self.field is None or self.field in codes)


@dataclass(frozen=True, slots=True)
class Holding:
    """Every hold on one subject, as of one instant, so that each step of an erasure comes to the same answer.

    Attributes:
        after: holds that end by then do not count.
    """

    after: datetime
    officers: Sequence[OfficerHold] = ()

    def until(self, row: SealedRow, losing: Collection[str] | None = None) -> datetime | None:
        """Return the end of the last hold on a row; None where it is free.

        Args:
            row: of the subject.
            losing: the fields that would go; all of the row's when left out, so that a single held one keeps it.
        """
        codes = {code for code, _ in unpack(row.payload)} if losing is None and self.officers else losing or ()
        ends = [hold.until for hold in self.officers if hold.covers(row, codes)]
        if row.held_until is not None and row.held_until > to_micros(self.after):
            ends.append(from_micros(row.held_until))
        return max(ends, default=None)

    def of_codes(self, row: SealedRow, losing: Collection[str]) -> frozenset[str]:
        """Return those of the fields that a row would lose which are held; a floor of the law holds all of a row."""
        return frozenset(code for code in losing if self.until(row, (code,)) is not None)

    def is_held(self, row: SealedRow) -> bool:
        """Say whether a row must stay."""
        return self.until(row) is not None

    def keys(self, rows: Iterable[SealedRow]) -> set[bytes]:
        """Return the ids of the keys that held rows need."""
        return {row.key_id for row in rows if self.is_held(row)}


def holding_of(connection: Connection, subject: SubjectId, *, after: datetime) -> Holding:
    """Return what holds a subject's rows beyond an instant; a hold that was set later does not count.

    Args:
        connection: on the data store.
        subject: whose rows.
        after: the erasure's start.
    """
    columns = legal_hold.c
    query = select(columns.compartment, columns.field, columns.ends_at).where(
        columns.subject_id == subject,
        columns.set_at <= after,
        or_(columns.released_at.is_(None), columns.released_at > after),
        or_(columns.ends_at.is_(None), columns.ends_at > after),
    )
    holds = [OfficerHold(row.compartment, row.field, row.ends_at or FOREVER) for row in connection.execute(query)]
    return Holding(after, tuple(holds))
