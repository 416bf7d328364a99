"""The made-up hospital's records as FHIR R4 resources, with our own Chinese clinical sentences."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from consentry.demo.people import Person

Resource = dict[str, Any]

ICD10: Final = "http://hl7.org/fhir/sid/icd-10"
ATC: Final = "http://www.whocc.no/atc"
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
CVX: Final = "http://hl7.org/fhir/sid/cvx"
UCUM: Final = "http://unitsofmeasure.org"
CITIZEN_NUMBER: Final = "urn:oid:2.16.156.10011.1.3"
"""Citizen identity number in the Chinese health sector's object identifiers (WS/T 364)."""


@dataclass(frozen=True, slots=True)
class Illness:
    """What a made-up patient with this illness comes with."""

    icd10: str
    atc: tuple[str, ...]
    department: str
    complaints: tuple[str, ...]


ILLNESSES: Final = {
    "hypertension": Illness("I10", ("C09AA05", "C08CA01"), "心内科", (
        "头晕三天，早上量血压{sys}/{dia}，有时后脑勺发胀",
        "血压控制不好，吃药后还是{sys}左右，请医生看看要不要换药",
        "最近熬夜多，血压又高了，{sys}/{dia}，心慌",
    )),
    "diabetes": Illness("E11.9", ("A10BA02",), "内分泌科", (
        "空腹血糖{glucose}，口渴多饮两周",
        "二甲双胍吃了一个月，空腹还是{glucose}，想调药",
    )),
    "hyperlipidaemia": Illness("E78.5", ("C10AA05",), "心内科", ("体检血脂高，平时没感觉，需要吃药吗",)),
    "insomnia": Illness("G47.0", ("N05CF02",), "神经内科", (
        "入睡困难一个多月，凌晨两三点才睡着",
        "失眠多梦，白天没精神",
    )),
    "asthma": Illness("J45.9", ("R03AC02",), "呼吸科", ("换季就咳嗽，夜里喘，喷雾剂用完了",)),
    "respiratory": Illness("J06.9", ("R05CB01",), "呼吸科", (
        "咽痛、流鼻涕两天，体温37.8度",
        "孩子咳嗽有痰，没有发烧，要不要去医院",
    )),
    "gastritis": Illness("K29.5", ("A02BC01",), "消化科", ("饭后胃胀反酸半年，做过胃镜说是慢性胃炎",)),
    "hiv": Illness("B20", (), "感染科", ("定期复查，继续原方案取药",)),
    "preparing": Illness("Z31.6", ("B03BB01",), "妇产科", ("备孕半年，想做孕前检查，叶酸怎么吃",)),
    "pregnant": Illness("Z34.9", ("B03BB01",), "产科", ("孕{weeks}周，偶尔腿抽筋，是缺钙吗",)),
    "postpartum": Illness("Z39.2", (), "产科", ("产后{weeks}周，想了解恢复和母乳的问题",)),
}  # fmt: skip
"""Codes are ICD-10 and ATC; the sentences are our own."""

_CHECKUP: Final = Illness("Z00.0", (), "全科", ("年度体检报告解读", "想问一下体检后要注意什么"))
_CONTACT_SHARE: Final = 0.25
_CONTACTS: Final = (
    "，方便的话打我电话{mobile}",
    "，身份证{id_number}已经实名过了",
    "，结果请发到{mail}",
    "，我手机{mobile}可以加",
)


class Hospital:
    """Writes what the hospital system knows about each person, the same for the same seed."""

    def __init__(self, *, seed: int, today: date) -> None:
        self._random = random.Random(seed * 7919 + 1)
        self._today = today
        self._number = 0

    def resources(self, person: Person) -> Iterator[Resource]:
        """Yield the person's resources, the Patient first."""
        yield self._patient(person)
        names = person.conditions or ("",)
        for name in names:
            yield from self._visit(person, ILLNESSES.get(name, _CHECKUP))
        if person.age(self._today) < 7:
            yield self._immunization(person)
        if self._random.random() < 0.12:
            yield self._allergy(person)

    def _patient(self, person: Person) -> Resource:
        return {
            "resourceType": "Patient",
            "id": person.hospital_id,
            "identifier": [
                {"system": CITIZEN_NUMBER, "value": person.id_number},
                {"type": {"coding": [{"code": "MR"}]}, "system": "urn:his:mrn", "value": f"MZ{person.number:08d}"},
            ],
            "name": [{"text": person.name}],
            "telecom": [{"system": "phone", "use": "mobile", "value": person.mobile}],
            "gender": person.sex,
            "birthDate": person.birth_date.isoformat(),
            "address": [{"text": f"{person.district}{person.street}", "postalCode": person.adcode}],
        }

    def _visit(self, person: Person, illness: Illness) -> Iterator[Resource]:
        when = self._moment(person, days=400)
        subject = {"reference": f"Patient/{person.hospital_id}"}
        encounter = self._id("enc")
        yield {
            "resourceType": "Encounter",
            "id": encounter,
            "status": "finished",
            "class": {"code": "VR"},
            "subject": subject,
            "period": {"start": when.isoformat()},
            "serviceType": {"text": illness.department},
            "reasonCode": [{"text": self._complaint(person, illness)}],
        }
        context = {"subject": subject, "encounter": {"reference": f"Encounter/{encounter}"}}
        yield {
            "resourceType": "Condition",
            "id": self._id("con"),
            **context,
            "code": {"coding": [{"system": ICD10, "code": illness.icd10}]},
            "recordedDate": when.isoformat(),
        }
        yield self._pressure(person, when, context)
        yield self._quantity("8302-2" if self._random.random() < 0.3 else "2345-7", when, context)
        for code in illness.atc[: self._random.randint(1, 2)]:
            yield {
                "resourceType": "MedicationRequest",
                "id": self._id("med"),
                "status": "active",
                "intent": "order",
                **context,
                "medicationCodeableConcept": {"coding": [{"system": ATC, "code": code}]},
                "authoredOn": when.isoformat(),
                "dosageInstruction": [{"text": self._random.choice(("每日一次，一次一片", "每日两次，饭后服"))}],
            }

    def _complaint(self, person: Person, illness: Illness) -> str:
        chosen = self._random.choice(illness.complaints)
        if self._random.random() < _CONTACT_SHARE:
            chosen += self._random.choice(_CONTACTS)
        return chosen.format(
            sys=self._random.randint(138, 178),
            dia=self._random.randint(84, 108),
            glucose=f"{self._random.uniform(6.5, 13):.1f}",
            weeks=self._random.randint(6, 36),
            mobile=person.mobile,
            id_number=person.id_number,
            mail=f"user{person.number}@example.com",
        )

    def _pressure(self, person: Person, when: datetime, context: Resource) -> Resource:
        high = "hypertension" in person.conditions
        systolic = self._random.randint(132, 175) if high else self._random.randint(102, 134)
        diastolic = systolic * 6 // 10 + self._random.randint(-4, 6)
        return {
            "resourceType": "Observation",
            "id": self._id("obs"),
            "status": "final",
            **context,
            "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
            "effectiveDateTime": when.isoformat(),
            "component": [self._component("8480-6", systolic), self._component("8462-4", diastolic)],
        }

    def _component(self, code: str, value: int) -> Resource:
        quantity = {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
        return {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": quantity}

    def _quantity(self, code: str, when: datetime, context: Resource) -> Resource:
        if code == "8302-2":
            quantity: Resource = {"value": self._random.randint(150, 186), "unit": "cm", "system": UCUM, "code": "cm"}
        else:
            value = round(self._random.uniform(4.2, 11), 1)
            quantity = {"value": value, "unit": "mmol/L", "system": UCUM, "code": "mmol/L"}
        return {
            "resourceType": "Observation",
            "id": self._id("obs"),
            "status": "final",
            **context,
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "effectiveDateTime": when.isoformat(),
            "valueQuantity": quantity,
        }

    def _immunization(self, person: Person) -> Resource:
        return {
            "resourceType": "Immunization",
            "id": self._id("imm"),
            "status": "completed",
            "patient": {"reference": f"Patient/{person.hospital_id}"},
            "vaccineCode": {"coding": [{"system": CVX, "code": self._random.choice(("08", "03", "21"))}]},
            "occurrenceDateTime": self._moment(person, days=300).isoformat(),
        }

    def _allergy(self, person: Person) -> Resource:
        return {
            "resourceType": "AllergyIntolerance",
            "id": self._id("alg"),
            "patient": {"reference": f"Patient/{person.hospital_id}"},
            "code": {
                "coding": [{"system": SNOMED, "code": self._random.choice(("91936005", "91935009", "419474003"))}]
            },
            "recordedDate": self._moment(person, days=900).isoformat(),
        }

    def _moment(self, person: Person, *, days: int) -> datetime:
        lived = (self._today - person.birth_date).days
        day = self._today - timedelta(days=self._random.randint(1, min(days, lived - 1)))
        return datetime.combine(day, time(self._random.randint(0, 12), self._random.randint(0, 59)), tzinfo=UTC)

    def _id(self, stem: str) -> str:
        self._number += 1
        return f"{stem}-{self._number:07d}"
