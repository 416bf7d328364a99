"""What keeps a row from erasure: the law's floor in its header, or an officer's hold. For the modules of this package."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, or_, select

from kernel.clock import from_micros, to_micros
from kernel.ids import SubjectId
from vault._rows import SealedRow
from vault.payload import unpack
from vault.tables import legal_hold

UNTIL_RELEASED: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for the end of a hold that has none: it lasts until it is released."""


class Hold(NamedTuple):
    """The reach of one hold; None stands for all."""

    compartment: str | None
    field: str | None
    until: datetime

    def takes(self, compartment: str, code: str) -> bool:
        """Say whether it keeps a field."""
        return self.compartment in (None, compartment) and self.field in (None, code)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What keeps the rows of one subject beyond an instant.

    Attributes:
        after: rows whose floor ends later are kept.
        holds: of officers, as they stood at that instant.
    """

    after: datetime
    holds: tuple[Hold, ...] = ()

    def codes(self, row: SealedRow) -> frozenset[str]:
        """Return the fields of a row that are kept; believe it only once the row's header has verified."""
        stored = frozenset(code for code, _ in unpack(row.payload))
        if self._has_floor(row):
            return stored
        return frozenset(code for code in stored if any(hold.takes(row.compartment, code) for hold in self.holds))

    def keeps(self, row: SealedRow) -> bool:
        """Say whether anything of a row is kept."""
        return bool(self.codes(row))

    def until(self, row: SealedRow) -> datetime | None:
        """Return when the last of what keeps a row ends; ``UNTIL_RELEASED`` for a hold without end, None for nothing."""
        stored = [code for code, _ in unpack(row.payload)]
        ends = [hold.until for hold in self.holds if any(hold.takes(row.compartment, code) for code in stored)]
        if self._has_floor(row):
            ends.append(from_micros(row.held_until))
        return max(ends, default=None)

    def _has_floor(self, row: SealedRow) -> bool:
        return row.held_until is not None and row.held_until > to_micros(self.after)


def read_keeping(connection: Connection, subject: SubjectId, at: datetime) -> Keeping:
    """Return what keeps a subject's rows beyond an instant, as the register of holds stood then."""
    found = legal_hold.c
    query = select(found.compartment, found.field, found.ends_at).where(
        found.subject_id == subject,
        found.set_at <= at,
        or_(found.ends_at.is_(None), found.ends_at > at),
        or_(found.released_at.is_(None), found.released_at > at),
    )
    holds = (
        Hold(row.compartment, row.field, UNTIL_RELEASED if row.ends_at is None else row.ends_at)
        for row in connection.execute(query.order_by(found.hold_id))
    )
    return Keeping(at, tuple(holds))
