"""Prepared rows and the people whom they are about; values stay in columns."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from consentry.sources.arrow_checks import PLACE, SOURCE_SUBJECT, Prepared
from consentry.sources.arrow_maps import EVENT
from consentry.sources.records import BadRow, RowFault
from consentry.workflows.ingest_permits import Fields
from kernel.clock import from_micros
from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from vault.bulk_columns import HEAD, KIND, OBSERVED_AT, SOURCE, SOURCE_RECORD, SUBJECT, plain_values
from vault.records import PlainRecord
from vault.subjects import IdentityKeys, Resolution, ResolutionKind, SubjectResolver

if TYPE_CHECKING:
    import pyarrow as pa

_STATED: Final = ("id_number", "birth_date", "sex", "mobile")
"""Fields that say who a record is about."""


@dataclass(frozen=True, slots=True, repr=False)
class Rows:
    """Some rows that know their subjects; plaintext.

    Attributes:
        columns: as ``vault.bulk_columns`` wants them.
        codes: of the field columns that say anything.
        present: by subject, how many values it has of each field.
    """

    columns: "pa.RecordBatch"
    codes: tuple[str, ...]
    present: Mapping[SubjectId, Mapping[str, int]]

    def __repr__(self) -> str:
        return f"Rows({self.columns.num_rows}, redacted)"


@dataclass(frozen=True, slots=True, repr=False)
class Block:
    """What is read together: usable rows, and what is known of the people whom all of it is about; plaintext.

    Attributes:
        rows: the usable ones.
        places: theirs in the file.
        end: place of the block's last row, usable or not.
        stated: who states what of itself, where a record states anything.
        births: the birth dates among that.
        doubtful: rows that could be about several people. unknown: how many are about nobody that is known.
        bad: places of both.
    """

    rows: Rows
    places: Sequence[int]
    end: int
    stated: Sequence[tuple[SubjectId, IdentityKeys]]
    births: Mapping[SubjectId, date]
    doubtful: Sequence[tuple[IdentityKeys, Resolution]]
    unknown: int
    bad: Sequence[BadRow]

    def cut(self, start: int, rows: int) -> tuple[Rows, int]:
        """Return some of the usable rows, and the place up to which the input is then done."""
        part = self.rows.columns.slice(start, rows)
        is_last = start + rows >= len(self.places)
        return rows_of(part), self.end if is_last else self.places[start + rows - 1]

    def __repr__(self) -> str:
        return f"Block({len(self.places)} usable rows, redacted)"


class People:
    """Says whom rows are about."""

    def __init__(self, resolver: SubjectResolver, file: str) -> None:
        self._resolver = resolver
        self._file = file

    def resolve(self, prepared: Prepared, *, end: int) -> Block:
        """Return the rows whose subject is known or new, each person looked up once."""
        import pyarrow as pa

        records = prepared.records
        stated = list(_identities(records))
        distinct = {own: IdentityKeys(*own) for own in dict.fromkeys(stated)}
        found = dict(zip(distinct, self._resolver.resolve_many(list(distinct.values())), strict=True))
        resolutions = [found[own] for own in stated]
        places = records[PLACE].to_pylist()
        doubtful, bad = [], []
        for place, own, resolution in zip(places, stated, resolutions, strict=True):
            if resolution.kind is ResolutionKind.DOUBTFUL:
                doubtful.append((distinct[own], resolution))
                bad.append(BadRow(f"{self._file}:{place}", RowFault.IDENTITY_DOUBTFUL))
            elif resolution.subject is None:
                bad.append(BadRow(f"{self._file}:{place}", RowFault.UNKNOWN_PERSON))
        subjects = pa.array([resolution.subject for resolution in resolutions], pa.string())
        columns = records.append_column(SUBJECT, subjects)
        if bad:
            columns = columns.filter(subjects.is_valid())
            places = columns[PLACE].to_pylist()
        owned = {distinct[own]: one.subject for own, one in found.items() if one.subject is not None}
        telling = [(subject, own) for own, subject in owned.items() if not own.is_reference]
        return Block(
            rows=rows_of(columns.drop_columns([SOURCE_SUBJECT, PLACE])),
            places=places,
            end=end,
            stated=telling,
            births={subject: own.birth_date for subject, own in telling if own.birth_date is not None},
            doubtful=doubtful,
            unknown=len(bad) - len(doubtful),
            bad=bad,
        )


def rows_of(columns: "pa.RecordBatch") -> Rows:
    """Return rows with what they say of whom, counted by column."""
    codes = tuple(sorted(name for name in columns.schema.names if name not in HEAD and _says(columns[name])))
    return Rows(columns, codes, _present(columns, codes))


def values_of(
    rows: Rows, codes: Iterable[str], covered: Mapping[SubjectId, Collection[str]]
) -> Iterator[tuple[SubjectId, str, JsonValue]]:
    """Yield subject, code and value of some fields, where they are covered; events are passed over."""
    subjects, kinds = rows.columns[SUBJECT].to_pylist(), rows.columns[KIND].to_pylist()
    for code in codes:
        for who, kind, value in zip(subjects, kinds, rows.columns[code].to_pylist(), strict=True):
            if value is not None and kind != EVENT and code in covered.get(who, ()):
                yield who, code, value


def fields_by_subject(rows: Rows, codes: frozenset[str]) -> Fields:
    """Return which of some fields each subject has."""
    found: dict[SubjectId, frozenset[str]] = {}
    for subject, own in rows.present.items():
        having = codes if codes <= own.keys() else codes.intersection(own)
        if having:
            found[subject] = having
    return found


def plain_records(rows: Rows, refused: Collection[tuple[SubjectId, str]]) -> Iterator[PlainRecord]:
    """Yield records one by one, without what is refused."""
    columns, codes = rows.columns, rows.codes
    head = zip(
        *(columns[name].to_pylist() for name in (SUBJECT, KIND, SOURCE, SOURCE_RECORD, OBSERVED_AT)), strict=True
    )
    values = zip(*(plain_values(columns[code]) for code in codes), strict=True)
    for (subject, kind, source, record, observed_at), row in zip(head, values, strict=True):
        kept = {
            code: value
            for code, value in zip(codes, row, strict=True)
            if value is not None and (subject, code) not in refused
        }
        if kept:
            yield PlainRecord(subject, kind, source, record, from_micros(observed_at), kept)


def _says(column: "pa.Array") -> bool:
    return int(column.null_count) < len(column)


def _identities(records: "pa.RecordBatch") -> Iterator[tuple[Any, ...]]:
    """Yield what each row states, in the order of ``IdentityKeys``."""
    columns = [records[SOURCE].to_pylist(), records[SOURCE_SUBJECT].to_pylist()]
    for name in _STATED:
        known = name in records.schema.names
        values = records[name].to_pylist() if known else repeat(None, records.num_rows)
        columns.append([date.fromisoformat(value) if value else None for value in values]
                       if name == "birth_date" else list(values))  # fmt: skip
    return zip(*columns, strict=True)


def _present(columns: "pa.RecordBatch", codes: Sequence[str]) -> dict[SubjectId, dict[str, int]]:
    import pyarrow as pa

    table = pa.Table.from_batches([columns])
    grouped = table.group_by(SUBJECT, use_threads=False).aggregate(
        [(OBSERVED_AT, "count"), *((code, "count") for code in codes if columns[code].null_count)]
    )
    rows = grouped[f"{OBSERVED_AT}_count"].to_pylist()
    counts = [
        grouped[f"{code}_count"].to_pylist() if f"{code}_count" in grouped.column_names else rows for code in codes
    ]
    return {
        subject: {code: number for code, number in zip(codes, own, strict=True) if number}
        for subject, own in zip(grouped[SUBJECT].to_pylist(), zip(*counts, strict=True), strict=True)
    }
