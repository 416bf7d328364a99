"""A person's consent history for people: lines of text, and one printable page in both languages."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from consent.decisions import Decision
from consent.history import Happening, Representation, StandingChange, happened_at
from consent.lives import Life, Stood
from consent.sentences import Teller
from consent.words import Language
from consentry.workflows.history import decision_row, hindsight_notes, notice_json, standing_json
from consentry.workflows.notice_words import parts_of
from kernel.encoding import JsonValue

if TYPE_CHECKING:
    from consent.notice_texts import PublishedNotice
    from consentry.platform import Platform
    from consentry.workflows.history import History

_TEMPLATES: Final = Path(__file__).parent.parent / "templates"


def told_in_words(platform: "Platform", history: "History", locale: str) -> list[str]:
    """Return a history that was read as lines for people, in one language."""
    teller = history.teller(platform.catalogue, Language.of(locale))
    is_zh = teller.language is Language.ZH
    known = teller.instant(history.as_of or history.read_at)
    lines = [f"{history.subject} 的同意历史，截至 {known}" if is_zh else f"Consents of {history.subject} as of {known}"]
    lines += hindsight_notes(history.hindsight, teller)
    for number, one in enumerate(history.happenings, start=1):
        lines += ["", f"{number}. {teller.instant(happened_at(one))}  {teller.sentence(one)}"]
        lines += [f"   {name}: {said}" for name, said in _facts(one, teller, history.evidence).items()]
        lines += [f"   {ids}"] if (ids := _ids(one)) else []
    lines += ["", "所示告知文本：" if is_zh else "Notices shown:"]
    lines += [
        f"   {notice.ref}  {json.loads(notice.content)['title']}  SHA-256 {notice.hash}" for notice in history.notices
    ]
    return lines


def history_page(platform: "Platform", history: "History", locale: str) -> str:
    """Return a history that was read as one HTML page to be printed: both languages, no script, nothing loaded.

    Args:
        platform: for the catalogue's labels.
        history: what was read.
        locale: its language stands first.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    first = Language.of(locale)
    tellers = [history.teller(platform.catalogue, one) for one in (first, *(set(Language) - {first}))]
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    page = {
        "subject": history.subject,
        "languages": [teller.language.value for teller in tellers],
        "as_of": tellers[0].instant(history.as_of or history.read_at),
        "read_at": tellers[0].instant(history.read_at),
        "pack": f"{platform.catalogue.pack} {platform.catalogue.version}",
        "standing": [standing_json(history, teller)["words"] for teller in tellers],
        "notes": [(teller.language.value, hindsight_notes(history.hindsight, teller)) for teller in tellers],
        "now": [_row(stood, tellers) for stood in history.standing],
        "events": [_told(one, tellers, history.evidence) for one in history.happenings],
        "notices": [_notice(notice) for notice in history.notices],
    }
    return environment.get_template("history.html.j2").render(page=page)


def _row(stood: Stood, tellers: Sequence[Teller]) -> dict[str, Any]:
    made, rows = stood.decision, [decision_row(stood, teller) for teller in tellers]
    return {
        "purpose": made.purpose,
        "decided": tellers[0].instant(made.decided_at, offset_minutes=made.offset_minutes),
        "begin": "" if made.valid_from is None else tellers[0].instant(made.valid_from),
        "until": "" if made.valid_until is None else tellers[0].instant(made.valid_until),
        "uses": "" if made.max_uses is None else f"{stood.uses} / {made.max_uses}",
        "fields": [] if made.fields is None else [teller.fields(made.fields) for teller in tellers],
        "is_in_force": stood.life is Life.IN_FORCE,
        "recipient": [row["recipient_label"] or "—" for row in rows],
        **{name: [row[name] for row in rows] for name in ("label", "act_label", "by", "state_label")},
    }


def _told(
    happening: Happening, tellers: Sequence[Teller], evidence: Mapping[str, Mapping[str, JsonValue]]
) -> dict[str, Any]:
    return {
        "at": tellers[0].instant(happened_at(happening)),
        "sentences": [(teller.language.value, teller.sentence(happening)) for teller in tellers],
        "facts": [(teller.language.value, _facts(happening, teller, evidence)) for teller in tellers],
        "notice": str(happening.notice) if isinstance(happening, Decision) and happening.notice else "",
        "ids": _ids(happening),
    }


def _ids(happening: Happening) -> str:
    """Return the ids by which officers and the log name it."""
    match happening:
        case Decision():
            return f"{happening.decision_id} {happening.entry_id}"
        case Representation():
            return happening.relation_id
        case StandingChange():
            return ""


def _facts(happening: Happening, teller: Teller, evidence: Mapping[str, Mapping[str, JsonValue]]) -> dict[str, str]:
    facts = teller.facts(happening)
    if isinstance(happening, Decision) and happening.decision_id in evidence:
        name = "证据" if teller.language is Language.ZH else "evidence"
        shown = "; ".join(f"{key}: {_plain(value)}" for key, value in sorted(evidence[happening.decision_id].items()))
        return facts | {name: shown}
    return facts


def _plain(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _notice(notice: "PublishedNotice") -> dict[str, Any]:
    return notice_json(notice) | {"parts": parts_of(notice)}
