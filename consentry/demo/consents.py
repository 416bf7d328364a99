"""The made-up app's consent acts: registrations, guardians, agents, grants, refusals and withdrawals."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from consent.ages import childhood_until, class_of_birth
from consentry.demo.people import Person
from kernel.catalogue import Catalogue, NoticeText

AGENT_PURPOSES: Final = ("P02", "P06", "P07")
FOR_CHILDREN: Final = "child"
"""The audience of the notice under which a guardian decides for a child."""

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
_EVIDENCE: Final = {"mechanism": "tapped_button", "shown": "full_text", "channel": "app"}

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
        if person.guardian is not None and self._is_child(person, when.date()):
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
        """Decide about everything that the person's notices ask; nobody profiles a child or recommends to it."""
        is_child = self._is_child(person, when.date())
        if is_child and not self._is_child(person, self._today):
            return  # turns 14 in these days: the guardian no longer says yes, the child not yet
        for step, (purpose, share) in enumerate(GRANT_SHARES.items(), start=1):
            notice = self._notice(purpose, is_child=is_child)
            if notice is not None:
                said = "grant" if self._random.random() < share else "refuse"
                moment = when + timedelta(minutes=step)
                actor = self._who_decides(person, purpose, is_child=is_child)
                for recipient in self._recipients(purpose):
                    yield self._choice(said, person, moment, purpose, notice, recipient=recipient, actor=actor)
                if said == "grant" and purpose == "P07" and self._random.random() < _WITHDRAWAL_SHARE:
                    later = moment + timedelta(days=self._random.randint(1, 20))
                    yield self._act("withdraw", person, later, purposes=(purpose,), actor=actor)

    def _choice(
        self,
        said: str,
        person: Person,
        moment: datetime,
        purpose: str,
        notice: NoticeText,
        **more: Any,  # noqa: ANN401 - one line of JSON
    ) -> Act:
        return self._act(said, person, moment, purposes=(purpose,), notice=notice, evidence=_EVIDENCE, **more)

    def _who_decides(self, person: Person, purpose: str, *, is_child: bool) -> Act:
        if person.guardian is not None and is_child:
            return self._actor("guardian", person.guardian)
        if person.agent is not None and purpose in AGENT_PURPOSES:
            return self._actor("agent", person.agent)
        return {"kind": "self"}

    def _is_child(self, person: Person, on: date) -> bool:
        """Say whether only a guardian says yes; the registry counts to the end of the birthday's month."""
        until = self._grown_up_on(person, on)
        return until is not None and on < until

    def _grown_up_on(self, person: Person, on: date) -> date | None:
        return childhood_until(*class_of_birth(person.birth_date, on), self._catalogue.digital_age)

    def _notice(self, purpose: str, *, is_child: bool) -> NoticeText | None:
        """Return the notice that asks for a purpose; none where children are not asked for it."""
        texts = [n for n in self._catalogue.notices if purpose in n.purposes and n.locale == "zh-CN"]
        return next((n for n in texts if (n.audience == FOR_CHILDREN) == is_child), None)

    def _recipients(self, purpose: str) -> Sequence[str | None]:
        declared = self._catalogue.get_purpose(purpose)
        return declared.recipients if declared.per_recipient else (None,)

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
        """Return when a person joined; who has turned 14 is asked after that, where there was a day for it."""
        since = person.birth_date
        until = self._grown_up_on(person, self._today)
        if until is not None and until <= self._today:
            since = until
        lived = max((self._today - since).days, 2)
        return self._moment(self._today - timedelta(days=self._random.randint(min(30, lived - 1), min(500, lived - 1))))

    def _moment(self, day: date) -> datetime:
        return datetime.combine(day, time(1, self._random.randint(0, 40)), tzinfo=UTC)
