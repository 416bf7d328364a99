"""Capture a file of consent acts: one JSON object a line, in the order in which the acts happened."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from consentry.access import check_may_act
from consentry.acts import ConsentAct
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.progress import progress
from consentry.quarantine import write_quarantine
from consentry.workflows.capture import ActAnswer, capture_acts
from kernel.encoding import JsonValue
from kernel.errors import BadInput

CHUNK_ACTS: Final = 300
"""Acts in one transaction."""

MAX_LINE_BYTES: Final = 64 * 1024
"""An act is small; a longer line is refused unread."""


@dataclass(frozen=True, slots=True)
class RefusedAct:
    """One act that was not recorded: where and by which rule."""

    locator: str
    reason: str
    field: str | None = None


@dataclass
class CaptureReport:
    """What became of a file of acts."""

    recorded: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    registered: int = 0
    bad_rows: list[RefusedAct] = field(default_factory=list)
    quarantine: Path | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs."""
        return {
            "recorded": dict(self.recorded),
            "repeated": self.repeated,
            "registered": self.registered,
            "refused": dict(Counter(row.reason for row in self.bad_rows)),
            "quarantine": None if self.quarantine is None else str(self.quarantine),
        }


def capture_file(
    platform: Platform, caller: Principal, file: Path, *, quarantine: Path | None = None, show_progress: bool = False
) -> CaptureReport:
    """Record every act of a file; a refused act is listed and leaves the others standing.

    Sending the file again records nothing twice: every act has its id.

    Raises:
        BadInput: the file is missing, empty or not UTF-8.
    """
    check_may_act(platform.catalogue, caller, "consent.capture")
    report = CaptureReport()
    lines = _lines(file)
    with progress("consent acts", shown=show_progress) as done:
        while chunk := list(islice(lines, CHUNK_ACTS)):
            acts = [(locator, act) for locator, line in chunk if (act := _parsed(locator, line, report)) is not None]
            for (locator, act), said in zip(acts, capture_acts(platform, caller, [a for _, a in acts]), strict=True):
                _count(report, locator, act, said)
            done(len(chunk))
    report.quarantine = write_quarantine(report.bad_rows, quarantine or file)
    return report


def _count(report: CaptureReport, locator: str, act: ConsentAct, said: object) -> None:
    if not isinstance(said, ActAnswer):
        report.bad_rows.append(RefusedAct(locator, type(said).__name__))
    elif said.repeated:
        report.repeated += 1
    else:
        report.recorded[act.act] += 1
        report.registered += said.registered


def _parsed(locator: str, line: bytes, report: CaptureReport) -> ConsentAct | None:
    if len(line) > MAX_LINE_BYTES:
        report.bad_rows.append(RefusedAct(locator, "TOO_LONG"))
        return None
    try:
        return ConsentAct.model_validate_json(line)
    except ValidationError as err:
        first = err.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or None
        report.bad_rows.append(RefusedAct(locator, "MALFORMED", place))
        return None


def _lines(file: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with file.open("rb") as opened:
            start = opened.read(4096)
            _check_text(file, start)
            opened.seek(0)
            for number, line in enumerate(opened, start=1):
                if line.strip():
                    yield f"{file.name}:{number}", line.strip()
    except OSError as err:
        raise BadInput(f"{file} cannot be read: {err.strerror}", hint="Check the path.") from None


def _check_text(file: Path, start: bytes) -> None:
    if not start.strip():
        raise BadInput(f"{file} is empty", hint="Give one JSON object a line.")
    if start.lstrip()[:1] == b"[":
        raise BadInput(f"{file} is a JSON array", hint="Write one object a line (NDJSON).")
    head = start[: start.rfind(b"\n") + 1] or start
    try:
        head.decode()
    except UnicodeDecodeError as err:
        if err.end < len(head) - 3:
            hint = "Save it as UTF-8; it looks like GB18030." if _is_gb18030(head) else "Save it as UTF-8."
            raise BadInput(f"{file} is not UTF-8", hint=hint) from None


def _is_gb18030(text: bytes) -> bool:
    try:
        json.dumps(text.decode("gb18030"))
    except UnicodeDecodeError:
        return False
    return True
