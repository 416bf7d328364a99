"""Delete what has expired or was cancelled, and go on with erasures that waited; by hand, or beside a server."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog

from consent.asking import Asking
from consent.entries import now_in_log
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.close_accounts import close_due_accounts, note_cancelled
from consentry.workflows.denials import check_allowed
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import Conflict, IntegrityFailed
from kernel.ids import SubjectId
from vault.erasure import ErasureOutcome
from vault.field_erasure import FieldErasure
from vault.holds import waiting_erasures, waiting_parts
from vault.retention import SweepOutcome

SWEEP_ACT = "records.sweep"
"""What a role must be allowed."""

_REASON = "what was held is free"


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round did.

    Attributes:
        cycle: None where nothing had expired.
        erasures: that went on because their hold is over.
        parts: erasures of parts that did.
        unfinished: files that stopped coming, and were removed.
        closed_accounts: cancelled accounts whose person's data were erased.
    """

    cycle: SweepOutcome | None
    erasures: list[ErasureOutcome] = field(default_factory=list)
    unfinished: int = 0
    closed_accounts: int = 0
    parts: list[FieldErasure] = field(default_factory=list)

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        said: dict[str, JsonValue] = {
            "erasures_gone_on": len(self.erasures) + len(self.parts),
            "unfinished_attachments": self.unfinished,
            "closed_accounts": self.closed_accounts,
            "sweep": None,
        }
        if self.cycle is not None:
            said |= {
                "sweep": self.cycle.sweep_id,
                "finished_at": format_instant(self.cycle.finished_at),
                "counts": dict(self.cycle.counts),
                "fields": dict(self.cycle.fields),
                "kinds": dict(self.cycle.kinds),
                "certificate": self.cycle.certificate.content.decode(),
                "signature": self.cycle.certificate.signature.hex(),
            }
        return said


def sweep_expired(platform: Platform, caller: Principal) -> Swept:
    """Run one cycle to its end; what a crash or a stopped server left of one is gone on with.

    Raises:
        Denied: the role may not.
        Unavailable: a store is in use; call it again.
    """
    check_allowed(platform, caller, SWEEP_ACT, persons_only=True)
    asking = platform.asking(caller)
    unfinished = platform.attachments.uploads.sweep_stale()
    cycle = platform.sweeper.sweep(asking=asking)
    erasures = go_on_waiting(platform, asking)
    parts = go_on_with_parts(platform, asking)
    note_cancelled(platform, asking)
    closed = len(list(close_due_accounts(platform, asking)))
    platform.log.settle()
    return Swept(cycle, erasures, unfinished, closed, parts)


def sweep_in_steps(platform: Platform, asking: Asking) -> Iterator[None]:
    """Do the same beside a server: yields where it can be stopped; the next round goes on."""
    platform.attachments.uploads.sweep_stale()
    for _ in platform.sweeper.steps(asking=asking):
        yield
    go_on_waiting(platform, asking)
    go_on_with_parts(platform, asking)
    note_cancelled(platform, asking)
    for _ in close_due_accounts(platform, asking):
        yield
    platform.log.settle()


def go_on_waiting(platform: Platform, asking: Asking, *, only: SubjectId | None = None) -> list[ErasureOutcome]:
    """Erase what earlier erasures had to leave and nothing holds any more; returns how they ended.

    One whose rows do not verify stays blocked, with a line in the service's log, and keeps nobody else waiting.
    """
    with platform.data.read() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        waiting = [subject for subject in waiting_erasures(connection, now) if only in (None, subject)]
    done = []
    for subject in waiting:
        try:
            done.append(platform.eraser.erase(subject, asking=asking, reason=_REASON))
        except IntegrityFailed as err:
            structlog.get_logger().error("erasure.not_finished", subject=subject, why=err.diagnostics())
    return done


def go_on_with_parts(platform: Platform, asking: Asking, *, only: SubjectId | None = None) -> list[FieldErasure]:
    """Erase what earlier erasures of parts had to leave and nothing holds any more; returns what came of it.

    A subject that is restricted or erased since needs no part of it erased; one whose rows do not verify stays blocked,
    as above.
    """
    with platform.data.read() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        waiting = [part for part in waiting_parts(connection, now) if only in (None, part.subject)]
    done = []
    for part in waiting:
        try:
            done.append(platform.eraser.fields.go_on(part, asking=asking, reason=_REASON))
        except (Conflict, IntegrityFailed) as err:
            structlog.get_logger().error("erasure.not_finished", subject=part.subject, why=err.diagnostics())
    return [one for one in done if one.erasure_id is not None]
