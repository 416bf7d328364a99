"""The named transforms that a view may use, and which fields each of them is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from deid import codes, dates, quantities, words
from deid.cells import Apply, CellType
from kernel.catalogue import FieldType


class Take(StrEnum):
    """How the values of several records become one cell of a subject's row."""

    LATEST = "latest"
    MAX = "max"
    SET = "set"
    COUNT = "count"
    ANY = "any"
    BMI = "bmi"


@dataclass(frozen=True, slots=True)
class Transform:
    """One named transform.

    Attributes:
        types: the field types that it reads.
        cell: the type of its cells; None for that of the field.
        takes: how a subject's row may gather its cells, the default first.
        needs: the parameters that a column must give; no other is allowed.
        hides: whether nothing of a direct identifier is left, so that one may go through.
    """

    name: str
    apply: Apply
    types: frozenset[FieldType]
    cell: CellType | None
    takes: tuple[Take, ...]
    needs: frozenset[str] = frozenset()
    hides: bool = False


_ONE: Final = (Take.LATEST,)
_ONE_OR_SET: Final = (Take.LATEST, Take.SET)
_IN_ORDER: Final = (Take.LATEST, Take.MAX)
_TIMES: Final = frozenset({FieldType.DATE, FieldType.INSTANT})
_NAMES: Final = frozenset({FieldType.STRING})
_ANY_TYPE: Final = frozenset(FieldType)

CELL_TYPES: Final[Mapping[FieldType, CellType]] = MappingProxyType(
    {FieldType.STRING: CellType.STRING, FieldType.INTEGER: CellType.INTEGER, FieldType.BOOLEAN: CellType.BOOLEAN}
)
"""The cell type of a field that is kept as it is."""

_ALL: Final = (
    Transform("drop", words.drop, _ANY_TYPE, None, _ONE, hides=True),
    Transform("keep", words.keep, frozenset(CELL_TYPES), None, _ONE_OR_SET),
    Transform("department", words.department, _NAMES, CellType.STRING, _ONE_OR_SET),
    Transform("topic", words.topic, _NAMES, CellType.STRING, _ONE_OR_SET),
    Transform("redact", words.redact, frozenset({FieldType.TEXT}), CellType.STRING, _ONE, hides=True),
    Transform("token", words.token, _NAMES, CellType.STRING, _ONE_OR_SET, hides=True),
    Transform("has", words.has, _ANY_TYPE, CellType.BOOLEAN, (Take.ANY,), hides=True),
    Transform("count", words.count, _ANY_TYPE, CellType.INTEGER, (Take.COUNT,), hides=True),
    Transform("year", dates.year, _TIMES, CellType.STRING, _IN_ORDER),
    Transform("year_90", dates.year_90, frozenset({FieldType.DATE}), CellType.STRING, _ONE),
    Transform("age_band", dates.age_band, frozenset({FieldType.DATE}), CellType.STRING, _ONE),
    Transform("month", dates.month, _TIMES, CellType.STRING, _IN_ORDER),
    Transform("day", dates.natural_day, _TIMES, CellType.DAY, _IN_ORDER),
    Transform("hour", dates.hour, frozenset({FieldType.INSTANT}), CellType.INTEGER, _ONE),
    Transform("minute", dates.minute, frozenset({FieldType.INSTANT}), CellType.MINUTE, _IN_ORDER),
    Transform("icd10_group", codes.icd10_group, frozenset({FieldType.CODE}), CellType.STRING, (Take.SET,)),
    Transform("atc_level3", codes.atc_level3, frozenset({FieldType.CODE}), CellType.STRING, (Take.SET,)),
    Transform(
        "group",
        codes.code_group,
        frozenset({FieldType.CODE}),
        CellType.STRING,
        (Take.SET,),
        needs=frozenset({"groups"}),
    ),
    Transform("province", codes.province, _NAMES, CellType.STRING, _ONE),
    Transform("region", codes.region, _NAMES, CellType.STRING, _ONE),
    Transform(
        "bin",
        quantities.bin_quantity,
        frozenset({FieldType.QUANTITY}),
        CellType.STRING,
        _ONE,
        needs=frozenset({"codes", "units", "edges"}),
    ),
    Transform(
        "band",
        quantities.band,
        frozenset({FieldType.INTEGER, FieldType.DECIMAL}),
        CellType.STRING,
        _ONE,
        needs=frozenset({"edges"}),
    ),
    Transform(
        "body",
        quantities.body,
        frozenset({FieldType.QUANTITY}),
        CellType.STRING,
        (Take.BMI,),
        needs=frozenset({"edges"}),
    ),
    Transform("money", quantities.money, frozenset({FieldType.DECIMAL}), CellType.MONEY, _ONE),
    Transform("minutes", quantities.begun_minutes, frozenset({FieldType.INTEGER}), CellType.INTEGER, _ONE),
)

TRANSFORMS: Final[Mapping[str, Transform]] = MappingProxyType({transform.name: transform for transform in _ALL})
"""Every transform by name; what is not here does not exist for a view."""
