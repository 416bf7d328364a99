"""What a notice holds when it is published: the text as it is shown, complete by law, and the facts behind it.

The facts (for each purpose its bases, fields with retention, and recipients) stand in the stored content, so that two
editions can be compared by what they mean and not by their words alone.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from kernel.catalogue import Catalogue, NoticeText, Purpose, Retention
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput

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
"""PIPL 17 and 网络数据安全管理条例 21: without one of these a notice cannot be published."""

THIRD_PARTY_COLUMNS: Final = ("recipient", "contact", "purpose", "method", "categories")
"""What PIPL 23 wants told of each recipient (R08)."""

AUDIENCES: Final = ("general", "child")
"""For whom a notice is written; for children under the digital age one of their own (R21)."""

_ADDED_LATER: Final = ("audience", "facts")
"""Keys that the contents of the first release lack."""


class NoticeIncomplete(BadInput):
    """Something that the law asks for is missing from a notice."""


def check_complete(notice: NoticeText, catalogue: Catalogue) -> None:
    """Raise ``NoticeIncomplete`` naming everything that keeps the text from being published (R01, R02, R03, R08)."""
    purposes = [catalogue.get_purpose(code) for code in notice.purposes]
    missing = [f"section {name}" for name in SECTIONS if not notice.sections.get(name, "").strip()]
    missing += [f"necessity and impact of {p.code}" for p in purposes if p.sensitive and not (p.necessity and p.impact)]
    if not notice.title.strip():
        missing.append("title")
    if not purposes:
        missing.append("purposes")
    if notice.audience not in AUDIENCES:
        missing.append(f"an audience of {', '.join(AUDIENCES)}")
    if not _is_table(notice.collected):
        missing.append("table of what is collected")
    shares = any(purpose.per_recipient or purpose.recipients for purpose in purposes)
    if (notice.third_parties or shares) and not _names_third_parties(notice.third_parties):
        missing.append(f"table of third parties with {', '.join(THIRD_PARTY_COLUMNS)}")
    if missing:
        raise NoticeIncomplete(
            f"Notice {notice.code} {notice.version} {notice.locale} lacks {', '.join(missing)}",
            hint="Complete it and publish again.",
        )


def content_of(notice: NoticeText, catalogue: Catalogue) -> bytes:
    """Return the canonical JSON to be stored: the label, necessity and impact of each purpose beside the text itself.

    They are part of what the person is told (PIPL 30).
    """
    language = _language(notice.locale)
    return canonical_json(
        {
            "code": notice.code,
            "version": notice.version,
            "locale": notice.locale,
            "audience": notice.audience,
            "title": notice.title,
            "purposes": [_purpose(catalogue.purposes[code], language) for code in notice.purposes],
            "sections": dict(notice.sections),
            "collected": [dict(row) for row in notice.collected],
            "third_parties": [dict(row) for row in notice.third_parties],
            "facts": {code: _facts(catalogue.purposes[code], catalogue, language) for code in notice.purposes},
        }
    )


def is_same_text(stored: bytes, offered: bytes) -> bool:
    """Say whether a text is the stored one; what an older release stored without facts is compared without them."""
    if stored == offered:
        return True
    known, new = json.loads(stored), json.loads(offered)
    if "facts" in known:
        return False
    comparable = {key: value for key, value in new.items() if key not in _ADDED_LATER}
    return bool(new["audience"] == "general" and known == comparable)


def audience_of(content: Mapping[str, object]) -> str:
    """Return for whom a stored content was written."""
    return str(content.get("audience", "general"))


@lru_cache(maxsize=512)
def told_recipients(content: bytes) -> Mapping[str, frozenset[str]]:
    """Return by purpose the codes of the recipients that a stored content tells of (PIPL 23; R08).

    A content of the first release holds no facts: which codes its pack declared when it was published cannot be known
    any more, and a name in its table is no code. On the stricter side it tells of nobody.
    """
    facts = json.loads(content).get("facts", {})
    return MappingProxyType({purpose: frozenset(fact["recipients"]) for purpose, fact in facts.items()})


def _purpose(purpose: Purpose, language: str) -> dict[str, JsonValue]:
    texts = {"label": purpose.label, "necessity": purpose.necessity, "impact": purpose.impact}
    chosen: dict[str, JsonValue] = {
        name: label.zh if language == "zh" else label.en for name, label in texts.items() if label is not None
    }
    return {"code": purpose.code} | chosen


def _facts(purpose: Purpose, catalogue: Catalogue, language: str) -> dict[str, JsonValue]:
    fields = sorted(catalogue.fields_by_purpose[purpose.code])
    named = {text.code: text.name for text in catalogue.recipients if purpose.code in text.purposes}
    recipients = {code: code for code in purpose.recipients} | {
        code: name.zh if language == "zh" else name.en for code, name in named.items()
    }
    return {
        "bases": [str(basis) for basis in purpose.bases],
        "fields": {code: _kept(catalogue.fields[code].retention) for code in fields},
        "recipients": recipients,
    }


def _kept(retention: Retention) -> dict[str, JsonValue]:
    """Return the days that a value is kept; None for the life of the account."""
    return {"keep_days": None if retention.keep is None else retention.keep.days}


def _language(locale: str) -> str:
    return "zh" if locale.startswith("zh") else "en"


def _is_table(rows: Sequence[Mapping[str, str]]) -> bool:
    return bool(rows) and all(
        row and row.keys() == rows[0].keys() and all(map(str.strip, row.values())) for row in rows
    )


def _names_third_parties(rows: Sequence[Mapping[str, str]]) -> bool:
    return _is_table(rows) and set(THIRD_PARTY_COLUMNS) <= rows[0].keys()
