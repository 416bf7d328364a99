"""Send the officers what waits for them; each message until its target has taken it, or is gone."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from consent.wake import TargetFailed, system_asking
from consentry.platform import Platform
from consentry.stores.alarms import Alarm, claim, due_alarms, settle
from consentry.stores.webhooks import WebhookTarget, get_target
from consentry.wake.posting import Answer, Bounds, Poster
from consentry.webhooks import GONE, Webhooks, signed_headers

_AT_ONCE: Final = 20
_BOUNDS: Final = Bounds(connect=3.0, read=5.0, total=8.0)
"""An alarm holds up the next one for as long; it is tried again after a failure."""

_FIRST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(hours=1)


def tell_alarms(platform: Platform, *, poster: Poster | None = None) -> int:
    """Send what is due, each once; returns how many targets have taken theirs.

    A message keeps its id when it is sent again, so that a receiver can tell (Standard Webhooks 1.0).
    """
    sender = poster or Poster(_BOUNDS)
    with platform.data.read() as connection:
        now = platform.log.now(connection)
        waiting = due_alarms(connection, now, limit=_AT_ONCE)
    return sum(_tell(platform, sender, one, now) for one in waiting)


def _tell(platform: Platform, sender: Poster, one: Alarm, now: datetime) -> bool:
    with platform.data.write() as connection:
        target = get_target(connection, one.target_id)
        if not target.is_enabled:
            settle(connection, one.alarm_id)
            return False
        if not claim(connection, one, next_at=now + min(_FIRST_WAIT * 2**one.attempts, _LONGEST_WAIT)):
            return False
    secrets = Webhooks(platform.sealer, platform.log).secrets_of(target, now)
    body = one.body.encode()
    try:
        answer = sender.post(target.url, signed_headers(secrets, one.alarm_id, now, body), body)
    except TargetFailed as err:
        structlog.get_logger().warning("alarm.not_told", alarm=one.alarm_id, webhook=target.target_id, why=err.message)
        return False
    return _conclude(platform, one, target, answer)


def _conclude(platform: Platform, one: Alarm, target: WebhookTarget, answer: Answer) -> bool:
    with platform.data.write() as connection:
        if answer.is_gone and get_target(connection, target.target_id).is_enabled:
            webhooks = Webhooks(platform.sealer, platform.log)
            webhooks.disable(connection, target.target_id, asking=system_asking(), why=GONE)
        if answer.is_acknowledged or answer.is_gone:
            settle(connection, one.alarm_id)
    return answer.is_acknowledged
