"""Capture a file of consent acts: one JSON object a line, in the order in which the acts happened."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from consentry.access import check_may_act
from consentry.acts import ConsentAct
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.progress import progress
from consentry.sources.files import read_lines
from consentry.sources.quarantine import COLUMNS, QuarantineWriter, quarantine_path
from consentry.sources.records import RowFault, SourceError
from consentry.workflows.capture import ActAnswer, ActOutcome, capture_acts
from kernel.encoding import JsonValue
from kernel.errors import ConsentryError

CHUNK_ACTS: Final = 300
"""Acts in one transaction."""

MAX_LINE_BYTES: Final = 64 * 1024
"""An act is small; a longer line is refused unread."""

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class RefusedAct:
    """One act that was not recorded: where, by which rule, and what the rule says."""

    locator: str
    reason: str
    field: str | None = None
    detail: str | None = None


@dataclass
class CaptureReport:
    """What became of a file of acts.

    Attributes:
        recorded: by kind of act. refused: by reason.
    """

    recorded: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    registered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    quarantine: Path | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs."""
        return {
            "recorded": dict(self.recorded),
            "repeated": self.repeated,
            "registered": self.registered,
            "refused": dict(self.refused),
            "quarantine": None if self.quarantine is None else str(self.quarantine),
        }


def capture_file(
    platform: Platform,
    caller: Principal,
    file: Path,
    *,
    encoding: str = "utf-8",
    quarantine: Path | None = None,
    show_progress: bool = False,
) -> CaptureReport:
    """Record every act of a file; a refused act is listed and leaves the others standing.

    Sending the file again records nothing twice: every act has its id.

    Raises:
        SourceError: the file is missing, empty, in another encoding or no NDJSON; nothing was recorded.
    """
    check_may_act(platform.catalogue, caller, "consent.capture")
    lines = _lines(file, encoding)
    with (
        progress("consent acts", shown=show_progress) as done,
        QuarantineWriter(quarantine or quarantine_path(file), columns=(*COLUMNS, "detail")) as bad,
    ):
        run = _Run(platform, caller, bad)
        while chunk := list(islice(lines, CHUNK_ACTS)):
            run.capture(chunk)
            done(len(chunk))
    run.report.quarantine = bad.path if bad.count else None
    return run.report


@dataclass
class _Run:
    platform: Platform
    caller: Principal
    bad: QuarantineWriter
    report: CaptureReport = field(default_factory=CaptureReport)

    def capture(self, lines: list[tuple[str, str | None]]) -> None:
        acts = [(locator, act) for locator, line in lines if (act := self._parsed(locator, line)) is not None]
        answers = capture_acts(self.platform, self.caller, [act for _, act in acts])
        for (locator, act), said in zip(acts, answers, strict=True):
            self._count(locator, act, said)

    def _parsed(self, locator: str, line: str | None) -> ConsentAct | None:
        if line is None or len(line) > MAX_LINE_BYTES:
            self._refuse(RefusedAct(locator, RowFault.TOO_LONG))
            return None
        try:
            return ConsentAct.model_validate_json(line)
        except ValidationError as err:
            first = err.errors(include_input=False, include_url=False)[0]
            self._refuse(RefusedAct(locator, RowFault.MALFORMED, _place(first["loc"]), first["msg"]))
            return None

    def _count(self, locator: str, act: ConsentAct, said: ActOutcome) -> None:
        if not isinstance(said, ActAnswer):
            self._refuse(RefusedAct(locator, _rule(said), detail=said.diagnostics()))
        elif said.repeated:
            self.report.repeated += 1
        else:
            self.report.recorded[act.act] += 1
            self.report.registered += said.registered

    def _refuse(self, row: RefusedAct) -> None:
        self.report.refused[row.reason] += 1
        self.bad.write(row)


def _rule(refused: ConsentryError) -> str:
    """Return an error's name in the form of the other reasons: ``NotFound`` is ``not_found``."""
    return _CAPITAL.sub("_", type(refused).__name__).lower()


def _place(parts: tuple[int | str, ...]) -> str | None:
    """Return where a line breaks the schema; a name that is none of ours could be a value, and is not shown."""
    known = ConsentAct.model_json_schema()
    names = {name for model in (known, *known["$defs"].values()) for name in model.get("properties", ())}
    return ".".join(str(part) if part in names or isinstance(part, int) else "?" for part in parts) or None


def _lines(file: Path, encoding: str) -> Iterator[tuple[str, str | None]]:
    """Yield place and text of every line, None for one that is too long.

    Raises:
        SourceError: at once, when the file is missing, empty or in another encoding; or it is a JSON array.
    """
    lines = read_lines(file, encoding)
    first = next(lines, None)
    if first is None:
        raise SourceError(f"{file.name} is empty", hint="Give one JSON object a line.")
    if first[1] is not None and first[1].lstrip().startswith("["):
        raise SourceError(f"{file.name} is a JSON array", hint="Write one object a line (NDJSON).")
    return ((f"{file.name}:{number}", line) for number, line in chain([first], lines))
