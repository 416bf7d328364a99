"""What an erasure takes of a subject, and why: closed words, for its row, its entries and its certificate."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from kernel.encoding import JsonValue, canonical_json
from vault._rows import SealedRow
from vault.payload import unpack

Losses = Mapping[int, frozenset[str]]
"""The codes that each row loses, by ``row_no``; rows that lose nothing may be left out."""

Select = Callable[[Connection, Sequence[SealedRow]], Losses]
"""Says what each of a subject's rows loses; asked twice, the second time under the subject's lock, which counts."""


class Why(StrEnum):
    """Why something is erased; ``BASES`` has the law's words."""

    REQUEST = "request"
    GROUND_ENDED = "ground_ended"
    RETENTION = "retention"
    RESTORED = "restored"
    HOLD_ENDED = "hold_ended"


BASES: Final[Mapping[Why, str]] = {
    Why.REQUEST: "PIPL 47; GDPR 17(1)",
    Why.GROUND_ENDED: "PIPL 47(1)(1) and (3); GDPR 17(1)(a) and (b)",
    Why.RETENTION: "PIPL 19 and 47(1)(2); GDPR 5(1)(e)",
    Why.HOLD_ENDED: "PIPL 47; GDPR 17(1): asked for before, and held until now",
    Why.RESTORED: "PIPL 47; GDPR 17(1): an older copy brought it back",
}
"""What each reason rests on, as certificates say it."""


class ScopeKind(StrEnum):
    """How much of a subject goes."""

    SUBJECT = "subject"
    COMPARTMENT = "compartment"
    PURPOSE = "purpose"
    FIELDS = "fields"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked for.

    Attributes:
        names: codes of compartments, of purposes of collection, or of fields; none for a whole subject.
    """

    kind: ScopeKind
    names: tuple[str, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for a certificate."""
        return {"kind": self.kind.value, "names": list(self.names)}

    def as_text(self) -> str:
        """Return it for its column."""
        return canonical_json(self.as_json()).decode()

    def losses(self, rows: Sequence[SealedRow]) -> Losses:
        """Return what each row loses.

        A compartment and a purpose are those that the row itself names, which its values are bound to: a catalogue that
        has moved a field since changes nothing about what was stored.
        """
        return {row.row_no: self._of(row) for row in rows}

    def _of(self, row: SealedRow) -> frozenset[str]:
        codes = frozenset(code for code, _ in unpack(row.payload))
        match self.kind:
            case ScopeKind.SUBJECT:
                return codes
            case ScopeKind.COMPARTMENT:
                return codes if row.compartment in self.names else frozenset()
            case ScopeKind.PURPOSE:
                return codes if row.purpose in self.names else frozenset()
            case ScopeKind.FIELDS:
                return codes.intersection(self.names)


WHOLE: Final = Scope(ScopeKind.SUBJECT)
"""Everything of a subject."""


def scope_of(text: str | None, fields: str | None) -> Scope:
    """Return the scope that a row of an erasure names; rows of older versions have fields, or nothing for all."""
    if text is not None:
        said = json.loads(text)
        return Scope(ScopeKind(said["kind"]), tuple(said["names"]))
    return WHOLE if fields is None else Scope(ScopeKind.FIELDS, tuple(json.loads(fields)))
