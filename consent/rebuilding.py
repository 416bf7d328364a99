"""What the decisions say should stand: the rows of ``consent_current`` built again, for comparison."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from consent.decisions import ActorKind, Decision
from consent.rules import Current, Track, is_permissive
from kernel.ids import SubjectId

Place: TypeAlias = tuple[SubjectId, str, str, Track]
"""Subject, purpose, recipient (empty text for none) and track."""


def rebuilt(
    decisions: Iterable[Decision], editions: Mapping[tuple[str, str], int], uses: Mapping[str, int]
) -> dict[Place, Current]:
    """Return what stands after some decisions, given in the order of recording.

    Args:
        decisions: all of the subjects that they are about.
        editions: of notices, by code and version.
        uses: of decisions that permits have rested on, by id.
    """
    standing: dict[Place, Current] = {}
    for made in decisions:
        place = (made.subject, made.purpose, made.recipient or "", made.track)
        row, before = _as_current(made, editions, uses), standing.get(place)
        standing[place] = row if before is None else row._replace(decided_at=max(row.decided_at, before.decided_at))
    return standing


def differing(stored: Current | None, wanted: Current | None) -> list[str]:
    """Return the names of what differs between a stored row and the one that the decisions lead to."""
    if stored is None:
        return ["missing"]
    if wanted is None:
        return ["decision"]
    return [name for name, has, should in zip(Current._fields, stored, wanted, strict=True) if has != should]


def _as_current(made: Decision, editions: Mapping[tuple[str, str], int], uses: Mapping[str, int]) -> Current:
    """Return the row of one decision; what closes counts from its recording, see ``consent.ledger``."""
    decided_at = made.decided_at if is_permissive(made.act) else max(made.decided_at, made.recorded_at)
    return Current(
        made.decision_id,
        made.recipient or "",
        made.track,
        made.act,
        made.actor_kind is ActorKind.GUARDIAN,
        decided_at,
        made.valid_until,
        None if made.notice is None else made.notice.code,
        None if made.notice is None else editions.get((made.notice.code, made.notice.version)),
        made.fields,
        made.valid_from,
        made.max_uses,
        uses.get(made.decision_id, 0),
        made.actor_subject,
    )
