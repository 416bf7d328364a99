"""A published notice for people: its sections and tables in the order of the law, under words instead of codes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consent.notice_content import SECTIONS, THIRD_PARTY_COLUMNS
from consent.notice_texts import PublishedNotice
from consent.words import Language
from kernel.catalogue import Label

HEADINGS: Final[Mapping[str, Label]] = {
    "controller": Label("个人信息处理者", "Controller"),
    "contact": Label("联系方式", "Contact"),
    "purpose": Label("处理目的", "Purpose"),
    "method": Label("处理方式", "Method"),
    "categories": Label("个人信息种类", "Categories of data"),
    "retention": Label("保存期限", "Retention"),
    "end_of_retention": Label("到期后的处理", "At the end of retention"),
    "rights": Label("行使权利的方式", "How to exercise your rights"),
    "necessity": Label("处理的必要性", "Why it is necessary"),
    "impact": Label("对个人权益的影响", "What it means for you"),
    "item": Label("个人信息", "Data"),
    "recipient": Label("接收方", "Recipient"),
    "collected": Label("收集的个人信息", "What is collected"),
    "third_parties": Label("向其提供个人信息的第三方", "Third parties"),
}
"""Of sections, columns and tables; what a pack adds beyond them stands under its own name."""

_FURTHER: Final = (*SECTIONS, "necessity", "impact")
_COLUMNS: Final = ("item", *THIRD_PARTY_COLUMNS, "retention")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in the notice's language and, where it has words, in the other one."""

    text: str
    second: str


@dataclass(frozen=True, slots=True)
class NoticeTable:
    """A table of the notice, every row in the order of its columns."""

    heading: Heading
    columns: tuple[Heading, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class NoticeParts:
    """A notice apart: sections, purposes with their further texts, tables."""

    sections: tuple[tuple[Heading, str], ...]
    purposes: tuple[tuple[str, tuple[tuple[Heading, str], ...]], ...]
    tables: tuple[NoticeTable, ...]


def parts_of(notice: PublishedNotice) -> NoticeParts:
    """Return the parts of a published text; the stored JSON keeps no order of its keys, the law's is taken."""
    content, language = json.loads(notice.content), Language.of(notice.ref.locale)
    tables = [_table(name, content[name], language) for name in ("collected", "third_parties") if content[name]]
    return NoticeParts(_texts(content["sections"], language), _purposes(content["purposes"], language), tuple(tables))


def _purposes(
    purposes: Sequence[Mapping[str, str]], language: Language
) -> tuple[tuple[str, tuple[tuple[Heading, str], ...]], ...]:
    return tuple(
        (
            f"{purpose['code']} {purpose['label']}",
            _texts({name: purpose[name] for name in ("necessity", "impact") if name in purpose}, language),
        )
        for purpose in purposes
    )


def _texts(texts: Mapping[str, str], language: Language) -> tuple[tuple[Heading, str], ...]:
    return tuple((_heading(name, language), texts[name]) for name in _ordered(texts, _FURTHER))


def _table(name: str, rows: Sequence[Mapping[str, Any]], language: Language) -> NoticeTable:
    columns = _ordered(rows[0], _COLUMNS)
    return NoticeTable(
        _heading(name, language),
        tuple(_heading(column, language) for column in columns),
        tuple(tuple(str(row[column]) for column in columns) for row in rows),
    )


def _ordered(names: Mapping[str, object], known: Sequence[str]) -> list[str]:
    return [name for name in known if name in names] + [name for name in names if name not in known]


def _heading(name: str, language: Language) -> Heading:
    label = HEADINGS.get(name)
    if label is None:
        return Heading(name, "")
    return Heading(label.zh, label.en) if language is Language.ZH else Heading(label.en, label.zh)
