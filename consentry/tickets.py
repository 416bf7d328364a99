"""The number of an occasion in a system of the operator's; it stands in entries as it is."""

import re
from typing import Final

from kernel.errors import BadInput

_TICKET: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
"""A shape that no number of a person has; as ``consentry.acts.Name``."""


def check_ticket(ticket: str | None) -> None:
    """Raise ``BadInput`` for a ticket of another shape."""
    if ticket is not None and not _TICKET.fullmatch(ticket):
        raise BadInput(
            "A ticket begins with a letter and has at most 64 letters, digits, dots, dashes and underscores",
            hint="Give the occasion's number as your system has it, for example INC-4711.",
        )


def ticket_refs(ticket: str | None) -> dict[str, str]:
    """Return what entries refer to of a ticket; raises ``BadInput`` for another shape."""
    check_ticket(ticket)
    return {} if ticket is None else {"ticket": ticket}
