"""Two subjects turn out to be one person: what stands for the one that is kept is the stricter of both decisions.

Nothing is moved and nothing rewritten: where the dropped subject's decision is stricter, a new decision is recorded
for the kept one. What was said no to under either is closed. What stands for one of them alone stays where it is: a yes
of the dropped subject opens nothing for the kept one, who has to be asked. Where two openings cannot be combined, the
kept one's expires, so that the person is asked anew. Every no since the dropped subject's last yes goes along, so that
cool-downs and a guardian's no bind the kept one too; for that the dropped one's guardians count as the kept one's.
The dropped subject is restricted for good, passes no gate any more and decides nothing more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, TypeAlias

from sqlalchemy import Connection

from consent.decisions import ActorKind, Decision
from consent.due import is_over
from consent.entries import aged_event
from consent.ledger import Draft, Ledger
from consent.recording import Moment, Recorder
from consent.rows import find_decision, read_history
from consent.rules import Current, DecisionAct, Track, is_permissive
from consent.standing import Standing, keep_younger, set_merged, set_standing
from kernel.catalogue import Catalogue
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import DecisionId, EntryId, SubjectId, new_id

_NOES: Final = frozenset({DecisionAct.REFUSE, DecisionAct.WITHDRAW, DecisionAct.END})
Closings: TypeAlias = Mapping[tuple[str, str, Track], Mapping[tuple[DecisionAct, SubjectId | None], Decision]]
"""By purpose, recipient (empty text for none) and track: each no that stands, by act and actor."""

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
        Conflict: one of them is erased or was merged away before, or one is deceased and the other not.
    """
    if kept == dropped:
        raise BadInput(f"Subject {kept} cannot be merged with itself", hint="Name two.")
    stays, goes = ledger.check_standing(kept), ledger.check_standing(dropped)
    if stays.deceased is not goes.deceased:
        raise Conflict(f"Of {kept} and {dropped} one is deceased", hint="Record the death of the other first.")
    connection, now = moment.connection, moment.now
    if goes.state is Standing.RESTRICTED and stays.state is not Standing.RESTRICTED:
        stays = set_standing(connection, kept, Standing.RESTRICTED, now=now)
        recorder.restrict(moment, kept, is_news=True, refs={"dropped": dropped})
    before, stays = stays, keep_younger(connection, stays, goes, now=now)
    if stays is not before:
        recorder.log.record(connection, aged_event(moment.asking, stays, now))
    until = stays.childhood_until(catalogue.digital_age)
    merge = _Merge(moment, ledger, recorder, until, closings_of(connection, kept), closings_of(connection, dropped))
    for purpose, track in sorted(ledger.keys(kept) | ledger.keys(dropped)):
        known = catalogue.purposes.get(purpose)
        merge.follow(kept, dropped, purpose, track, frozenset(known.recipients if known else ()))
    made = recorder.write(moment, ledger)
    set_merged(connection, dropped, kept, now=now)
    recorder.restrict(moment, dropped, is_news=goes.state is not Standing.RESTRICTED, refs={"kept": kept})
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Merge:
    moment: Moment
    ledger: Ledger
    recorder: Recorder
    childhood_until: date | None
    our_closings: Closings
    their_closings: Closings

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
            yield from self._closed_as(place, ours, theirs)
            return
        if ours is None or not is_permissive(ours.act):
            return
        narrowed = _narrowed(place, ours, theirs, self.moment.now)
        if narrowed is None:
            yield self._expired(place, theirs)
        elif narrowed != ours:
            yield self._opened_as(place, ours, theirs, narrowed)

    def _closed_as(self, place: _Place, ours: Current | None, theirs: Current) -> Iterator[Draft]:
        """Yield every no of theirs that ours does not hold already; at least one where ours stands open."""
        held = self.our_closings.get((place.purpose, place.recipient, place.track), {})
        told = self.their_closings.get((place.purpose, theirs.recipient, place.track), {})
        missing = [no for key, no in told.items() if key not in held or _since(held[key]) < _since(no)]
        stands_open = ours is None or is_permissive(ours.act)
        if stands_open and theirs.decision_id not in {no.decision_id for no in missing}:
            missing.append(self._decision(theirs))
        for no in missing:
            edition = None if no.notice is None else self.ledger.notice(no.notice)[0].edition
            yield self._draft(place, no, no.decision_id, edition=edition)

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
        return self._draft(place, over, theirs.decision_id, edition=None)

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
        return self._draft(place, opened, theirs.decision_id, edition=narrowed.notice_edition)

    def _draft(self, place: _Place, said: Decision, source: DecisionId, *, edition: int | None) -> Draft:
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
        evidence = {"mechanism": "merge", "merged_from": source}
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


def closings_of(connection: Connection, subject: SubjectId) -> Closings:
    """Return the latest no of each kind and actor since each place was opened last, in the order of recording."""
    found: dict[tuple[str, str, Track], dict[tuple[DecisionAct, SubjectId | None], Decision]] = {}
    for made in read_history(connection, subject):
        place = found.setdefault((made.purpose, made.recipient or "", made.track), {})
        if is_permissive(made.act):
            place.clear()
        elif made.act in _NOES:
            place.pop((made.act, made.actor_subject), None)
            place[made.act, made.actor_subject] = made
    return found


def _since(no: Decision) -> datetime:
    """Return when a no counts from; see ``consent.ledger``."""
    return max(no.decided_at, no.recorded_at)


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
