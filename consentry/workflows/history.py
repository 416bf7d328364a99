"""A person's whole consent history, read with its entry, for programs; for people see ``history_page``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    idle_withdrawals,
    read_happenings,
)
from consent.lives import Hindsight, Stood, read_hindsight, read_lives
from consent.notice_texts import PublishedNotice, get_notice
from consent.recipients import list_recipients
from consent.sentences import Teller
from consent.standing import get_standing
from consent.words import ACTS, LIVES, STANDINGS, TRACKS, Language
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.catalogue import Catalogue, Label
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
        standing: the decisions that stand at the end of it, each with where it is in its life then.
        hindsight: what the register did not know yet at ``as_of``; None where it was not given.
        recipients: the names of those that are registered.
        notices: every text that a decision names, each checked against its hash, in the order of first showing.
        evidence: of each decision, opened; empty unless it was asked for.
    """

    subject: SubjectId
    as_of: datetime | None
    read_at: datetime
    happenings: Sequence[Happening]
    standing: Sequence[Stood]
    notices: Sequence[PublishedNotice]
    evidence: Mapping[str, Mapping[str, JsonValue]] = field(repr=False)
    hindsight: Hindsight | None
    recipients: Mapping[str, Label]

    def teller(self, catalogue: Catalogue, language: Language) -> Teller:
        """Return who tells this history in a language."""
        return Teller(catalogue, language, self.recipients, idle_withdrawals(self.happenings))

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
        BadInput: ``as_of`` lies in the future.
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
        current = platform.registry.current(connection, subject, as_of=as_of)
        standing = read_lives(connection, current, as_of or read_at)
        hindsight = None if as_of is None else read_hindsight(connection, subject, as_of)
        names = recipient_names(connection)
    evidence: Mapping[str, Mapping[str, JsonValue]] = {}
    if with_evidence:
        platform.log.settle()  # no evidence is opened before its entry is under a signed checkpoint
        evidence = _evidence(platform, made)
    return History(subject, as_of, read_at, happenings, standing, notices, evidence, hindsight, names)


def recipient_names(connection: Connection) -> dict[str, Label]:
    """Return the names of the registered recipients by code."""
    return {one.code: one.text.name for one in list_recipients(connection)}


def hindsight_notes(hindsight: Hindsight | None, teller: Teller) -> list[str]:
    """Return what people have to know who look back: nobody was registered then, or acts were recorded later."""
    if hindsight is None:
        return []
    is_zh, notes, later = teller.language is Language.ZH, [], hindsight.recorded_later
    if hindsight.registered_at is not None:
        at = teller.instant(hindsight.registered_at)
        notes.append(f"当时尚未登记此人（登记于 {at}）。" if is_zh else f"Nobody was registered then (only on {at}).")
    if later:
        ids, count = ", ".join(later), len(later)
        acts = "1 act dated earlier was" if count == 1 else f"{count} acts dated earlier were"
        said = f"{count} 项行为注明的时间在此之前，但登记在后：{ids}" if is_zh else f"{acts} recorded later: {ids}"
        notes.append(said)
    return notes


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
    teller = history.teller(platform.catalogue, Language.of(locale))
    return {
        "subject": history.subject,
        "as_of": None if history.as_of is None else format_instant(history.as_of),
        "read_at": format_instant(history.read_at),
        "locale": locale,
        "time_zone": platform.catalogue.time_zone,
        "standing": standing_json(history, teller),
        "notes": list(hindsight_notes(history.hindsight, teller)),
        "now": [decision_row(stood, teller) for stood in history.standing],
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


def decision_row(stood: Stood, teller: Teller) -> dict[str, JsonValue]:
    """Return one decision that stands, codes beside words."""
    made = stood.decision
    purpose = teller.catalogue.purposes.get(made.purpose)
    return {
        "purpose": made.purpose,
        "label": made.purpose if purpose is None else teller.label(purpose.label),
        "recipient": made.recipient,
        "recipient_label": None if made.recipient is None else teller.recipient(made.recipient),
        "track": made.track.value,
        "track_label": teller.label(TRACKS[made.track]),
        "act": made.act.value,
        "act_label": teller.label(ACTS[made.act]),
        "by": teller.who(made),
        "state": stood.life.value,
        "state_label": teller.label(LIVES[stood.life]),
        "decided": format_instant(made.decided_at),
        "decided_label": teller.instant(made.decided_at, offset_minutes=made.offset_minutes),
        "offset_minutes": made.offset_minutes,
        "valid_from": None if made.valid_from is None else format_instant(made.valid_from),
        "valid_until": None if made.valid_until is None else format_instant(made.valid_until),
        "uses": None if made.max_uses is None else stood.uses,
        "max_uses": made.max_uses,
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
