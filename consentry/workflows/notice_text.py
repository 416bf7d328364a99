"""The exact text of a published notice, as it was shown, with the hash under which decisions name it."""

import json

from consent.notice_texts import NoticeRef, PublishedNotice, current_notice, find_notice
from consent.notices import NoticeDifferences, differences
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.history import check_text
from consentry.workflows.notice_words import parts_of
from kernel.encoding import JsonValue
from kernel.errors import NotFound


def read_notice(
    platform: Platform, caller: Principal, code: str, *, version: str | None = None, locale: str = "zh-CN"
) -> PublishedNotice:
    """Return one published text; the newest version where none is named. Notices are public: no entry is left.

    Raises:
        NotFound: it was never published in this locale.
        IntegrityFailed: the stored text is not the one that was published.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    with platform.data.read() as connection:
        if version is None:
            found = current_notice(connection, code, locale)
        else:
            exact = find_notice(connection, NoticeRef(code, version, locale))
            if exact is None:
                raise NotFound(
                    f"Notice {code}/{version}/{locale} is not published", hint="See the notice that a decision names."
                )
            found = exact
    check_text(found, None)
    return found


def compare_editions(
    platform: Platform, caller: Principal, code: str, older: int, newer: int, *, locale: str = "zh-CN"
) -> NoticeDifferences:
    """Return what changed between two editions; raises ``NotFound`` where one is not published in this locale."""
    check_may_act(platform.catalogue, caller, "consent.read")
    with platform.data.read() as connection:
        return differences(connection, code, older, newer, locale=locale)


def differences_json(found: NoticeDifferences) -> list[dict[str, JsonValue]]:
    """Return one row for each change; ``follows`` says what it means for older grants, empty for nothing."""
    return [
        {
            "change": change.kind.value,
            "purpose": change.purpose,
            "item": change.item,
            "before": change.before,
            "after": change.after,
            "follows": "" if change.aspect is None else change.aspect.value,
        }
        for change in found.changes
    ]


def told_notice(notice: PublishedNotice) -> list[str]:
    """Return a notice as lines: its name and hash, and every word of it in the order in which it was shown."""
    parts = parts_of(notice)
    lines = [json.loads(notice.content)["title"], f"{notice.ref}  SHA-256 {notice.hash}", ""]
    for heading, text in parts.sections:
        lines += [f"[{heading.text}]", text, ""]
    for purpose, texts in parts.purposes:
        lines += [purpose, *(f"  {heading.text}: {text}" for heading, text in texts)]
    for table in parts.tables:
        lines += ["", f"[{table.heading.text}]"]
        for row in table.rows:
            named = zip(table.columns, row, strict=True)
            lines.append("  " + "; ".join(f"{column.text}: {cell}" for column, cell in named))
    return lines
