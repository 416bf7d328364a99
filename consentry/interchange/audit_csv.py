"""Writes entries of the log as CSV for people with a spreadsheet (RFC 4180)."""

import csv
import io
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from consentry.interchange.audit_entry import LoggedEntry

BOM: Final = "\ufeff"
"""Without it, Excel reads UTF-8 in the code page of the system, GBK in China."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""A cell that begins so is a formula to a spreadsheet (OWASP, CSV Injection), in full width too."""

_TEXT_MARK: Final = "'"


class Heading(StrEnum):
    """The language of the first line; without one there is none."""

    NONE = "none"
    ZH = "zh"
    EN = "en"


_COLUMNS: Final[Mapping[str, str]] = {
    "index": "序号",
    "time": "时间",
    "act": "行为",
    "outcome": "结果",
    "actor": "操作者",
    "role": "角色",
    "purpose": "目的",
    "basis": "依据",
    "reason": "原因",
    "recipient": "接收方",
    "subject": "主体别名",
    "cohort_size": "批量人数",
    "cohort_digest": "批量摘要",
    "fields": "字段",
    "level": "最高级别",
    "counts": "计数",
    "refs": "关联",
    "request_id": "请求编号",
    "entry_id": "条目编号",
    "origin": "日志名称",
    "leaf_hash": "叶哈希",
}
"""Columns in order, with their headings in Chinese."""


def heading(language: Heading) -> str:
    """Return the first line, or nothing."""
    match language:
        case Heading.NONE:
            return ""
        case Heading.EN:
            return _line(list(_COLUMNS))
        case Heading.ZH:
            return _line(list(_COLUMNS.values()))


def write_row(entry: LoggedEntry) -> str:
    """Return an entry as one line; lists are joined by a space, members of maps are ``name=value``."""
    placed = entry.placed
    cells = {
        "index": placed.tree_index, "time": entry.at, "act": entry.act, "outcome": entry.outcome,
        "actor": entry.actor, "role": entry.role, "purpose": entry.purpose, "basis": entry.basis,
        "reason": entry.reason, "recipient": entry.recipient, "subject": entry.subject,
        "cohort_size": entry.cohort_size, "cohort_digest": entry.cohort_digest, "fields": " ".join(entry.fields),
        "level": entry.level, "counts": _pairs(entry.counts), "refs": _pairs(entry.refs),
        "request_id": entry.request_id, "entry_id": entry.entry_id, "origin": placed.origin,
        "leaf_hash": placed.leaf_hash.hex(),
    }  # fmt: skip
    return _line([_cell(cells[name]) for name in _COLUMNS])


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return _TEXT_MARK + text if text.startswith(_FORMULA) else text


def _pairs(members: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in members.items())


def _line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()
