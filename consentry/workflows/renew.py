"""Renew one decision: the person's own act under today's notice, for what is open and about to end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from consent.registry import Decision, DecisionAct, DecisionRequest, NoticeRef
from consentry.platform import Platform
from consentry.principals import Principal, check_daily_cap
from consentry.workflows.representation import find_own_decision
from kernel.encoding import JsonValue


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal says beside the decision that it follows: the notice that was shown, and how it was answered."""

    notice: NoticeRef
    evidence: Mapping[str, JsonValue] = field(repr=False)
    at: datetime | None = None
    valid_until: datetime | None = None
    max_uses: int | None = None


def renew_decision(platform: Platform, caller: Principal, decision_id: str, renewal: Renewal) -> Decision:
    """Renew what one recorded decision granted, under the notice of today; its fields are kept.

    Raises:
        NotFound: an unknown decision, or an unknown notice.
        BadInput: nothing stands that could be renewed.
        Conflict: the notice was replaced by a newer version.
        Denied: the actor may not decide this.
    """
    granted, acting = find_own_decision(platform, caller, decision_id)
    request = DecisionRequest(
        subject=granted.subject,
        purposes=(granted.purpose,),
        act=DecisionAct.RENEW,
        recipient=granted.recipient,
        notice=renewal.notice,
        actor_kind=acting.kind,
        actor_subject=acting.actor,
        evidence=renewal.evidence,
        decided_at=renewal.at or platform.clock.now(),
        valid_until=renewal.valid_until,
        max_uses=renewal.max_uses,
    )
    with platform.data.write() as connection:
        check_daily_cap(connection, caller, [granted.subject], clock=platform.clock)
        return platform.registry.record(connection, request, asking=platform.asking(caller))[0]
