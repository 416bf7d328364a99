"""Who decides for others, and what a subject's own standing becomes: as told to an officer, each with its entry."""

from dataclasses import replace

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.deaths import record_death
from consent.decisions import Decision
from consent.entries import now_in_log
from consent.guardians import end_agent, end_guardian, record_kin
from consent.representatives import Guardian
from consent.standing import Standing, get_standing, lock_subjects, set_standing
from consent.wake import Closing
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.erase import check_reason
from consentry.workflows.split_subject import ACT as IDENTIFY
from consentry.workflows.two_people import check_second_person
from kernel.errors import Conflict
from kernel.ids import SubjectId
from vault.leftovers import is_leftover

_RESTRICT = "subject.restrict"
"""Whoever may restrict a subject may lift it."""

_REPRESENT = "consent.represent"
"""What a role must be allowed to record who stands in for others, and a death."""


def release_subject(platform: Platform, caller: Principal, *, subject: SubjectId, reason: str) -> None:
    """Lift a restriction: the decisions that stand count again, and erasures that waited for it go on.

    Raises:
        BadInput: no reason, or no such subject.
        Conflict: the subject is not restricted, or only because the law holds what an erasure left, or because another
            subject goes on for the same person.
    """
    check_may_act(platform.catalogue, caller, _RESTRICT)
    check_reason(reason)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        lock_subjects(connection, [subject], exclusive=True)
        if get_standing(connection, subject).state is not Standing.RESTRICTED:
            raise Conflict(f"Subject {subject} is not restricted", hint="There is nothing to lift.")
        _check_not_erased(connection, subject)
        set_standing(connection, subject, Standing.ACTIVE, now=now_in_log(connection, platform.log, platform.clock))
        platform.wake.rouse(connection, subject)  # before the entry: rows of the outbox are locked before the log
        event = Event(
            Act.SUBJECT_RELEASED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
            subject=subject, reason="REQUEST", details={"reason": reason},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()


def merge_subjects(
    platform: Platform,
    caller: Principal,
    *,
    kept: SubjectId,
    dropped: SubjectId,
    reason: str,
    accepted_by: Principal | None,
) -> tuple[Decision, ...]:
    """Let one subject go on for two who are the same person, with the stricter of both decisions and all records.

    The dropped one's records are sealed under the kept one's keys, its own keys are destroyed, and its sources lead to
    the kept one. What was derived of either is cleared away, and comes back with the next build.

    Args:
        platform: every part.
        caller: who merges.
        kept: who goes on.
        dropped: who was the same person all along.
        reason: in words; sealed beside the entries.
        accepted_by: a second person, who has seen that they are one.
    Returns:
        The decisions that were recorded for the kept subject.
    Raises:
        BadInput: no reason, no second person, or both subjects are the same.
        Denied: the role of the caller or of the second person may not.
        NotFound: one of them is not registered.
        Conflict: one of them is erased or was merged away before, one is deceased and the other not, records of one
            are being moved or erased, or a hold on the dropped one does not stand for the kept one.
    """
    check_may_act(platform.catalogue, caller, IDENTIFY)
    check_reason(reason)
    second = check_second_person(platform, caller, accepted_by, IDENTIFY)
    asking = replace(platform.asking(caller), accepted_by=second.principal_id)
    with platform.data.write() as connection:
        made = platform.registry.merge(connection, kept=kept, dropped=dropped, asking=replace(asking, reason=reason))
        change = platform.mover.begin_merge(connection, kept=kept, dropped=dropped, asking=asking)
    platform.mover.finish(change)
    platform.log.settle()
    return made


def record_deceased(platform: Platform, caller: Principal, *, subject: SubjectId, no_kin: bool) -> bool:
    """Record a subject's death; what was derived of it is cleared away afterwards (R29).

    Args:
        platform: every part.
        caller: who records it.
        subject: who has died.
        no_kin: the deceased has directed that not even kin acts for them.
    Returns:
        Whether it is news.
    Raises:
        NotFound: the subject is not registered.
        Conflict: the death is recorded with another directive.
    """
    asking = _asking(platform, caller)
    with platform.data.write() as connection:
        entry = record_death(connection, subject, no_kin=no_kin, asking=asking, log=platform.log, clock=platform.clock)
        if entry is not None:
            now = now_in_log(connection, platform.log, platform.clock)
            platform.wake.plan(connection, [Closing(subject, "deceased", "", "", None, entry, now)])
    platform.log.settle()
    return entry is not None


def add_kin(
    platform: Platform, caller: Principal, *, subject: SubjectId, kin: SubjectId, verification: str
) -> Guardian:
    """Record verified near kin of a deceased, who may refuse and withdraw for them; raises as ``record_kin``."""
    asking = _asking(platform, caller)
    with platform.data.write() as connection:
        made = record_kin(
            connection, subject=subject, kin=kin, verification=verification,
            asking=asking, log=platform.log, clock=platform.clock,
        )  # fmt: skip
    platform.log.settle()
    return made


def end_guardianship(platform: Platform, caller: Principal, relation_id: str) -> None:
    """End a guardianship, or what kin may do, early; raises ``NotFound`` where none stands under this id."""
    asking = _asking(platform, caller)
    with platform.data.write() as connection:
        end_guardian(connection, relation_id, asking=asking, log=platform.log, clock=platform.clock)
    platform.log.settle()


def end_agency(platform: Platform, caller: Principal, relation_id: str) -> None:
    """End an agent's authority early; raises ``NotFound`` where none stands under this id."""
    asking = _asking(platform, caller)
    with platform.data.write() as connection:
        end_agent(connection, relation_id, asking=asking, log=platform.log, clock=platform.clock)
    platform.log.settle()


def _asking(platform: Platform, caller: Principal) -> Asking:
    check_may_act(platform.catalogue, caller, _REPRESENT)
    return platform.asking(caller)


def _check_not_erased(connection: Connection, subject: SubjectId) -> None:
    """Refuse to revive whom an erasure left: what remains is there because the law holds it, and for nothing else."""
    if is_leftover(connection, subject):
        raise Conflict(
            f"Subject {subject} asked for erasure, and only what the law holds is left",
            hint="The restriction stays until the hold has passed.",
        )
