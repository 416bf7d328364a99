"""Correct a record: gate, newer version, entry, and what follows from it (PIPL 46, GDPR 16; R25)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.entries import aged_event
from consent.permits import Permit, Refusal
from consent.standing import register_subjects
from consent.wake import REVISED, Closing
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.sources.context import open_context
from consentry.sources.posted import Posted, clean_values
from consentry.sources.records import RowRefused
from consentry.words_said import check_said
from consentry.workflows.admit import NotPermitted
from consentry.workflows.denials import check_allowed
from consentry.workflows.find_subject import count_search
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Conflict
from kernel.ids import RecordId, SubjectId
from vault.corrections import Corrected, Correction

ACT: Final = "record.correct"
"""What a role must be allowed; it opens nothing."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What somebody wants corrected; plaintext.

    Attributes:
        record: any version of it.
        values: the right value by field, as a source would write it.
        reason: in words; sealed beside each value.
    """

    subject: SubjectId
    record: RecordId
    values: Posted
    reason: str

    def __repr__(self) -> str:
        return f"Wrong(subject={self.subject}, record={self.record}, redacted)"


def correct_record(platform: Platform, caller: Principal, wrong: Wrong) -> Corrected:
    """Give values of one record a newer, right version; what was derived from the wrong ones goes.

    The purpose of collection must still stand: nothing is stored that the gate would refuse from a source. A corrected
    value of an indexed field finds the person from then on, and the wrong one no more; a birth date keeps a minor for
    longer, never for shorter.

    Raises:
        Denied: the role may not correct, the gate refuses, or the subject is restricted or erased.
        BadInput: no reason, a value that its field cannot have, or an event that is to be added to.
        NotFound: the subject has no such record.
        Conflict: the ID number is another subject's; the entry says whose.
        LimitReached: the caller has looked up as many ID numbers as it may for now.
    """
    check_allowed(platform, caller, ACT, persons_only=True, subject=wrong.subject)
    reason = check_said(wrong.reason, what="A correction")
    values = _clean(platform, wrong)
    _check_free(platform, caller, wrong.subject, values)
    correction = Correction(wrong.subject, wrong.record, values, reason)
    asking = platform.asking(caller)
    platform.corrector.prepare(wrong.subject, values)
    refused: dict[str, str] = {}
    made: Corrected | None = None
    with platform.data.write() as connection:
        permits, refused = _permits(platform, connection, asking, correction)
        if not refused:
            made = platform.corrector.correct(connection, correction, permits=permits, asking=asking)
            _follow(platform, connection, asking, correction, made)
    if made is None:
        listed = ", ".join(f"{name}: {why}" for name, why in sorted(refused.items()))
        raise NotPermitted(f"The gate refuses {listed}", hint="Only what may still be stored can be corrected.")
    if made.change_id is not None:
        platform.corrector.follow_up(made.change_id)
    platform.log.settle()
    return made


def _clean(platform: Platform, wrong: Wrong) -> Mapping[str, JsonValue]:
    for code in wrong.values:
        platform.catalogue.get_value_field(code)
    context = open_context(platform.catalogue, pack=pack_folder(platform.settings.pack), clock=platform.clock)
    try:
        return clean_values(wrong.values, context)
    except RowRefused as refused:
        raise BadInput(
            f"The value of {refused.field or 'a field'} cannot be stored: {refused.fault}",
            hint="Write it as a source would; docs/how-to/ingest.md says what each reason means.",
        ) from None


def _check_free(platform: Platform, caller: Principal, subject: SubjectId, values: Mapping[str, JsonValue]) -> None:
    """Raise where an ID number is somebody else's; it counts, and is logged, as a search does."""
    number = values.get("id_number")
    if not isinstance(number, str):
        return
    asking = platform.asking(caller)
    count_search(platform, caller, asking)
    owner = platform.resolver.find_by_id_number(number)
    if owner is None or owner == subject:
        return
    event = Event(
        Act.SUBJECT_LOOKED_UP, Outcome.DONE, asking.actor, asking.role, asking.request_id, subject=owner,
        fields=("id_number",), counts={"found": 1}, refs={"act": ACT},
    )  # fmt: skip
    platform.log.write(event)
    raise Conflict(f"The ID number is that of subject {owner}", hint="If both are one person, merge them.")


def _permits(
    platform: Platform, connection: Connection, asking: Asking, correction: Correction
) -> tuple[dict[str, Permit], dict[str, str]]:
    """Ask the gate for each purpose of collection; return its permits, and what it refuses by field."""
    by_purpose: dict[str, list[str]] = {}
    for code in sorted(correction.values):
        by_purpose.setdefault(platform.catalogue.get_field(code).collect, []).append(code)
    permits: dict[str, Permit] = {}
    refused: dict[str, str] = {}
    for purpose, codes in by_purpose.items():
        said = platform.gate.check(connection, asking=asking, purpose=purpose, subject=correction.subject, fields=codes)
        if isinstance(said, Refusal):
            refused |= {code: why.value for code, why in said.reasons.items()}
        else:
            permits[purpose] = said
    return permits, refused


def _follow(
    platform: Platform, connection: Connection, asking: Asking, correction: Correction, made: Corrected
) -> None:
    """Let the age class follow a birth date, and have what was derived made anew."""
    born = correction.values.get("birth_date")
    if isinstance(born, str):
        known = register_subjects(connection, {correction.subject: _day(born)}, clock=platform.clock)
        told = [aged_event(asking, refined, known.at) for refined in known.refined]
        platform.log.record_many(connection, told)
    closing = Closing(correction.subject, REVISED, "", "", None, made.entry_id, made.at)
    platform.wake.plan(connection, [closing])


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput("The birth date is no day", hint="Write it as 1980-05-20.") from None
