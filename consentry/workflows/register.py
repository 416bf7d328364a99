"""An officer's work on the register apart from any person: assessments, recipients, transfers abroad, suspension."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from audit.events import Act, Outcome
from consent.assessments import (
    Assessment,
    get_assessment,
    list_assessments,
    record_assessment,
    revoke_assessment,
)
from consent.entries import event_of
from consent.recipients import (
    MechanismKind,
    Recipient,
    end_recipient,
    get_recipient,
    list_recipients,
    record_recipient,
)
from consent.terms import suspend
from consent.transfers import TransferNeed, need_of, suffices, total_transfers, transfer_counts
from consentry.access import check_may_act
from consentry.certificates import read_certificate
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.load_pack import in_order
from kernel.catalogue import AssessmentText, RecipientText
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.located_yaml import load
from kernel.pack_assessments import read_assessment
from kernel.pack_entries import Mistakes
from kernel.pack_recipients import read_recipients

_ACT: Final = "register.manage"

_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2999


def assessments(platform: Platform, caller: Principal) -> list[Assessment]:
    """Return the newest version of every assessment."""
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.read() as connection:
        return list_assessments(connection)


def show_assessment(
    platform: Platform, caller: Principal, assessment_id: str, *, version: int | None = None
) -> Assessment:
    """Return one version of an assessment, or the newest; raises ``NotFound``."""
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.read() as connection:
        return get_assessment(connection, assessment_id, version)


def record_assessment_file(platform: Platform, caller: Principal, path: Path) -> Assessment:
    """Record the assessment of a file, written as in a pack; what stands already changes nothing.

    Raises:
        PackError: the file is not sound; every mistake with its line.
        AssessmentIncomplete: a part, the approver or a possible period is missing (PIPL 56).
        Conflict: it was revoked after this approval.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    text = read_assessment_file(platform, path)
    with platform.data.write() as connection:
        made = record_assessment(connection, text, platform.catalogue, asking=platform.asking(caller), log=platform.log)
    platform.log.settle()
    return made


def revoke(platform: Platform, caller: Principal, assessment_id: str, *, reason: str) -> Assessment:
    """Take an approval back: what needs it is inactive with this commit; the reason is sealed beside the entry.

    Raises:
        BadInput: no reason.
        NotFound, Conflict: there is none, or it is not approved.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    asking = platform.asking(caller, reason=_said(reason))
    with platform.data.write() as connection:
        made = revoke_assessment(connection, assessment_id, asking=asking, log=platform.log)
    platform.log.settle()
    return made


def recipients(platform: Platform, caller: Principal) -> list[Recipient]:
    """Return the newest version of every recipient, ended ones as well: the register forgets none (R38)."""
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.read() as connection:
        return list_recipients(connection)


def show_recipient(platform: Platform, caller: Principal, code: str) -> Recipient:
    """Return the newest version of a recipient; raises ``NotFound``."""
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.read() as connection:
        return get_recipient(connection, code)


def record_recipient_file(platform: Platform, caller: Principal, path: Path) -> tuple[tuple[Recipient, bool], ...]:
    """Record every recipient of a file, written as a pack's recipients.yaml: all of them or none.

    Returns:
        Each with whether it is news; what stands already changes nothing.
    Raises:
        PackError: the file is not sound; every mistake with its line.
        RecipientIncomplete: something that the law asks for is missing.
        Conflict: a relation was ended after the contract given here began.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    texts = read_recipient_file(platform, path)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        before = {one.entry_id for one in list_recipients(connection)}
        made = [
            record_recipient(connection, text, platform.catalogue, asking=asking, log=platform.log)
            for text in in_order(texts)
        ]
    platform.log.settle()
    return tuple((one, one.entry_id not in before) for one in made)


def end(platform: Platform, caller: Principal, code: str, *, certificate: Path) -> Recipient:
    """End the relation with a recipient; name and hash of the certificate file are kept (PIPL 21, R38).

    Raises:
        BadInput: the file is empty, or its name cannot stand in the register.
        NotFound, Conflict: there is no such recipient, or it is ended already.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    kept = read_certificate(certificate)
    with platform.data.write() as connection:
        made = end_recipient(connection, code, certificate=str(kept), asking=platform.asking(caller), log=platform.log)
    platform.log.settle()
    return made


def transfers(platform: Platform, caller: Principal, *, year: int | None = None) -> dict[str, JsonValue]:
    """Return how many people of a year went to each recipient abroad, and what the law asks for by it (R11).

    The law's numbers count people over all recipients abroad together; each mechanism is held against that need.

    Args:
        platform: every part.
        caller: who asks; the reading leaves its entry.
        year: a calendar year of the pack's time zone; this year where it is None.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.write() as connection:
        now = platform.log.now(connection)
        asked = platform.catalogue.year_of(now) if year is None else _known_year(year)
        event = event_of(platform.asking(caller), Act.CONSENT_READ, Outcome.ALLOWED)
        platform.log.record(connection, replace(event, refs={"what": "transfers", "year": str(asked)}))
    platform.log.settle()
    with platform.data.read() as connection:
        total = total_transfers(connection, asked)
        counts = transfer_counts(connection, asked)
        known = {one.code: one for one in list_recipients(connection)}
    need = need_of(total, platform.catalogue.oversight.duties)
    rows: list[JsonValue] = []
    for code, count in counts.items():
        rows.append(
            {
                "recipient": code, "subjects": count.subjects, "sensitive": count.sensitive,
                **_mechanism_of(known.get(code), need),
            }
        )  # fmt: skip
    return {
        "year": asked,
        "subjects": total.subjects,
        "sensitive": total.sensitive,
        "need": need.value,
        "recipients": rows,
    }


def suspend_gate(platform: Platform, caller: Principal, *, reason: str) -> None:
    """Make the gate refuse everything until ``audit reconcile --release``; everybody who asks it is shown the reason.

    Raises:
        BadInput: no reason.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    with platform.data.write() as connection:
        suspend(connection, _said(reason), asking=platform.asking(caller), log=platform.log)
    platform.log.settle()


def read_assessment_file(platform: Platform, path: Path) -> AssessmentText:
    """Return the assessment of a file; raises ``PackError`` with every mistake, unknown purposes among them."""
    mistakes = Mistakes()
    node = load(path)
    text = read_assessment(node, mistakes)
    for purpose in () if text is None else node["purposes"].sequence():
        if purpose.raw not in platform.catalogue.purposes:
            mistakes.add(purpose, f"the pack has no purpose {purpose.raw!r}", expected="a purpose such as P02")
    mistakes.check()
    if text is None:
        raise BadInput(f"{path} holds no assessment", hint="Write it as a file of the pack's folder assessments.")
    return text


def read_recipient_file(platform: Platform, path: Path) -> Sequence[RecipientText]:
    """Return the recipients of a file; raises ``PackError`` with every mistake, unknown purposes among them."""
    mistakes = Mistakes()
    declared = read_recipients(load(path), mistakes)
    for one in declared:
        for purpose in one.at["purposes"].sequence():
            if purpose.raw not in platform.catalogue.purposes:
                mistakes.add(purpose, f"the pack has no purpose {purpose.raw!r}", expected="a purpose such as P02")
    mistakes.check()
    if not declared:
        raise BadInput(f"{path} holds no recipient", hint="Write it as the pack's recipients.yaml.")
    return [one.value for one in declared]


def _mechanism_of(named: Recipient | None, need: TransferNeed) -> dict[str, JsonValue]:
    mechanism = None if named is None else named.text.mechanism
    return {
        "country": None if named is None else named.text.country,
        "mechanism": None if mechanism is None else mechanism.kind,
        "document": None if mechanism is None else mechanism.document,
        "valid_until": None if mechanism is None else mechanism.until.isoformat(),
        "suffices": mechanism is not None and suffices(MechanismKind(mechanism.kind), need),
    }


def _known_year(year: int) -> int:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise BadInput(f"A year lies between {_FIRST_YEAR} and {_LAST_YEAR}", hint="Check --year.")
    return year


def _said(reason: str) -> str:
    if not reason.strip():
        raise BadInput("This needs a reason", hint="Say why in --reason.")
    return reason.strip()
