"""The register's closed words for people, in Chinese and English; every member of every closed list has its label."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Final

from consent.ages import AgeClass
from consent.decisions import ActorKind
from consent.lives import Life
from consent.reasons import Reason
from consent.rules import DecisionAct, Track
from consent.standing import Standing
from consent.tasks import TaskKind
from kernel.catalogue import Label


class Language(StrEnum):
    """In which of the two languages something is written."""

    ZH = "zh"
    EN = "en"

    @classmethod
    def of(cls, locale: str) -> "Language":
        """Return the language of a locale such as ``zh-CN``; English for whatever is not Chinese."""
        return cls.ZH if locale.partition("-")[0].lower() == "zh" else cls.EN


def in_language(label: Label, language: Language) -> str:
    """Return a label's text."""
    return label.zh if language is Language.ZH else label.en


ACTS: Final[Mapping[DecisionAct, Label]] = {
    DecisionAct.GRANT: Label("同意", "granted"),
    DecisionAct.REFUSE: Label("拒绝", "refused"),
    DecisionAct.WITHDRAW: Label("撤回", "withdrawn"),
    DecisionAct.RENEW: Label("续期", "renewed"),
    DecisionAct.EXPIRE: Label("到期", "expired"),
    DecisionAct.CONTRACT: Label("合同", "contract"),
    DecisionAct.DUTY: Label("法定义务", "legal duty"),
    DecisionAct.END: Label("终止", "ended"),
}

TRACKS: Final[Mapping[Track, Label]] = {
    Track.BASIS: Label("依据轨道（合同或法定义务）", "basis track (contract or duty)"),
    Track.CONSENT: Label("同意轨道", "consent track"),
}

ACTORS: Final[Mapping[ActorKind, Label]] = {
    ActorKind.SELF: Label("本人", "the person"),
    ActorKind.GUARDIAN: Label("监护人", "the guardian"),
    ActorKind.AGENT: Label("受托代办人", "the authorised agent"),
    ActorKind.KIN: Label("近亲属", "the next of kin"),
    ActorKind.OPERATOR: Label("运营方", "the operator"),
}

STANDINGS: Final[Mapping[Standing, Label]] = {
    Standing.ACTIVE: Label("正常", "active"),
    Standing.RESTRICTED: Label("限制处理", "restricted"),
    Standing.ERASING: Label("正在删除", "being erased"),
    Standing.ERASED: Label("已删除", "erased"),
}

AGES: Final[Mapping[AgeClass, Label]] = {
    AgeClass.UNDER_14: Label("未满14周岁", "under 14"),
    AgeClass.UNDER_18: Label("已满14未满18周岁", "14 to 17"),
    AgeClass.ADULT: Label("成年", "adult"),
    AgeClass.UNKNOWN: Label("年龄未知", "of unknown age"),
}

REASONS: Final[Mapping[Reason, Label]] = {
    Reason.NO_DECISION: Label("没有决定", "no decision"),
    Reason.REFUSED: Label("本人拒绝", "refused by the person"),
    Reason.WITHDRAWN: Label("已撤回", "withdrawn"),
    Reason.EXPIRED: Label("已到期", "expired"),
    Reason.RECONSENT: Label("告知已变更，须重新同意", "the notice has changed: ask again"),
    Reason.SCOPE: Label("超出同意的范围或期间", "outside the decision's scope or period"),
    Reason.RECIPIENT: Label("不得提供给该接收方", "not for this recipient"),
    Reason.GUARDIAN: Label("须由监护人同意", "needs the guardian's consent"),
    Reason.RESTRICTED: Label("限制处理", "processing is restricted"),
    Reason.ERASED: Label("已删除", "erased"),
    Reason.ASSESSMENT_MISSING: Label("缺少有效的影响评估", "no impact assessment in force"),
    Reason.PURPOSE_FIELD: Label("该目的不使用此字段", "the purpose does not use this field"),
    Reason.UNKNOWN_FIELD: Label("目录中没有此字段", "not in the catalogue"),
}

LIVES: Final[Mapping[Life, Label]] = {
    Life.NOT_BEGUN: Label("尚未生效", "not begun"),
    Life.IN_FORCE: Label("在有效期内", "in force"),
    Life.SPENT: Label("次数已用完", "uses spent"),
    Life.OVER: Label("已过期", "over"),
    Life.CLOSED: Label("未开放", "closed"),
}

TASKS: Final[Mapping[TaskKind, Label]] = {
    TaskKind.NOTIFY_EMERGENCY: Label("告知紧急情况下的处理", "tell of the emergency access"),
    TaskKind.ASK_AGAIN: Label("已达可自行同意的年龄，须重新征得本人同意", "has come of age: ask the person again"),
    TaskKind.INFORM: Label("个人信息泄露：告知该未成年人的监护人", "a breach: tell the guardian of this minor"),
    TaskKind.CLOSE_ACCOUNT: Label("账号已注销：须删除或匿名化", "the account was cancelled: erase the person's data"),
}


def show_instant(instant: datetime, zone: tzinfo, *, offset_minutes: int | None = None) -> str:
    """Return an instant for people, to the second, with its offset: the source's where it is known, else the zone's."""
    at = zone if offset_minutes is None else timezone(timedelta(minutes=offset_minutes))
    local = instant.astimezone(at)
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"
