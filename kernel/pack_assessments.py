"""Reads assessments/*.yaml: the impact assessments that stand behind the pack's purposes."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kernel.catalogue import AssessmentText
from kernel.located_yaml import Located
from kernel.pack_entries import Declared, Entry, Mistakes, read_date, read_folder

PARTS: Final = ("legality_and_necessity", "impact_and_risk", "protective_measures")
"""What an assessment must hold: PIPL 56 (R36)."""

MAX_YEARS: Final = 3
"""How long one approval may count."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_DATE: Final = date.min


def read_assessments(folder: Path, mistakes: Mistakes) -> list[Declared[AssessmentText]]:
    """Return the assessments of a folder that were read without mistakes; none where there is no folder."""
    return read_folder(folder, read_assessment, mistakes)


def read_assessment(node: Located, mistakes: Mistakes) -> AssessmentText | None:
    """Return one assessment, or None where mistakes were found."""
    entry = Entry(node, mistakes, required={"id", "purposes", "parts", "approved_by", "approved_on", "expires_on"})
    text = AssessmentText(
        assessment_id=entry.read("id", _read_id, otherwise=""),
        purposes=entry.texts("purposes"),
        parts=entry.read("parts", _read_parts, otherwise={}),
        approved_by=entry.text("approved_by"),
        approved_on=entry.read("approved_on", read_date, otherwise=_NO_DATE),
        expires_on=entry.read("expires_on", read_date, otherwise=_NO_DATE),
    )
    if not entry.is_whole:
        return None
    if not text.purposes:
        mistakes.add(node["purposes"], "an assessment of nothing", expected="at least one purpose")
    if not text.approved_on < text.expires_on <= _latest(text.approved_on):
        mistakes.add(
            node["expires_on"], "a period that cannot be", expected=f"at most {MAX_YEARS} years after approved_on"
        )
    return text if entry.is_whole else None


def _read_id(node: Located) -> str:
    if _ID.fullmatch(node.text()) is None:
        raise node.fail(f"{node.raw!r} is no id", expected="letters, digits, points and hyphens such as PIA-2026-01")
    return node.text()


def _read_parts(node: Located) -> Mapping[str, str]:
    node.mapping(required=PARTS)
    return MappingProxyType({name: node[name].text() for name in PARTS})


def _latest(approved_on: date) -> date:
    try:
        return approved_on.replace(year=approved_on.year + MAX_YEARS)
    except ValueError:  # the 29th of February, or the end of the calendar
        return date(min(approved_on.year + MAX_YEARS, date.max.year), 3, 1)
