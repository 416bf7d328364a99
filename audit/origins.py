"""Origins: the names under which one store's log was signed; a new one is opened only after a loss.

``leaf_index`` counts on over all origins. Each origin has a tree of its own, whose index 0 is the leaf at its base.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from audit.tables import origin as origin_table
from kernel.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Origin:
    """One origin.

    Attributes:
        number: 1 for the first one.
        base: ``leaf_index`` of its first entry.
        name: None for the first one, whose name is the signing key's.
    """

    number: int
    base: int
    name: str | None = None


FIRST: Final = Origin(1, 0)


def origins(connection: Connection) -> list[Origin]:
    """Return every origin, the oldest first."""
    return [FIRST, *(Origin(number, base, name) for number, base, name in _LATER.rows(connection))]


def current_origin(connection: Connection) -> Origin:
    """Return the origin that entries are appended to."""
    return origins(connection)[-1]


_LATER: Final = Prepared(
    select(origin_table.c.origin_no, origin_table.c.base, origin_table.c.name).order_by(origin_table.c.origin_no)
)
