"""One subject turns out to be two people: the new one begins with every no of the former, and with no yes.

Who gave a yes cannot be told any more, so that it opens nothing for the new subject, who has to be asked. A no binds
both. What the law itself asks for, a duty, holds for both as well. The former subject keeps what stands for it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from audit.events import Act
from consent.decisions import Decision
from consent.entries import age_refs, aged_event, event_of
from consent.ledger import Draft, Ledger
from consent.merging import closings_of
from consent.recording import Moment, Recorder
from consent.rows import find_decision
from consent.rules import DecisionAct, Track, is_permissive
from consent.standing import Standing, keep_younger, register_subjects, set_standing
from kernel.errors import NotFound
from kernel.ids import DecisionId, EntryId, SubjectId, new_id
from kernel.ports import Clock

_MECHANISM: Final = "split"


def split_decisions(
    moment: Moment, *, recorder: Recorder, clock: Clock, origin: SubjectId, fresh: SubjectId
) -> tuple[Decision, ...]:
    """Register a new subject and record for it the stricter of what stands for another, in the caller's transaction.

    It also gets a restriction, and the age class where that is a minor's. Where the former is recorded as deceased the
    new one is restricted, until somebody says which of the two has died.

    Args:
        moment: who splits, and when.
        recorder: writes what is recorded.
        clock: for the registration.
        origin: who was two people.
        fresh: an id that nobody has.

    Raises:
        NotFound: the former is not registered.
        Conflict: it is erased, or was merged away.
    """
    connection = moment.connection
    former = Ledger(connection, {origin}).check_standing(origin)
    made = register_subjects(connection, {fresh: None}, clock=clock)
    refs = age_refs(made.fresh[fresh], made.at) | {"split_from": origin}
    event = replace(event_of(replace(moment.asking, reason=None), Act.SUBJECT_REGISTERED), subject=fresh, refs=refs)
    recorder.log.record(connection, event)
    before = made.fresh[fresh]
    after = keep_younger(connection, before, former, now=moment.now)
    if after is not before:
        recorder.log.record(connection, aged_event(moment.asking, after, moment.now))
    if former.state is Standing.RESTRICTED or former.deceased:
        set_standing(connection, fresh, Standing.RESTRICTED, now=moment.now)
        restricted = replace(event_of(moment.asking, Act.SUBJECT_RESTRICTED), subject=fresh, reason="SPLIT")
        recorder.log.record(connection, restricted)
    ledger = Ledger(connection, {origin, fresh})
    ledger.move(list(_drafts(moment, ledger, recorder, origin, fresh)))
    return tuple(recorder.write(moment, ledger))


def _drafts(moment: Moment, ledger: Ledger, recorder: Recorder, origin: SubjectId, fresh: SubjectId) -> Iterator[Draft]:
    """Yield every no since each purpose was opened last, and every duty that stands."""
    closed = closings_of(moment.connection, origin)
    for purpose, track in sorted(ledger.keys(origin)):
        for recipient, row in sorted(ledger.rows(origin, purpose, track).items()):
            said = closed.get((purpose, recipient, track), {}) if not is_permissive(row.act) else {}
            told = list(said.values())
            is_duty = track is Track.BASIS and row.act is DecisionAct.DUTY
            if is_duty or (not is_permissive(row.act) and row.decision_id not in {no.decision_id for no in told}):
                told.append(_decision(moment, row.decision_id))
            for one in told:
                yield _copied(moment, ledger, recorder, one, fresh)


def _copied(moment: Moment, ledger: Ledger, recorder: Recorder, said: Decision, fresh: SubjectId) -> Draft:
    made = replace(
        said,
        decision_id=DecisionId(new_id("dec")),
        subject=fresh,
        recorded_at=moment.now,
        request_id=moment.asking.request_id,
        entry_id=EntryId(""),
        renews=None,
    )
    edition = None if said.notice is None else ledger.notice(said.notice)[0].edition
    return recorder.sealed(made, {"mechanism": _MECHANISM, "split_from": said.decision_id}, edition)


def _decision(moment: Moment, decision_id: DecisionId) -> Decision:
    found = find_decision(moment.connection, decision_id)
    if found is None:
        raise NotFound(f"Decision {decision_id} does not exist", hint="Reconcile the register with the log.")
    return found
