"""What a field may become in a view: the rules that a definition is checked against when it is loaded."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from deid.transforms import Transform
from kernel.catalogue import (
    Compartment,
    ConsentKind,
    Field,
    FieldClass,
    FieldType,
    IndexKind,
    Label,
    Retention,
)

OBSERVED_AT: Final = "observed_at"
"""The instant of the record itself; every record has one, no field of the catalogue carries it."""

HIGHEST_LEVEL: Final = 5
_LINKED_HEALTH_LEVEL: Final = 4
"""R54: a key of a person beside health data makes level 4 at least."""

_TELLING_NOTHING: Final = frozenset({"has", "count"})
_OF_BIRTH: Final = frozenset({"age_band", "year_90"}) | _TELLING_NOTHING
_OF_PLACE: Final = frozenset({"province", "region"}) | _TELLING_NOTHING
_HEALTH: Final = frozenset({Compartment.CLINICAL, Compartment.WELLNESS, Compartment.SPECIAL})


def record_instant(purpose: str) -> Field:
    """Return the stand-in field for ``observed_at``."""
    return Field(
        code=OBSERVED_AT,
        label=Label("记录时间", "time of the record"),
        classes=(FieldClass.OPERATIONAL,),
        level=2,
        compartment=Compartment.OPERATIONAL,
        type=FieldType.INSTANT,
        unit=None,
        code_system=None,
        collect=purpose,
        purposes=frozenset({purpose}),
        consent=ConsentKind.NONE,
        transform="minute",
        retention=Retention(timedelta(0)),
        index=IndexKind.NONE,
    )


def broken_rules(field: Field, transform: Transform, *, purpose: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a field going through a transform, and what was expected instead."""
    name = transform.name
    if purpose not in field.purposes:
        yield f"{purpose} may not use {field.code}", f"a field that lists {purpose} among its purposes"
    if field.level >= HIGHEST_LEVEL or field.compartment is Compartment.SPECIAL:
        yield f"{field.code} is of level 5", "a field below level 5: no view holds special diseases"
    if field.transform == "drop":
        yield f"the catalogue drops {field.code}", "a field whose default transform is not drop"
    if name == "drop":
        yield f"{field.code} would be dropped", "a transform that gives a cell, or no column"
    if field.is_direct and not transform.hides:
        yield f"{name!r} would pass the direct identifier {field.code}", "token, count or has"
    if field.type not in transform.types:
        yield f"{name!r} cannot read {field.code} of type {field.type}", f"type {_listed(transform.types)}"
    if FieldClass.QUASI in field.classes and field.type is FieldType.DATE and name not in _OF_BIRTH:
        yield f"{name!r} would pass the date {field.code}", _listed(_OF_BIRTH)
    if field.code_system == "adcode" and name not in _OF_PLACE:
        yield f"{name!r} would pass the place {field.code} below its province", _listed(_OF_PLACE)


def linked_level(fields: Iterable[Field]) -> int:
    """Return the level of a row that links fields to one person (R54)."""
    linked = list(fields)
    level = max((field.level for field in linked), default=1)
    tells_health = any(field.compartment in _HEALTH or FieldClass.SENSITIVE in field.classes for field in linked)
    return max(level, _LINKED_HEALTH_LEVEL) if tells_health else level


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
