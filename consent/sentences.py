"""A subject's history in sentences, in Chinese and English, as a person who never saw the register reads it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from consent.decisions import ActorKind, Decision
from consent.history import Happening, Representation, Representing, StandingChange
from consent.rules import DecisionAct
from consent.standing import Standing
from consent.words import ACTORS, AGES, STANDINGS, Language, in_language, show_instant
from kernel.catalogue import Catalogue, Label
from kernel.ids import DecisionId


@dataclass(frozen=True, slots=True)
class Teller:
    """Says what happened in one language, with the catalogue's labels and the times of its zone.

    Attributes:
        recipients: names of those that are registered; one without a name is told by its code.
        idle: withdrawals before which no consent stood, see ``idle_withdrawals``.
    """

    catalogue: Catalogue
    language: Language
    recipients: Mapping[str, Label] = field(default_factory=dict)
    idle: frozenset[DecisionId] = frozenset()

    @property
    def zone(self) -> tzinfo:
        """The zone in which the pack counts days."""
        return ZoneInfo(self.catalogue.time_zone)

    def sentence(self, happening: Happening) -> str:
        """Return one sentence about what happened."""
        match happening:
            case Decision():
                return self._decision(happening)
            case Representation():
                return self._representation(happening)
            case StandingChange():
                return self._standing(happening)

    def facts(self, happening: Happening) -> dict[str, str]:
        """Return what else is known about it, by name; empty where the sentence says all."""
        match happening:
            case Decision():
                return self._decision_facts(happening)
            case Representation():
                return self._representation_facts(happening)
            case StandingChange():
                return {self._say("年龄段", "age"): self.label(AGES[happening.age_class])}

    def label(self, label: Label) -> str:
        """Return a label in this language."""
        return in_language(label, self.language)

    def purpose(self, code: str) -> str:
        """Return a purpose for people; one that the pack no longer has by its code alone."""
        known = self.catalogue.purposes.get(code)
        return self._say("“{0}”", "“{0}”").format(code if known is None else f"{code} {self.label(known.label)}")

    def recipient(self, code: str) -> str:
        """Return a recipient for people: the registered name with the code, or the code alone."""
        name = self.recipients.get(code)
        return code if name is None else f"{self.label(name)} ({code})"

    def fields(self, codes: Iterable[str]) -> str:
        """Return field labels, in the order of their codes."""
        known = self.catalogue.fields
        labels = [self.label(known[code].label) if code in known else code for code in sorted(codes)]
        return self._say("、", ", ").join(labels)

    def instant(self, instant: datetime, *, offset_minutes: int | None = None) -> str:
        """Return an instant for people."""
        return show_instant(instant, self.zone, offset_minutes=offset_minutes)

    def who(self, decided: Decision) -> str:
        """Return who decided; somebody else than the person or operator with the id."""
        label = self.label(ACTORS[decided.actor_kind])
        if decided.actor_kind in (ActorKind.SELF, ActorKind.OPERATOR) or decided.actor_subject is None:
            return label
        return f"{label} {decided.actor_subject}"

    def _say(self, zh: str, en: str) -> str:
        return zh if self.language is Language.ZH else en

    def _decision(self, made: Decision) -> str:
        who = self.who(made)
        towards = (
            ""
            if made.recipient is None
            else self._say("，接收方：{0}", ", towards {0}").format(self.recipient(made.recipient))
        )
        pattern = self.label(_IDLE if made.decision_id in self.idle else _DECISIONS[made.act])
        said = pattern.format(who=who, purpose=self.purpose(made.purpose), towards=towards)
        return said[0].upper() + said[1:]

    def _decision_facts(self, made: Decision) -> dict[str, str]:
        facts = {self._say("决定时间", "decided"): self.instant(made.decided_at, offset_minutes=made.offset_minutes)}
        if made.fields is not None:
            facts[self._say("仅限字段", "only for")] = self.fields(made.fields)
        if made.valid_from is not None:
            facts[self._say("生效", "valid from")] = self.instant(made.valid_from)
        if made.valid_until is not None:
            facts[self._say("失效", "valid until")] = self.instant(made.valid_until)
        if made.max_uses is not None:
            facts[self._say("使用次数上限", "uses at most")] = str(made.max_uses)
        if made.renews is not None:
            facts[self._say("续期自", "renews")] = made.renews
        if made.notice is not None:
            facts[self._say("所示告知", "notice shown")] = str(made.notice)
        return facts

    def _representation(self, change: Representation) -> str:
        pattern = self.label(_ENDED[change.kind] if change.is_end else _RECORDED[change.kind])
        return pattern.format(who=change.representative)

    def _representation_facts(self, change: Representation) -> dict[str, str]:
        if change.is_end:
            return {}
        facts = {}
        if change.verification is not None:
            facts[self._say("核验方式", "verified by")] = change.verification
        if change.purposes is not None:
            facts[self._say("授权目的", "for")] = self._say("、", ", ").join(map(self.purpose, sorted(change.purposes)))
        if change.until is not None:
            is_instant = isinstance(change.until, datetime)
            shown = self.instant(change.until) if isinstance(change.until, datetime) else change.until.isoformat()
            facts[self._say("截止", "until" if is_instant else "until the day")] = shown
        return facts

    def _standing(self, change: StandingChange) -> str:
        before = change.before
        if before is None:
            return self._say("登记入册。", "The person was registered.")
        if change.deceased and not before.deceased:
            return self._say("登记为已故。", "The person was recorded as deceased.")
        if change.state is before.state:
            return self._say("年龄段更新。", "The age class was brought up to date.")
        if change.state is Standing.ACTIVE:
            return self._say("解除限制处理。", "The restriction of processing was lifted.")
        if change.state is Standing.RESTRICTED and before.state is Standing.ERASING:
            return self._say("依法须保存的部分改为限制处理。", "What the law still holds was restricted.")
        return self.label(_STANDINGS[change.state])


_DECISIONS: Final[Mapping[DecisionAct, Label]] = {
    DecisionAct.GRANT: Label("{who}同意{purpose}{towards}。", "{who} consented to {purpose}{towards}."),
    DecisionAct.REFUSE: Label("{who}拒绝{purpose}{towards}。", "{who} refused {purpose}{towards}."),
    DecisionAct.WITHDRAW: Label(
        "{who}撤回对{purpose}的同意{towards}。", "{who} withdrew the consent to {purpose}{towards}."
    ),
    DecisionAct.RENEW: Label(
        "{who}续期对{purpose}的同意{towards}。", "{who} renewed the consent to {purpose}{towards}."
    ),
    DecisionAct.EXPIRE: Label("对{purpose}的同意到期{towards}。", "the consent to {purpose} expired{towards}."),
    DecisionAct.CONTRACT: Label(
        "{who}记录合同，作为{purpose}的依据{towards}。", "{who} recorded a contract as the basis of {purpose}{towards}."
    ),
    DecisionAct.DUTY: Label(
        "{who}记录法定义务，作为{purpose}的依据{towards}。",
        "{who} recorded a legal duty as the basis of {purpose}{towards}.",
    ),
    DecisionAct.END: Label(
        "作为{purpose}依据的合同或法定义务终止{towards}。", "the contract or duty behind {purpose} ended{towards}."
    ),
}

_IDLE: Final = Label(
    "{who}撤回{purpose}{towards}；此前没有同意。", "{who} withdrew {purpose}{towards}; no consent stood."
)

_RECORDED: Final[Mapping[Representing, Label]] = {
    Representing.GUARDIAN: Label("登记监护人 {who}。", "{who} was recorded as a verified guardian."),
    Representing.AGENT: Label("登记受托代办人 {who}。", "{who} was recorded as an authorised agent."),
    Representing.KIN: Label("登记近亲属 {who}。", "{who} was recorded as verified next of kin."),
}

_ENDED: Final[Mapping[Representing, Label]] = {
    Representing.GUARDIAN: Label("监护人 {who} 的监护终止。", "The guardianship of {who} ended."),
    Representing.AGENT: Label("受托代办人 {who} 的授权终止。", "The authority of agent {who} ended."),
    Representing.KIN: Label("近亲属 {who} 的登记终止。", "The record of {who} as next of kin ended."),
}

_STANDINGS: Final[Mapping[Standing, Label]] = {
    Standing.ACTIVE: STANDINGS[Standing.ACTIVE],
    Standing.RESTRICTED: Label("个人信息改为限制处理。", "Processing was restricted."),
    Standing.ERASING: Label("开始删除个人信息。", "The erasure of the data began."),
    Standing.ERASED: Label("个人信息已删除。", "The data was erased."),
}
