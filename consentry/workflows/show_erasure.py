"""Look at erasures: what was destroyed, why, and whether it is final."""

from collections.abc import Mapping

from audit.events import Act, Event, Outcome
from consent.standing import get_standing
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from vault.erasures import ErasureView, get_erasure, list_erasures

_ACT = "access.read"
"""What a role must be allowed: an officer's work."""


def show_erasure(platform: Platform, caller: Principal, erasure_id: str) -> ErasureView:
    """Return one erasure, after its reading was logged.

    Raises:
        NotFound: there is no such erasure.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    platform.eraser.confirm_final(asking=platform.asking(caller))
    with platform.data.read() as connection:
        found = get_erasure(connection, erasure_id)
    _record(platform, caller, found.subject, refs={"what": "erasure", "erasure": erasure_id}, count=1)
    return found


def find_erasures(
    platform: Platform, caller: Principal, *, subject: SubjectId | None = None, after: str = "", limit: int = 100
) -> list[ErasureView]:
    """Return erasures by their ids, after their reading was logged; of one subject, or of all.

    Raises:
        NotFound: nobody is or was registered under the subject's id; "no erasures" would be a wrong answer.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.read() as connection:
        if subject is not None:
            get_standing(connection, subject)
        found = list_erasures(connection, subject=subject, after=after, limit=limit)
    _record(platform, caller, subject, refs={"what": "erasures"}, count=len(found))
    return list(found)


def scrub_stores(platform: Platform, caller: Principal) -> list[str]:
    """Rewrite SQLite stores, or vacuum on PostgreSQL; return the statements that the tables' owner must run."""
    check_may_act(platform.catalogue, caller, "subject.erase")
    return platform.eraser.scrub()


def erasure_json(found: ErasureView) -> dict[str, JsonValue]:
    """Return an erasure for programs, with its certificate."""
    times = {
        "started_at": found.started_at,
        "finished_at": found.finished_at,
        "held_until": found.held_until,
        "final_at": found.final_at,
    }
    return {
        "erasure": found.erasure_id,
        "subject": found.subject,
        "state": found.state,
        "scope": found.scope.as_json(),
        "why": None if found.why is None else found.why.value,
        "fields": list(found.fields),
        **{name: None if at is None else format_instant(at) for name, at in times.items()},
        "final": found.final_entry is not None,
        "final_entry": found.final_entry,
        "counts": dict(found.counts),
        "certificate": None if found.certificate is None else found.certificate.content.decode(),
    }


def _record(
    platform: Platform, caller: Principal, subject: SubjectId | None, *, refs: Mapping[str, str], count: int
) -> None:
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        event = Event(
            Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
            subject=subject, refs=refs, counts={"erasures": count},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()
