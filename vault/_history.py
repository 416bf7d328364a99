"""Versions of a person's fields: what each source said and when, what was corrected, and which value counts now.

For the modules of this package alone: ``Vault.open_history`` and ``Vault.open_current`` give them out, for a permit and
its receipt.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from kernel.catalogue import Catalogue
from kernel.clock import to_micros
from kernel.encoding import JsonValue
from kernel.ids import RecordId, SubjectId
from vault._keys import UnlockedKeys
from vault._rows import SealedRow, binding_of, header_of
from vault._versions import MARK, PROFILE, Told, choose, is_overtaken, marks_of, observed, weight
from vault.envelope import Item, of_row, open_many
from vault.payload import unpack


@dataclass(frozen=True, slots=True, repr=False)
class FieldVersion:
    """One version of one field; plaintext.

    Attributes:
        record_key: what the versions of one source record have in common; a keyed digest.
        stored_at: since when it is visible.
        stored_by: the principal who brought it.
        permit_id: what it was stored under; like ``batch_id`` and ``stored_by`` told by the store, not by the seal.
        corrected_at, reason: of a correction; None where the source said it.
        stands: whether it is the version of its source record that counts.
    """

    field: str
    value: JsonValue
    record_id: RecordId
    record_key: str
    kind: str
    source: str
    observed_at: datetime
    stored_at: datetime | None
    stored_by: str
    batch_id: str
    permit_id: str
    corrected_at: datetime | None
    reason: str | None
    stands: bool

    def __repr__(self) -> str:
        return f"FieldVersion(field={self.field!r}, record_id={self.record_id}, redacted)"


@dataclass(frozen=True, slots=True, repr=False)
class CurrentValue:
    """The value of a profile field that counts, and where it comes from; plaintext.

    Attributes:
        rank: how far its source is trusted for this field; 0 is most.
        is_corrected: whether it was corrected.
    """

    field: str
    value: JsonValue
    record_id: RecordId
    source: str
    observed_at: datetime
    rank: int
    is_corrected: bool

    def __repr__(self) -> str:
        return f"CurrentValue(field={self.field!r}, record_id={self.record_id}, redacted)"


class Disagreement(StrEnum):
    """Why a person has to look at a field."""

    SOURCES = "sources"
    """Sources that are trusted alike state different values."""
    CORRECTION_OVERTAKEN = "correction_overtaken"
    """After a correction its source observed another value, which counts now."""


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that somebody has to look at; no value.

    Attributes:
        records: ids of the versions that disagree, in the order of storing.
        sources: their sources, sorted.
    """

    subject: SubjectId
    field: str
    why: Disagreement
    records: tuple[RecordId, ...]
    sources: tuple[str, ...]


class Placed(NamedTuple):
    """One version with its place among the others.

    Attributes:
        stands: whether it counts for its source record.
    """

    field: str
    told: Told
    stands: bool


def placed_versions(
    rows: Sequence[SealedRow], fields: Collection[str], keys: UnlockedKeys, deployment: str
) -> list[Placed]:
    """Return every version of some fields of one subject, by field, then in the order of storing; values stay sealed.

    Raises:
        IntegrityFailed: a correction's mark was changed.
    """
    marks = marks_of(rows, keys, deployment)
    told: dict[tuple[str, str], list[Told]] = {}
    for row in rows:
        for code, sealed in unpack(row.payload):
            if code in fields and code != MARK:
                told.setdefault((code, row.record_key), []).append(Told(row, sealed, marks.get(row.row_no)))
    standing = {place: choose(versions).row.row_no for place, versions in told.items()}
    placed = [
        Placed(code, one, one.row.row_no == standing[code, key])
        for (code, key), versions in told.items()
        for one in versions
    ]
    return sorted(placed, key=lambda one: (one.field, one.told.row.row_no))


def open_versions(placed: Sequence[Placed], keys: UnlockedKeys, deployment: str) -> list[FieldVersion]:
    """Open versions, of rows that were read with their batch; nothing comes back unless all of it verifies.

    Raises:
        IntegrityFailed: a stored byte or a column of a row's header was changed, or moved to another row.
    """
    values = _opened(placed, keys, deployment)
    return [_version(one, value) for one, value in zip(placed, values, strict=True)]


def open_current(
    placed: Sequence[Placed], keys: UnlockedKeys, deployment: str, catalogue: Catalogue
) -> dict[str, CurrentValue]:
    """Open the one value of each profile field that counts, by field; raises as ``open_versions``."""
    chosen = list(current_versions(placed, catalogue).values())
    values = _opened(chosen, keys, deployment)
    return {one.field: _current(one, value, catalogue) for one, value in zip(chosen, values, strict=True)}


def current_versions(
    placed: Iterable[Placed], catalogue: Catalogue, *, until: datetime | None = None
) -> dict[str, Placed]:
    """Return the version of each profile field that counts: by trust, then the newest observation, then storing.

    Args:
        placed: of one subject.
        catalogue: says whom to believe.
        until: only what was observed before this instant; None for all.
    """
    found: dict[str, Placed] = {}
    limit = None if until is None else to_micros(until)
    for one in placed:
        row = one.told.row
        if one.stands and row.kind == PROFILE and (limit is None or row.observed_at < limit):
            best = found.get(one.field)
            if best is None or _weight(one, catalogue) > _weight(best, catalogue):
                found[one.field] = one
    return found


def find_disagreements(
    subject: SubjectId, placed: Sequence[Placed], keys: UnlockedKeys, deployment: str, catalogue: Catalogue
) -> list[FieldConflict]:
    """Return the fields of one subject on which equally trusted sources, or a source and a correction, disagree.

    Values are opened to be compared and go no further; raises as ``open_versions``.
    """
    groups = [
        *((Disagreement.SOURCES, field, rivals) for field, rivals in _rivals(placed, catalogue)),
        *((Disagreement.CORRECTION_OVERTAKEN, field, pair) for field, pair in _overtaken(placed)),
    ]
    values = iter(_opened([one for _, _, versions in groups for one in versions], keys, deployment))
    found = []
    for why, field, versions in groups:
        said = {_plain(next(values)) for _ in versions}
        if len(said) > 1:
            records = tuple(dict.fromkeys(RecordId(one.told.row.record_id) for one in versions))
            sources = tuple(sorted({one.told.row.source for one in versions}))
            found.append(FieldConflict(subject, field, why, records, sources))
    return found


def said_values(
    rows: Sequence[SealedRow], fields: Collection[str], keys: UnlockedKeys, deployment: str
) -> list[tuple[str, JsonValue, bool]]:
    """Return field, value and whether it stands, of every version, in the order in which the records first came.

    Plaintext for the upkeep of what finds a person; it stays inside the package.
    """
    placed = placed_versions(rows, fields, keys, deployment)
    first = {one.told.row.record_key: one.told.row.row_no for one in reversed(placed)}
    values = _opened(placed, keys, deployment)
    ordered = sorted(zip(placed, values, strict=True), key=lambda pair: first[pair[0].told.row.record_key])
    return [(one.field, value, one.stands) for one, value in ordered]


def _rivals(placed: Sequence[Placed], catalogue: Catalogue) -> Iterator[tuple[str, list[Placed]]]:
    """Yield the standing versions of each profile field that several of its most trusted sources state."""
    best = current_versions(placed, catalogue)
    for field, winner in best.items():
        rank = _rank(winner, catalogue)
        own = [
            one
            for one in placed
            if one.field == field and one.stands and one.told.row.kind == PROFILE and _rank(one, catalogue) == rank
        ]
        newest = {one.told.row.source: one for one in sorted(own, key=lambda one: _weight(one, catalogue))}
        if len(newest) > 1:
            yield field, sorted(newest.values(), key=lambda one: one.told.row.row_no)


def _overtaken(placed: Sequence[Placed]) -> Iterator[tuple[str, list[Placed]]]:
    """Yield the last correction of each value together with what its source observed afterwards and what counts now."""
    by_value: dict[tuple[str, str], list[Placed]] = {}
    for one in placed:
        by_value.setdefault((one.field, one.told.row.record_key), []).append(one)
    for (field, _), versions in by_value.items():
        corrected = [one for one in versions if one.told.mark is not None]
        standing = next(one for one in versions if one.stands)
        if corrected and standing.told.mark is None and is_overtaken(corrected[-1].told, standing.told):
            yield field, [corrected[-1], standing]


def _rank(one: Placed, catalogue: Catalogue) -> int:
    return catalogue.trust_rank(one.told.row.source, one.field)


def _weight(one: Placed, catalogue: Catalogue) -> tuple[int, int, int]:
    return weight(catalogue, one.field, one.told.row)


def _opened(placed: Sequence[Placed], keys: UnlockedKeys, deployment: str) -> list[JsonValue]:
    return [json.loads(plaintext) for plaintext in open_many(_items(placed, keys, deployment))]


def _items(placed: Iterable[Placed], keys: UnlockedKeys, deployment: str) -> Iterator[Item]:
    for field, (row, sealed, _), _stands in placed:
        yield keys.opening(row.key_id), binding_of(row, of_row(deployment, header_of(row)), field), sealed


def _version(one: Placed, value: JsonValue) -> FieldVersion:
    row, mark = one.told.row, one.told.mark
    return FieldVersion(
        field=one.field,
        value=value,
        record_id=RecordId(row.record_id),
        record_key=row.record_key,
        kind=row.kind,
        source=row.source,
        observed_at=observed(row),
        stored_at=row.closed_at,
        stored_by=row.actor if mark is None else mark.by,
        batch_id=row.batch_id,
        permit_id=row.permit_id,
        corrected_at=None if mark is None else mark.at,
        reason=None if mark is None else mark.reason,
        stands=one.stands,
    )


def _current(one: Placed, value: JsonValue, catalogue: Catalogue) -> CurrentValue:
    row = one.told.row
    return CurrentValue(
        one.field,
        value,
        RecordId(row.record_id),
        row.source,
        observed(row),
        _rank(one, catalogue),
        is_corrected=one.told.mark is not None,
    )


def _plain(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)
