"""The outside dialogues as complaints of made-up subjects: a CSV, its map, and the consent acts."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.acts import Desk
from benchmarks.outside import Dialogue
from benchmarks.planted import Planted, Planter
from kernel.catalogue import Catalogue
from kernel.clock import format_instant

SOURCE: Final = "forum"
GRANTS: Final = ("P02", "P07")
PLANTED_SHARE: Final = 0.5

_HEADER: Final = ("subject", "visit", "time", "department", "title", "ask", "answer")
_MAP: Final = """\
source: forum
subject: subject
time: time
record: visit
ignore: [title]
records:
  - kind: encounter
    columns:
      time: visit_time
      department: department
      ask: chief_complaint
      answer: consult_chat
"""
_LATEST: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Complaints:
    """The files of a made-up forum.

    Attributes:
        table, map, acts: for ``ingest table FILE --map MAP`` and ``ingest consents FILE``.
        planted: what was planted into the questions, by the subject's id at the source.
        answers: what was planted into the answers, likewise.
    """

    table: Path
    map: Path
    acts: Path
    planted: dict[str, Planted] = field(default_factory=dict)
    answers: dict[str, Planted] = field(default_factory=dict)

    @property
    def values(self) -> list[str]:
        """Every planted identifier."""
        return [planted.value for planted in (*self.planted.values(), *self.answers.values())]


def write_complaints(
    dialogues: Sequence[Dialogue], folder: Path, catalogue: Catalogue, *, now: datetime, seed: int = 11
) -> Complaints:
    """Write each dialogue as one visit of a subject of its own.

    Every other question and every other answer gets an identifier, mobile, ID number and e-mail in turn.
    """
    files = Complaints(folder / "complaints.csv", folder / "complaints.map.yaml", folder / "complaint-acts.ndjson")
    planters, desk = (Planter(seed), Planter(seed + 1)), Desk(catalogue, now=now)
    with files.table.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(_HEADER)
        for number, dialogue in enumerate(dialogues):
            person = {"source": SOURCE, "id": f"user{number:05}"}
            desk.register(person | {"birth_date": "1980-01-01", "sex": "female" if number % 2 else "male"})
            desk.grant(person, GRANTS)
            writer.writerow(_row(person["id"], number, dialogue, files, planters, now))
    files.map.write_text(_MAP, encoding="utf-8")
    desk.write(files.acts)
    return files


def _row(  # noqa: PLR0917 - one line of the table
    subject: str, number: int, dialogue: Dialogue, files: Complaints, planters: tuple[Planter, Planter], now: datetime
) -> tuple[str, ...]:
    ask, answer = dialogue.ask, dialogue.answer
    if number % 2 == 0:
        files.planted[subject] = planters[0].plant(ask)
        ask = files.planted[subject].text
    elif number % 4 == 1:
        files.answers[subject] = planters[1].plant(answer)
        answer = files.answers[subject].text
    at = format_instant(now - _LATEST - timedelta(minutes=number))
    return subject, f"v{number:05}", at, dialogue.department, dialogue.title, ask, answer
