"""Cleans one raw value into the type that the catalogue gives its field."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from decimal import Decimal
from typing import Final

from consentry.sources.cleaning import (
    check_date,
    check_length,
    clean_text,
    decimal_text,
    fold,
    parse_boolean,
    parse_date,
    parse_decimal,
    parse_id_number,
    parse_mobile,
    parse_money,
    parse_sex,
    parse_time,
    whole,
)
from consentry.sources.codes import parse_code, shown
from consentry.sources.context import SourceContext
from consentry.sources.quantities import Measured
from consentry.sources.records import Identity, RowFault, RowRefused
from kernel.catalogue import Field, FieldType
from kernel.clock import format_instant
from kernel.encoding import JsonValue, canonical_json
from kernel.plaintext import Plaintext

MAX_ITEMS: Final = 1_000
"""Values that one record may give for one field; more are a mistake of the export, or an attack."""

_MONEY_UNIT: Final = "CNY"
_NUMERAL: Final = frozenset("0123456789+-.,")
_PLACES: Final = "adcode"


@dataclass(frozen=True, slots=True)
class Reads:
    """How the raw values of one column are written.

    Attributes:
        system: the code system of bare codes. code: the ``system:code`` that a bare number measures.
        units: the units that a bare number may be in; of several the only possible one is taken.
        words: the source's words → ours, compared after folding.
    """

    system: str | None = None
    code: str | None = None
    units: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)


PLAIN: Final = Reads()


@dataclass(slots=True, repr=False)
class Cleaned(Plaintext):
    """The values of one record while they gather; plaintext."""

    values: dict[str, JsonValue] = field(default_factory=dict)
    unmapped: list[str] = field(default_factory=list)
    _given: Counter[str] = field(default_factory=Counter, init=False)
    _encodings: dict[str, set[bytes]] = field(default_factory=dict, init=False)

    def __repr__(self) -> str:
        """Return a text without values."""
        return f"Cleaned({sorted(self.values)})"

    def add(self, definition: Field, value: JsonValue) -> None:
        """Put a value under its field: a repeated field gathers a list without repetition, any other is said once.

        Raises:
            RowRefused: a field that is not repeated is given two different values, or any more than 1,000.
        """
        self._given[definition.code] += 1
        if self._given[definition.code] > MAX_ITEMS:
            raise RowRefused(RowFault.TOO_MANY, definition.code)
        if definition.repeated:
            self._gather(definition.code, value)
        elif self.values.setdefault(definition.code, value) != value:
            raise RowRefused(RowFault.CONTRADICTION, definition.code)

    def _gather(self, code: str, value: JsonValue) -> None:
        """Append a value that the field does not have yet; encodings are looked up where lists would be compared."""
        gathered = self.values.setdefault(code, [])
        encodings = self._encodings.setdefault(code, set())
        encoded = canonical_json(value)
        if isinstance(gathered, list) and encoded not in encodings:
            encodings.add(encoded)
            gathered.append(value)


class Cleaner:
    """Puts raw values into the catalogue's fields, for one time zone."""

    def __init__(self, context: SourceContext, *, zone: tzinfo | None = None) -> None:
        self._context = context
        self._zone = zone or context.zone
        self._today = context.now.astimezone(self._zone).date()

    def field(self, code: str) -> Field:
        """Return a field's definition; raises ``RowRefused`` for one that the catalogue does not have."""
        definition = self._context.catalogue.fields.get(code)
        if definition is None:
            raise RowRefused(RowFault.UNKNOWN_FIELD, code)
        return definition

    def put(self, cleaned: Cleaned, field_code: str, raw: str, reads: Reads = PLAIN) -> None:
        """Clean a raw text and put it under its field, or under the stricter field that its code belongs in.

        Raises:
            RowRefused: with the fault and the field.
        """
        try:
            definition = self.field(field_code)
            check_length(raw)
            self._put(cleaned, definition, reads.words.get(fold(raw), raw) if reads.words else raw, reads)
        except RowRefused as refusal:
            raise refusal.within(field_code) from None

    def put_code(self, cleaned: Cleaned, field_code: str, system: str, code: str) -> None:
        """Put a code under the field that it belongs in."""
        placed = self._context.codes.place(field_code, system, code)
        cleaned.add(self.field(placed.field), placed.code)
        if not placed.is_mapped:
            cleaned.unmapped.append(shown(placed.code))

    def put_measured(self, cleaned: Cleaned, field_code: str, code: str, measured: Measured) -> None:
        """Put a measurement of ``system:code`` under the field that it belongs in."""
        system, _, bare = code.partition(":")
        quantity = self._context.indicators.measure(field_code, system, bare, measured)
        cleaned.add(self.field(quantity.field), quantity.value)
        is_ours = system == "local" == self.field(field_code).code_system
        if not quantity.is_mapped and not is_ours:
            cleaned.unmapped.append(shown(code))

    def derive(self, cleaned: Cleaned) -> None:
        """Add the reproductive state that the diagnoses tell, where the source does not tell it itself."""
        definition = self._context.catalogue.fields.get("reproductive_state")
        if definition is None or definition.code in cleaned.values:
            return
        diagnoses = [_listed(cleaned.values.get(code)) for code in ("diagnosis", "special_disease")]
        codes = (str(code).removeprefix("icd10:") for listed in diagnoses for code in listed)
        state = next(filter(None, map(self._context.codes.reproductive_state, codes)), None)
        if state is not None:
            cleaned.add(definition, state)

    def _put(self, cleaned: Cleaned, definition: Field, raw: str, reads: Reads) -> None:
        match definition.type:
            case FieldType.CODE:
                system, code = parse_code(fold(raw), reads.system)
                self.put_code(cleaned, definition.code, system, code)
            case FieldType.QUANTITY:
                self.put_measured(cleaned, definition.code, *self._measured(raw, reads))
            case _:
                cleaned.add(definition, self._scalar(definition, raw, reads))

    def _scalar(self, definition: Field, raw: str, reads: Reads) -> JsonValue:
        match definition.type:
            case FieldType.TEXT:
                return clean_text(raw)
            case FieldType.DATE | FieldType.INSTANT:
                return self._moment(definition, raw)
            case FieldType.INTEGER:
                return whole(self._number(definition, raw, reads))
            case FieldType.DECIMAL:
                return decimal_text(self._number(definition, raw, reads))
            case FieldType.BOOLEAN:
                return parse_boolean(raw)
            case FieldType.ATTACHMENT:  # a file comes by a way of its own
                raise RowRefused(RowFault.UNKNOWN_FIELD)
        return self._string(definition, raw)

    def _moment(self, definition: Field, raw: str) -> str:
        if definition.type is FieldType.DATE:
            return check_date(parse_date(raw), today=self._today).isoformat()
        return format_instant(self._context.check_instant(parse_time(raw, self._zone)))

    def _string(self, definition: Field, raw: str) -> str:
        special = _STRINGS.get(definition.code)
        if special is not None:
            return special(raw)
        if definition.code_system == _PLACES:
            return self._context.divisions.find(raw)
        text = clean_text(fold(raw))
        if definition.allowed is not None and text not in definition.allowed:
            raise RowRefused(RowFault.UNKNOWN_CATEGORY)
        return text

    def _number(self, definition: Field, raw: str, reads: Reads) -> Decimal:
        """Return a number in the field's unit; negative numbers do not occur in any field."""
        value = parse_money(raw) if definition.unit == _MONEY_UNIT else parse_decimal(raw)
        if value < 0:
            raise RowRefused(RowFault.OUT_OF_RANGE)
        if not reads.units or definition.unit is None:
            return value
        converted = self._converted(value, reads.units[0], definition)
        return converted.to_integral_value() if definition.type is FieldType.INTEGER else converted

    def _converted(self, value: Decimal, spelling: str, definition: Field) -> Decimal:
        unit = self._context.indicators.units.name(spelling)
        if unit is None or definition.unit is None:
            raise RowRefused(RowFault.UNKNOWN_UNIT)
        return self._context.indicators.units.convert(value, unit=unit, to=definition.unit)

    def _measured(self, raw: str, reads: Reads) -> tuple[str, Measured]:
        """Read ``5.6``, ``5.6 mmol/L`` or ``<0.1``; a unit in the text goes before those of the column."""
        if reads.code is None:
            raise RowRefused(RowFault.BAD_CODE)
        folded = fold(raw)
        comparator = folded[:1] if folded[:1] in {"<", ">", "≤", "≥"} else None
        number = folded[1:].lstrip() if comparator else folded
        end = next((i for i, mark in enumerate(number) if mark not in _NUMERAL), len(number))
        unit = number[end:].strip()
        return reads.code, Measured(parse_decimal(number[:end]), (unit,) if unit else reads.units, comparator)


def identity_of(values: Mapping[str, JsonValue]) -> Identity | None:
    """Return what a record's values say about who its subject is, or None where they say nothing.

    Raises:
        RowRefused: the ID number and the birth date contradict each other.
    """
    id_number, birth, sex, mobile = (_text(values.get(code)) for code in ("id_number", "birth_date", "sex", "mobile"))
    if id_number is birth is sex is mobile is None:
        return None
    birth_date = parse_date(birth) if birth else None
    if id_number and birth_date and f"{birth_date:%Y%m%d}" != id_number[6:14]:
        raise RowRefused(RowFault.CONTRADICTION, "birth_date")
    return Identity(id_number=id_number, birth_date=birth_date, sex=sex, mobile=mobile)


def _listed(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _email(raw: str) -> str:
    text = clean_text(fold(raw))
    local, _, domain = text.rpartition("@")
    if not local or "." not in domain or any(mark.isspace() for mark in text):
        raise RowRefused(RowFault.MALFORMED)
    return text


_STRINGS: Final = {"sex": parse_sex, "id_number": parse_id_number, "mobile": parse_mobile, "email": _email}
