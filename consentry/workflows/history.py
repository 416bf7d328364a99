"""A person's whole consent history, read with its entry, for programs; for people see ``history_page``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.comparing import hash_of_stored
from consent.decisions import Decision
from consent.history import (
    Happening,
    Representation,
    StandingChange,
    decisions_among,
    happened_at,
    read_happenings,
)
from consent.notice_texts import PublishedNotice, get_notice
from consent.sentences import Teller
from consent.standing import get_standing
from consent.words import ACTS, STANDINGS, TRACKS, Language
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId

EVIDENCE_ACT: Final = "audit.read"
"""What a role must be allowed for the sealed evidence of decisions."""


@dataclass(frozen=True)
class History:
    """What the register knows about one subject as of an instant.

    Attributes:
        as_of: the instant that was asked for; None for now.
        read_at: when it was read.
        standing: the decisions that stand at the end of it.
        notices: every text that a decision names, each checked against its hash, in the order of first showing.
        evidence: of each decision, opened; empty unless it was asked for.
    """

    subject: SubjectId
    as_of: datetime | None
    read_at: datetime
    happenings: Sequence[Happening]
    standing: Sequence[Decision]
    notices: Sequence[PublishedNotice]
    evidence: Mapping[str, Mapping[str, JsonValue]]

    @property
    def changes(self) -> list[StandingChange]:
        """The changes of the subject's own standing."""
        return [one for one in self.happenings if isinstance(one, StandingChange)]


def read_history(
    platform: Platform,
    caller: Principal,
    subject: SubjectId,
    *,
    as_of: datetime | None = None,
    with_evidence: bool = False,
) -> History:
    """Read a subject's history; the reading leaves its entry, that of the evidence one of its own.

    Raises:
        NotFound: nobody is registered under this id.
        Denied: the role may not read decisions, or not their evidence.
        IntegrityFailed: a stored notice is not the text that was published, or not the one that a decision names.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    if with_evidence:
        check_may_act(platform.catalogue, caller, EVIDENCE_ACT)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        get_standing(connection, subject)
        happenings = read_happenings(connection, subject, as_of=as_of)
        made = decisions_among(happenings)
        record_reading(platform, connection, asking, subject, what="history", as_of=as_of)
        if with_evidence:
            record_reading(platform, connection, asking, subject, what="history", as_of=as_of, act=Act.EVIDENCE_READ)
        notices = _notices(connection, made)
        read_at = platform.log.now(connection)
        standing = platform.registry.current(connection, subject, as_of=as_of)
    if not with_evidence:
        return History(subject, as_of, read_at, happenings, standing, notices, {})
    platform.log.settle()  # no evidence is opened before its entry is under a signed checkpoint
    return History(subject, as_of, read_at, happenings, standing, notices, _evidence(platform, made))


def record_reading(
    platform: Platform,
    connection: Connection,
    asking: Asking,
    subject: SubjectId,
    *,
    what: str,
    as_of: datetime | None,
    act: Act = Act.CONSENT_READ,
) -> None:
    """Write the entry of a reading of somebody's decisions."""
    refs = {"what": what} | ({} if as_of is None else {"as_of": format_instant(as_of)})
    event = Event(act, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, subject=subject, refs=refs)
    platform.log.record(connection, event)


def history_json(
    platform: Platform, caller: Principal, subject: SubjectId, *, as_of: datetime | None = None, locale: str = "zh-CN"
) -> dict[str, JsonValue]:
    """Return a subject's history for programs; the words are in the locale's language. Raises as ``read_history``."""
    return as_json(platform, read_history(platform, caller, subject, as_of=as_of), locale)


def as_json(platform: Platform, history: History, locale: str) -> dict[str, JsonValue]:
    """Return a history that was read, for programs.

    ``notices[].text`` is the canonical JSON that was published; its SHA-256 over UTF-8 is ``notices[].hash``.
    """
    teller = Teller(platform.catalogue, Language.of(locale))
    return {
        "subject": history.subject,
        "as_of": None if history.as_of is None else format_instant(history.as_of),
        "read_at": format_instant(history.read_at),
        "locale": locale,
        "time_zone": platform.catalogue.time_zone,
        "standing": standing_json(history, teller),
        "now": [decision_row(made, teller) for made in history.standing],
        "events": [
            {"number": number} | _event(one, teller, history.evidence)
            for number, one in enumerate(history.happenings, start=1)
        ],
        "notices": [notice_json(notice) for notice in history.notices],
    }


def standing_json(history: History, teller: Teller) -> dict[str, JsonValue]:
    """Return the subject's own standing at the end of a history."""
    last = history.changes[-1] if history.changes else None
    if last is None:
        return {"state": None, "deceased": False, "words": "—"}
    return {"state": last.state.value, "deceased": last.deceased, "words": teller.label(STANDINGS[last.state])}


def decision_row(made: Decision, teller: Teller) -> dict[str, JsonValue]:
    """Return one decision that stands, codes beside words."""
    purpose = teller.catalogue.purposes.get(made.purpose)
    return {
        "purpose": made.purpose,
        "label": made.purpose if purpose is None else teller.label(purpose.label),
        "recipient": made.recipient,
        "track": made.track.value,
        "track_label": teller.label(TRACKS[made.track]),
        "act": made.act.value,
        "act_label": teller.label(ACTS[made.act]),
        "by": teller.who(made),
        "decided": format_instant(made.decided_at),
        "valid_until": None if made.valid_until is None else format_instant(made.valid_until),
        "fields": None if made.fields is None else sorted(made.fields),
        "notice": None if made.notice is None else str(made.notice),
        "decision": made.decision_id,
    }


def notice_json(notice: PublishedNotice) -> dict[str, JsonValue]:
    """Return one published text whole: ``text`` are the bytes whose SHA-256 is ``hash``."""
    text = notice.content.decode()
    return {
        "notice": str(notice.ref),
        "code": notice.ref.code,
        "version": notice.ref.version,
        "locale": notice.ref.locale,
        "title": json.loads(text)["title"],
        "hash": notice.hash,
        "published_at": format_instant(notice.published_at),
        "entry": notice.entry_id,
        "text": text,
    }


def check_text(notice: PublishedNotice, named_hash: str | None) -> None:
    """Raise ``IntegrityFailed`` unless a stored text has its own hash, and the one under which it is named."""
    if hash_of_stored(notice.content) != notice.hash or named_hash not in (None, notice.hash):
        raise IntegrityFailed(
            f"The stored text of notice {notice.ref} is not the one that was shown",
            hint="Run `consentry audit reconcile`; restore a backup.",
        )


def _notices(connection: Connection, made: Sequence[Decision]) -> list[PublishedNotice]:
    found: dict[str, PublishedNotice] = {}
    for one in made:
        if one.notice is None:
            continue
        name = str(one.notice)
        if name not in found:
            found[name] = get_notice(connection, one.notice.code, one.notice.version, one.notice.locale)
        check_text(found[name], one.notice_hash)
    return list(found.values())


def _evidence(platform: Platform, made: Sequence[Decision]) -> dict[str, Mapping[str, JsonValue]]:
    with platform.data.read() as connection:
        return {one.decision_id: platform.registry.read_evidence(connection, one.decision_id) for one in made}


def _event(
    happening: Happening, teller: Teller, evidence: Mapping[str, Mapping[str, JsonValue]]
) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "at": format_instant(happened_at(happening)),
        "words": teller.sentence(happening),
        "facts": teller.facts(happening),
    }
    match happening:
        case Decision():
            return told | _decision_json(happening) | _shown_evidence(happening, evidence)
        case Representation():
            kind = f"{happening.kind.value}_{'ended' if happening.is_end else 'recorded'}"
            return told | {
                "kind": kind,
                "relation": happening.relation_id,
                "representative": happening.representative,
                "entry": happening.entry_id,
            }
        case StandingChange():
            return told | {"kind": "standing", "state": happening.state.value, "deceased": happening.deceased}


def _decision_json(made: Decision) -> dict[str, JsonValue]:
    return {
        "kind": "decision",
        "decision": made.decision_id,
        "act": made.act.value,
        "track": made.track.value,
        "purpose": made.purpose,
        "recipient": made.recipient,
        "actor_kind": made.actor_kind.value,
        "actor_subject": made.actor_subject,
        "fields": None if made.fields is None else sorted(made.fields),
        "decided_at": format_instant(made.decided_at),
        "offset_minutes": made.offset_minutes,
        "valid_from": None if made.valid_from is None else format_instant(made.valid_from),
        "valid_until": None if made.valid_until is None else format_instant(made.valid_until),
        "max_uses": made.max_uses,
        "renews": made.renews,
        "notice": None if made.notice is None else str(made.notice),
        "notice_hash": made.notice_hash,
        "entry": made.entry_id,
    }


def _shown_evidence(made: Decision, evidence: Mapping[str, Mapping[str, JsonValue]]) -> dict[str, JsonValue]:
    return {"evidence": evidence[made.decision_id]} if made.decision_id in evidence else {}
