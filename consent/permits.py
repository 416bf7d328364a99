"""What the gate answers: a permit that only the gate can make, or a refusal with its reasons."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, NoReturn

from consent.reasons import Reason
from kernel.errors import Denied
from kernel.ids import EntryId, PermitId, RequestId, SubjectId

PERMIT_LIFETIME: Final = timedelta(seconds=60)
"""The stated bound within which a read that was permitted before a withdrawal must end."""

MADE_BY_THE_GATE: Final = object()
"""Only ``consent.gate`` imports this; a permit made without it is a programming error."""


class PermitExpired(Denied):
    """The permit's lifetime is over; ask the gate again."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to use fields of subjects for one purpose and recipient; its entry is in the log's inbox already.

    Attributes:
        entry_id: the ``gate.permit`` entry of the same transaction.
        subjects: everybody for whom at least one field passed.
        fields: every field that passed for at least one of them.
        narrowed: the smaller field sets of those subjects for whom not all of ``fields`` passed.
        basis_of: the decision ids that the permit rests on, joined by ``/``; ``none`` where no field needed one.
        expires_at: ``issued_at`` + ``PERMIT_LIFETIME``; half open.
    """

    permit_id: PermitId
    entry_id: EntryId
    purpose: str
    recipient: str | None
    actor: str
    role: str
    request_id: RequestId
    subjects: frozenset[SubjectId]
    fields: frozenset[str]
    narrowed: Mapping[SubjectId, frozenset[str]]
    basis_of: Mapping[SubjectId, str]
    issued_at: datetime
    guard: InitVar[object]  # without a default, so that dataclasses.replace cannot widen a permit
    expires_at: datetime = field(init=False)

    def __post_init__(self, guard: object) -> None:
        if guard is not MADE_BY_THE_GATE:
            raise AssertionError("Permits are made by consent.gate only")
        object.__setattr__(self, "narrowed", MappingProxyType(dict(self.narrowed)))
        object.__setattr__(self, "basis_of", MappingProxyType(dict(self.basis_of)))
        object.__setattr__(self, "expires_at", self.issued_at + PERMIT_LIFETIME)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A permit is valid in the process and the moment it was made for; it is never serialised")

    def fields_for(self, subject: SubjectId) -> frozenset[str]:
        """Return the fields that may be used for this subject; empty for anybody else."""
        return self.narrowed.get(subject, self.fields) if subject in self.subjects else frozenset()

    def allows(self, subject: SubjectId, field: str) -> bool:
        """Say whether the permit covers this field of this subject."""
        return subject in self.subjects and field in self.narrowed.get(subject, self.fields)

    def check_live(self, now: datetime) -> None:
        """Raise ``PermitExpired`` from ``expires_at`` on."""
        if now >= self.expires_at:
            raise PermitExpired(f"Permit {self.permit_id} has expired", hint="Ask the gate again.")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The gate's no for one subject: the reason of each field that did not pass."""

    subject: SubjectId
    reasons: Mapping[str, Reason]
    entry_id: EntryId


@dataclass(frozen=True, slots=True)
class CohortVerdict:
    """The gate's answer for a batch.

    Attributes:
        permit: covers everybody with at least one passing field; None when there is nobody.
        refused: for each subject with at least one field that did not pass, those fields with their reasons.
    """

    permit: Permit | None
    refused: Mapping[SubjectId, Mapping[str, Reason]]
