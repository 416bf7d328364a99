"""What the erasure of chosen fields does to a subject's rows, as a pure plan. For the modules of this package alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vault._holding import Holding
from vault._keys import Pair
from vault._resealing import Move, keys_left
from vault._rows import SealedRow
from vault._versions import MARK
from vault.payload import unpack
from vault.scopes import Losses


@dataclass(slots=True)
class FieldPlan:
    """What is to be done.

    Attributes:
        losing: rows that no law holds, with the codes that they lose.
        emptied: those among them that lose every value.
        moves: rows that stay, and leave the keys of the losing ones.
        trimmed: all that stays of records that lose something.
        held_values: values of the chosen fields that a legal floor keeps.
        held_until: when the last of these floors ends.
    """

    losing: list[Move] = field(default_factory=list)
    emptied: list[Move] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    trimmed: list[SealedRow] = field(default_factory=list)
    held_values: int = 0
    held_until: datetime | None = None

    @property
    def fields(self) -> frozenset[str]:
        """The codes of which something is erased."""
        return frozenset[str]().union(*(move.without for move in self.losing)) - {MARK}

    @property
    def values(self) -> int:
        """How many values are erased."""
        return sum(len(move.without - {MARK}) for move in self.losing)

    @property
    def keys(self) -> dict[Pair, set[bytes]]:
        """The keys that must be destroyed."""
        return keys_left(self.losing)


def stored_fields(rows: Sequence[SealedRow]) -> frozenset[str]:
    """Return the codes of all values, as the payloads name them; unverified."""
    return frozenset(code for row in rows for code, _ in unpack(row.payload)) - {MARK}


def plan_losses(rows: Sequence[SealedRow], losses: Losses, holding: Holding) -> FieldPlan:
    """Plan what a subject's rows lose; what is held beyond the instant stays.

    Raises:
        IntegrityFailed: a payload cannot be read.
    """
    plan = FieldPlan()
    lost = {row.row_no: losses.get(row.row_no, frozenset()) for row in rows}
    for row in rows:
        held = holding.of_codes(row, lost[row.row_no])
        if held and (until := holding.until(row, held)) is not None:
            plan.held_until = until if plan.held_until is None else max(plan.held_until, until)
            plan.held_values += len(held)
            lost[row.row_no] -= held
        if lost[row.row_no]:
            lost[row.row_no] = _with_mark(row, lost[row.row_no])
            plan.losing.append(Move(row, lost[row.row_no]))
    emptied = {move.row.row_no for move in plan.losing if len(move.without) == _size(move.row)}
    keys = {move.row.key_id for move in plan.losing}
    records = {move.row.record_id for move in plan.losing}
    plan.emptied = [move for move in plan.losing if move.row.row_no in emptied]
    staying = [row for row in rows if row.row_no not in emptied]
    plan.moves = [Move(row, lost[row.row_no]) for row in staying if row.key_id in keys]
    plan.trimmed = [row for row in staying if row.record_id in records]
    return plan


def _with_mark(row: SealedRow, lost: frozenset[str]) -> frozenset[str]:
    """Return what a row loses; the mark of a correction, with its reason, goes with the corrected value."""
    return lost | {MARK} if {code for code, _ in unpack(row.payload)} - lost == {MARK} else lost


def _size(row: SealedRow) -> int:
    return len({code for code, _ in unpack(row.payload)})
