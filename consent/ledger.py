"""The register's working state for one batch of acts: locked and read once, moved in memory, written in one round."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from consent.decisions import ActorKind, Decision
from consent.notices import NoticeRef, PublishedNotice, get_notice, newest_edition
from consent.rows import current_row, decision_row, read_all_current
from consent.rules import Current, Track, is_permissive
from consent.setwise import insert_rows, upsert_rows
from consent.standing import Standing, SubjectStanding, bump_revisions, find_standings, lock_subjects
from consent.tables import consent_current, decision
from kernel.errors import Conflict, NotFound
from kernel.ids import EntryId, SubjectId


@dataclass(frozen=True, slots=True)
class Draft:
    """A decision that is ready to be written, but for its entry.

    Attributes:
        evidence: sealed, bound to the decision's id.
        edition: that of the decision's notice, or None.
    """

    decision: Decision
    evidence: bytes = field(repr=False)
    edition: int | None


class Ledger:
    """What stands for the subjects of a batch, under the exclusive locks of their rows."""

    def __init__(self, connection: Connection, subjects: Collection[SubjectId]) -> None:
        lock_subjects(connection, subjects, exclusive=True)
        self._connection = connection
        self._standings = find_standings(connection, subjects)
        self._current: dict[tuple[SubjectId, str, Track], dict[str, Current]] = {}
        for subject, purpose, row in read_all_current(connection, subjects):
            self._current.setdefault((subject, purpose, row.track), {})[row.recipient] = row
        self._notices: dict[NoticeRef, tuple[PublishedNotice, bool]] = {}
        self._moved: dict[tuple[SubjectId, str, Track, str], Current] = {}
        self._drafts: list[Draft] = []

    @property
    def drafts(self) -> Sequence[Draft]:
        """What was moved and not yet written, in order."""
        return tuple(self._drafts)

    def check_standing(self, subject: SubjectId) -> SubjectStanding:
        """Return the standing of a subject for whom something can be decided.

        Raises:
            NotFound: it is not registered.
            Conflict: it is erased, or about to be.
        """
        standing = self._standings.get(subject)
        if standing is None:
            raise NotFound(f"Subject {subject} is not registered", hint="Register the subject first.")
        if standing.state in (Standing.ERASING, Standing.ERASED):
            raise Conflict(f"Subject {subject} is {standing.state}; nothing more can be decided")
        return standing

    def rows(self, subject: SubjectId, purpose: str, track: Track) -> dict[str, Current]:
        """Return what stands on one track of a purpose, by recipient (empty text for none)."""
        return self._current.get((subject, purpose, track), {})

    def notice(self, ref: NoticeRef) -> tuple[PublishedNotice, bool]:
        """Return a published notice, and whether it is of the newest edition.

        Raises:
            NotFound: it was never published.
        """
        if ref not in self._notices:
            found = get_notice(self._connection, ref.code, ref.version, ref.locale)
            self._notices[ref] = found, found.edition == newest_edition(self._connection, ref.code)
        return self._notices[ref]

    def move(self, drafts: Sequence[Draft]) -> None:
        """Let decisions stand for the acts of the batch that follow; ``write`` makes them last."""
        for draft in drafts:
            subject, purpose, row = draft.decision.subject, draft.decision.purpose, _as_current(draft)
            place = self._current.setdefault((subject, purpose, row.track), {})
            before = place.get(row.recipient)
            # What closes stands from the latest instant known, or a replay of the grant before it would open again.
            row = row._replace(decided_at=max(row.decided_at, before.decided_at)) if before else row
            place[row.recipient] = self._moved[subject, purpose, row.track, row.recipient] = row
        self._drafts.extend(drafts)

    def write(self, entries: Sequence[EntryId]) -> list[Decision]:
        """Write what was moved, each decision with its entry; revisions and current state move with it."""
        drafts = [
            replace(draft, decision=replace(draft.decision, entry_id=entry))
            for draft, entry in zip(self._drafts, entries, strict=True)
        ]
        insert_rows(self._connection, decision, [decision_row(draft.decision, draft.evidence) for draft in drafts])
        rows = [current_row(subject, purpose, row) for (subject, purpose, _, _), row in self._moved.items()]
        upsert_rows(self._connection, consent_current, rows)
        bump_revisions(self._connection, sorted({draft.decision.subject for draft in drafts}))
        self._drafts.clear()
        self._moved.clear()
        return [draft.decision for draft in drafts]


def _as_current(draft: Draft) -> Current:
    """Return what stands after a decision.

    What closes counts from when it was recorded, whatever the device's clock said: a grant that was made before, and
    comes late, does not undo it.
    """
    made = draft.decision
    decided_at = made.decided_at if is_permissive(made.act) else max(made.decided_at, made.recorded_at)
    return Current(
        made.decision_id,
        made.recipient or "",
        made.track,
        made.act,
        made.actor_kind is ActorKind.GUARDIAN,
        decided_at,
        made.valid_until,
        made.notice.code if made.notice else None,
        draft.edition,
        made.fields,
    )
