"""Uses of counted decisions against the permits in the log, in both directions."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, Row, func, select

from audit.events import Act
from audit.scanning import ScannedEntry, entries_of
from consent.comparing import is_told_at
from consent.inspection import BATCH, Findings
from consent.tables import decision_use
from consent.uses import used_refs

_UseRow = Row[tuple[str, str, object]]


class UseInspection:
    """Compares the uses of each permit with its entry, and counts them, so that one without a permit is told too."""

    def __init__(self, found: Findings) -> None:
        self._found = found
        self._seen = 0

    def compare(self, connection: Connection, entries: Iterable[ScannedEntry]) -> None:
        """Compare the permits among some entries; give each entry once."""
        permits = (entry for entry in entries if entry.members.get("act") == Act.PERMIT.value)
        while told := {str(entry.refs.get("permit")): entry for entry in islice(permits, BATCH)}:
            rows: dict[str, list[_UseRow]] = {}
            for row in connection.execute(select(decision_use).where(decision_use.c.permit_id.in_(told))):
                rows.setdefault(row.permit_id, []).append(row)
            for permit_id, entry in told.items():
                self._seen += len(rows.get(permit_id, ()))
                self._found.add("permit", permit_id, list(_differing(rows.get(permit_id, ()), entry)))

    def conclude(self, connection: Connection, size: int) -> None:
        """Compare what was permitted since a checkpoint of some size, and say whether a use is left without permit."""
        self.compare(connection, entries_of(connection, [Act.PERMIT.value], since=size))
        stored = connection.scalar(select(func.count()).select_from(decision_use)) or 0
        self._found.read("uses", stored)
        self._found.add("use", "decision_use", [] if stored == self._seen else ["permit"])


def _differing(rows: Sequence[_UseRow], entry: ScannedEntry) -> Iterator[str]:
    """Yield what differs.

    An entry without the word is of one subject and names in ``basis`` what it rests on, or is of a batch before the
    word was there.
    """
    used, said, basis = [row.decision_id for row in rows], entry.refs.get("used"), entry.members.get("basis")
    if said is not None:
        is_told = said == used_refs(used)["used"]
    else:
        is_told = basis is None or {*used} <= {*str(basis).split("/")}
    if not is_told:
        yield "used"
    if not all(is_told_at(entry, "used_at", row.used_at) for row in rows):
        yield "used_at"
