"""The values of the rule language: what a cell can hold, and how numbers behave in every evaluator."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from typing import Final, TypeAlias

Value: TypeAlias = bool | Decimal | str | None
"""What a rule gives; None is unknown, never false."""

Cell: TypeAlias = Value | tuple[str, ...]
"""What a column of a view holds: a value or a list of codes."""


class ValueType(StrEnum):
    """The four types of the language; ``CODES`` is a list of text and only the ``has`` functions read it."""

    BOOL = "bool"
    NUMBER = "number"
    TEXT = "text"
    CODES = "list of codes"


DECIMALS: Final = 4
"""Every number has four decimal places; results of ``*`` and ``div`` are rounded half-even to them."""

NUMBER_DIGITS: Final = 18
"""Numbers lie below 10^14 in size: with four decimals they fit 64 bits. A result beyond is unknown (NULL)."""

MAX_WINDOW_DAYS: Final = 3660
"""Ten years: longer windows would outlive every retention period of the behaviour that they look at."""

_STEP: Final = Decimal(1).scaleb(-DECIMALS)
_LIMIT: Final = Decimal(10) ** (NUMBER_DIGITS - DECIMALS)
_CONTEXT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


def bounded(number: Decimal) -> Decimal | None:
    """Round half-even to four decimals; None where the result lies beyond the range of numbers."""
    rounded = number.quantize(_STEP, context=_CONTEXT)
    return rounded if abs(rounded) < _LIMIT else None


def product(left: Decimal, right: Decimal) -> Decimal | None:
    """Multiply exactly, then round once."""
    return bounded(_CONTEXT.multiply(left, right))


def quotient(left: Decimal, right: Decimal) -> Decimal | None:
    """Divide and round half-even once; None for a zero divisor.

    The rounding works on the exact fraction: a quotient that is first cut to a finite precision could land on a tie.
    """
    if not right:
        return None
    numerator = int(left.scaleb(2 * DECIMALS)) * (1 if right > 0 else -1)
    denominator = int(abs(right).scaleb(DECIMALS))
    whole, rest = divmod(abs(numerator), denominator)
    whole += 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
    return bounded(Decimal(whole if numerator >= 0 else -whole).scaleb(-DECIMALS))
