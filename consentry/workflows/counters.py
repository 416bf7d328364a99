"""The law's counters: how many people are held, are minors and went abroad, what follows, and what was filed."""

from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from audit.counters import FOLLOWS, Duty, DutyStatus, Filing, judge_duties
from audit.events import Act, Event, Outcome
from audit.scanning import entries_of
from consent.words import Language, in_language
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.denials import check_allowed
from consentry.workflows.headcount import Exemption, count_people, exemptions
from consentry.workflows.watch_lists import REVIEW
from kernel.encoding import JsonValue
from kernel.errors import BadInput

READ: Final = "audit.read"

_MAX_REFERENCE: Final = 200

_FIRST_DAY: Final = date(2021, 11, 1)
"""PIPL 74: the law from which these duties follow is in force since."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Every duty as it stands, and what was exempt of the year's transfers.

    Attributes:
        exemptions: what went abroad this year under an exemption.
    """

    today: date
    duties: list[DutyStatus]
    exemptions: list[Exemption]

    def as_json(self, locale: str) -> dict[str, JsonValue]:
        """Return the counters for programs, with words in the locale's language."""
        duties: list[JsonValue] = [_row(one, Language.of(locale)) for one in self.duties]
        exempt: list[JsonValue] = [
            {
                "recipient": one.recipient,
                "document": one.document,
                "until": one.until.isoformat(),
                "subjects": one.subjects,
            }
            for one in self.exemptions
        ]
        return {"today": self.today.isoformat(), "duties": duties, "exemptions": exempt}


def read_counters(platform: Platform, caller: Principal) -> Counters:
    """Return the counters of today; the reading leaves its entry first.

    Raises:
        Denied: the role may not read the log.
    """
    check_allowed(platform, caller, READ, persons_only=True)
    asking = platform.asking(caller)
    event = Event(
        Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, refs={"what": "counters"}
    )
    with platform.data.write() as connection:
        platform.log.record(connection, event)
        today = platform.log.now(connection).astimezone(ZoneInfo(platform.catalogue.time_zone)).date()
    platform.log.settle()
    with platform.data.read() as connection:
        tally = count_people(platform, connection, today=today)
        filings, exempt = read_filings(connection), exemptions(connection, today.year)
    duties = judge_duties(tally, filings, platform.catalogue.oversight.duties, today=today)
    return Counters(today, duties, exempt)


def record_filing(platform: Platform, caller: Principal, duty: Duty, *, on: date, reference: str) -> None:
    """Record that a duty was done: an audit, a filing, a contract; it stands in the log.

    Args:
        platform: every part.
        caller: a person whose role reviews accesses.
        duty: what was done.
        on: the day.
        reference: the document's number, without words about people.
    Raises:
        Denied: the role may not.
        BadInput: a day in the future or before the law, or no usable reference.
    """
    check_allowed(platform, caller, REVIEW, persons_only=True)
    reference = reference.strip()
    if not 0 < len(reference) <= _MAX_REFERENCE:
        raise BadInput(f"A reference has 1 to {_MAX_REFERENCE} characters", hint="Give the document's number.")
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        if on > platform.log.now(connection).astimezone(ZoneInfo(platform.catalogue.time_zone)).date():
            raise BadInput("The day lies in the future", hint="Record it once it is done.")
        if on < _FIRST_DAY:
            raise BadInput("No such duty was there to be done then", hint=f"Give a day from {_FIRST_DAY} on.")
        refs = {"duty": duty.value, "on": on.isoformat(), "reference": reference}
        event = Event(Act.DUTY_RECORDED, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=refs)
        platform.log.record(connection, event)
    platform.log.settle()


def read_duty(code: str) -> Duty:
    """Return the duty of a code; raises ``BadInput``."""
    try:
        return Duty(code)
    except ValueError:
        raise BadInput("There is no such duty", hint=f"One of: {', '.join(Duty)}.") from None


def read_filings(connection: Connection) -> list[Filing]:
    """Return what was recorded of duties, in the log's order, folded from the log."""
    found = []
    for entry in entries_of(connection, [Act.DUTY_RECORDED.value]):
        refs = {name: str(value) for name, value in entry.refs.items()}
        made = Filing(
            Duty(refs["duty"]), date.fromisoformat(refs["on"]), refs["reference"], str(entry.members["actor"]),
            entry.entry_id,
        )  # fmt: skip
        found.append(made)
    return found


def _row(one: DutyStatus, language: Language) -> dict[str, JsonValue]:
    filed = one.filed
    return {
        "duty": one.duty.value,
        "follows": in_language(FOLLOWS[one.duty], language),
        "numbers": dict(one.numbers),
        "thresholds": dict(one.thresholds),
        "state": one.state.value,
        "due_on": None if one.due_on is None else one.due_on.isoformat(),
        "filed_on": None if filed is None else filed.on.isoformat(),
        "reference": None if filed is None else filed.reference,
        "filed_by": None if filed is None else filed.by,
    }
