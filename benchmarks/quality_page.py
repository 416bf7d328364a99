"""Writes docs/reference/deid-quality.md: how well text detection does, from the figures of one run."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure, shown
from benchmarks.outside import outside_folder
from benchmarks.text_quality import CORPORA, TRIALS, PlantedScore, evaluated, hard_scores, planted_scores
from deid.text.evaluation_report import as_markdown

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "deid-quality.md"

_GIB: Final = 1024**3

_HEAD: Final = """# Quality of text detection

`make bench ONLY=text` measures and writes this page; nothing here is written by hand. {machine}

What is measured, and how to measure texts of one's own with `consentry deid evaluate`, is explained in
[De-identify text](../how-to/deidentify-text.md). Nothing that ships was derived from the corpora below.
"""

_PLANTED: Final = """Made-up values that are valid by the rules of their kind, half of them in full width or with
invisible characters inside, in sentences that touch them on one side at least, and in others that do not. Found means
start, end and kind."""

_HARD: Final = "Left alone means that nothing in the whole sentence was taken for anything."

_ENGLISH: Final = """754 texts with made-up identifiers, from microsoft/presidio-research. Types that no rule looks for
are not scored."""

_SOCIAL: Final = """Posts with names of persons, places and organisations, from hltcoe/golden-horse; proper names
(`.NAM`) are scored. Handles behind `@` are persons to us and not to the corpus, so that precision is a lower bound."""

_MEDICAL: Final = """Questions and answers of internal medicine, from Toyhom/Chinese-medical-dialogue-data. Nobody
marked what is in them: all that is found counts as false, the true ones too."""


def write(figures: Sequence[Figure], page: Path = PAGE, trials: int = TRIALS) -> None:
    """Write the page; without outside data it stays as it is.

    Args:
        figures: of the group ``text``, from this run.
        page: the file.
        trials: of each kind that is planted.
    """
    outside = outside_folder()
    if outside is None:
        return
    sections = [
        _HEAD.format(machine=_machine()),
        f"## Figures\n\n{_figures(figures)}",
        f"## Planted identifiers\n\n{_PLANTED}\n\n{_planted(trials)}",
        f"## What only looks like an identifier\n\n{_HARD}\n\n{_hard(trials)}",
    ]
    for name, about in zip(CORPORA, (_ENGLISH, _SOCIAL, _MEDICAL), strict=True):
        evaluation = evaluated(outside, name)
        if evaluation is not None:
            sections.append(f"## {name}\n\n{about}\n\n{as_markdown(evaluation)}")
    page.write_text("\n".join(section.rstrip("\n") + "\n" for section in sections), "utf-8")


def _figures(figures: Sequence[Figure]) -> str:
    rows = [
        (figure.name, shown(figure.value), figure.unit, figure.yardstick or "", shown(figure.yardstick_value),
         str(figure.target or ""), {True: "yes", False: "**no**", None: ""}[figure.met])
        for figure in figures
    ]  # fmt: skip
    return _table(("figure", "value", "unit", "beside", "its value", "target", "met"), rows)


def _planted(trials: int) -> str:
    glued, delimited = planted_scores(trials, glued=True), planted_scores(trials, glued=False)
    rows = [
        (one.name, f"{one.trials:,}", _found(one), f"{other.trials:,}", _found(other))
        for one, other in zip(glued, delimited, strict=True)
    ]
    return _table(("kind", "glued", "found", "delimited", "found"), rows)


def _hard(trials: int) -> str:
    rows = [(one.name, f"{one.trials:,}", _found(one)) for one in hard_scores(trials)]
    return _table(("sort", "texts", "left alone"), rows)


def _found(score: PlantedScore) -> str:
    return f"{score.hit / score.trials:.3f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"| --- |{' ---: |' * (len(columns) - 1)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    return (
        f"Measured {datetime.now(UTC).date().isoformat()} at commit {_commit()} on {os.cpu_count()} cores "
        f"({platform.machine()}), {memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}."
    )


def _commit() -> str:
    """Return the commit; marked where files differ from it, unknown outside a checkout."""
    told = subprocess.run(
        ("git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"),  # noqa: S607 - found by PATH
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"`{told.stdout.strip()}`" if told.returncode == 0 else "unknown"
