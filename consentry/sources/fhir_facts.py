"""Reads clinical FHIR resources and claims into the catalogue's fields, one function for each type."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from consentry.sources.cleaning import bounded, decimal_text
from consentry.sources.codes import Coded, CodeMaps, shown
from consentry.sources.context import SourceContext
from consentry.sources.fhir_paths import Element, codings, day, has_code, part, parts, text, words
from consentry.sources.fhir_references import References
from consentry.sources.quantities import Measured
from consentry.sources.records import RowFault, RowRefused, Tally
from consentry.sources.values import Cleaned, Cleaner

_VISIT_TYPES: Final = {
    "AMB": "outpatient",
    "EMER": "emergency",
    "IMP": "inpatient",
    "ACUTE": "inpatient",
    "NONAC": "inpatient",
    "SS": "outpatient",
    "OBSENC": "observation",
    "VR": "online",
    "HH": "home",
    "FLD": "field",
}
"""HL7 v3 ActEncounterCode."""

_VOID_STATUS: Final = {
    "Encounter": frozenset({"cancelled", "entered-in-error", "planned"}),
    "Observation": frozenset({"cancelled", "entered-in-error", "registered"}),
    "MedicationRequest": frozenset({"cancelled", "entered-in-error", "draft"}),
    "Procedure": frozenset({"not-done", "entered-in-error", "preparation"}),
    "Immunization": frozenset({"not-done", "entered-in-error"}),
    "FamilyMemberHistory": frozenset({"entered-in-error", "health-unknown"}),
    "Claim": frozenset({"cancelled", "entered-in-error", "draft"}),
}
_VOID_VERIFICATION: Final = frozenset({"refuted", "entered-in-error"})

_PRESENT: Final = frozenset({"10828004", "260373001", "52101004", "LA6576-8", "LA11882-0", "LA9633-4", "POS", "DET"})
_ABSENT: Final = frozenset({"260385009", "260415000", "2667000", "LA6577-6", "LA11883-8", "LA9634-2", "NEG", "ND"})
"""Positive, detected, present, and their opposites, in SNOMED CT, LOINC answers and HL7 v3."""

_FLAGS: Final = {"HH": "H", "HU": "H", "LL": "L", "LU": "L", "AA": "A", "H": "H", "L": "L", "N": "N", "A": "A"}
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_SMOKING_STATUS: Final = "72166-2"
_PREGNANCY_ENDED: Final = frozenset({"resolved", "inactive", "remission"})


@dataclass(frozen=True, slots=True)
class FactReader:
    """What every reading function needs."""

    context: SourceContext
    cleaner: Cleaner
    references: References
    tally: Tally

    @property
    def codes(self) -> CodeMaps:
        """The pack's code tables."""
        return self.context.codes


def check_is_fact(resource: Element) -> None:
    """Check that a resource says what its elements say.

    Raises:
        RowRefused: it was cancelled, refuted, not done or entered in error; or its meaning is modified by rules or
            extensions that are not known here (FHIR R4 2.4: such a resource must not be processed).
    """
    for modifier in ("implicitRules", "modifierExtension"):
        if modifier in resource:
            raise RowRefused(RowFault.INVALID_RESOURCE, modifier)
    kind = text(resource, "resourceType") or ""
    verification = frozenset(code for _, code in codings(part(resource, "verificationStatus")))
    is_void = text(resource, "status") in _VOID_STATUS.get(kind, ()) or bool(verification & _VOID_VERIFICATION)
    if is_void or resource.get("doNotPerform") is True:
        raise RowRefused(RowFault.VOID)


def read_encounter(resource: Element, reader: FactReader) -> Cleaned:
    """Return type, time, number, department, doctor and complaint of a visit."""
    cleaned = Cleaned()
    visit_type = _VISIT_TYPES.get(text(resource, "class", "code") or "", "other")
    participant = part(resource, "participant", "individual")
    doctor = text(participant, "display") or reader.references.practitioners.get(text(participant, "reference") or "")
    for field, raw in (
        ("visit_type", visit_type),
        ("visit_time", text(resource, "period", "start")),
        ("visit_number", text(resource, "identifier", "value")),
        ("department", words(part(resource, "serviceType"))),
        ("doctor_name", doctor),
    ):
        if raw is not None:
            reader.cleaner.put(cleaned, field, raw)
    _put_reason(cleaned, part(resource, "reasonCode"), reader)
    return cleaned


def read_condition(resource: Element, reader: FactReader) -> Cleaned:
    """Return diagnosis and onset; a pregnancy that is not over tells the reproductive state as well."""
    cleaned = Cleaned()
    _put_concept(cleaned, "diagnosis", part(resource, "code"), reader)
    onset = text(resource, "onsetDateTime") or text(resource, "onsetPeriod", "start")
    if onset is not None and (onset_day := day(onset)) is not None:
        reader.cleaner.put(cleaned, "diagnosis_onset", onset_day)
    is_over = has_code(parts(resource, "clinicalStatus"), _PREGNANCY_ENDED) or "abatementDateTime" in resource
    if not is_over:
        reader.cleaner.derive(cleaned)
    return cleaned


def read_observation(resource: Element, reader: FactReader) -> Cleaned:
    """Return every measurement of an observation and its components (blood pressure has two)."""
    cleaned = Cleaned()
    for measured in (resource, *parts(resource, "component")):
        _put_measurement(cleaned, measured, reader)
    return cleaned


def read_medication(resource: Element, reader: FactReader) -> Cleaned:
    """Return medicine, dose and frequency of a prescription."""
    cleaned = Cleaned()
    concept = part(resource, "medicationCodeableConcept") or _referred_medication(resource, reader)
    _put_concept(cleaned, "prescription", concept, reader)
    dosage = part(resource, "dosageInstruction")
    quantity = part(dosage, "doseAndRate", "doseQuantity")
    if (value := _number(quantity.get("value"))) is not None:
        unit = text(quantity, "unit") or text(quantity, "code") or ""
        reader.cleaner.put(cleaned, "dose", f"{decimal_text(bounded(value))} {unit}")
    if (frequency := _frequency(dosage)) is not None:
        reader.cleaner.put(cleaned, "frequency", frequency)
    return cleaned


def read_allergy(resource: Element, reader: FactReader) -> Cleaned:
    """Return what the patient is allergic to."""
    cleaned = Cleaned()
    _put_concept(cleaned, "allergy", part(resource, "code") or part(resource, "reaction", "substance"), reader)
    return cleaned


def read_procedure(resource: Element, reader: FactReader) -> Cleaned:
    """Return a surgery, or what belongs to the reproductive history; other procedures have no field."""
    cleaned = Cleaned()
    _put_concept(cleaned, "surgery", part(resource, "code"), reader)
    return cleaned


def read_immunization(resource: Element, reader: FactReader) -> Cleaned:
    """Return the group of vaccines."""
    cleaned = Cleaned()
    _put_concept(cleaned, "vaccination", part(resource, "vaccineCode"), reader)
    return cleaned


def read_family_history(resource: Element, reader: FactReader) -> Cleaned:
    """Return the relatives' diseases; who had them is not collected."""
    cleaned = Cleaned()
    for condition in parts(resource, "condition"):
        _put_concept(cleaned, "family_history", part(condition, "code"), reader)
    return cleaned


def read_claim(resource: Element, reader: FactReader) -> Cleaned:
    """Return number, state and amount of a claim; its items stay unread, they would put health facts into commerce."""
    cleaned = Cleaned()
    order_id = text(resource, "identifier", "value") or text(resource, "id")
    if order_id is not None:
        reader.cleaner.put(cleaned, "order_id", order_id)
    reader.cleaner.put(cleaned, "order_status", text(resource, "status") or "active")
    if has_code(parts(resource, "type"), frozenset({"pharmacy"})):
        reader.cleaner.put(cleaned, "prescription_sale", "true")
    total = part(resource, "total")
    amount, currency = _number(total.get("value")), _currency(total)
    if amount is not None and currency == "CNY":
        reader.cleaner.put(cleaned, "order_amount", str(amount))
    elif amount is not None:
        reader.tally.left_out[f"currency:{currency.lower() if currency else 'none'}"] += 1
    return cleaned


FACTS: Final[Mapping[str, tuple[str, Callable[[Element, FactReader], Cleaned]]]] = {
    "Encounter": ("encounter", read_encounter),
    "Condition": ("condition", read_condition),
    "Observation": ("observation", read_observation),
    "MedicationRequest": ("medication", read_medication),
    "AllergyIntolerance": ("allergy", read_allergy),
    "Procedure": ("procedure", read_procedure),
    "Immunization": ("immunization", read_immunization),
    "FamilyMemberHistory": ("family_history", read_family_history),
    "Claim": ("order", read_claim),
}
"""Record kind and reading function by resource type; a Patient is read by ``fhir_people``."""


def _put_concept(cleaned: Cleaned, field: str, concept: Element, reader: FactReader) -> None:
    """Put the first coding that a table knows, else the first that has the shape of a code.

    Raises:
        RowRefused: no coding, none that is a code, or one for which the catalogue has no field.
    """
    placed = list(_placed(field, concept, reader))
    if not placed:
        raise RowRefused(RowFault.MISSING if not any(codings(concept)) else RowFault.BAD_CODE, field)
    chosen = next((code for code in placed if code.is_mapped), placed[0])
    cleaned.add(reader.cleaner.field(chosen.field), chosen.code)
    if not chosen.is_mapped:
        cleaned.unmapped.append(shown(chosen.code))


def _placed(field: str, concept: Element, reader: FactReader) -> Iterator[Coded]:
    for system, code in codings(concept):
        try:
            yield reader.codes.place(field, system, code)
        except RowRefused as refusal:
            if refusal.fault is not RowFault.BAD_CODE:
                raise refusal.within(field) from None


def _put_reason(cleaned: Cleaned, reason: Element, reader: FactReader) -> None:
    """Put the complaint in words; where its code is a special disease, the code instead, under the stricter field."""
    placed = next((code for code in _placed("diagnosis", reason, reader) if code.is_mapped), None) if reason else None
    if placed is not None and placed.field == "special_disease":
        cleaned.add(reader.cleaner.field(placed.field), placed.code)
    elif (complaint := words(reason)) is not None:
        reader.cleaner.put(cleaned, "chief_complaint", complaint)


def _put_measurement(cleaned: Cleaned, element: Element, reader: FactReader) -> None:
    systems = list(codings(part(element, "code")))
    if ("loinc", _SMOKING_STATUS) in systems:
        _put_smoking(cleaned, part(element, "valueCodeableConcept"), reader)
        return
    measured = _measured(element)
    if measured is None:
        return
    known = reader.context.indicators.by_code
    chosen = next(
        (pair for pair in systems if pair[0] == "loinc" and pair[1] in known), systems[0] if systems else None
    )
    if chosen is None:
        raise RowRefused(RowFault.MISSING, "code")
    try:
        reader.cleaner.put_measured(cleaned, "vitals_lab", ":".join(chosen), measured)
    except RowRefused as refusal:
        raise refusal.within("vitals_lab") from None


def _put_smoking(cleaned: Cleaned, concept: Element, reader: FactReader) -> None:
    for system, code in codings(concept):
        habit = reader.codes.smoking.get(code) if system == "snomed" else None
        if habit is not None:
            reader.cleaner.put(cleaned, "lifestyle", habit)
            return
    raise RowRefused(RowFault.NO_FIELD, "lifestyle")


def _measured(element: Element) -> Measured | None:
    """Return the value of an observation or component, or None where it has none (a panel, a missing result)."""
    flag = next((_FLAGS[code] for _, code in codings(part(element, "interpretation")) if code in _FLAGS), None)
    quantity = part(element, "valueQuantity")
    if (value := _number(quantity.get("value"))) is not None:
        unit = text(quantity, "code") or text(quantity, "unit")
        return Measured(value, (unit,) if unit else (), flag or text(quantity, "comparator"))
    if (whole := _number(element.get("valueInteger"))) is not None:
        return Measured(whole, (), flag)
    answers = frozenset(code for _, code in codings(part(element, "valueCodeableConcept")))
    if answers & _PRESENT or element.get("valueBoolean") is True:
        return Measured(Decimal(1), ("{presence}",), "POS")
    if answers & _ABSENT or element.get("valueBoolean") is False:
        return Measured(Decimal(0), ("{presence}",), "NEG")
    if any(name.startswith("value") for name in element):
        raise RowRefused(RowFault.NO_FIELD, "value")
    return None


def _referred_medication(resource: Element, reader: FactReader) -> Element:
    reference = text(resource, "medicationReference", "reference") or ""
    if reference.startswith("#"):
        inside = (one for one in parts(resource, "contained") if text(one, "id") == reference[1:])
        return part(next(inside, {}), "code")
    found = reader.references.medications.get(reference)
    if found is None:
        raise RowRefused(RowFault.UNRESOLVED_REFERENCE, "medication")
    return found


def _frequency(dosage: Element) -> str | None:
    """Return ``2/1d``, the words of the timing, or ``prn``."""
    repeat = part(dosage, "timing", "repeat")
    times, period, unit = (repeat.get(name) for name in ("frequency", "period", "periodUnit"))
    if isinstance(times, int) and isinstance(period, int | Decimal) and isinstance(unit, str):
        return f"{times}/{period}{unit}"
    if (written := words(part(dosage, "timing", "code")) or text(dosage, "text")) is not None:
        return written
    return "prn" if dosage.get("asNeededBoolean") is True else None


def _currency(money: Element) -> str | None:
    """Return an ISO 4217 code, or None for anything else."""
    found = text(money, "currency") or ""
    return found if _CURRENCY.fullmatch(found) else None


def _number(found: object) -> Decimal | None:
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        return None
    return Decimal(found)
