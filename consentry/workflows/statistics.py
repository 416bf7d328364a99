"""How people decided, per purpose and period: figures for the officer, without anybody's id."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from audit.events import Act, Event, Outcome
from consent.rules import DecisionAct
from consent.statistics import PurposeStatistics, count_decisions
from consent.words import Language, in_language
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant, require_aware
from kernel.encoding import JsonValue
from kernel.errors import BadInput

MAX_PERIODS: Final = 120
"""Months in one question: ten years."""

_COUNTED: Final[Mapping[str, DecisionAct]] = {
    "granted": DecisionAct.GRANT,
    "refused": DecisionAct.REFUSE,
    "withdrawn": DecisionAct.WITHDRAW,
    "renewed": DecisionAct.RENEW,
    "expired": DecisionAct.EXPIRE,
}


def read_statistics(
    platform: Platform,
    caller: Principal,
    *,
    start: datetime | None,
    end: datetime | None,
    by_month: bool = False,
    locale: str = "zh-CN",
) -> list[dict[str, JsonValue]]:
    """Return one row for each period and purpose; small counts are told, because only officers ask.

    Args:
        platform: every part.
        caller: who asks.
        start: the first instant; None for the first decision that the register could hold.
        end: the first instant that does not count; None for now.
        by_month: a period for each calendar month of the pack's time zone.
        locale: of the labels.
    Raises:
        BadInput: the period ends before it begins, or has more than ``MAX_PERIODS`` months.
        Denied: the role may not read the log, which these figures sum up.
    """
    check_may_act(platform.catalogue, caller, "audit.read")
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        until = end or platform.log.now(connection)
        refs = {"what": "statistics", "until": format_instant(until)}
        event = Event(Act.CONSENT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, refs=refs)
        platform.log.record(connection, event)
    platform.log.settle()
    with platform.data.read() as connection:
        since = start or _BEGIN
        if by_month and start is None:
            since = _first_of_month(until, platform) - timedelta(days=334)  # the last twelve months
        periods = _months(since, until, platform) if by_month else [_period(since, until)]
        found = [one for first, last in periods for one in count_decisions(connection, first, last)]
    return [_row(one, platform, Language.of(locale), by_month=by_month) for one in found]


_BEGIN: Final = require_aware(datetime.fromisoformat("1970-01-01T00:00:00+00:00"))


def _period(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    if start >= end:
        raise BadInput("The period ends before it begins", hint="Check --from and --until.")
    return start, end


def _months(start: datetime, end: datetime, platform: Platform) -> list[tuple[datetime, datetime]]:
    first, last = _period(start, end)
    found: list[tuple[datetime, datetime]] = []
    while first < last:
        if len(found) == MAX_PERIODS:
            raise BadInput(f"More than {MAX_PERIODS} months", hint="Ask for a shorter period.")
        turn = min(_first_of_month(_first_of_month(first, platform) + timedelta(days=32), platform), last)
        found.append((first, turn))
        first = turn
    return found


def _first_of_month(instant: datetime, platform: Platform) -> datetime:
    local = instant.astimezone(ZoneInfo(platform.catalogue.time_zone))
    return require_aware(local.replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def _row(one: PurposeStatistics, platform: Platform, language: Language, *, by_month: bool) -> dict[str, JsonValue]:
    purpose = platform.catalogue.purposes.get(one.purpose)
    zone = ZoneInfo(platform.catalogue.time_zone)
    days = None if one.withdrawn_after is None else round(one.withdrawn_after / timedelta(days=1) * 10)
    month = {"month": one.start.astimezone(zone).strftime("%Y-%m")} if by_month else {}
    return {
        **month,
        "purpose": one.purpose,
        "label": one.purpose if purpose is None else in_language(purpose.label, language),
        **{name: one.acts.get(act, 0) for name, act in _COUNTED.items()},
        "in_force": one.in_force,
        "median_days_to_withdraw": None if days is None else f"{days // 10}.{days % 10}",
    }
