"""Accesses for people: each one as a row of codes beside words, in Chinese or English."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from audit.accesses import KINDS, Access
from consent.decisions import Decision
from consent.explain import FieldExplanation, Rule
from consent.rules import DecisionAct
from consent.sentences import Teller
from consent.words import ACTS, REASONS, Language
from consentry.actors import names_of
from consentry.platform import Platform
from consentry.workflows.history import recipient_names
from kernel.catalogue import Label, LawfulBasis
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import NotFound
from kernel.ids import DecisionId, SubjectId, is_id

BASES: Final[Mapping[LawfulBasis, Label]] = {
    LawfulBasis.CONSENT: Label("本人同意", "the person's consent"),
    LawfulBasis.CONTRACT: Label("履行合同", "a contract"),
    LawfulBasis.LEGAL_DUTY: Label("法定义务", "a legal duty"),
    LawfulBasis.EMERGENCY: Label("紧急情况", "an emergency"),
}

_BASIS_OF: Final = {
    DecisionAct.GRANT: LawfulBasis.CONSENT,
    DecisionAct.RENEW: LawfulBasis.CONSENT,
    DecisionAct.CONTRACT: LawfulBasis.CONTRACT,
    DecisionAct.DUTY: LawfulBasis.LEGAL_DUTY,
}

_RULES: Final[Mapping[str, Label]] = {
    "ROLE": Label("该角色无此权限", "the role may not do this"),
    "APPROVAL": Label("未成年人的记录须经他人批准", "a minor's record needs an approval"),
    "CASE": Label("最敏感字段须凭他人批准的个案授权", "the most sensitive fields need a case grant"),
    "FROZEN": Label("账号因紧急查看未复核而冻结", "the account is frozen because of an emergency access"),
    "RATE": Label("超过查看上限", "beyond the limits of reading"),
    "OWN_CASE": Label("不得审批自己的个案", "nobody decides on an own case"),
    "REPRESENTATION": Label("无权代表本人", "not entitled to speak for the person"),
    "PROCESSOR": Label("超出受托合同", "outside the processor's contract"),
    "SOURCE": Label("密钥不得以该来源的名义发送", "the key may not speak as this source"),
    "OWN_ACT": Label("无权处理该决定", "not the caller's own decision"),
    "OWN_ACCESS": Label("不得复核自己的访问", "nobody reviews an own access"),
}
"""Rules other than the gate's that deny; one that is not here is told by its code."""

_BY_REGISTER: Final = Label("按当时登记", "by the register as of then")

_SELF: Final = Label("本人", "the person")
_REPRESENTATIVE: Final = Label("监护人、亲属或受托人", "a guardian, kin or agent")


@dataclass
class AccessTeller:
    """Tells accesses to one person.

    Attributes:
        subject: the person; ``own``: its aliases.
        names_staff: whether ids and names of principals are told: to officers, and not to the person, who is told
            the role.
        decisions, names, registered: what was looked up already.
    """

    platform: Platform
    teller: Teller
    subject: SubjectId
    own: frozenset[str]
    names_staff: bool
    decisions: dict[str, Decision | None] = field(default_factory=dict)
    names: dict[str, str | None] = field(default_factory=dict)
    registered: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, platform: Platform, connection: Connection, subject: SubjectId, *, locale: str, names_staff: bool
    ) -> "AccessTeller":
        """Return who tells in a locale's language."""
        teller = Teller(platform.catalogue, Language.of(locale), recipient_names(connection))
        return cls(platform, teller, subject, frozenset(platform.log.aliases_of(connection, subject)), names_staff)

    def row(self, connection: Connection, access: Access) -> dict[str, JsonValue]:
        """Return one access, codes beside words."""
        teller = self.teller
        return {
            "index": access.index,
            "at": format_instant(access.at),
            "at_label": teller.instant(access.at),
            "kind": access.kind.value,
            "kind_label": teller.label(KINDS[access.kind]),
            "allowed": access.allowed,
            "actor": access.actor if self.names_staff else None,
            "actor_name": self._name(connection, access.actor) if self.names_staff else None,
            "role": access.role,
            "who": self.who(access),
            "purpose": access.purpose,
            "purpose_label": None if access.purpose is None else self._purpose(access.purpose),
            "recipient": self._recipient_code(access),
            "recipient_label": self._recipient(access),
            "fields": list(access.fields),
            "fields_label": teller.fields(access.fields),
            "level": access.level,
            "basis": access.basis or "/".join(self._by_register(connection, access)) or None,
            "basis_from": self._basis_from(connection, access),
            "basis_label": self._basis(connection, access),
            "reason": access.reason,
            "reason_label": self._reason(access),
            "ticket": access.ticket if self.names_staff else None,
            "entries": list(access.evidence),
        }

    def who(self, access: Access) -> str:
        """Return who made an access: the person, a representative, or the role of staff or of a machine."""
        if access.actor in self.own:
            return self.teller.label(_SELF)
        if is_id(access.actor, "als"):
            return self.teller.label(_REPRESENTATIVE)
        role = self.platform.catalogue.roles.get(access.role)
        return access.role if role is None else self.teller.label(role.label)

    def bases(self, connection: Connection, access: Access) -> frozenset[LawfulBasis]:
        """Return the lawful bases behind an access; those that its purpose may rest on where the log names none."""
        made = self._made(connection, access)
        if made:
            return frozenset(_BASIS_OF[one.act] for one in made if one.act in _BASIS_OF)
        purpose = self.platform.catalogue.purposes.get(access.purpose or "")
        if purpose is None:
            return frozenset()
        if access.basis is not None:  # a permit that names no decision rests on what needs none
            return frozenset(purpose.bases) - {LawfulBasis.CONSENT}
        return frozenset(purpose.bases)

    def _made(self, connection: Connection, access: Access) -> list[Decision]:
        names = self._by_register(connection, access) if access.basis is None else access.basis.split("/")
        found = [self._decision(connection, name) for name in names if is_id(name, "dec")]
        return [one for one in found if one is not None]

    def _by_register(self, connection: Connection, access: Access) -> tuple[str, ...]:
        """Return the decisions on which an access rested by what the register knew then, where its entry names none.

        The entry of a permit for many has a digest of theirs alone.
        """
        if access.basis is not None or not access.allowed or access.purpose is None:
            return ()
        if access.index not in self.registered:
            self.registered[access.index] = self._looked_up(connection, access)
        return self.registered[access.index]

    def _looked_up(self, connection: Connection, access: Access) -> tuple[str, ...]:
        catalogue = self.platform.catalogue
        fields = [code for code in access.fields if code in catalogue.fields]
        if access.purpose is None or access.purpose not in catalogue.purposes or not fields:
            return ()
        told = self.platform.gate.explain(
            connection, purpose=access.purpose, subject=self.subject, fields=fields, recipient=access.recipient,
            as_of=access.at,
        )  # fmt: skip
        return tuple(dict.fromkeys(name for one in told.fields.values() for name in _opening(one)))

    def _basis_from(self, connection: Connection, access: Access) -> str | None:
        if access.basis is not None:
            return "entry"
        return "register" if self._by_register(connection, access) else None

    def _name(self, connection: Connection, actor: str) -> str | None:
        if actor not in self.names:
            self.names[actor] = names_of(connection, [actor]).get(actor)
        return self.names[actor]

    def _decision(self, connection: Connection, name: str) -> Decision | None:
        if name not in self.decisions:
            try:
                self.decisions[name] = self.platform.registry.get(connection, DecisionId(name))
            except NotFound:
                self.decisions[name] = None
        return self.decisions[name]

    def _basis(self, connection: Connection, access: Access) -> str | None:
        if not access.allowed or access.purpose is None:
            return None
        made = self._made(connection, access)
        if made:
            told = (f"{self.teller.label(ACTS[one.act])} {self.teller.instant(one.decided_at)}" for one in made)
            found = "; ".join(told)
            return found if access.basis is not None else f"{found} ({self.teller.label(_BY_REGISTER)})"
        labels = [self.teller.label(BASES[basis]) for basis in sorted(self.bases(connection, access))]
        return " / ".join(labels) or None

    def _reason(self, access: Access) -> str | None:
        if access.allowed or access.reason is None:
            return None
        return reason_label(self.teller, access.reason)

    def _purpose(self, code: str) -> str:
        known = self.platform.catalogue.purposes.get(code)
        return code if known is None else self.teller.label(known.label)

    def _recipient_code(self, access: Access) -> str | None:
        is_person = access.recipient is not None and is_id(access.recipient, "als")
        return None if is_person and not self.names_staff else access.recipient

    def _recipient(self, access: Access) -> str | None:
        if access.recipient is None:
            return None
        if access.recipient in self.own:
            return self.teller.label(_SELF)
        if is_id(access.recipient, "als"):
            return self.teller.label(_REPRESENTATIVE)
        return self.teller.recipient(access.recipient)


def reason_label(teller: Teller, code: str) -> str:
    """Return the words of a rule that decided; the code itself where it has none."""
    known = {**{reason.value: label for reason, label in REASONS.items()}, **_RULES}
    label = known.get(code)
    return code if label is None else teller.label(label)


def _opening(one: FieldExplanation) -> list[str]:
    """Return the decisions that open a field; a use that was the last one counts, because the access took it."""
    failed = [step.rule for step in one.steps if not step.holds]
    if failed not in ([], [Rule.USES_LEFT]):
        return []
    return [step.decision_id for step in one.steps if step.rule is Rule.OPEN and step.decision_id is not None]
