"""The folder of outside data: CONSENTRY_OUTSIDE_DATA; what is measured on it is left out where it is absent."""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.acts import Desk, Reference, is_adult, is_child
from kernel.catalogue import Catalogue

FHIR_FOLDER: Final = "fhir_r4"
DIALOGUES: Final = "med_dialogue_dev.csv"

PATIENT_GRANTS: Final = ("P02", "P03", "P06", "P07")
CHILD_GRANTS: Final = ("P02", "P03", "P06")
"""Children are not profiled: the child notice says so and does not name P07."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One question to a doctor, and the answer."""

    department: str
    title: str
    ask: str
    answer: str


def outside_folder() -> Path | None:
    """Return the folder of outside data, or None where the environment names none."""
    named = os.environ.get("CONSENTRY_OUTSIDE_DATA")
    return Path(named) if named and Path(named).is_dir() else None


def fhir_resources(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place (``file.json:entry``) and content of every resource of the bundles, by nothing but ``json``."""
    for path in sorted(folder.glob("*.json")):
        for number, entry in enumerate(json.loads(path.read_bytes())["entry"], start=1):
            yield f"{path.name}:{number}", entry["resource"]


def patient_acts(
    folder: Path, catalogue: Catalogue, *, source: str, now: datetime, with_guardians: bool = True
) -> Desk:
    """Return the desk with the acts of every patient of the bundles, for ``consentry ingest consents``.

    Args:
        folder: of the bundles.
        source: the name that they will be ingested under.
        now: the acts are of the day before.
        with_guardians: the first adult patient becomes every child's guardian and decides; otherwise the children
            tap the button themselves, which counts for nothing.
    """
    desk = Desk(catalogue, now=now)
    patients = [r for _, r in fhir_resources(folder) if r["resourceType"] == "Patient"]
    births = {patient["id"]: date.fromisoformat(patient["birthDate"]) for patient in patients}
    people: list[Reference] = [
        {"source": source, "id": p["id"], "birth_date": p["birthDate"], "sex": p["gender"]} for p in patients
    ]
    for person in people:
        desk.register(person)
    children = [person for person in people if is_child(births[str(person["id"])], now.date())]
    grown_up = [person for person in people if person not in children]
    for person in grown_up:
        desk.grant(person, PATIENT_GRANTS)
    guardian = next(person for person in grown_up if is_adult(births[str(person["id"])], now.date()))
    for child in children:
        if with_guardians:
            desk.give_guardian(child, guardian)
        desk.grant(child, CHILD_GRANTS, guardian=guardian if with_guardians else None)
    return desk


def dialogues(path: Path) -> list[Dialogue]:
    """Return the questions and answers of the outside file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Dialogue(row["department"], row["title"], row["ask"], row["answer"]) for row in csv.DictReader(file)]
