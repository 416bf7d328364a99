"""The accounting of disclosures of one person's data, under HIPAA or PIPL; the reading leaves its entry first."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.accesses import Access, every_access
from audit.disclosures import LEFT_OUT, Accounting, Circumstances, Law, account, hipaa_since
from consent.cohorts import entries_of
from consent.recipients import list_recipients
from consent.words import Language, in_language
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.access_words import AccessTeller
from consentry.workflows.opened_words import add_words, check_may_open_words
from consentry.workflows.seen_by import Stretch, pruned_of, record_reading, teller_for
from kernel.catalogue import Label
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import SubjectId

COLUMNS: Final[Mapping[str, Label]] = {
    "at": Label("时间", "date"),
    "kind_label": Label("类别", "what was done"),
    "who": Label("由谁", "by"),
    "recipient_label": Label("接收方", "recipient"),
    "address": Label("接收方联系方式", "address"),
    "fields_label": Label("项目", "what"),
    "purpose_label": Label("目的", "purpose"),
    "basis_label": Label("依据", "basis"),
    "allowed": Label("是否允许", "allowed"),
    "reason_label": Label("拒绝原因", "denied because"),
    "index": Label("日志序号", "log index"),
}
"""What a table shows of a row, with its headings."""

WORDS: Final[Mapping[str, Label]] = {"words": Label("陈述的理由", "stated reason")}
"""One more column, for an officer who asks for it."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True)
class DisclosureReport:
    """An accounting for one person, codes beside words.

    Attributes:
        since, until: the period, half open; None where it is not bounded.
        left_out: how many disclosures the rule leaves out, by why, with words.
        pruned: what of the period is not told because it was pruned; None where nothing was.
        with_words: whether rows have the stated reasons.
    """

    subject: SubjectId
    law: Law
    locale: str
    since: datetime | None
    until: datetime | None
    rows: Sequence[Mapping[str, JsonValue]]
    left_out: Sequence[Mapping[str, JsonValue]]
    pruned: Mapping[str, JsonValue] | None = None
    with_words: bool = False

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs."""
        return {
            "subject": self.subject,
            "view": self.law.value,
            "locale": self.locale,
            "since": None if self.since is None else format_instant(self.since),
            "until": None if self.until is None else format_instant(self.until),
            "rows": list(self.rows),
            "left_out": list(self.left_out),
            "pruned": None if self.pruned is None else dict(self.pruned),
        }

    @property
    def header(self) -> Sequence[str]:
        """The headings of a table, in the report's language."""
        language = Language.of(self.locale)
        return [in_language(heading, language) for heading in self._columns.values()]

    @property
    def _columns(self) -> Mapping[str, Label]:
        return {**COLUMNS, **WORDS} if self.with_words else COLUMNS

    def table(self) -> list[list[JsonValue]]:
        """Return the cells of a table, in the report's language."""
        yes, no = ("是", "否") if Language.of(self.locale) is Language.ZH else ("yes", "no")
        words: Mapping[object, str] = {True: yes, False: no}
        return [[words[row[name]] if name == "allowed" else row[name] for name in self._columns] for row in self.rows]

    def as_csv(self) -> str:
        """Return the table as CSV (RFC 4180); no cell is a formula."""
        written = io.StringIO()
        writer = csv.writer(written)
        writer.writerow(self.header)
        writer.writerows([[_harmless(cell) for cell in row] for row in self.table()])
        return written.getvalue()


def account_disclosures(
    platform: Platform,
    caller: Principal,
    subject: SubjectId,
    law: Law,
    asked: Stretch,
    *,
    locale: str = "zh-CN",
    with_words: bool = False,
) -> DisclosureReport:
    """Return the accounting for a subject: every row of the period.

    Under HIPAA the period is six years and ends now where none is given; an earlier beginning is asked for in vain.

    Args:
        platform: every part.
        caller: the person, its guardian, or an officer; that it speaks for the subject was checked before.
        subject: whose data.
        law: whose view.
        asked: the period.
        locale: whose words.
        with_words: opens the stated reasons, for who reviews accesses; this reading leaves an entry of its own.
    Raises:
        Denied: the role may not read accesses, or not the words.
        NotFound: nobody is registered under this id.
    """
    if with_words:
        check_may_open_words(platform, caller, subject=subject)
    record_reading(platform, caller, subject, what=f"disclosures.{law.value}", asked=asked)
    with platform.data.read() as connection:
        if law is Law.HIPAA:
            begins = hipaa_since(platform.log.now(connection))
            asked = replace(asked, since=max(asked.since or begins, begins))
        teller = teller_for(platform, connection, caller, subject, locale)
        sought = replace(asked, newest_first=False, after=None).sought(subject)
        found = every_access(connection, sought, also=entries_of(connection, subject))
        told = account(law, found, _circumstances(platform, connection, teller))
        rows = _rows(connection, teller, told)
        pruned = pruned_of(connection, asked.since)
    if with_words:
        add_words(platform, caller, rows, subject=subject)
    return DisclosureReport(
        subject, law, locale, asked.since, asked.until, rows, _left_out(teller, told), pruned, with_words
    )  # fmt: skip


def _circumstances(platform: Platform, connection: Connection, teller: AccessTeller) -> Circumstances:
    def bases_of(access: Access) -> Collection[str]:
        return [basis.value for basis in teller.bases(connection, access)]

    catalogue = platform.catalogue
    direct = [code for code, declared in catalogue.fields.items() if declared.is_direct]
    return Circumstances(catalogue.oversight.care_purposes, direct, teller.own, bases_of)


def _rows(connection: Connection, teller: AccessTeller, told: Accounting) -> list[dict[str, JsonValue]]:
    addresses = {one.code: one.text.contact for one in list_recipients(connection)}
    return [
        {**teller.row(connection, access), "address": addresses.get(access.recipient or "")} for access in told.accesses
    ]


def _left_out(teller: AccessTeller, told: Accounting) -> list[Mapping[str, JsonValue]]:
    return [
        {"why": why.value, "why_label": teller.teller.label(LEFT_OUT[why]), "number": number}
        for why, number in sorted(told.left_out.items())
    ]


def _harmless(cell: JsonValue) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
