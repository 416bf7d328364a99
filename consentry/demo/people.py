"""Made-up people: families that share a mobile, minors with guardians, elders with agents, a referral chain."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final

FAMILY_SHARE: Final = 0.35
"""Share of adults who register as the head of a family."""

AGENT_SHARE: Final = 0.4
"""Share of elders for whom a child of theirs acts as authorised agent."""

ADULT_YEARS: Final = 18
ELDER_YEARS: Final = 65
_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK: Final = "10X98765432"
"""GB 11643-1999: ISO 7064 MOD 11-2 over the first 17 digits."""

DISTRICTS: Final = (
    ("110105", "北京市朝阳区"), ("120101", "天津市和平区"), ("130102", "石家庄市长安区"),
    ("310115", "上海市浦东新区"), ("320102", "南京市玄武区"), ("330106", "杭州市西湖区"), ("350203", "厦门市思明区"),
    ("370202", "青岛市市南区"), ("410102", "郑州市中原区"), ("420106", "武汉市武昌区"), ("430102", "长沙市芙蓉区"),
    ("440106", "广州市天河区"), ("440305", "深圳市南山区"),
)  # fmt: skip
"""District codes of GB/T 2260 with their names: where the made-up operator has its patients."""


@dataclass(frozen=True, slots=True)
class Person:
    """One made-up person.

    Attributes:
        number: running number, also the source ids' stem.
        head: number of the family's head, whose mobile the member uses; None outside a family.
        guardian, agent: numbers of the persons who act for this one.
        referred_by: number of the person who invited this one.
    """

    number: int
    name: str
    sex: str
    birth_date: date
    id_number: str
    mobile: str
    adcode: str
    district: str
    street: str
    conditions: tuple[str, ...] = ()
    head: int | None = None
    guardian: int | None = None
    agent: int | None = None
    referred_by: int | None = None
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def app_id(self) -> str:
        """The app's id of this person."""
        return f"u-{self.number:06d}"

    @property
    def hospital_id(self) -> str:
        """The hospital system's id of this person."""
        return f"pat-{self.number:06d}"

    @property
    def shop_id(self) -> str:
        """The shop's membership number of this person."""
        return f"m{self.number:07d}"

    def age(self, on: date) -> int:
        """Completed years on a day."""
        return on.year - self.birth_date.year - ((on.month, on.day) < (self.birth_date.month, self.birth_date.day))


def make_people(count: int, *, seed: int, today: date) -> list[Person]:
    """Make ``count`` people, the same ones for the same seed and day."""
    return list(_Population(seed, today).people(count))


def make_id_number(adcode: str, birth_date: date, serial: int, sex: str) -> str:
    """Return an 18-digit citizen number with a right check digit; the serial's parity follows the sex."""
    serial = serial // 2 * 2 + (1 if sex == "male" else 0)
    body = f"{adcode}{birth_date:%Y%m%d}{serial % 1000:03d}"
    return body + _ID_CHECK[sum(int(d) * w for d, w in zip(body, _ID_WEIGHTS, strict=True)) % 11]


class _Population:
    def __init__(self, seed: int, today: date) -> None:
        from faker import Faker

        self._random = random.Random(seed)
        self._faker = Faker("zh_CN")
        self._faker.seed_instance(seed)
        self._today = today
        self._seen: set[str] = set()

    def people(self, count: int) -> Iterator[Person]:
        number = 0
        inviter: int | None = None
        while number < count:
            family = self._family(number) if self._random.random() < FAMILY_SHARE else [self._adult(number)]
            family[0] = replace(family[0], referred_by=inviter if self._random.random() < 0.15 else None)
            yield from family[: count - number]
            inviter = family[0].number
            number += len(family)

    def _family(self, number: int) -> list[Person]:
        """A head with one or two children, sometimes an elder; all of them use the head's mobile."""
        head = self._adult(number, years=(26, 45))
        members = [head]
        for _ in range(self._random.randint(1, 2)):
            members.append(self._member(head, number + len(members), years=(1, 17)))
        if self._random.random() < 0.5:
            elder = self._member(head, number + len(members), years=(ELDER_YEARS, 88))
            members.append(replace(elder, agent=head.number) if self._random.random() < AGENT_SHARE else elder)
        return members

    def _member(self, head: Person, number: int, *, years: tuple[int, int]) -> Person:
        person = self._person(number, years, head.adcode, head.district)
        guardian = head.number if person.age(self._today) < ADULT_YEARS else None
        return replace(person, mobile=head.mobile, street=head.street, head=head.number, guardian=guardian)

    def _adult(self, number: int, *, years: tuple[int, int] = (18, 92)) -> Person:
        low, high = years
        middle = self._random.triangular(low, high, 42)
        adcode, district = self._random.choice(DISTRICTS)
        return self._person(number, (max(low, int(middle) - 2), min(high, int(middle) + 2)), adcode, district)

    def _person(self, number: int, years: tuple[int, int], adcode: str, district: str) -> Person:
        sex = self._random.choice(("female", "male"))
        birth_date = self._today - timedelta(days=self._random.randint(years[0] * 365 + 30, years[1] * 365 + 300))
        name = self._faker.name_female() if sex == "female" else self._faker.name_male()
        return Person(
            number=number,
            name=name,
            sex=sex,
            birth_date=birth_date,
            id_number=self._id_number(adcode, birth_date, sex),
            mobile=self._faker.phone_number(),
            adcode=adcode,
            district=district,
            street=f"{self._faker.street_name()}{self._random.randint(1, 300)}号{self._random.randint(1, 30)}栋",
            conditions=self._conditions(sex, years[0]),
        )

    def _id_number(self, adcode: str, birth_date: date, sex: str) -> str:
        while True:
            made = make_id_number(adcode, birth_date, self._random.randint(0, 999), sex)
            if made not in self._seen:
                self._seen.add(made)
                return made

    def _conditions(self, sex: str, years: int) -> tuple[str, ...]:
        chance = self._random.random
        found = []
        if years >= 35 and chance() < 0.35:
            found.append("hypertension")
        if years >= 35 and chance() < 0.2:
            found.append("diabetes")
        if years >= 40 and chance() < 0.2:
            found.append("hyperlipidaemia")
        if sex == "female" and 22 <= years <= 42 and chance() < 0.25:
            found.append(self._random.choice(("preparing", "pregnant", "postpartum")))
        if chance() < 0.1:
            found.append("insomnia")
        if chance() < 0.08:
            found.append("asthma")
        if chance() < 0.25:
            found.append("respiratory")
        if chance() < 0.12:
            found.append("gastritis")
        if years >= 18 and chance() < 0.01:
            found.append("hiv")
        return tuple(found)
