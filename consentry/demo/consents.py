"""The made-up app's consent acts: registrations, guardians, agents, grants, refusals and withdrawals."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from consentry.demo.people import Person
from kernel.catalogue import Catalogue, NoticeText

CHILD_YEARS: Final = 14
AGENT_PURPOSES: Final = ("P02", "P06", "P07")
PHARMACY: Final = "sunrise-pharmacy"
RESEARCH_PARTNER: Final = "research_partner"

GRANT_SHARES: Final = {
    "P02": 0.96,
    "P03": 0.4,
    "P06": 0.55,
    "P07": 0.74,
    "P08": 0.6,
    "P09": 0.35,
    "P10": 0.1,
    "P12": 0.8,
    "P16": 0.2,
}
"""Share of people who grant each purpose; the others refuse it."""

_WITHDRAWAL_SHARE: Final = 0.05
_RECIPIENTS: Final = {"P03": PHARMACY, "P12": RESEARCH_PARTNER}

Act = dict[str, Any]


class ConsentDesk:
    """Writes each person's consent acts in the order in which they happened."""

    def __init__(self, catalogue: Catalogue, people: Sequence[Person], *, seed: int, today: date) -> None:
        self._catalogue = catalogue
        self._people = {p.number: p for p in people}
        self._random = random.Random(seed * 7919 + 4)
        self._today = today
        self._number = 0

    def acts(self, *, orders_only: Person) -> Iterator[Act]:
        """Yield everybody's acts: first the accounts, then who represents whom, then what each decides.

        Args:
            orders_only: registers as a shop customer and never sees a doctor.
        """
        people = list(self._people.values())
        started = {person.number: self._start(person) for person in people}
        for person in people:
            yield from self._accounts(person, started[person.number], is_patient=person is not orders_only)
        for person in people:
            yield from self._representatives(person, started[person.number])
        for person in people:
            if person is not orders_only:
                yield from self._child_contracts(person, started[person.number])
                yield from self._choices(person, started[person.number])

    def _accounts(self, person: Person, when: datetime, *, is_patient: bool) -> Iterator[Act]:
        yield self._act("contract", person, when, purposes=("P01", "P02", "P04") if is_patient else ("P01", "P04"))
        yield self._act("contract", person, when, purposes=("P01", "P04"), source="shop")
        yield self._act("duty", person, when, purposes=("P05", "P13"))

    def _child_contracts(self, person: Person, when: datetime) -> Iterator[Act]:
        """A child's contracts count when its guardian concludes them."""
        if person.guardian is not None and self._is_child(person):
            guardian = self._actor("guardian", person.guardian)
            yield self._act("contract", person, when, purposes=("P01", "P02", "P04"), actor=guardian)
            yield self._act("duty", person, when, purposes=("P05", "P13"), actor=guardian)

    def _representatives(self, person: Person, when: datetime) -> Iterator[Act]:
        if person.guardian is not None:
            guardian = self._actor("guardian", person.guardian)
            proof = {"mechanism": "document_check", "document": "household_register"}
            yield self._act("guardian", person, when, actor=guardian, evidence=proof)
        if person.agent is not None:
            agent = self._actor("agent", person.agent)
            proof = {"mechanism": "signed_authorisation"}
            until = when + timedelta(days=730)
            yield self._act(
                "agent",
                person,
                when,
                purposes=AGENT_PURPOSES,
                actor=agent,
                evidence=proof,
                valid_until=until.isoformat(),
            )

    def _choices(self, person: Person, when: datetime) -> Iterator[Act]:
        for step, (purpose, share) in enumerate(GRANT_SHARES.items(), start=1):
            said = "grant" if self._random.random() < share else "refuse"
            moment = when + timedelta(minutes=step)
            recipient = _RECIPIENTS.get(purpose) if self._catalogue.get_purpose(purpose).per_recipient else None
            actor = self._who_decides(person, purpose)
            notice = self._notice(purpose, person)
            yield self._act(
                said, person, moment, purposes=(purpose,), recipient=recipient, actor=actor, notice=notice,
                evidence={"mechanism": "tapped_button", "shown": "full_text", "channel": "app"},
            )  # fmt: skip
            if said == "grant" and purpose == "P07" and self._random.random() < _WITHDRAWAL_SHARE:
                later = moment + timedelta(days=self._random.randint(1, 20))
                yield self._act("withdraw", person, later, purposes=(purpose,), actor=actor)

    def _who_decides(self, person: Person, purpose: str) -> Act:
        if person.guardian is not None and self._is_child(person):
            return self._actor("guardian", person.guardian)
        if person.agent is not None and purpose in AGENT_PURPOSES:
            return self._actor("agent", person.agent)
        return {"kind": "self"}

    def _is_child(self, person: Person) -> bool:
        """Under 14, or so close to it that the registry still counts the month."""
        return person.guardian is not None and person.age(self._today) < CHILD_YEARS + 1

    def _notice(self, purpose: str, person: Person) -> NoticeText:
        child = self._is_child(person)
        texts = [n for n in self._catalogue.notices if purpose in n.purposes and n.locale == "zh-CN"]
        texts.sort(key=lambda n: ("child" in n.code) != child)
        return texts[0]

    def _actor(self, kind: str, number: int) -> Act:
        return {"kind": kind, "subject": {"source": "app", "id": self._people[number].app_id}}

    def _act(
        self,
        act: str,
        person: Person,
        when: datetime,
        *,
        purposes: Sequence[str] = (),
        source: str = "app",
        notice: NoticeText | None = None,
        **more: Any,  # noqa: ANN401 - one line of JSON
    ) -> Act:
        self._number += 1
        reference: Act = {"source": source, "id": person.app_id if source == "app" else person.shop_id}
        if act == "contract":
            reference |= {
                "id_number": person.id_number,
                "birth_date": person.birth_date.isoformat(),
                "sex": person.sex,
                "mobile": person.mobile,
            }
        made: Act = {
            "act_id": f"act-{self._number:07d}",
            "act": act,
            "subject": reference,
            "purposes": list(purposes),
            "at": when.isoformat(),
            "evidence": {"mechanism": "contract_concluded", "channel": source},
        }
        if notice is not None:
            made["notice"] = {"code": notice.code, "version": notice.version, "locale": notice.locale}
        if act in ("contract", "duty") and "actor" not in more:
            made["actor"] = {"kind": "operator"}
        return made | {k: v for k, v in more.items() if v is not None}

    def _start(self, person: Person) -> datetime:
        lived = (self._today - person.birth_date).days
        return self._moment(self._today - timedelta(days=self._random.randint(30, min(500, lived - 1))))

    def _moment(self, day: date) -> datetime:
        return datetime.combine(day, time(1, self._random.randint(0, 40)), tzinfo=UTC)
