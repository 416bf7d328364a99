"""Reads records that were posted as JSON: the same cleaning as for files, one refusal a record."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

from consentry.sources.cleaning import (
    check_date,
    check_length,
    clean_key,
    parse_date,
    parse_decimal,
    parse_id_number,
    parse_mobile,
    parse_sex,
    parse_time,
)
from consentry.sources.context import SourceContext
from consentry.sources.duplicates import DuplicateFilter
from consentry.sources.quantities import Measured
from consentry.sources.records import (
    RECORD_KINDS,
    BadRow,
    Identity,
    Reading,
    Row,
    RowFault,
    RowRefused,
    SourceRecord,
    Tally,
)
from consentry.sources.table_files import cell_text, member_text
from consentry.sources.values import PLAIN, Cleaned, Cleaner, Reads, identity_of
from kernel.catalogue import EventType, FieldType
from kernel.encoding import JsonValue

_T = TypeVar("_T")

_EVENT: Final = "event"
_TYPE_FIELD: Final = "event_type"
_QUANTITY_KEYS: Final = frozenset({"code", "value", "unit", "flag"})
_FLAGS: Final = frozenset({"H", "L", "N", "A", "POS", "NEG", "<", ">", "≤", "≥"})

Posted = Mapping[str, object]
"""``source_subject``, ``kind``, ``source_record``, ``observed_at``, ``values`` and perhaps ``identity``."""


def read_posted(records: Sequence[Posted], context: SourceContext, *, source: str) -> Reading:
    """Read posted records; every record becomes one clean record, or one refusal with its place and field.

    Args:
        records: parsed JSON. ``values`` maps fields of the catalogue to scalars, quantities (``code``, ``value``,
            ``unit``, ``flag``) or lists of them; ``identity`` states ID number, birth date, sex and mobile, which
            serve to resolve the person and are not stored from there.
        context: catalogue, tables and time.
        source: the system that posts, to which the ids of persons and records belong.
    """
    tally = Tally()
    reader = _PostedReader(context, source, tally)
    return Reading(DuplicateFilter().filter(reader.rows(records), tally), tally)


def clean_values(values: Posted, context: SourceContext) -> Mapping[str, JsonValue]:
    """Return field values in their clean form, for a correction of a record that is stored already.

    Raises:
        RowRefused: with the fault and the field; a value that is blank, or belongs under another field, is missing.
    """
    reader, cleaned = _PostedReader(context, "", Tally()), Cleaned()
    for code, value in values.items():
        reader.put(cleaned, code, value)
    for code in values:
        if code not in cleaned.values:
            raise RowRefused(RowFault.MISSING, code)
    return cleaned.values


class _PostedReader:
    def __init__(self, context: SourceContext, source: str, tally: Tally) -> None:
        self._context = context
        self._source = source
        self._tally = tally
        self._cleaner = Cleaner(context)

    def rows(self, records: Sequence[Posted]) -> Iterator[Row]:
        """Yield the clean form of every record, or why it is refused."""
        for number, posted in enumerate(records):
            self._tally.rows += 1
            locator = f"records[{number}]"
            try:
                yield self._record(locator, posted)
            except RowRefused as refusal:
                yield BadRow(locator, refusal.fault, refusal.field)

    def _record(self, locator: str, posted: Posted) -> SourceRecord:
        kind = self._kind(posted)
        cleaned = self._cleaned(_members(posted, "values"), kind)
        return SourceRecord(
            locator=locator,
            source=self._source,
            source_subject=_key(posted, "source_subject"),
            kind=kind,
            source_record=_key(posted, "source_record"),
            observed_at=self._time(posted),
            values=cleaned.values,
            identity=self._identity(_members(posted, "identity"), cleaned),
            unmapped=tuple(cleaned.unmapped),
        )

    def _kind(self, posted: Posted) -> str:
        kind = posted.get("kind")
        if not isinstance(kind, str) or kind not in RECORD_KINDS:
            raise RowRefused(RowFault.UNKNOWN_CATEGORY, "kind")
        return kind

    def _time(self, posted: Posted) -> datetime:
        try:
            written = cell_text(posted.get("observed_at")).strip()
            return self._context.check_instant(parse_time(written, self._context.zone))
        except RowRefused as refusal:
            raise refusal.within("observed_at") from None

    def _cleaned(self, values: Posted, kind: str) -> Cleaned:
        if kind == _EVENT:
            return self._cleaned_event(values)
        cleaned = Cleaned()
        for code, value in values.items():
            self.put(cleaned, code, value)
        if not cleaned.values:
            raise RowRefused(RowFault.MISSING, "values")
        self._cleaner.derive(cleaned)
        return cleaned

    def _cleaned_event(self, values: Posted) -> Cleaned:
        """Clean an event: its type decides which properties it may have, and which it must have."""
        declared = self._declared(values.get(_TYPE_FIELD))
        cleaned = Cleaned({_TYPE_FIELD: declared.code})
        for code, value in values.items():
            if code == _TYPE_FIELD:
                continue
            if code not in declared.properties:
                raise RowRefused(RowFault.UNKNOWN_FIELD, self._known(code))
            self.put(cleaned, code, value)
        for required in declared.required:
            if required not in cleaned.values:
                raise RowRefused(RowFault.MISSING, required)
        return cleaned

    def _declared(self, code: object) -> EventType:
        declared = self._context.catalogue.event_types.get(code) if isinstance(code, str) else None
        if declared is None:
            raise RowRefused(RowFault.UNKNOWN_EVENT, _TYPE_FIELD)
        return declared

    def _known(self, code: str) -> str | None:
        """Return the code where the catalogue has it; an unknown name may be a value in the place of a name."""
        return code if code in self._context.catalogue.fields else None

    def put(self, cleaned: Cleaned, code: str, value: object) -> None:
        """Clean a scalar, a quantity or a list of them, and put it under its field; raises ``RowRefused``."""
        if self._known(code) is None:
            raise RowRefused(RowFault.UNKNOWN_FIELD)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                self._put_quantity(cleaned, code, item)
            elif raw := member_text(item, code):
                self._cleaner.put(cleaned, code, raw, PLAIN)

    def _put_quantity(self, cleaned: Cleaned, code: str, item: Posted) -> None:
        if not set(item) <= _QUANTITY_KEYS or self._cleaner.field(code).type is not FieldType.QUANTITY:
            raise RowRefused(RowFault.MALFORMED, code)
        measures, value, unit, flag = (member_text(item.get(key), code) for key in ("code", "value", "unit", "flag"))
        units = (unit,) if unit else ()
        if not flag:
            self._cleaner.put(cleaned, code, value, Reads(code=measures or None, units=units))
        elif flag not in _FLAGS:
            raise RowRefused(RowFault.UNKNOWN_CATEGORY, code)
        else:
            self._put_flagged(cleaned, code, measures, Measured(_parsed(parse_decimal, value, code), units, flag))

    def _put_flagged(self, cleaned: Cleaned, code: str, measures: str, measured: Measured) -> None:
        try:
            self._cleaner.put_measured(cleaned, code, measures, measured)
        except RowRefused as refusal:
            raise refusal.within(code) from None

    def _identity(self, stated: Posted, cleaned: Cleaned) -> Identity | None:
        """Return who the record says its subject is; what it says twice must be the same."""
        said: dict[str, JsonValue] = dict(cleaned.values)
        if not stated.keys() <= _IDENTITY.keys():
            raise RowRefused(RowFault.UNKNOWN_FIELD, "identity")
        for name, written in stated.items():
            if raw := member_text(written, name):
                value = _parsed(_IDENTITY[name], raw, name)
                if said.setdefault(name, value) != value:
                    raise RowRefused(RowFault.CONTRADICTION, name)
        birth_date = said.get("birth_date")
        if isinstance(birth_date, str):
            _parsed(lambda text: check_date(parse_date(text), today=self._context.today), birth_date, "birth_date")
        return identity_of(said)


def _birth_date(text: str) -> str:
    return parse_date(text).isoformat()


_IDENTITY: Final[Mapping[str, Callable[[str], str]]] = {
    "id_number": parse_id_number,
    "birth_date": _birth_date,
    "sex": parse_sex,
    "mobile": parse_mobile,
}


def _parsed(parse: Callable[[str], _T], raw: str, name: str) -> _T:
    try:
        check_length(raw)
        return parse(raw)
    except RowRefused as refusal:
        raise refusal.within(name) from None


def _members(posted: Posted, name: str) -> Posted:
    found = posted.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise RowRefused(RowFault.MALFORMED, name)
    return found


def _key(posted: Posted, name: str) -> str:
    key = _parsed(clean_key, member_text(posted.get(name), name), name)
    if not key:
        raise RowRefused(RowFault.MISSING, name)
    return key
