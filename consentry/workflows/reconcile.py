"""Compare what the gate reads with the log; a difference suspends the gate until people have looked at it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.events import Act, Event, Outcome
from audit.verifier import Checkpoint
from consent.asking import Asking
from consent.inspection import Findings, Mismatch
from consent.reconciling import reconcile_register
from consent.register_head import read_head, suspend_unlogged
from consent.terms import release, suspend
from consentry.access import check_may_act
from consentry.approval_inspection import inspect_approvals
from consentry.case_inspection import inspect_cases
from consentry.content_inspection import inspect_content
from consentry.emergency_inspection import inspect_emergencies
from consentry.erasure_inspection import inspect_erasures
from consentry.hold_inspection import inspect_holds
from consentry.platform import Platform
from consentry.principal_inspection import inspect_principals
from consentry.principals import Principal
from consentry.stores.triggers import missing_triggers
from consentry.webhook_inspection import inspect_webhooks
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Denied, IntegrityFailed

RECONCILE_ACT = "register.manage"
"""What a role must be allowed, to compare, to release, and to accept what differs."""

_PEOPLE = 2
"""How many must accept a difference before the gate answers again."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was compared and what was found.

    Attributes:
        size: entries below the checkpoint that the register was compared with.
        total: all mismatches; ``mismatches`` names the first thousand.
        is_suspended: whether the gate refuses everything because of what was found.
        entry_id: of the entry that tells of it; None where the log is not the one that was signed: then nothing is
            written, so that what the signer and the store hold stays the evidence that it is.
        suspended: why the gate refuses everything now, an officer's suspension as well; None where it answers.
    """

    size: int
    counts: dict[str, int]
    mismatches: Sequence[Mismatch]
    total: int
    is_suspended: bool
    entry_id: str | None
    suspended: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether everything agrees."""
        return self.total == 0

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        named = [{"part": m.part, "id": m.name, "differs": list(m.differs)} for m in self.mismatches]
        return {
            "entries": self.size,
            "counts": dict(self.counts),
            "mismatches": self.total,
            "named": named,
            "suspended": self.suspended is not None,
            "suspended_because": self.suspended,
            "entry": self.entry_id,
        }


def reconcile(platform: Platform, caller: Principal) -> Reconciled:
    """Compare the register with the log; a difference suspends the gate, and an entry tells of either.

    To a log that is not the one that was signed nothing is added: the gate is suspended without an entry.

    Raises:
        Denied: the role may not.
    """
    check_may_act(platform.catalogue, caller, RECONCILE_ACT)
    try:
        size, found = _compare(platform)
    except IntegrityFailed as lost:
        return _lost(platform, lost)
    return _conclude(platform, platform.asking(caller), size, found)


def release_gate(
    platform: Platform, caller: Principal, *, reason: str, accepted_by: Sequence[Principal] = ()
) -> Reconciled:
    """Compare once more, and let a suspended gate answer again where everything agrees.

    Args:
        platform: every part.
        caller: who releases it.
        reason: what was looked at; sealed beside the entry.
        accepted_by: two different persons who take what differs upon them; they are named in the entry. A later
            comparison that finds it again suspends the gate again.
    Raises:
        BadInput: no reason, or accepted by others than two persons.
        Denied: the role of the caller or of one who accepts may not.
        IntegrityFailed: something differs and was not accepted, or the log is not the one that was signed, which
            nobody can accept; the gate stays suspended.
    """
    check_may_act(platform.catalogue, caller, RECONCILE_ACT)
    if not reason.strip():
        raise BadInput("A release needs its reason", hint="Say in --release what was looked at.")
    _check_accepting(platform, accepted_by)
    asking = replace(platform.asking(caller), reason=reason)
    size, found = _compare(platform)
    done = _conclude(platform, asking, size, found, accepted_by=accepted_by)
    if not done.is_clean and not accepted_by:
        raise IntegrityFailed(
            f"{done.total} mismatches, the first: {done.mismatches[0]}; the gate stays suspended",
            hint="Restore what was changed, or have two people accept it.",
        )
    with platform.data.write() as connection:
        release(connection, asking=asking, log=platform.log)
    platform.log.settle()
    return replace(done, is_suspended=False, suspended=None)


def _compare(platform: Platform) -> tuple[int, Findings]:
    """Return the number of signed entries and what was found.

    Raises:
        IntegrityFailed: the log is not the one that was signed; nothing was written.
    """
    platform.log.checkpointer.check()  # before anything that waits is appended to it
    signed: Checkpoint = platform.log.settle()
    found = reconcile_register(platform.data, platform.catalogue, signed, sealer=platform.sealer)
    with platform.data.read() as connection:
        inspect_principals(connection, found, platform.sealer)
        inspect_approvals(connection, platform.log, found)
        inspect_cases(connection, platform.log, found)
        inspect_emergencies(connection, found)
        inspect_content(connection, found)
        inspect_holds(connection, platform.log, found)
        inspect_erasures(connection, found)
        inspect_webhooks(connection, found, platform.sealer)
        for missing in missing_triggers(connection):
            found.add("guard", missing, ("store",))
    return signed.size, found


def _lost(platform: Platform, lost: IntegrityFailed) -> Reconciled:
    """Suspend the gate where the log is not the one that was signed, without an entry."""
    with platform.data.write() as connection:
        suspend_unlogged(connection, _LOST)
    found = Findings()
    found.add("log", "head", (lost.message,))
    return Reconciled(0, found.counts, found.mismatches, found.total, is_suspended=True, entry_id=None, suspended=_LOST)


_LOST = "the log is not the one that was signed"


def _conclude(
    platform: Platform, asking: Asking, size: int, found: Findings, *, accepted_by: Sequence[Principal] = ()
) -> Reconciled:
    outcome = Outcome.DONE if found.is_clean else Outcome.FAILED
    refs = {f"accepted_by_{number}": one.principal_id for number, one in enumerate(accepted_by, start=1)}
    details = None if found.is_clean else {"mismatches": [str(one) for one in found.mismatches[:_SEALED]]}
    event = Event(
        Act.RECONCILED,
        outcome,
        asking.actor,
        asking.role,
        asking.request_id,
        reason=None if found.is_clean else "MISMATCH",
        counts={**found.counts, "mismatches": found.total},
        refs=refs,
        details=details,
    )
    is_suspended = not found.is_clean and not accepted_by
    with platform.data.write() as connection:
        if is_suspended:
            said = f"the register and the log differ in {found.total} places"
            suspend(connection, said, asking=asking, log=platform.log)
        entry_id = platform.log.record(connection, event)
        _, suspended = read_head(connection)
    return Reconciled(size, found.counts, found.mismatches, found.total, is_suspended, entry_id, suspended)


_SEALED = 100
"""Mismatches that are kept with the entry; details hold at most 64 KiB."""


def _check_accepting(platform: Platform, accepted_by: Sequence[Principal]) -> None:
    if not accepted_by:
        return
    if len({one.principal_id for one in accepted_by}) != _PEOPLE or len(accepted_by) != _PEOPLE:
        raise BadInput("Two different persons must accept what differs", hint="Give --accept twice, with their tokens.")
    for one in accepted_by:
        try:
            check_may_act(platform.catalogue, one, RECONCILE_ACT)
        except Denied as err:
            raise Denied(f"{one.principal_id} may not accept a mismatch: {err.message}", hint=err.hint) from None
