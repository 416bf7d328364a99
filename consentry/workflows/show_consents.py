"""A subject's decisions that count now, for people who answer the subject."""

from audit.events import Act, Event, Outcome
from consent.standing import get_standing
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import SubjectId


def show_consents(platform: Platform, caller: Principal, subject: SubjectId) -> list[dict[str, JsonValue]]:
    """Return one row for each purpose, recipient and track; reading it leaves an entry.

    Raises:
        NotFound: nobody is registered under this id.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        get_standing(connection, subject)
        platform.log.record(
            connection,
            Event(
                Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, subject=subject,
                refs={"what": "decisions"},
            ),
        )  # fmt: skip
        found = platform.registry.current(connection, subject)
    return [
        {
            "purpose": one.purpose,
            "label": platform.catalogue.get_purpose(one.purpose).label.zh,
            "recipient": one.recipient,
            "track": one.track.value,
            "act": one.act.value,
            "decided": format_instant(one.decided_at),
            "notice": None if one.notice is None else str(one.notice),
            "decision": one.decision_id,
        }
        for one in found
    ]
