"""The row of an erasure that has begun, of a whole subject or of fields. For the modules of this package alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert

from consent.asking import Asking
from kernel.ids import EntryId, SubjectId
from vault.scopes import Scope, Why
from vault.tables import erasure

STARTED: Final = "started"
"""The state of an erasure that is not finished."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What every erasure writes down before it destroys anything, so that it can be finished after a crash."""

    erasure_id: str
    subject: SubjectId
    asking: Asking
    at: datetime
    entry_id: EntryId
    scope: Scope
    why: Why


def mark_begun(connection: Connection, begun: Begun, **more: object) -> None:
    """Insert the row of an erasure; ``more`` are the columns that its kind has besides."""
    row = {
        "erasure_id": begun.erasure_id,
        "subject_id": begun.subject,
        "state": STARTED,
        "actor": begun.asking.actor,
        "role": begun.asking.role,
        "request_id": begun.asking.request_id,
        "started_at": begun.at,
        "started_entry": begun.entry_id,
        "scope": begun.scope.as_text(),
        "why": begun.why,
    }
    connection.execute(insert(erasure).values(row | more))
