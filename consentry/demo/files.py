"""Writes the source files of the made-up operator, the way its systems would."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from consentry.demo.clinical import Hospital
from consentry.demo.commerce import ORDER_HEADER, App, Shop
from consentry.demo.consents import ConsentDesk
from consentry.demo.people import Person, make_people
from kernel.catalogue import Catalogue

RESOURCE_ORDER = (
    "Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "AllergyIntolerance", "Immunization",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files, and the people that the story is told on.

    Attributes:
        orders_only: a shop customer without any medical record, all orders older than the legal floor.
        consult_count: how many people have a hospital record.
    """

    consents: Path
    hospital: Path
    orders: Path
    events: Path
    people: Sequence[Person]
    orders_only: Person


def write_source_files(catalogue: Catalogue, folder: Path, *, subjects: int, seed: int, today: date) -> SourceFiles:
    """Make up the people and write what the systems know about them."""
    folder.mkdir(parents=True, exist_ok=True)
    people = make_people(subjects, seed=seed, today=today)
    orders_only = next(p for p in reversed(people) if p.age(today) >= 30 and p.guardian is None and p.agent is None and not _is_needed(p, people))  # noqa: E501, PLR2004
    patients = [p for p in people if p.number != orders_only.number]
    files = SourceFiles(
        folder / "consent-acts.ndjson", folder / "hospital", folder / "shop-orders.csv", folder / "app-events.ndjson",
        people, orders_only,
    )  # fmt: skip
    desk = ConsentDesk(catalogue, people, seed=seed, today=today)
    _write_lines(files.consents, (a for p in people for a in desk.acts(p, orders_only=p.number == orders_only.number)))
    _write_hospital(files.hospital, Hospital(seed=seed, today=today), patients)
    _write_orders(files.orders, Shop(seed=seed, today=today), patients, orders_only)
    app = App(seed=seed, today=today)
    _write_lines(files.events, (e for p in patients if p.age(today) >= 14 for e in app.events(p)))  # noqa: PLR2004
    return files


def _is_needed(person: Person, people: Sequence[Person]) -> bool:
    """Say whether somebody else's acts refer to this person."""
    return any(person.number in (p.guardian, p.agent, p.head) for p in people)


def _write_hospital(folder: Path, hospital: Hospital, people: Iterable[Person]) -> None:
    folder.mkdir(exist_ok=True)
    by_type: dict[str, list[dict[str, Any]]] = {name: [] for name in RESOURCE_ORDER}
    for person in people:
        for resource in hospital.resources(person):
            by_type[resource["resourceType"]].append(resource)
    for number, (name, resources) in enumerate(by_type.items()):
        _write_lines(folder / f"{number}-{name}.ndjson", resources)


def _write_orders(path: Path, shop: Shop, people: Iterable[Person], orders_only: Person) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(ORDER_HEADER)
        for person in people:
            writer.writerows(shop.rows(person))
        writer.writerows(shop.old_row(orders_only) for _ in range(3))


def _write_lines(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for item in objects:
            file.write(json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n")
