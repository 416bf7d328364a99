"""What one field must fulfil: in itself, and against the purposes that it is collected and used for."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from kernel.catalogue import (
    ATTACHMENT_MEDIA,
    Compartment,
    ConsentKind,
    Field,
    FieldClass,
    FieldType,
    IndexKind,
    LawfulBasis,
    Purpose,
)

Finding: TypeAlias = tuple[str, str]
"""What is wrong, and what was expected."""

_DIRECT_LEVEL: Final = 4
_HIGHEST_LEVEL: Final = 5

_DIRECT_TRANSFORMS: Final = frozenset({"count", "drop", "has", "redact", "strip_metadata", "token"})
"""A direct identifier never leaves as itself."""

_TEXT_TRANSFORMS: Final = frozenset({"drop", "redact", "topic"})
"""Free text can hold any identifier."""

_ATTACHMENT_TRANSFORMS: Final = frozenset({"drop", "strip_metadata"})

_TIMES: Final = frozenset({FieldType.DATE, FieldType.INSTANT})
_TRANSFORM_TYPES: Final = {
    **dict.fromkeys(("age_band", "day", "days_since_band", "month", "year", "year_90"), _TIMES),
    "hour": frozenset({FieldType.INSTANT}),
    "redact": frozenset({FieldType.TEXT}),
    "rate_band": frozenset({FieldType.BOOLEAN, FieldType.STRING}),
}
_TRANSFORM_SYSTEMS: Final = {
    "atc_level3": "atc",
    "city_tier": "adcode",
    "icd10_chapter": "icd10",
    "icd10_group": "icd10",
    "province": "adcode",
    "region": "adcode",
    "vaccine_group": "cvx",
}
_CONSENTED: Final = frozenset({ConsentKind.SEPARATE, ConsentKind.OPT_IN})
_STATUTORY: Final = frozenset({LawfulBasis.LEGAL_DUTY, LawfulBasis.EMERGENCY})


def find_contradictions(field: Field) -> Iterator[Finding]:
    """Return what contradicts itself inside one field."""
    yield from _identity_findings(field)
    yield from _protection_findings(field)
    yield from _transform_findings(field)
    yield from _type_findings(field)


def find_misuses(field: Field, purposes: Mapping[str, Purpose]) -> Iterator[Finding]:
    """Return purposes that the field cannot be collected or used for; a code that is no purpose is not looked at."""
    collecting = purposes.get(field.collect)
    if collecting is not None:
        yield from _collection_findings(field, collecting)
    further = [purposes[code] for code in sorted(field.purposes - {field.collect}) if code in purposes]
    used_for = further if collecting is None else [collecting, *further]
    if FieldClass.SENSITIVE in field.classes:
        for purpose in used_for:
            if purpose.withdrawable and not purpose.sensitive:
                yield f"sensitive, and {purpose.code} is not", f"sensitive: true for {purpose.code}"
    if field.level == _HIGHEST_LEVEL:
        for purpose in further:
            if not _STATUTORY.issuperset(purpose.bases):
                yield f"level 5 used further for {purpose.code}", "its collection and statutory purposes only"
    held = any(LawfulBasis.LEGAL_DUTY in purpose.bases for purpose in used_for)
    if field.retention.floor is not None and not held:
        yield "a legal floor without a purpose of legal duty", "such a purpose in further"


def _identity_findings(field: Field) -> Iterator[Finding]:
    """A value that names a person makes whatever stands beside it level 4 or 5 (R54)."""
    if field.is_direct and field.level < _DIRECT_LEVEL:
        yield "a direct identifier below level 4", "level 4 or 5"
    if field.is_direct and field.transform not in _DIRECT_TRANSFORMS:
        yield f"a direct identifier with the transform {field.transform!r}", _one_of(_DIRECT_TRANSFORMS)
    if field.index is IndexKind.UNIQUE and not field.is_direct:
        yield "a unique index on what is no direct identifier", "index none or low"
    if field.index is IndexKind.LOW and field.is_direct:
        yield "a truncated index on a direct identifier", "index none or unique"


def _protection_findings(field: Field) -> Iterator[Finding]:
    if field.compartment is Compartment.SPECIAL and field.level < _HIGHEST_LEVEL:
        yield "the special compartment below level 5", "level 5"
    if field.level == _HIGHEST_LEVEL and field.transform not in {"drop", "icd10_chapter"}:
        yield f"level 5 with the transform {field.transform!r}", "one of drop, icd10_chapter"
    if FieldClass.SENSITIVE in field.classes and field.consent in {ConsentKind.OPT_IN, ConsentKind.NONE}:
        yield "sensitive without separate consent", "consent separate, or contract where law or contract asks for it"
    harmless = field.classes == (FieldClass.OPERATIONAL,) and field.level == 1
    if field.consent is ConsentKind.NONE and not harmless:
        yield "consent none for what may be personal", "class operational and level 1"


def _transform_findings(field: Field) -> Iterator[Finding]:
    if field.type is FieldType.TEXT and field.transform not in _TEXT_TRANSFORMS:
        yield f"free text with the transform {field.transform!r}", _one_of(_TEXT_TRANSFORMS)
    types = _TRANSFORM_TYPES.get(field.transform)
    if types is not None and field.type not in types:
        yield f"the transform {field.transform!r} on type {field.type}", f"type {_one_of(types)}"
    system = _TRANSFORM_SYSTEMS.get(field.transform)
    if system is not None and field.code_system != system:
        yield f"the transform {field.transform!r} without its codes", f"code_system: {system}"


def _type_findings(field: Field) -> Iterator[Finding]:
    if field.type in {FieldType.CODE, FieldType.QUANTITY} and field.code_system is None:
        yield f"type {field.type} without a code system", "code_system"
    if field.allowed is not None and field.type is not FieldType.STRING:
        yield f"allowed values for type {field.type}", "type string"
    yield from _attachment_findings(field)


def _attachment_findings(field: Field) -> Iterator[Finding]:
    """A file is kept and opened as it is: nothing searches it, and no view or export has a way to make it harmless."""
    if (field.type is FieldType.ATTACHMENT) != bool(field.media):
        yield f"type {field.type} with {len(field.media)} media types", "media for attachments, and for nothing else"
    unknown = field.media - ATTACHMENT_MEDIA
    if unknown:
        yield f"the media type {min(unknown)!r}", _one_of(ATTACHMENT_MEDIA)
    if field.type is FieldType.ATTACHMENT and (field.index is not IndexKind.NONE or field.repeated):
        yield "an attachment that is indexed or repeated", "neither: one file at a time, found by its id"
    if field.type is FieldType.ATTACHMENT and field.transform not in _ATTACHMENT_TRANSFORMS:
        yield f"an attachment with the transform {field.transform!r}", _one_of(_ATTACHMENT_TRANSFORMS)


def _collection_findings(field: Field, collecting: Purpose) -> Iterator[Finding]:
    if field.consent not in _CONSENTED:
        return
    if not collecting.withdrawable:
        yield f"consent for {collecting.code}, which rests on none", "consent contract, or another purpose"
    elif field.consent is ConsentKind.SEPARATE and not collecting.separate_consent:
        yield f"separate consent for {collecting.code}", f"separate: true for {collecting.code}"


def _one_of(names: frozenset[str] | frozenset[FieldType]) -> str:
    return f"one of {', '.join(sorted(names))}"
