"""What to show a person now: the notices that are due, in their order, for one decision each.

What the service rests on comes first, then what the person may refuse without loss (PIPL 16); each item is one purpose
towards one recipient, so that no sensitive consent is bundled (PIPL 29). Whoever has refused is left alone for the
pack's cool-down (网络数据安全管理条例 22(5)); whoever has withdrawn is not asked again at all.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.entries import now_in_log
from consent.notice_content import told_recipients
from consent.notices import PublishedNotice, current_notice
from consent.reasons import Reason
from consent.rows import read_all_current
from consent.rules import Current, DecisionAct, Question, Strand, Track, covering, gate_state, rests_on, strand
from consent.standing import Standing, SubjectStanding, get_standing
from consent.terms import Terms, read_terms
from consentry.platform import Platform
from consentry.principals import Principal, check_daily_cap
from consentry.workflows.representation import Acting
from kernel.catalogue import Catalogue, Purpose
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import NotFound
from kernel.ids import SubjectId

RENEWAL_WINDOW: Final = timedelta(days=30)
"""So long before its end a grant is offered for renewal."""

_RENEWABLE: Final = frozenset({DecisionAct.GRANT, DecisionAct.RENEW, DecisionAct.EXPIRE})


class DueKind(StrEnum):
    """Why a notice is shown: a first decision, a new one for an old one, or to tell of a change that ends nothing."""

    ASK = "ask"
    ASK_AGAIN = "ask_again"
    INFORM = "inform"


@dataclass(frozen=True, slots=True)
class DueItem:
    """One notice to show, for one purpose.

    Attributes:
        decided_by: ``guardian`` where the person is below the digital age (PIPL 31), else ``self``.
        renews: the decision that a renewal would follow; None where a grant is needed.
        until: when what stands now ends.
    """

    kind: DueKind
    purpose: Purpose
    recipient: str | None
    notice: PublishedNotice
    decided_by: str
    renews: str | None
    until: datetime | None

    def as_json(self) -> dict[str, JsonValue]:
        """Return the item for a page."""
        text, ref = json.loads(self.notice.content), self.notice.ref
        label = self.purpose.label.zh if ref.locale.startswith("zh") else self.purpose.label.en
        return {
            "kind": self.kind.value,
            "purpose": self.purpose.code,
            "label": label,
            "recipient": self.recipient,
            "optional": self.purpose.is_optional,
            "notice": {"code": ref.code, "version": ref.version, "locale": ref.locale},
            "notice_hash": self.notice.hash,
            "title": text["title"],
            "decided_by": self.decided_by,
            "renewable": self.renews is not None,
            "renews": self.renews,
            "until": None if self.until is None else format_instant(self.until),
        }


@dataclass(frozen=True, slots=True)
class Due:
    """What is due; ``omitted`` are optional purposes that are not asked for because of the person's browser signal."""

    subject: SubjectId
    items: tuple[DueItem, ...]
    omitted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Person:
    """One subject as the rule sees it: what stands on the consent track, by purpose."""

    standing: SubjectStanding
    rows: Mapping[str, Sequence[Current]]
    catalogue: Catalogue
    terms: Terms
    now: datetime

    @property
    def is_child(self) -> bool:
        until = self.standing.childhood_until(self.catalogue.digital_age)
        return until is not None and self.now.date() < until


def find_due(
    platform: Platform, caller: Principal, acting: Acting, *, channel: str, locale: str, has_signal: bool = False
) -> Due:
    """Return what to show; reading it leaves its entry.

    Args:
        platform: every part.
        caller: who asks. acting: for whom, and as whom.
        channel: where it will be shown; stands in the entry.
        locale: the wanted translation; another one where the notice does not have it.
        has_signal: the browser sends Global Privacy Control.

    Raises:
        NotFound: the subject is not registered.
    """
    with platform.data.write() as connection:
        check_daily_cap(connection, caller, [acting.subject], clock=platform.clock)
        person = _read_person(platform, connection, acting.subject)
        asking = platform.asking(caller)
        platform.log.record(
            connection,
            Event(
                Act.CONSENT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
                subject=acting.subject, refs={"what": "due", "channel": channel, "locale": locale},
            ),
        )  # fmt: skip
        omitted = tuple(p.code for p in _purposes(platform.catalogue) if has_signal and p.is_optional)
        wanted = [p for p in _purposes(platform.catalogue) if p.code not in omitted and acting.covers(p.code)]
        items = tuple(item for purpose in wanted for item in _items(connection, person, purpose, locale))
    platform.log.settle()
    return Due(acting.subject, items, omitted)


def find_kind(question: Question, found: Strand, row: Current | None, *, informs: Mapping[str, int]) -> DueKind | None:
    """Say why a notice is due, from what the consent track answers and the row behind it; None where it is not.

    Args:
        question: purpose, recipient and instant.
        found: of the consent track.
        row: what it rests on.
        informs: by notice code, the newest edition that people have to be told of.
    """
    match found.reason:
        case Reason.NO_DECISION | Reason.RECIPIENT:
            return DueKind.ASK
        case Reason.EXPIRED | Reason.RECONSENT | Reason.GUARDIAN:
            return DueKind.ASK_AGAIN
        case None if row is not None:
            ends_soon = row.valid_until is not None and row.valid_until <= question.now + RENEWAL_WINDOW
            if ends_soon or found.uncovered:
                return DueKind.ASK_AGAIN
            is_told = (row.notice_edition or 0) >= informs.get(row.notice_code or "", 0)
            return None if is_told else DueKind.INFORM
        case _:
            return None


def _read_person(platform: Platform, connection: Connection, subject: SubjectId) -> _Person:
    standing = get_standing(connection, subject)
    rows: dict[str, list[Current]] = {}
    for _, purpose, row in read_all_current(connection, [subject]):
        if row.track is Track.CONSENT:
            rows.setdefault(purpose, []).append(row)
    now = now_in_log(connection, platform.log, platform.clock)
    return _Person(standing, rows, platform.catalogue, read_terms(connection, None), now)


def _purposes(catalogue: Catalogue) -> list[Purpose]:
    """Return the purposes that somebody can be asked about, what the service rests on before what is optional."""
    asked = [p for p in catalogue.purposes.values() if _needs_grant(catalogue, p)]
    return sorted(asked, key=lambda purpose: (purpose.is_optional, purpose.code))


def _needs_grant(catalogue: Catalogue, purpose: Purpose) -> bool:
    fields = (catalogue.fields[code] for code in catalogue.fields_by_purpose[purpose.code])
    return any(rests_on(purpose, field) == {Track.CONSENT} for field in fields)


def _items(connection: Connection, person: _Person, purpose: Purpose, locale: str) -> Iterator[DueItem]:
    if gate_state(person.standing.state, deceased=person.standing.deceased) is not Standing.ACTIVE:
        return
    rows = person.rows.get(purpose.code, [])
    for recipient in _recipients(purpose, rows):
        terms = person.terms.for_purpose(purpose, recipient, person.now)
        if not terms.is_active or terms.recipient_reason is not None:
            continue
        question = Question(purpose, recipient, (), terms, person.now)
        kind, row = _judged(person, question, rows)
        notice = None if kind is None else _notice(connection, person, purpose, locale)
        if kind is not None and notice is not None and _tells(notice, purpose, recipient):
            is_renewable = kind is not DueKind.ASK and row is not None and _is_renewable(person, question, row)
            yield DueItem(
                kind=kind,
                purpose=purpose,
                recipient=recipient,
                notice=notice,
                decided_by="guardian" if person.is_child else "self",
                renews=row.decision_id if row is not None and is_renewable else None,
                until=None if row is None else row.valid_until,
            )


def _judged(person: _Person, question: Question, rows: Sequence[Current]) -> tuple[DueKind | None, Current | None]:
    """Return why the notice is due, with the row that speaks for the recipient."""
    child_until = person.standing.childhood_until(person.catalogue.digital_age)
    row = covering(question, rows)
    found = strand(question, rows, Track.CONSENT, child_until)
    if found.reason is Reason.REFUSED and row is not None:
        is_over = row.decided_at + person.catalogue.cool_down <= person.now
        return DueKind.ASK if is_over else None, row
    takes_over = row is not None and row.by_guardian and child_until is not None and not person.is_child
    if found.reason is None and takes_over:
        return DueKind.ASK_AGAIN, row
    return find_kind(question, found, row, informs=person.terms.informs), row


def _is_renewable(person: _Person, question: Question, row: Current) -> bool:
    """Say whether a renewal can follow the row; what a child decided alone never counted, and is granted anew."""
    child_until = person.standing.childhood_until(person.catalogue.digital_age)
    reason = strand(question, [row], Track.CONSENT, child_until).reason
    return row.act in _RENEWABLE and reason is not Reason.GUARDIAN


def _tells(notice: PublishedNotice, purpose: Purpose, recipient: str | None) -> bool:
    """Say whether the text tells of the recipient; nobody is asked about one that it does not name (PIPL 23)."""
    return recipient is None or recipient in told_recipients(notice.content).get(purpose.code, ())


def _recipients(purpose: Purpose, rows: Sequence[Current]) -> list[str | None]:
    if not purpose.per_recipient:
        return [None]
    named = {row.recipient for row in rows if row.recipient}
    return [*purpose.recipients, *sorted(named - set(purpose.recipients))]


def _notice(connection: Connection, person: _Person, purpose: Purpose, locale: str) -> PublishedNotice | None:
    """Return the current text that covers the purpose, for the person's audience (R21: children have their own)."""
    audience = "child" if person.is_child else "general"
    texts = [n for n in person.catalogue.notices if purpose.code in n.purposes and n.audience == audience]
    codes = dict.fromkeys(text.code for text in sorted(texts, key=lambda text: len(text.purposes)))
    for code in codes:
        for wanted in dict.fromkeys([locale, *(text.locale for text in texts if text.code == code)]):
            try:
                found = current_notice(connection, code, wanted)
            except NotFound:
                continue
            if purpose.code in found.purposes:
                return found
    return None
