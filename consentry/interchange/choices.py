"""A choice of a person in the form that the register and FHIR share, and the names that it travels under."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from consent.decisions import ActorKind, Decision
from consent.notices import NoticeRef
from consent.records import decided_with_offset
from consent.rules import DecisionAct, Track
from kernel.catalogue import Catalogue
from kernel.ids import SubjectId

_ROOT: Final = "https://consentry.local/fhir"
"""Begins names, not addresses: nothing answers there."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody by our subject id, or by the id that the source has for the person."""

    subject_id: SubjectId | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What one act of consent says, without what only one side can express.

    Attributes:
        choice_id: our decision's id, or the source's identifier.
        purposes: by our codes.
        actor: who acted; the subject itself for ``SELF``; None for an expiry, which nobody acts.
        fields: by our codes; None for all of the purpose.
        decided_at: in the offset of whoever wrote it.
        valid_until: half open.
        proofs: elements of the resource that show the act; they belong to the form and are not compared.
    """

    choice_id: str
    subject: Person
    purposes: tuple[str, ...]
    act: DecisionAct
    actor_kind: ActorKind
    actor: Person | None
    decided_at: datetime
    recipient: str | None = None
    notice: NoticeRef | None = None
    notice_hash: str | None = None
    fields: frozenset[str] | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    max_uses: int | None = None
    renews: str | None = None
    proofs: tuple[str, ...] = field(default=(), compare=False)


def choice_of(made: Decision) -> Choice:
    """Return a decision of the consent track as a choice; contracts and duties are no choices of a person."""
    if made.track is not Track.CONSENT:
        raise ValueError(f"{made.act} is no choice")
    is_operator = made.actor_kind is ActorKind.OPERATOR
    return Choice(
        choice_id=made.decision_id,
        subject=Person(made.subject),
        purposes=(made.purpose,),
        act=made.act,
        actor_kind=made.actor_kind,
        actor=None if is_operator else Person(made.actor_subject or made.subject),
        decided_at=decided_with_offset(made),
        recipient=made.recipient,
        notice=made.notice,
        notice_hash=made.notice_hash,
        fields=made.fields,
        valid_from=made.valid_from,
        valid_until=made.valid_until,
        max_uses=made.max_uses,
        renews=made.renews,
    )


@dataclass(frozen=True, slots=True)
class Names:
    """The identifier and code systems of one deployment and pack."""

    deployment: str
    catalogue: Catalogue

    @property
    def subjects(self) -> str:
        """Identifies subjects."""
        return f"{_ROOT}/{self.deployment}/subject"

    @property
    def decisions(self) -> str:
        """Identifies decisions."""
        return f"{_ROOT}/{self.deployment}/decision"

    @property
    def notices(self) -> str:
        """Identifies the exact texts of notices, and begins their policy addresses."""
        return f"{_ROOT}/{self.deployment}/notice"

    @property
    def controllers(self) -> str:
        """Identifies controllers by the name of their deployment."""
        return f"{_ROOT}/controller"

    @property
    def purposes(self) -> str:
        """The pack's purposes."""
        return f"{_ROOT}/{self.catalogue.pack}/purpose"

    @property
    def fields(self) -> str:
        """The pack's fields."""
        return f"{_ROOT}/{self.catalogue.pack}/field"

    @property
    def recipients(self) -> str:
        """The pack's and the register's recipients."""
        return f"{_ROOT}/{self.catalogue.pack}/recipient"

    @property
    def aliases(self) -> str:
        """Identifies subjects by the random names under which they stand in the log."""
        return f"{_ROOT}/{self.deployment}/subject-alias"

    @property
    def principals(self) -> str:
        """Identifies staff and machines."""
        return f"{_ROOT}/{self.deployment}/principal"

    @property
    def roles(self) -> str:
        """The pack's roles."""
        return f"{_ROOT}/{self.catalogue.pack}/role"

    @property
    def requests(self) -> str:
        """Identifies requests."""
        return f"{_ROOT}/{self.deployment}/request"

    def logged(self, name: str) -> str:
        """Identify what an entry of the log refers to under a name, or, by ``entry``, the entry itself."""
        return f"{_ROOT}/{self.deployment}/{name}"

    def notice_policy(self, choice: Choice) -> str:
        """Return the policy address of a choice: its notice with the hash, or the pack where it names none."""
        if choice.notice is None:
            return f"{_ROOT}/{self.catalogue.pack}/pack/{self.catalogue.version}#sha256-{self.catalogue.hash}"
        mark = "" if choice.notice_hash is None else f"#sha256-{choice.notice_hash}"
        return f"{self.notices}/{choice.notice}{mark}"


ACT: Final = f"{_ROOT}/StructureDefinition/act"
ACTOR_KIND: Final = f"{_ROOT}/StructureDefinition/actor-kind"
RENEWS: Final = f"{_ROOT}/StructureDefinition/renews"
DECIDED_AT: Final = f"{_ROOT}/StructureDefinition/decided-at"
MAX_USES: Final = f"{_ROOT}/StructureDefinition/max-uses"
"""Extensions of Consent. The last is a modifier: a reader who does not know it must not use the consent."""

LOG_ENTRY: Final = f"{_ROOT}/StructureDefinition/log-entry"
"""Our extension of AuditEvent: the entry that it was made from, and where the proof of it is found."""
