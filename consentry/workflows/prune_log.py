"""Prune the log: two people let go what was kept long enough, and what an erasure left for the officer alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, select

from audit.events import Act, Event, Outcome
from audit.retention import FLOOR_DAYS, PrunePlan, destroy_subjects, finish_pruning, mark_pruned, plan_pruning
from audit.tables import alias
from consent.entries import now_in_log
from consent.tables import cohort_verdict
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.two_people import check_two_people, named_in
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import SubjectId
from vault.leftovers import ERASED
from vault.scrubbing import flush_log
from vault.tables import erasure

PRUNE_ACT: Final = "log.prune"
"""What the roles of both people must allow."""

_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was pruned, or would be.

    Attributes:
        plan: which entries.
        subjects: how many erased people's names and details go.
        emptied: entries that lost their bytes just now, what a crash had left included.
        entry_id: of the entry that tells of it; None where nothing was to be done, or nothing was done yet.
    """

    plan: PrunePlan
    subjects: int
    emptied: int = 0
    entry_id: str | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        return {
            "older_than": format_instant(self.plan.older_than),
            "entries": self.plan.entries,
            "kept": self.plan.kept,
            "bound": self.plan.bound,
            "erased_subjects": self.subjects,
            "emptied": self.emptied,
            "entry": self.entry_id,
        }


def preview_pruning(platform: Platform, caller: Principal) -> Pruned:
    """Return what `prune_log` would do; nothing is changed.

    Raises:
        Denied: the role may not prune.
        IntegrityFailed: the log is not what was signed.
    """
    check_may_act(platform.catalogue, caller, PRUNE_ACT)
    plan, subjects = _due(platform)
    return Pruned(plan, len(subjects))


def prune_log(platform: Platform, caller: Principal, *, accepted_by: Sequence[Principal], reason: str) -> Pruned:
    """Take the bytes of entries that were kept long enough, and the names and details of people erased long ago.

    The hashes stay, and with them every proof. What an earlier run left undone is finished.

    Args:
        platform: every part.
        caller: who prunes.
        accepted_by: two different persons; who runs the command on the machine is neither, unless by an account.
        reason: in words; sealed beside the entry.
    Raises:
        BadInput: no reason, or not two different persons.
        Denied: the role of the caller or of one of them may not prune.
        IntegrityFailed: the log is not what was signed; nothing was pruned.
    """
    check_may_act(platform.catalogue, caller, PRUNE_ACT)
    check_two_people(platform, accepted_by, PRUNE_ACT)
    if not reason.strip():
        raise BadInput("Pruning needs its reason", hint="Say why what is past its time goes now.")
    plan, subjects = _due(platform)
    entry_id = None
    if plan.bound > plan.before or subjects:
        with platform.data.write() as connection:
            entry_id = _record(platform, connection, plan, subjects, _event(platform, caller, accepted_by, reason))
        platform.log.settle()
    emptied = finish_pruning(platform.data)
    flush_log(platform.data)
    return Pruned(plan, len(subjects), emptied, entry_id)


def _due(platform: Platform) -> tuple[PrunePlan, list[SubjectId]]:
    signed = platform.log.settle()
    with platform.data.read() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        subjects = _forgettable(connection, now)
    days = platform.settings.audit_retention_days
    return plan_pruning(platform.data, signed, now=now, retention_days=days), subjects


def _forgettable(connection: Connection, now: datetime) -> list[SubjectId]:
    """Return the erased subjects that the log still names although the floor since their erasure has passed."""
    columns = erasure.c
    over = columns.finished_at <= now - timedelta(days=FLOOR_DAYS)
    query = (
        select(columns.subject_id)
        .where(columns.state == ERASED, columns.fields.is_(None), over)
        .where(select(alias.c.alias).where(alias.c.subject_id == columns.subject_id).exists())
        .distinct()
        .order_by(columns.subject_id)
    )
    return [SubjectId(subject) for subject in connection.scalars(query)]


def _record(
    platform: Platform, connection: Connection, plan: PrunePlan, subjects: Sequence[SubjectId], event: Event
) -> str:
    counts = plan.counts()
    if subjects:
        counts |= destroy_subjects(connection, subjects, platform.sealer)
        for start in range(0, len(subjects), _BATCH):
            some = subjects[start : start + _BATCH]
            connection.execute(delete(cohort_verdict).where(cohort_verdict.c.subject_id.in_(some)))
    refs = {**event.refs, "kept": plan.kept_digest, "older_than": format_instant(plan.older_than)}
    entry_id = platform.log.record(connection, replace(event, counts=counts, refs=refs))
    mark_pruned(connection, plan, entry_id=entry_id, at=platform.log.now(connection))
    return entry_id


def _event(platform: Platform, caller: Principal, accepted_by: Sequence[Principal], reason: str) -> Event:
    asking = platform.asking(caller)
    return Event(
        Act.LOG_PRUNED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
        refs=named_in(accepted_by), details={"reason": reason},
    )  # fmt: skip
