"""Which version of a value stands: what a source said, and what was corrected. For the modules of this package alone.

A correction is a row of its own, with one value and a sealed mark beside it. The mark is sealed like a value, so that
nobody without the subject's key can make a correction of what a source sent, or alter when and why it was made.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from kernel.catalogue import Catalogue
from kernel.clock import format_instant, from_micros, parse_instant, to_micros
from kernel.encoding import canonical_json
from kernel.plaintext import Plaintext
from vault._keys import UnlockedKeys
from vault._rows import SealedRow, binding_of, header_of
from vault.envelope import of_row, open_many
from vault.payload import unpack

MARK: Final = "~correction"
"""Stands among a row's codes; the catalogue's begin with a letter."""

PROFILE: Final = "profile"
"""The kind of records that describe one person: of several that hold a field, one value counts."""


@dataclass(frozen=True, slots=True, repr=False)
class Mark(Plaintext):
    """What a correction says of itself.

    Attributes:
        at: when it was made; what a source observed up to then does not undo it.
        by: the principal.
        reason: in words; plaintext.
    """

    at: datetime
    by: str
    reason: str

    def encoded(self) -> bytes:
        """Return what is sealed."""
        return canonical_json({"v": 1, "at": format_instant(self.at), "by": self.by, "reason": self.reason})

    @classmethod
    def decoded(cls, plaintext: bytes) -> "Mark":
        """Return what was sealed."""
        said = json.loads(plaintext)
        return cls(parse_instant(said["at"]), said["by"], said["reason"])

    def __repr__(self) -> str:
        return f"Mark(at={self.at}, redacted)"


class Told(NamedTuple):
    """One version of one field of one source record.

    Attributes:
        mark: of a correction; None where the source said it.
    """

    row: SealedRow
    sealed: bytes
    mark: Mark | None


def choose(versions: Sequence[Told]) -> Told:
    """Return the version that stands, of at least one in the order of storing.

    The newest correction wins over all that its source observed up to then, whenever it was sent; of what was observed
    afterwards, and where nothing was corrected, what was stored last wins.
    """
    corrected = [told for told in versions if told.mark is not None]
    if not corrected:
        return versions[-1]
    standing = max(corrected, key=lambda told: (_made(told), told.row.row_no))
    later = [told for told in versions if is_overtaken(standing, told)]
    return later[-1] if later else standing


def is_overtaken(correction: Told, told: Told) -> bool:
    """Say whether a source observed this only after the correction was made."""
    return told.mark is None and told.row.observed_at > _made(correction)


def marks_of(rows: Iterable[SealedRow], keys: UnlockedKeys, deployment: str) -> dict[int, Mark]:
    """Return the marks of those rows that are corrections, by row number.

    Raises:
        IntegrityFailed: a mark or a row's header was changed.
    """
    found = [(row, dict(unpack(row.payload))[MARK]) for row in rows if _MARK_BYTES in row.payload and _is_marked(row)]
    items = [
        (keys.opening(row.key_id), binding_of(row, of_row(deployment, header_of(row)), MARK), sealed)
        for row, sealed in found
    ]
    return {row.row_no: Mark.decoded(said) for (row, _), said in zip(found, open_many(items), strict=True)}


def weight(catalogue: Catalogue, field: str, row: SealedRow) -> tuple[int, int, int]:
    """Return how much a value of a profile counts: by its source's rank, then the observation, then the storing."""
    return -catalogue.trust_rank(row.source, field), row.observed_at, row.row_no


def observed(row: SealedRow) -> datetime:
    """Return when what a row says was so."""
    return from_micros(row.observed_at)


_MARK_BYTES: Final = MARK.encode()


def _is_marked(row: SealedRow) -> bool:
    return any(code == MARK for code, _ in unpack(row.payload))


def _made(told: Told) -> int:
    return 0 if told.mark is None else to_micros(told.mark.at)
