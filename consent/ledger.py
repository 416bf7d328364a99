"""The register's working state for one batch of acts: locked and read once, moved in memory, written in one round."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from consent.decisions import ActorKind, Decision
from consent.notices import NoticeRef, PublishedNotice, get_notice, newest_edition
from consent.outbox import NARROW
from consent.representatives import Capacity, Representatives, check_can_represent, read_representatives
from consent.rows import ConsentAct, current_row, decision_row, read_all_current, read_consent_acts
from consent.rules import Current, DecisionAct, Track, is_permissive
from consent.setwise import insert_rows, upsert_rows
from consent.standing import (
    SubjectStanding,
    bump_revisions,
    check_not_merged,
    find_standings,
    lock_subjects,
    read_dropped,
)
from consent.tables import consent_current, decision
from kernel.errors import Conflict, NotFound
from kernel.ids import DecisionId, EntryId, SubjectId

_REPRESENTING = frozenset({ActorKind.GUARDIAN, ActorKind.KIN, ActorKind.AGENT})


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

    def __init__(
        self, connection: Connection, subjects: Collection[SubjectId], actors: Collection[SubjectId] = ()
    ) -> None:
        lock_subjects(connection, subjects, exclusive=True)
        self._connection = connection
        self._subjects = tuple(subjects)
        self._actors = tuple(actors)
        self._standings = find_standings(connection, subjects)
        self._current: dict[tuple[SubjectId, str, Track], dict[str, Current]] = {}
        for subject, purpose, row in read_all_current(connection, subjects):
            self._current.setdefault((subject, purpose, row.track), {})[row.recipient] = row
        self._notices: dict[NoticeRef, tuple[PublishedNotice, bool]] = {}
        self._moved: dict[tuple[SubjectId, str, Track, str], Current] = {}
        self._drafts: list[Draft] = []
        self._past: dict[tuple[SubjectId, str, str], list[ConsentAct]] | None = None
        self._causes: dict[DecisionId, str] = {}

    @property
    def drafts(self) -> Sequence[Draft]:
        """What was moved and not yet written, in order."""
        return tuple(self._drafts)

    @cached_property
    def representatives(self) -> Representatives:
        """Who may decide for the subjects of the batch: read when the first act needs it, and once."""
        return read_representatives(self._connection, self._subjects)

    def check_can_represent(self, actor: SubjectId, now: datetime) -> None:
        """Raise ``ActorNotEntitled`` unless one of the batch's actors can still decide for others.

        Their rows are not locked: what ends a relation holds the ward's lock, which is held here.
        """
        check_can_represent(self._standings_of_actors.get(actor), now)

    def has_guardian(self, subject: SubjectId, guardian: SubjectId, now: datetime) -> bool:
        """Say whether somebody is a live guardian of a subject, or of one that was merged into it."""
        known = self.representatives
        if known.has_guardian(subject, guardian, now, capacity=Capacity.GUARDIAN):
            return True
        merged = (dropped for dropped, kept in self._dropped.items() if kept == subject)
        earlier = self._guardians_of_dropped
        return any(earlier.has_guardian(one, guardian, now, capacity=Capacity.GUARDIAN) for one in merged)

    def check_standing(self, subject: SubjectId) -> SubjectStanding:
        """Return the standing of a subject for whom something can be decided.

        Raises:
            NotFound: it is not registered.
            Conflict: it is erased, or about to be, or another subject goes on for it.
        """
        standing = self._standings.get(subject)
        if standing is None:
            raise NotFound(f"Subject {subject} is not registered", hint="Register the subject first.")
        if not self.is_present(subject):
            raise Conflict(
                f"Subject {subject} is {standing.state}; nothing more can be decided",
                hint="Register the person anew under another id.",
            )
        check_not_merged(standing)
        return standing

    def is_present(self, subject: SubjectId) -> bool:
        """Say whether something can still be decided for a subject."""
        standing = self._standings.get(subject)
        return standing is not None and standing.is_present

    def keys(self, subject: SubjectId) -> set[tuple[str, Track]]:
        """Return every purpose and track on which something stands for a subject."""
        return {(purpose, track) for of, purpose, track in self._current if of == subject}

    def rows(self, subject: SubjectId, purpose: str, track: Track) -> dict[str, Current]:
        """Return what stands on one track of a purpose, by recipient (empty text for none)."""
        return self._current.get((subject, purpose, track), {})

    def closed_by(self, subject: SubjectId, purpose: str, recipients: Iterable[str]) -> list[ConsentAct]:
        """Return the acts that closed a consent since it was opened last, in order.

        What stands tells of the last act only: a refusal is not undone by a withdrawal after it. Where nothing is
        closed nothing is read. What this batch has closed counts from now, and no act of it is late enough to open it.
        """
        standing = self.rows(subject, purpose, Track.CONSENT)
        closed = [name for name in recipients if name in standing and not is_permissive(standing[name].act)]
        if closed and self._past is None:
            self._past = {}
            for of, code, recipient, act in read_consent_acts(self._connection, self._subjects):
                _follow(self._past.setdefault((of, code, recipient), []), act)
        past = self._past or {}
        return [act for name in closed for act in past.get((subject, purpose, name), ())]

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
            made, row = draft.decision, _as_current(draft)
            place = self._current.setdefault((made.subject, made.purpose, row.track), {})
            before = place.get(row.recipient)
            if cause := _cause(row, before, place.get("")):
                self._causes[made.decision_id] = cause
            # What closes stands from the latest instant known, or a replay of the grant before it would open again.
            row = row._replace(decided_at=max(row.decided_at, before.decided_at)) if before else row
            place[row.recipient] = self._moved[made.subject, made.purpose, row.track, row.recipient] = row
        self._drafts.extend(drafts)

    def write(self, entries: Sequence[EntryId]) -> tuple[list[Decision], list[tuple[Decision, str]]]:
        """Write what was moved, each decision with its entry; revisions and current state move with it.

        Returns:
            All decisions, and those of them that closed something, in whole or in part, each with the cause of the
            wake that has to be planned.
        """
        made = [replace(draft.decision, entry_id=entry) for draft, entry in zip(self._drafts, entries, strict=True)]
        rows = [decision_row(one, draft.evidence) for one, draft in zip(made, self._drafts, strict=True)]
        insert_rows(self._connection, decision, rows)
        current = [current_row(subject, purpose, row) for (subject, purpose, _, _), row in self._moved.items()]
        upsert_rows(self._connection, consent_current, current)
        bump_revisions(self._connection, sorted({one.subject for one in made}))
        closing = [(one, self._causes[one.decision_id]) for one in made if one.decision_id in self._causes]
        self._drafts.clear()
        self._moved.clear()
        self._causes.clear()
        return made, closing

    @cached_property
    def _standings_of_actors(self) -> dict[SubjectId, SubjectStanding]:
        return find_standings(self._connection, self._actors)

    @cached_property
    def _dropped(self) -> dict[SubjectId, SubjectId]:
        return read_dropped(self._connection, self._subjects)

    @cached_property
    def _guardians_of_dropped(self) -> Representatives:
        return read_representatives(self._connection, tuple(self._dropped))


def _follow(closed: list[ConsentAct], act: ConsentAct) -> None:
    if is_permissive(act.act):
        closed.clear()
    else:
        closed.append(act)


def _cause(row: Current, before: Current | None, general: Current | None) -> str | None:
    """Return the cause of the wake that a decision has; None for one without.

    A refusal has one only where something was open, everything else that closes does: a withdrawal of what was never
    granted may meet data that was stored before the register knew of it. What opens less than what was open before it,
    for this recipient or for everybody, closes the rest.
    """
    open_before = [one for one in (before, general) if one is not None and is_permissive(one.act)]
    if is_permissive(row.act):
        return NARROW if any(_leaves_out(row, one) for one in open_before) else None
    was_open = before is not None and is_permissive(before.act)
    return row.act.value if was_open or row.act is not DecisionAct.REFUSE else None


def _leaves_out(row: Current, before: Current) -> bool:
    """Say whether an opening leaves out fields that the one before it held; None stands for all of the purpose."""
    if row.fields is None:
        return False
    return before.fields is None or not before.fields <= row.fields


def _as_current(draft: Draft) -> Current:
    """Return what stands after a decision.

    What closes counts from when it was recorded, whatever the device's clock said: a grant that was made before, and
    comes late, does not undo it.
    """
    made = draft.decision
    decided_at: datetime = made.decided_at if is_permissive(made.act) else max(made.decided_at, made.recorded_at)
    return Current(
        decision_id=made.decision_id,
        recipient=made.recipient or "",
        track=made.track,
        act=made.act,
        by_guardian=made.actor_kind is ActorKind.GUARDIAN,
        decided_at=decided_at,
        valid_until=made.valid_until,
        notice_code=made.notice.code if made.notice else None,
        notice_edition=draft.edition,
        fields=made.fields,
        valid_from=made.valid_from,
        max_uses=made.max_uses,
        decided_by=made.actor_subject if made.actor_kind in _REPRESENTING else None,
    )
