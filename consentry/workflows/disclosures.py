"""The accounting of disclosures of one person's data, under HIPAA or PIPL; the reading leaves its entry first."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.accesses import Access, every_access
from audit.aliases import aliases_of
from audit.disclosures import LEFT_OUT, Accounting, Circumstances, Law, account, hipaa_since
from consent.cohorts import entries_of
from consent.recipients import list_recipients
from consent.words import Language, in_language
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.access_words import AccessTeller
from consentry.workflows.seen_by import Stretch, record_reading, teller_for
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

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True)
class DisclosureReport:
    """An accounting for one person, codes beside words.

    Attributes:
        since, until: the period, half open; None where it is not bounded.
        left_out: how many disclosures the rule leaves out, by why, with words.
    """

    subject: SubjectId
    law: Law
    locale: str
    since: datetime | None
    until: datetime | None
    rows: Sequence[Mapping[str, JsonValue]]
    left_out: Sequence[Mapping[str, JsonValue]]

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
        }

    @property
    def header(self) -> Sequence[str]:
        """The headings of a table, in the report's language."""
        language = Language.of(self.locale)
        return [in_language(heading, language) for heading in COLUMNS.values()]

    def table(self) -> list[list[JsonValue]]:
        """Return the cells of a table, in the report's language."""
        yes, no = ("是", "否") if Language.of(self.locale) is Language.ZH else ("yes", "no")
        words: Mapping[object, str] = {True: yes, False: no}
        return [[words[row[name]] if name == "allowed" else row[name] for name in COLUMNS] for row in self.rows]

    def as_csv(self) -> str:
        """Return the table as CSV (RFC 4180); no cell is a formula."""
        written = io.StringIO()
        writer = csv.writer(written)
        writer.writerow(self.header)
        writer.writerows([[_harmless(cell) for cell in row] for row in self.table()])
        return written.getvalue()


def account_disclosures(
    platform: Platform, caller: Principal, subject: SubjectId, law: Law, asked: Stretch, *, locale: str = "zh-CN"
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
    Raises:
        Denied: the role may not read accesses.
        NotFound: nobody is registered under this id.
    """
    record_reading(platform, caller, subject, what=f"disclosures.{law.value}", asked=asked)
    with platform.data.read() as connection:
        if law is Law.HIPAA:
            begins = hipaa_since(platform.log.now(connection))
            asked = replace(asked, since=max(asked.since or begins, begins))
        own = aliases_of(connection, subject)
        teller = teller_for(platform, connection, caller, own, locale)
        sought = replace(asked, newest_first=False, after=None).sought(subject)
        found = every_access(connection, sought, also=entries_of(connection, subject))
        told = account(law, found, _circumstances(platform, connection, teller, own))
        return _report(connection, teller, told, subject=subject, asked=asked, locale=locale)


def _circumstances(
    platform: Platform, connection: Connection, teller: AccessTeller, own: Sequence[str]
) -> Circumstances:
    def bases_of(access: Access) -> Collection[str]:
        return [basis.value for basis in teller.bases(connection, access)]

    catalogue = platform.catalogue
    direct = [code for code, declared in catalogue.fields.items() if declared.is_direct]
    return Circumstances(catalogue.oversight.care_purposes, direct, own, bases_of)


def _report(
    connection: Connection, teller: AccessTeller, told: Accounting, *, subject: SubjectId, asked: Stretch, locale: str
) -> DisclosureReport:
    addresses = {one.code: one.text.contact for one in list_recipients(connection)}
    rows = [
        {**teller.row(connection, access), "address": addresses.get(access.recipient or "")} for access in told.accesses
    ]
    left_out: list[Mapping[str, JsonValue]] = [
        {"why": why.value, "why_label": teller.teller.label(LEFT_OUT[why]), "number": number}
        for why, number in sorted(told.left_out.items())
    ]
    return DisclosureReport(subject, told.law, locale, asked.since, asked.until, rows, left_out)


def _harmless(cell: JsonValue) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
