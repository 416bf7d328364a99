"""The pack's code tables: which of our codes a source's code means, and which field it belongs in."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consentry.sources.records import RowFault, RowRefused
from deid.special import SpecialDiseases, load_special_diseases
from kernel.errors import ConfigurationError

SYSTEMS: Final = {
    "http://snomed.info/sct": "snomed",
    "http://loinc.org": "loinc",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "rxnorm",
    "http://hl7.org/fhir/sid/cvx": "cvx",
    "http://www.whocc.no/atc": "atc",
    "http://hl7.org/fhir/sid/icd-10": "icd10",
    "http://hl7.org/fhir/sid/icd-10-cm": "icd10",
    "http://hl7.org/fhir/sid/icd-10-cn": "icd10",
    "urn:oid:2.16.840.1.113883.6.3": "icd10",
    "urn:oid:2.16.840.1.113883.6.90": "icd10",
    "urn:oid:2.16.840.1.113883.6.96": "snomed",
    "urn:oid:2.16.840.1.113883.6.1": "loinc",
    "urn:oid:2.16.840.1.113883.6.88": "rxnorm",
    "urn:oid:2.16.840.1.113883.12.292": "cvx",
}
"""Code system addresses and object identifiers of FHIR (terminologies-systems) and our short names."""

NAMES: Final = frozenset({*SYSTEMS.values(), "local"})

_ICD10: Final = re.compile(r"[A-Z][0-9][0-9A-Z](\.?[0-9A-Z]{1,8})?")
_SHAPES: Final = {
    "snomed": re.compile(r"[0-9]{6,18}"),
    "loinc": re.compile(r"[0-9A-Z]{1,9}-[0-9]"),
    "rxnorm": re.compile(r"[0-9]{1,8}"),
    "cvx": re.compile(r"[0-9]{1,3}"),
    "atc": re.compile(r"[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?"),
    "local": re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}"),
}
_MAY_BE_SHOWN: Final = re.compile(r"(?!.*[0-9]{6})[A-Za-z][0-9A-Za-z._-]{0,31}")
"""A code of nobody's system is shown in counts only where it cannot be a number of a person."""

_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Coded:
    """One code after mapping: the field it belongs in, its text, and whether no table knew it."""

    field: str
    code: str
    is_mapped: bool = True


@dataclass(frozen=True, slots=True)
class CodeMaps:
    """The tables of one pack, by code; empty where the pack has none.

    Attributes:
        diagnoses: SNOMED CT → ICD-10, or ``none``. states: ICD-10 categories → reproductive state.
        medicines: RxNorm → ATC. vaccines: CVX → ATC. allergens: ``system:code`` → ``system:code``.
        procedures: SNOMED CT → surgery, reproductive or none. smoking: SNOMED CT → lifestyle.
        special: the pack's list of special diseases, or None.
    """

    diagnoses: Mapping[str, str]
    states: tuple[tuple[str, str, str], ...]
    medicines: Mapping[str, str]
    vaccines: Mapping[str, str]
    allergens: Mapping[str, str]
    procedures: Mapping[str, str]
    smoking: Mapping[str, str]
    special: SpecialDiseases | None

    def place(self, field: str, system: str, code: str) -> Coded:
        """Return where a code belongs that a source gives for ``field``.

        A special disease goes to ``special_disease``. A diagnosis that no table knows is of unclear sub-class and
        takes the stricter side as well.

        Raises:
            RowRefused: the code has not the shape of its system, or the catalogue has no field for what it says.
        """
        placer = _PLACERS.get(field)
        return placer(self, field, system, code) if placer else Coded(field, join(system, code))

    def is_special(self, icd10: str) -> bool:
        """Say whether an ICD-10 code is a special disease."""
        return self.special is not None and self.special.holds_diagnosis(icd10.replace(".", ""))

    def reproductive_state(self, icd10: str) -> str | None:
        """Return the reproductive state that an ICD-10 code tells, or None."""
        category = icd10[:3]
        return next((state for first, last, state in self.states if first <= category <= last), None)


def load_code_maps(pack: Path) -> CodeMaps:
    """Read the tables under ``codes/`` and the list of special diseases of a pack's folder.

    Raises:
        ConfigurationError: a table lacks a column or repeats a code; with file and line.
    """
    folder = pack / "codes"
    special = pack / "special_diseases.yaml"
    return CodeMaps(
        diagnoses=_pairs(folder / "diagnoses.csv", "snomed", "icd10"),
        states=tuple((row["first"], row["last"], row["state"]) for _, row in rows_of(folder / "icd10_states.csv")),
        medicines=_pairs(folder / "medicines.csv", "rxnorm", "atc"),
        vaccines=_pairs(folder / "vaccines.csv", "cvx", "atc"),
        allergens=_pairs(folder / "allergens.csv", "code", "allergy"),
        procedures=_pairs(folder / "procedures.csv", "snomed", "use"),
        smoking=_pairs(folder / "smoking.csv", "snomed", "lifestyle"),
        special=load_special_diseases(special) if special.is_file() else None,
    )


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and row of a table; nothing for a table that the pack does not have."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle, strict=True)
        for row in reader:
            if None in row or None in row.values():
                raise ConfigurationError(f"{path.name}:{reader.line_num}: wrong number of columns")
            yield reader.line_num, row


def parse_code(text: str, system: str | None) -> tuple[str, str]:
    """Split ``system:code``, or take the system from outside.

    Raises:
        RowRefused: no system is known, or the text is no code.
    """
    prefix, colon, rest = text.partition(":")
    if colon and prefix.strip().lower() in NAMES:
        return prefix.strip().lower(), rest.strip()
    if system is None:
        raise RowRefused(RowFault.BAD_CODE)
    return system, text


def join(system: str, code: str) -> str:
    """Return ``system:code`` in the one way to write it; raises ``RowRefused`` for what is no code."""
    if system == "icd10":
        return f"icd10:{icd10_shape(code)}"
    plain = code.strip() if system == "local" else code.strip().upper()
    if system not in _SHAPES or not _SHAPES[system].fullmatch(plain):
        raise RowRefused(RowFault.BAD_CODE)
    return f"{system}:{plain}"


def shown(code: str) -> str:
    """Return an unmapped ``system:code`` as it may stand in counts; ``local:*`` where it might be a person's number."""
    system, _, plain = code.partition(":")
    return code if system != "local" or _MAY_BE_SHOWN.fullmatch(plain) else "local:*"


def icd10_shape(code: str) -> str:
    """Return an ICD-10 code in upper case with its point, without the dagger or asterisk of a pair."""
    plain = code.strip().upper().rstrip("+*†!")
    if not _ICD10.fullmatch(plain):
        raise RowRefused(RowFault.BAD_CODE)
    return plain if len(plain) == len("A00") or "." in plain else f"{plain[:3]}.{plain[3:]}"


def _place_diagnosis(maps: CodeMaps, _field: str, system: str, code: str) -> Coded:
    if system == "snomed" and (known := maps.diagnoses.get(code)) is not None:
        if known == _NONE:
            raise RowRefused(RowFault.NO_FIELD)
        system, code = "icd10", known
    text = join(system, code)
    if system != "icd10":
        return Coded(_stricter(maps), text, is_mapped=False)
    return Coded("special_disease" if maps.is_special(text[len("icd10:") :]) else "diagnosis", text)


def _stricter(maps: CodeMaps) -> str:
    return "diagnosis" if maps.special is None else "special_disease"


def _place_family_history(maps: CodeMaps, field: str, system: str, code: str) -> Coded:
    if system == "snomed" and maps.diagnoses.get(code, _NONE) != _NONE:
        return Coded(field, f"icd10:{maps.diagnoses[code]}")
    return Coded(field, join(system, code), is_mapped=system == "icd10")


def _place_medicine(maps: CodeMaps, field: str, system: str, code: str) -> Coded:
    if system == "rxnorm" and code in maps.medicines:
        return Coded(field, f"atc:{maps.medicines[code]}")
    return Coded(field, join(system, code), is_mapped=system == "atc")


def _place_vaccine(maps: CodeMaps, field: str, system: str, code: str) -> Coded:
    padded = code.strip().zfill(2)
    if system == "cvx" and padded in maps.vaccines:
        return Coded(field, f"atc:{maps.vaccines[padded]}")
    return Coded(field, join(system, code), is_mapped=system == "atc")


def _place_allergy(maps: CodeMaps, field: str, system: str, code: str) -> Coded:
    text = join(system, code)
    if (known := maps.allergens.get(text)) is not None:
        if known == _NONE:
            raise RowRefused(RowFault.NO_FIELD)
        return Coded(field, known)
    return Coded(field, text, is_mapped=system in {"atc", "local"})


def _place_procedure(maps: CodeMaps, _field: str, system: str, code: str) -> Coded:
    text = join(system, code)
    match maps.procedures.get(code) if system == "snomed" else None:
        case "none":
            raise RowRefused(RowFault.NO_FIELD)
        case "reproductive":
            return Coded("reproductive_history", text)
        case "surgery":
            return Coded("surgery", text)
    return Coded("surgery", text, is_mapped=False)


_PLACERS: Final[Mapping[str, Callable[[CodeMaps, str, str, str], Coded]]] = {
    "diagnosis": _place_diagnosis,
    "special_disease": _place_diagnosis,
    "family_history": _place_family_history,
    "prescription": _place_medicine,
    "vaccination": _place_vaccine,
    "allergy": _place_allergy,
    "surgery": _place_procedure,
}


def _pairs(path: Path, key: str, value: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line, row in rows_of(path):
        if key not in row or value not in row or row[key] in pairs:
            raise ConfigurationError(f"{path.name}:{line}: a column is missing or the code stands twice")
        pairs[row[key]] = row[value]
    return pairs
