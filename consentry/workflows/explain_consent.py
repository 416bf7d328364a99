"""Why the gate allows or refuses the use of somebody's fields, now or as of an instant, for people who must answer."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from consent.explain import WORDS, Explanation, FieldExplanation, Rule, Step
from consent.rules import DecisionAct
from consent.words import ACTS, REASONS, TRACKS, Language, in_language
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.history import record_reading
from kernel.catalogue import Label
from kernel.clock import format_instant
from kernel.ids import SubjectId

_ALLOWED = Label("允许", "allowed")


def explain_consent(
    platform: Platform,
    caller: Principal,
    subject: SubjectId,
    purpose: str,
    fields: Collection[str],
    *,
    recipient: str | None = None,
    as_of: datetime | None = None,
) -> Explanation:
    """Return the gate's answer for one subject with every rule on the way; the reading leaves its entry.

    Raises:
        BadInput: an unknown purpose, no field, or an instant in the future.
        Unavailable: the gate is suspended, and it is asked about now.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        found = platform.gate.explain(
            connection, purpose=purpose, subject=subject, fields=fields, recipient=recipient, as_of=as_of
        )
        record_reading(platform, connection, asking, subject, what="explanation", as_of=as_of)
    return found


def explanation_json(found: Explanation, locale: str) -> dict[str, Any]:
    """Return an explanation for programs, codes beside words."""
    language = Language.of(locale)
    return {
        "subject": found.subject,
        "purpose": found.purpose,
        "recipient": found.recipient,
        "at": format_instant(found.at),
        "fields": {code: _field(one, language) for code, one in found.fields.items()},
    }


def _field(one: FieldExplanation, language: Language) -> dict[str, Any]:
    label = _ALLOWED if one.reason is None else REASONS[one.reason]
    words = in_language(label, language)
    return {
        "reason": None if one.reason is None else one.reason.value,
        "words": words if one.reason is None else f"{one.reason.value} {words}",
        "steps": [_step(step, language) for step in one.steps],
    }


def _cited(step: Step, language: Language) -> str:
    return in_language(ACTS[DecisionAct(step.cites)], language) if step.rule is Rule.OPEN else str(step.cites)


def _step(step: Step, language: Language) -> dict[str, Any]:
    return {
        "rule": step.rule.value,
        "holds": step.holds,
        "words": in_language(WORDS[step.rule], language),
        "track": None if step.track is None else step.track.value,
        "track_label": "" if step.track is None else in_language(TRACKS[step.track], language),
        "decision": step.decision_id,
        "notice": None if step.notice is None else str(step.notice),
        "cites": _cited(step, language),
    }
