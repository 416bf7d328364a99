"""Erase or restrict a subject."""

from dataclasses import dataclass, replace

from audit.events import Act, Event, Outcome
from consent.entries import now_in_log
from consent.standing import Standing, get_standing, lock_subjects, set_standing
from consent.wake import Closing
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import SubjectId
from vault.erasure import ErasureOutcome


@dataclass(frozen=True, slots=True)
class Erased:
    """How an erasure ended: with a certificate, or restricted until the last legal hold ends."""

    subject: SubjectId
    outcome: ErasureOutcome

    def as_json(self) -> dict[str, JsonValue]:
        """Return the outcome for programs."""
        found = self.outcome
        until = found.restricted_until
        said: dict[str, JsonValue] = {
            "subject": self.subject,
            "erasure": found.erasure_id,
            "state": "erased" if found.is_complete else "restricted",
            "counts": dict(found.counts),
        }
        if until is not None:
            said["restricted_until"] = format_instant(until)
        if found.certificate is not None:
            said["certificate"] = found.certificate.content.decode()
        return said


def erase_subject(platform: Platform, caller: Principal, *, subject: SubjectId, reason: str) -> Erased:
    """Erase a subject everywhere; what the law still holds is restricted instead.

    Raises:
        BadInput: no reason, or no such subject.
    """
    check_may_act(platform.catalogue, caller, "subject.erase")
    check_reason(reason)
    outcome = platform.eraser.erase(subject, asking=platform.asking(caller), reason=reason)
    platform.log.settle()
    return Erased(subject, outcome)


def restrict_subject(platform: Platform, caller: Principal, *, subject: SubjectId, reason: str) -> bool:
    """Restrict a subject: from this commit on only storage and security access pass the gate.

    What was derived of it for other purposes is cleared away afterwards, as after a withdrawal of each.

    Returns:
        False where it was restricted already: the request leaves its entry, and nothing else changes.
    """
    check_may_act(platform.catalogue, caller, "subject.restrict")
    check_reason(reason)
    asking = replace(platform.asking(caller), reason=reason)
    with platform.data.write() as connection:
        lock_subjects(connection, [subject], exclusive=True)
        before = get_standing(connection, subject)
        now = now_in_log(connection, platform.log, platform.clock)
        after = set_standing(connection, subject, Standing.RESTRICTED, now=now)
        entry = platform.log.record(
            connection,
            Event(
                Act.SUBJECT_RESTRICTED, Outcome.DONE, asking.actor, asking.role, asking.request_id, subject=subject,
                reason="REQUEST", details={"reason": reason},
            ),
        )  # fmt: skip
        if after.state is not before.state:
            platform.wake.plan(connection, [Closing(subject, "restrict", "", "", None, entry, now)])
    platform.log.settle()
    return after.state is not before.state


def check_reason(reason: str) -> None:
    """Raise ``BadInput`` for an act on a subject without a word of why."""
    if not reason.strip():
        raise BadInput("This needs a reason", hint="Say why in --reason, for example the request's number.")
