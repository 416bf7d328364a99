"""Writes the source files of the made-up operator, the way its systems would."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from consentry.demo.clinical import Hospital
from consentry.demo.commerce import ORDER_HEADER, ORDER_MAP, READING_HEADER, App, Shop
from consentry.demo.consents import ConsentDesk
from consentry.demo.people import ADULT_YEARS, Person, make_people
from kernel.catalogue import Catalogue

APP_YEARS: Final = 14
"""The app has no users below this age."""

RESOURCE_ORDER: Final = (
    "Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "AllergyIntolerance", "Immunization",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files, and the people that the story is told on.

    Attributes:
        orders_only: a shop customer without any medical record, all orders older than the legal floor.
    """

    consents: Path
    hospital: Path
    orders: Path
    order_map: Path
    events: Path
    readings: Path
    people: Sequence[Person]
    orders_only: Person


def write_source_files(catalogue: Catalogue, folder: Path, *, subjects: int, seed: int, today: date) -> SourceFiles:
    """Make up the people and write what the systems know about them."""
    folder.mkdir(parents=True, exist_ok=True)
    people = make_people(subjects, seed=seed, today=today)
    orders_only = _shop_customer(people, today)
    patients = [p for p in people if p.number != orders_only.number]
    files = SourceFiles(
        folder / "consent-acts.ndjson", folder / "hospital",
        folder / "shop-orders.csv", folder / "shop-orders.map.yaml",
        folder / "app-events.ndjson", folder / "app-readings.csv",
        people, orders_only,
    )  # fmt: skip
    desk = ConsentDesk(catalogue, people, seed=seed, today=today)
    _write_lines(files.consents, desk.acts(orders_only=orders_only))
    _write_hospital(files.hospital, Hospital(seed=seed, today=today), patients)
    _write_rows(files.orders, ORDER_HEADER, _orders(Shop(seed=seed, today=today), patients, orders_only))
    files.order_map.write_text(ORDER_MAP, encoding="utf-8")
    app = App(seed=seed, today=today)
    users = [person for person in patients if person.age(today) >= APP_YEARS]
    _write_lines(files.events, (event for person in users for event in app.events(person)))
    _write_rows(files.readings, READING_HEADER, (row for person in users for row in app.readings(person)))
    return files


def _write_hospital(folder: Path, hospital: Hospital, people: Iterable[Person]) -> None:
    folder.mkdir(exist_ok=True)
    by_type: dict[str, list[dict[str, Any]]] = {name: [] for name in RESOURCE_ORDER}
    for person in people:
        for resource in hospital.resources(person):
            by_type[resource["resourceType"]].append(resource)
    for number, (name, resources) in enumerate(by_type.items()):
        _write_lines(folder / f"{number}-{name}.ndjson", resources)


def _shop_customer(people: Sequence[Person], today: date) -> Person:
    """Return the last grown-up to whom nobody's acts refer."""
    needed = {number for p in people for number in (p.guardian, p.agent, p.head)}
    free = [p for p in people if p.age(today) >= ADULT_YEARS and p.number not in needed and p.agent is None]
    return free[-1]


def _orders(shop: Shop, patients: Iterable[Person], orders_only: Person) -> Iterator[tuple[str, ...]]:
    for person in patients:
        yield from shop.rows(person)
    for _ in range(3):
        yield shop.old_row(orders_only)


def _write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _write_lines(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for item in objects:
            file.write(json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n")
