"""Two subjects turn out to be one person: what stands for the one that is kept is the stricter of both decisions.

Nothing is moved and nothing rewritten: where the dropped subject's decision is stricter, a new decision is recorded
for the kept one. What was said no to under either is closed. What stands for one of them alone stays where it is: a yes
of the dropped subject opens nothing for the kept one, who has to be asked. Where two openings cannot be combined, the
kept one's expires, so that the person is asked anew. The dropped subject is restricted and passes no gate any more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from audit.events import Act
from consent.decisions import ActorKind, Decision
from consent.due import is_over
from consent.entries import event_of
from consent.ledger import Draft, Ledger
from consent.recording import Moment, Recorder
from consent.rows import find_decision
from consent.rules import Current, DecisionAct, Track, is_permissive
from consent.standing import Standing, keep_younger, set_standing
from kernel.catalogue import Catalogue
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import DecisionId, EntryId, SubjectId, new_id

_NOES: Final = frozenset({DecisionAct.REFUSE, DecisionAct.WITHDRAW, DecisionAct.END})
_OVER: Final = {Track.CONSENT: DecisionAct.EXPIRE, Track.BASIS: DecisionAct.END}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a decision of the kept subject is about to stand, and from which day it consents by itself."""

    subject: SubjectId
    purpose: str
    recipient: str
    track: Track
    childhood_until: date | None


def merge_decisions(
    moment: Moment,
    ledger: Ledger,
    *,
    recorder: Recorder,
    catalogue: Catalogue,
    kept: SubjectId,
    dropped: SubjectId,
) -> tuple[Decision, ...]:
    """Record the stricter of both for the kept subject and restrict the dropped one, in the caller's transaction.

    The kept subject also takes over a restriction, and the age class that keeps it a minor for longer. A merge is made
    once: what is decided for the dropped subject afterwards does not follow.

    Args:
        moment: who merges, and when.
        ledger: of both subjects.
        recorder: writes what is recorded.
        catalogue: the pack.
        kept: who goes on.
        dropped: who was the same person all along.

    Raises:
        BadInput: both are the same.
        NotFound: one of them is not registered.
        Conflict: one of them is erased, or one is deceased and the other not.
    """
    if kept == dropped:
        raise BadInput(f"Subject {kept} cannot be merged with itself", hint="Name two.")
    stays, goes = ledger.check_standing(kept), ledger.check_standing(dropped)
    if stays.deceased is not goes.deceased:
        raise Conflict(f"Of {kept} and {dropped} one is deceased", hint="Record the death of the other first.")
    connection, now = moment.connection, moment.now
    if Standing.RESTRICTED in (stays.state, goes.state):
        stays = set_standing(connection, kept, Standing.RESTRICTED, now=now)
    stays = keep_younger(connection, stays, goes, now=now)
    until = stays.childhood_until(catalogue.digital_age)
    merge = _Merge(moment, ledger, recorder, until)
    for purpose, track in sorted(ledger.keys(kept) | ledger.keys(dropped)):
        known = catalogue.purposes.get(purpose)
        merge.follow(kept, dropped, purpose, track, frozenset(known.recipients if known else ()))
    made = recorder.write(moment, ledger)
    set_standing(connection, dropped, Standing.RESTRICTED, now=now)
    event = replace(event_of(moment.asking, Act.SUBJECT_RESTRICTED), subject=dropped, reason="MERGED")
    recorder.log.record(connection, replace(event, refs={"kept": kept}))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Merge:
    moment: Moment
    ledger: Ledger
    recorder: Recorder
    childhood_until: date | None

    def follow(self, kept: SubjectId, dropped: SubjectId, purpose: str, track: Track, declared: frozenset[str]) -> None:
        """Move what stands for the kept subject on one track of a purpose, for everybody named under either."""
        stays, goes = dict(self.ledger.rows(kept, purpose, track)), self.ledger.rows(dropped, purpose, track)
        for recipient in sorted({*stays, *goes}):
            ours, theirs = _covering(stays, recipient, declared), _covering(goes, recipient, declared)
            place = _Place(kept, purpose, recipient, track, self.childhood_until)
            if theirs is not None:
                self.ledger.move(list(self._stricter(place, ours, theirs)))

    def _stricter(self, place: _Place, ours: Current | None, theirs: Current) -> Iterator[Draft]:
        """Yield the decision that has to be recorded, if any."""
        if not is_permissive(theirs.act):
            if not _says_the_same(ours, theirs):
                yield self._closed_as(place, theirs)
            return
        if ours is None or not is_permissive(ours.act):
            return
        narrowed = _narrowed(place, ours, theirs, self.moment.now)
        if narrowed is None:
            yield self._expired(place, theirs)
        elif narrowed != ours:
            yield self._opened_as(place, ours, theirs, narrowed)

    def _closed_as(self, place: _Place, theirs: Current) -> Draft:
        said = self._decision(theirs)
        return self._draft(place, said, theirs, edition=theirs.notice_edition)

    def _expired(self, place: _Place, theirs: Current) -> Draft:
        said = self._decision(theirs)
        over = replace(
            said,
            act=_OVER[place.track],
            actor_kind=ActorKind.OPERATOR,
            actor_subject=None,
            notice=None,
            notice_hash=None,
            decided_at=self.moment.now,
            offset_minutes=0,
            valid_from=None,
            valid_until=None,
            max_uses=None,
        )
        return self._draft(place, over, theirs, edition=None)

    def _opened_as(self, place: _Place, ours: Current, theirs: Current, narrowed: Current) -> Draft:
        said = self._decision(ours)
        told = said if narrowed.notice_edition == ours.notice_edition else self._decision(theirs)
        opened = replace(
            said,
            notice=told.notice,
            notice_hash=told.notice_hash,
            fields=narrowed.fields,
            decided_at=narrowed.decided_at,
            valid_from=narrowed.valid_from,
            valid_until=narrowed.valid_until,
            max_uses=narrowed.max_uses,
        )
        return self._draft(place, opened, theirs, edition=narrowed.notice_edition)

    def _draft(self, place: _Place, said: Decision, theirs: Current, *, edition: int | None) -> Draft:
        made = replace(
            said,
            decision_id=DecisionId(new_id("dec")),
            subject=place.subject,
            purpose=place.purpose,
            recipient=place.recipient or None,
            recorded_at=self.moment.now,
            request_id=self.moment.asking.request_id,
            entry_id=EntryId(""),
            renews=None,
        )
        evidence = {"mechanism": "merge", "merged_from": theirs.decision_id}
        return self.recorder.sealed(made, evidence, edition)

    def _decision(self, row: Current) -> Decision:
        found = find_decision(self.moment.connection, row.decision_id)
        if found is None:
            raise NotFound(f"Decision {row.decision_id} does not exist", hint="Reconcile the register with the log.")
        return found


def _covering(rows: Mapping[str, Current], recipient: str, declared: frozenset[str]) -> Current | None:
    """Return what speaks for a recipient: what names it, or what was said without one where that reaches it."""
    named, general = rows.get(recipient), rows.get("")
    if named is not None or general is None:
        return named
    return general if recipient in declared or not is_permissive(general.act) else None


def _says_the_same(ours: Current | None, theirs: Current) -> bool:
    """Say whether the kept subject is closed as firmly: by the same guardian, and not only by time."""
    if ours is None or is_permissive(ours.act):
        return False
    if theirs.act not in _NOES:
        return True
    return ours.act in _NOES and theirs.decided_by in (None, ours.decided_by)


def _narrowed(place: _Place, ours: Current, theirs: Current, now: datetime) -> Current | None:
    """Return our opening as far as theirs allows it too; None where nothing is left, or they cannot be combined."""
    if not _counts(place, theirs, now) or ours.notice_code != theirs.notice_code:
        return None
    fields = ours.fields if theirs.fields is None else theirs.fields
    if ours.fields is not None and theirs.fields is not None:
        fields = ours.fields & theirs.fields
    ends = [end for end in (ours.valid_until, theirs.valid_until) if end is not None]
    begins = [begin for begin in (ours.valid_from, theirs.valid_from) if begin is not None]
    left = [row.max_uses - row.uses for row in (ours, theirs) if row.max_uses is not None]
    editions = [row.notice_edition for row in (ours, theirs) if row.notice_edition is not None]
    if fields == frozenset() or (ends and begins and max(begins) >= min(ends)) or (left and min(left) <= 0):
        return None
    kept_left = None if ours.max_uses is None else ours.max_uses - ours.uses
    same_uses = min(left, default=None) == kept_left
    narrowed = ours._replace(
        fields=fields,
        valid_until=min(ends, default=None),
        valid_from=max(begins, default=None),
        max_uses=ours.max_uses if same_uses else min(left),
        notice_edition=min(editions, default=None),
    )
    return (
        narrowed
        if narrowed == ours
        else narrowed._replace(
            decided_at=max(ours.decided_at, theirs.decided_at), max_uses=min(left, default=None), uses=0
        )
    )


def _counts(place: _Place, row: Current, now: datetime) -> bool:
    """Say whether an opening is not over, and no child's own yes."""
    until = place.childhood_until
    by_a_child = until is not None and row.decided_at.date() < until and not row.by_guardian
    return not is_over(row, now) and not (place.track is Track.CONSENT and by_a_child)
