"""The two de-identified views that rules read, and what no rule may ever read.

The tag engine accepts these columns and no other: a file that carries anything else, such as a mobile number, is
refused before a rule runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kernel.catalogue import Label
from tagging.types import ValueType

PSEUDONYM: Final = "pseudonym"


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """One column of a view.

    Attributes:
        type: its type in the language; None for a column that rules cannot name.
        level: the highest level (GB/T 39725 practice) of the fields that it is made of; tags inherit it.
        values: the closed list of its values, or None.
        physical: the Arrow-to-DuckDB types that the file may have.
    """

    name: str
    label: Label
    type: ValueType | None
    level: int
    physical: tuple[str, ...]
    values: frozenset[str] | None = None


AGE_BANDS: Final = frozenset({*(f"{low}-{low + 4}" for low in range(0, 90, 5)), "90+"})
"""Five-year bands; ages above 89 are one band (45 CFR 164.514(b)(2)(i)(C))."""

_TEXT: Final = ("VARCHAR",)
_CODES: Final = ("VARCHAR[]",)
_WHOLE: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_INSTANT: Final = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


def _text(name: str, zh: str, en: str, level: int, values: frozenset[str] | None = None) -> ViewColumn:
    return ViewColumn(name, Label(zh, en), ValueType.TEXT, level, _TEXT, values)


def _codes(name: str, zh: str, en: str, level: int) -> ViewColumn:
    return ViewColumn(name, Label(zh, en), ValueType.CODES, level, _CODES)


def _number(name: str, zh: str, en: str, level: int, physical: tuple[str, ...] = _WHOLE) -> ViewColumn:
    return ViewColumn(name, Label(zh, en), ValueType.NUMBER, level, physical)


def _hidden(name: str, zh: str, en: str, level: int, physical: tuple[str, ...]) -> ViewColumn:
    return ViewColumn(name, Label(zh, en), None, level, physical)


def _by_name(*columns: ViewColumn) -> Mapping[str, ViewColumn]:
    return {column.name: column for column in columns}


SUBJECT_COLUMNS: Final = _by_name(
    _hidden(PSEUDONYM, "化名", "pseudonym", 1, _TEXT),
    _text("age_band", "年龄段", "age band", 3, AGE_BANDS),
    _text("sex", "性别", "sex", 3, frozenset({"female", "male", "other", "unknown"})),
    _text("province", "省级地区", "province", 3),
    _codes("diagnosis_groups", "诊断类目", "diagnosis groups", 2),
    _codes("medication_groups", "用药类目", "medication groups", 2),
    _codes("allergy_classes", "过敏类别", "allergy classes", 2),
    _text(
        "reproductive_state",
        "孕产状态",
        "reproductive state",
        4,
        frozenset({"preparing", "pregnant", "postpartum", "none"}),
    ),
    _text("systolic_bin", "收缩压区间", "systolic pressure band", 3),
    _text("diastolic_bin", "舒张压区间", "diastolic pressure band", 3),
    _text("glucose_bin", "血糖区间", "glucose band", 3),
    _text("bmi_bin", "体重指数区间", "body mass index band", 3),
    _hidden("complaint", "主诉(已脱敏)", "redacted complaint", 4, _TEXT),
    _text("last_visit_month", "最近就诊月份", "month of the last visit", 2),
    _text("membership", "会员等级", "membership", 2),
)
"""One row a subject. Rules cannot read ``complaint``: free text is no basis for a tag."""

EVENT_COLUMNS: Final = _by_name(
    _hidden(PSEUDONYM, "化名", "pseudonym", 1, _TEXT),
    _text("event_type", "事件类型", "event type", 3),
    _hidden("at", "时间", "time", 2, _INSTANT),
    _hidden("day", "日期", "day", 2, ("DATE",)),
    _number("hour", "时刻", "hour", 2),
    _text("department", "科室", "department", 2),
    _text("topic", "主题", "topic", 3),
    _text("format", "问诊形式", "consult format", 2, frozenset({"text", "video", "phone"})),
    _number("minutes", "时长(分钟)", "minutes", 2),
    _number("questions", "提问数", "questions", 2),
    _number("amount", "金额(元)", "amount (CNY)", 3, ("DECIMAL(12,2)",)),
    _text("status", "状态", "status", 3),
)
"""One row an event. Days and hours are those of Asia/Shanghai; windows reach them through the ``ev_`` functions."""

DENIED: Final[Mapping[str, Label]] = {
    "ethnicity": Label("民族", "ethnicity"),
    "religion": Label("宗教信仰", "religion"),
    "political": Label("政治面貌", "political opinion"),
    "genetic": Label("遗传信息", "genetic data"),
    "special_disease": Label("特殊疾病", "special disease"),
    "sensitive_lab": Label("敏感检验", "sensitive laboratory result"),
    "reproductive_history": Label("生育史", "reproductive history"),
    "sexual_orientation": Label("性取向", "sexual orientation"),
    "disability": Label("残疾", "disability"),
    "criminal_record": Label("犯罪记录", "criminal record"),
}
"""What no tag may be made of or named after.

Source: 互联网信息服务算法推荐管理规定 article 10 (no unlawful or discriminatory user tags); the level-5 fields of the
medical catalogue.
"""


def readable(columns: Mapping[str, ViewColumn]) -> Mapping[str, ValueType]:
    """Return the columns that an expression may name, with their types."""
    return {name: column.type for name, column in columns.items() if column.type is not None}
