"""Reads notices/*.yaml: one text of a notice for each code, version and locale."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kernel.catalogue import NoticeText
from kernel.located_yaml import Located
from kernel.pack_entries import CODE, Declared, Entry, Mistakes, read_folder

SECTIONS: Final = (
    "controller",
    "contact",
    "purpose",
    "method",
    "categories",
    "retention",
    "end_of_retention",
    "rights",
)
"""What a notice must say: PIPL 17 and Regulation on Network Data Security 21 (R01)."""

SENSITIVE_SECTIONS: Final = ("necessity", "impact")
"""What a notice for a sensitive purpose must say besides: PIPL 30 (R02)."""

COLLECTED_COLUMNS: Final = frozenset({"item", "purpose", "method", "retention"})
THIRD_PARTY_COLUMNS: Final = frozenset({"recipient", "contact", "purpose", "method", "categories"})
"""Columns of the two tables of R03; the second are what PIPL 23 wants told of each recipient."""

AUDIENCES: Final = frozenset({"child", "general"})
"""For whom a notice is written; for children under the digital age one of their own (R21)."""

LOCALES: Final = frozenset({"zh-CN", "en"})
_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}(\.[0-9]{1,3})?")


def read_notices(folder: Path, mistakes: Mistakes) -> list[Declared[NoticeText]]:
    """Return the notices of a folder that were read without mistakes."""
    return read_folder(folder, read_notice, mistakes)


def read_notice(node: Located, mistakes: Mistakes) -> NoticeText | None:
    """Return one notice, or None where mistakes were found."""
    entry = Entry(
        node,
        mistakes,
        required={"code", "version", "locale", "title", "purposes", "sections", "collected", "third_parties"},
        optional={"audience"},
    )
    notice = NoticeText(
        code=entry.read("code", _read_code, otherwise=""),
        version=entry.read("version", _read_version, otherwise=""),
        locale=entry.read("locale", lambda item: item.one_of(LOCALES), otherwise=""),
        title=entry.text("title"),
        purposes=entry.texts("purposes"),
        sections=entry.read("sections", _read_sections, otherwise={}),
        collected=entry.read("collected", lambda item: _read_table(item, COLLECTED_COLUMNS), otherwise=()),
        third_parties=entry.read("third_parties", lambda item: _read_table(item, THIRD_PARTY_COLUMNS), otherwise=()),
        audience=entry.read("audience", lambda item: item.one_of(AUDIENCES), otherwise="general"),
    )
    return notice if entry.is_whole else None


def _read_code(node: Located) -> str:
    if CODE.fullmatch(node.text()) is None:
        raise node.fail(f"{node.raw!r} is no code", expected="lower-case letters, digits and underscores")
    return node.text()


def _read_version(node: Located) -> str:
    if _VERSION.fullmatch(node.text()) is None:
        raise node.fail(f"{node.raw!r} is no version", expected="year and month such as 2026-11, or 2026-11.2")
    return node.text()


def _read_sections(node: Located) -> Mapping[str, str]:
    node.mapping(required=SECTIONS, optional=SENSITIVE_SECTIONS)
    order = [name for name in (*SECTIONS, *SENSITIVE_SECTIONS) if name in node]
    return MappingProxyType({name: node[name].text() for name in order})


def _read_table(node: Located, columns: frozenset[str]) -> tuple[Mapping[str, str], ...]:
    rows = []
    for row in node.sequence():
        row.mapping(required=columns)
        rows.append(MappingProxyType({name: cell.text() for name, cell in row.items()}))
    return tuple(rows)
