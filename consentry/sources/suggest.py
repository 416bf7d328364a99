"""Drafts a map from a table's header; a person reads it before anything is read with it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from consentry.sources.cleaning import fold
from consentry.sources.codes import rows_of
from consentry.sources.context import SourceContext
from consentry.sources.headers import check_is_header
from consentry.sources.table_files import read_header
from kernel.catalogue import Compartment, FieldType

_KINDS: Final = {
    "allergy": "allergy",
    "chief_complaint": "encounter",
    "complaint_text": "complaint",
    "complaint_type": "complaint",
    "department": "encounter",
    "diagnosis": "condition",
    "diagnosis_onset": "condition",
    "doctor_name": "encounter",
    "dose": "medication",
    "family_history": "family_history",
    "frequency": "medication",
    "prescription": "medication",
    "questionnaire": "questionnaire",
    "questionnaire_score": "questionnaire",
    "review_text": "review",
    "special_disease": "condition",
    "surgery": "procedure",
    "vaccination": "immunization",
    "visit_number": "encounter",
    "visit_time": "encounter",
    "visit_type": "encounter",
}
_KINDS_BY_COMPARTMENT: Final = {
    Compartment.CLINICAL: "observation",
    Compartment.SPECIAL: "observation",
    Compartment.WELLNESS: "reading",
    Compartment.COMMERCE: "order",
}
_NOISE: Final = re.compile(r"[\s_\-.:：/]+")
_UNIT: Final = re.compile(r"[（(\[]([^()（）\]]+)[)）\]]\s*$")


@dataclass(frozen=True, slots=True)
class _Guess:
    """What a column name seems to be: a field, or ``@subject`` or ``@time``."""

    target: str
    code: str = ""
    unit: str = ""


def suggest_map_for(path: Path, context: SourceContext) -> str:
    """Draft the map of a file; see ``suggest_map``.

    Raises:
        SourceError: the file cannot be read, or its first row holds values in the place of names.
    """
    header = read_header(path, context.encoding)
    check_is_header(path.name, header)
    return suggest_map(header, context, source=path.stem)


def suggest_map(header: Sequence[str], context: SourceContext, *, source: str = "source") -> str:
    """Return the draft of a map as YAML.

    Columns are known by the catalogue's codes and labels and by ``codes/headers.csv``. What is not recognised stands
    under ``ignore`` behind a comment, so that every column is either read or seen to be left out.
    """
    spellings = _spellings(context)
    guesses = {name: _guess(name, spellings, context) for name in header}
    subject = _first(guesses, "@subject") or _first(guesses, "record_number") or _first(guesses, "id_number")
    time = _first(guesses, "@time") or _first(guesses, "visit_time")
    lines = [
        "# A draft from the column names. Check every line: a wrong field is a wrong purpose.",
        f"source: {_quoted(source)}",
        f"subject: {_quoted(subject or 'TODO the column with the id of the person')}",
        f"time: {_quoted(time)}" if time else 'as_of: "2000-01-01"  # TODO the day of the export; no column says when',
        "records:",
    ]
    for kind, columns in _by_kind(guesses, context).items():
        lines += [f"  - kind: {kind}", "    columns:", *(f"      {line}" for line in columns)]
    unknown = [name for name, guess in guesses.items() if guess is None]
    if unknown:
        lines += ["# Not recognised: give each a field above, or leave it here to be left out.", "ignore:"]
        lines += [f"  - {_quoted(name)}" for name in unknown]
    return "\n".join(lines) + "\n"


def _spellings(context: SourceContext) -> Mapping[str, _Guess]:
    known: dict[str, _Guess] = {}
    for field in context.catalogue.fields.values():
        if field.type is not FieldType.QUANTITY:
            known |= {_plain(name): _Guess(field.code) for name in (field.code, field.label.zh, field.label.en)}
    for _, row in rows_of(context.pack / "codes" / "headers.csv"):
        known[_plain(row["spelling"])] = _Guess(row["target"], row["code"], row["unit"])
    return known


def _guess(name: str, spellings: Mapping[str, _Guess], context: SourceContext) -> _Guess | None:
    unit = _UNIT.search(name)
    guess = spellings.get(_plain(_UNIT.sub("", name)))
    if guess is None or (not guess.target.startswith("@") and guess.target not in context.catalogue.fields):
        return None
    if unit is not None and guess.unit and context.indicators.units.name(unit[1]) is not None:
        return _Guess(guess.target, guess.code, unit[1])
    return guess


def _by_kind(guesses: Mapping[str, _Guess | None], context: SourceContext) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    taken: set[tuple[str, str]] = set()
    for name, guess in guesses.items():
        if guess is None or guess.target.startswith("@"):
            continue
        field = context.catalogue.fields[guess.target]
        again = (field.code, guess.code) in taken and not field.repeated
        kind = _KINDS.get(field.code) or _KINDS_BY_COMPARTMENT.get(field.compartment, "profile")
        note = "  # TODO a second column for one field" if again else ""
        kinds.setdefault(kind, []).append(f"{_quoted(name)}: {_said(guess, field.type)}{note}")
        taken.add((field.code, guess.code))
    return kinds


def _said(guess: _Guess, kind: FieldType) -> str:
    parts = [f"field: {guess.target}"]
    if guess.code:
        parts.append(f"code: {_quoted(guess.code)}")
    if guess.unit:
        parts.append(f"unit: {_quoted(guess.unit)}")
    if kind is FieldType.CODE and not guess.code:
        parts.append("system: " + _SYSTEMS.get(guess.target, "local"))
    return guess.target if len(parts) == 1 else "{" + ", ".join(parts) + "}"


_SYSTEMS: Final = {
    "prescription": "atc",
    "vaccination": "cvx",
    "allergy": "snomed",
    "surgery": "snomed",
} | dict.fromkeys(("diagnosis", "special_disease", "family_history"), "icd10")


def _first(guesses: Mapping[str, _Guess | None], target: str) -> str | None:
    return next((name for name, guess in guesses.items() if guess is not None and guess.target == target), None)


def _plain(name: str) -> str:
    return _NOISE.sub("", fold(name)).casefold()


def _quoted(text: str) -> str:
    """Return the text as a YAML scalar on one line."""
    written: str = yaml.safe_dump(text, allow_unicode=True, default_style='"', width=10**6)
    return written.strip()
