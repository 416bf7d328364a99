"""Consent records after ISO/IEC TS 27560:2023, as plain JSON, built from decisions, notices and the catalogue.

One record stands for one chain: the decisions of a subject, purpose and recipient under one notice and one scope of
fields. A grant under another notice or for other fields begins a new record, so that no event of a record was made
under other words than those that the record names.

The field names are those of the standard's clauses 6.3 and 6.4 as public sources give them; docs/reference/
interchange.md says which source was read for which name, and what could not be verified.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final, TypeAlias

from consent.decisions import ActorKind, Decision
from consent.notices import NoticeRef, PublishedNotice
from consent.rules import DecisionAct, Track, is_permissive
from kernel.catalogue import Catalogue, ConsentKind, Field, FieldClass, Purpose, RecipientText
from kernel.encoding import JsonValue
from kernel.ids import DecisionId

SCHEMA_VERSION: Final = "consentry/iso-27560/1"
"""Names our profile of the standard; moves with every change of shape."""

CONTROLLER: Final = "controller"
"""The party id of whoever speaks in the notice."""

_Text: TypeAlias = dict[str, Any]
"""The content of a published notice, which was checked to be complete before it was stored."""

_NOTHING_TOLD: Final[Mapping[str, str]] = {}

_STATES: Final = {
    DecisionAct.GRANT: "dpv:ConsentGiven",
    DecisionAct.RENEW: "dpv:RenewedConsentGiven",
    DecisionAct.REFUSE: "dpv:ConsentRefused",
    DecisionAct.WITHDRAW: "dpv:ConsentWithdrawn",
    DecisionAct.EXPIRE: "dpv:ConsentExpired",
}
"""Event states after the Data Privacy Vocabulary's ``dpv:ConsentStatus``."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The decisions that one record tells of, in the order of recording.

    Attributes:
        notice: the text that all of them were made under.
        fields: the scope of what was granted; None for all of the purpose.
        follows: the first decision of the chain before, of the same purpose and recipient.
    """

    notice: NoticeRef
    fields: frozenset[str] | None
    decisions: tuple[Decision, ...]
    follows: DecisionId | None = None

    def until(self, decision_id: DecisionId) -> "Chain":
        """Return the chain as it stood when a decision of it was made."""
        place = [made.decision_id for made in self.decisions].index(decision_id)
        return Chain(self.notice, self.fields, self.decisions[: place + 1], self.follows)


@dataclass(frozen=True, slots=True)
class Register:
    """What a record is filled in from beside the decisions.

    Attributes:
        storage_locations: where the stores are, as the operator states it.
        parties: what is known of recipients, by code.
    """

    catalogue: Catalogue
    notices: Mapping[NoticeRef, PublishedNotice]
    storage_locations: tuple[str, ...]
    parties: Mapping[str, RecipientText] = field(default_factory=dict)


def consent_chains(history: Sequence[Decision]) -> list[Chain]:
    """Return the chains of one subject's decisions, oldest first.

    Contracts and duties are no consents and are left out. So is a withdrawal that nothing was agreed to before: there
    is no notice that it could be recorded under.
    """
    chains: dict[tuple[str, str | None], list[Chain]] = {}
    for made in history:
        if made.track is not Track.CONSENT:
            continue
        known = chains.setdefault((made.purpose, made.recipient), [])
        if known and _continues(known[-1], made):
            last = known[-1]
            scope = made.fields if not _has_opened(last) and is_permissive(made.act) else last.fields
            known[-1] = Chain(last.notice, scope, (*last.decisions, made), last.follows)
        elif made.notice is not None:
            follows = known[-1].decisions[0].decision_id if known else None
            known.append(Chain(made.notice, made.fields, (made,), follows))
    place = {made.decision_id: number for number, made in enumerate(history)}
    return sorted(
        (chain for found in chains.values() for chain in found), key=lambda c: place[c.decisions[0].decision_id]
    )


def consent_record(chain: Chain, register: Register) -> dict[str, JsonValue]:
    """Return the record of a chain.

    Raises:
        KeyError: the chain's notice is not among the register's; BadInput: its purpose is not in the catalogue.
    Source: ISO/IEC TS 27560:2023 clause 6.3 (header, processing, parties, events).
    """
    first = chain.decisions[0]
    purpose = register.catalogue.get_purpose(first.purpose)
    notice = register.notices[chain.notice]
    text: _Text = json.loads(notice.content)
    recipients = _recipients(first, purpose, text)
    joint = _joint(purpose, register)
    others = dict.fromkeys(joint, _NOTHING_TOLD) | recipients
    parties = [_controller(text), *(_party(code, told, register, chain.notice) for code, told in others.items())]
    record: dict[str, JsonValue] = {
        "schema_version": SCHEMA_VERSION,
        "record_id": record_id(first.decision_id),
        "pii_principal_id": first.subject,
        "processing": {
            "privacy_notice": {"reference": str(notice.ref), "sha256": notice.hash},
            "language": notice.ref.locale,
            "purposes": [_purpose(purpose, chain, register, text, recipients=tuple(recipients))],
        },
        "parties": parties,
        "events": [_event(made, purpose) for made in chain.decisions],
    }
    if chain.follows is not None:
        record["follows_record_id"] = record_id(chain.follows)
    return record


def record_id(first: DecisionId) -> str:
    """Return the id of the record whose first decision this is: as random, and found again without a table."""
    return f"rec_{first.removeprefix('dec_')}"


def decided_with_offset(made: Decision) -> datetime:
    """Return the instant of a decision in the offset that its source wrote, UTC where none is kept."""
    offset = timezone(timedelta(minutes=made.offset_minutes or 0))
    return made.decided_at.astimezone(offset)


def _continues(chain: Chain, made: Decision) -> bool:
    if made.notice is not None and made.notice != chain.notice:
        return False
    return not is_permissive(made.act) or not _has_opened(chain) or made.fields == chain.fields


def _has_opened(chain: Chain) -> bool:
    return any(is_permissive(made.act) for made in chain.decisions)


def _purpose(
    purpose: Purpose, chain: Chain, register: Register, text: _Text, *, recipients: Sequence[str]
) -> dict[str, JsonValue]:
    sections, told = text["sections"], _told(text, purpose)
    found: dict[str, JsonValue] = {
        "purpose": purpose.code,
        "purpose_label": {"zh": purpose.label.zh, "en": purpose.label.en},
        "lawful_basis": "dpv:Consent",
        "pii_information": _attributes(purpose, chain, register.catalogue, told),
        "pii_controllers": [CONTROLLER, *_joint(purpose, register)],
        "processing_method": sections["method"],
        "storage_locations": list(register.storage_locations),
        "retention_period": f"{sections['retention']} {sections['end_of_retention']}",
        "jurisdiction": register.catalogue.jurisdiction,
        "recipient_third_parties": list(recipients),
        "withdrawal_method": sections["rights"],
        "privacy_rights": sections["rights"],
    }
    methods = dict.fromkeys(row["method"] for row in _rows(text, "collected") if "method" in row)
    if methods:
        found["collection_method"] = "; ".join(methods)
    if purpose.assessment is not None:
        found["impact_assessment"] = purpose.assessment
    if taken := _from_pack(purpose, chain, told):
        found["taken_from_pack"] = taken
    return found


def _told(text: _Text, purpose: Purpose) -> _Text | None:
    """Return the facts that the notice holds on a purpose; None where it was stored before notices held any."""
    facts: _Text | None = text.get("facts", {}).get(purpose.code)
    return facts


def _attributes(purpose: Purpose, chain: Chain, catalogue: Catalogue, told: _Text | None) -> list[JsonValue]:
    """Return what the person was told of, with the periods that it was told (R05).

    Of a field that the pack has no longer, its code and period are all that is known.
    """
    shown = catalogue.fields_by_purpose[purpose.code] if told is None else told["fields"].keys()
    found: list[JsonValue] = []
    for code in sorted(shown if chain.fields is None else chain.fields):
        one = catalogue.fields.get(code)
        is_told = told is not None and code in told["fields"]
        if (one is None and not is_told) or (one is not None and one.consent is ConsentKind.NONE):
            continue
        days = told["fields"][code]["keep_days"] if told is not None and is_told else _days(one)
        found.append(_attribute(code, one, days))
    return found


def _attribute(code: str, one: Field | None, keep_days: int | None) -> dict[str, JsonValue]:
    kept: dict[str, JsonValue] = {
        "pii_attribute_id": code,
        "retention_period": "life of the account" if keep_days is None else f"P{keep_days}D",
    }
    if one is None:
        return {"pii_type": "unknown"} | kept
    return kept | {
        "pii_type": one.classes[0].value,
        "pii_label": {"zh": one.label.zh, "en": one.label.en},
        "sensitive_pii_category": FieldClass.SENSITIVE in one.classes,
    }


def _days(one: Field | None) -> int | None:
    return None if one is None or one.retention.keep is None else one.retention.keep.days


def _from_pack(purpose: Purpose, chain: Chain, told: _Text | None) -> list[JsonValue]:
    """Name what is as the pack has it today, since the notice holds nothing about it."""
    named: list[JsonValue] = [] if purpose.assessment is None else ["impact_assessment"]
    if told is None:
        named.append("pii_information")
        if not (chain.decisions[0].recipient or purpose.per_recipient):
            named.append("recipient_third_parties")
    elif chain.fields is not None and chain.fields - told["fields"].keys():
        named.append("pii_information")
    return named


def _recipients(first: Decision, purpose: Purpose, text: _Text) -> dict[str, Mapping[str, str]]:
    """Return who is given data: by code those whom decision or notice name, and as told those of the notice's table.

    A decision for one recipient tells of that one alone.
    """
    if first.recipient is not None:
        return {first.recipient: _NOTHING_TOLD}
    rows = {f"third_party_{number}": row for number, row in enumerate(_rows(text, "third_parties"), start=1)}
    if purpose.per_recipient:
        return rows
    told = _told(text, purpose)
    return dict.fromkeys(purpose.recipients if told is None else told["recipients"], _NOTHING_TOLD) | rows


def _rows(text: _Text, table: str) -> list[Mapping[str, str]]:
    rows = text[table]
    found = rows if isinstance(rows, list) else []
    return [{str(name): str(cell) for name, cell in row.items()} for row in found if isinstance(row, Mapping)]


def _joint(purpose: Purpose, register: Register) -> list[str]:
    """Return those who decide on the purpose with us (PIPL 20, GDPR 26)."""
    return [
        code for code, one in sorted(register.parties.items()) if one.kind == "joint" and purpose.code in one.purposes
    ]


def _controller(text: _Text) -> dict[str, JsonValue]:
    """Return the controller as the notice names it: one text for name and address."""
    sections = text["sections"]
    return {
        "party_id": CONTROLLER,
        "party_name": sections["controller"],
        "party_address": sections["controller"],
        "party_contact": sections["contact"],
        "party_role": "dpv:DataController",
        "party_type": "controller",
    }


def _party(code: str, told: Mapping[str, str], register: Register, notice: NoticeRef) -> dict[str, JsonValue]:
    """Return a recipient as it is registered; what is not known is said to stand in the notice."""
    if told:
        return _party_of(code, "as told in the notice", dict(told))
    known = register.parties.get(code)
    if known is None:
        return _party_of(code, "not registered", {})
    name = known.name.zh if notice.locale.startswith("zh") else known.name.en
    return {
        "party_id": code,
        "party_name": name,
        "party_address": known.country,
        "party_contact": known.contact,
        "party_role": _ROLES.get(known.kind, "dpv:Recipient"),
        "party_type": known.kind,
    }


def _party_of(code: str, kind: str, told: Mapping[str, str]) -> dict[str, JsonValue]:
    return {"party_id": code, "party_role": "dpv:Recipient", "party_type": kind, "told": dict(told)}


_ROLES: Final = {
    "controller": "dpv:ThirdParty",
    "joint": "dpv:DataController",
    "processor": "dpv:DataProcessor",
    "authority": "dpv:Authority",
}


def _event(made: Decision, purpose: Purpose) -> dict[str, JsonValue]:
    is_explicit = purpose.sensitive or purpose.separate_consent
    begins = made.valid_from or made.decided_at
    ends = None if made.valid_until is None else made.valid_until.isoformat()
    event: dict[str, JsonValue] = {
        "event_time": decided_with_offset(made).isoformat(),
        "validity_duration": f"{begins.isoformat()}/{ends or '..'}",
        "entity_id": _entity(made),
        "event_type": "dpv:ExplicitlyExpressedConsent" if is_explicit else "dpv:ExpressedConsent",
        "event_state": _STATES[made.act],
        "decision_id": made.decision_id,
        "act": made.act.value,
        "actor_kind": made.actor_kind.value,
        "recorded_time": made.recorded_at.isoformat(),
        "entry_id": made.entry_id,
    }
    if made.max_uses is not None:
        event["max_uses"] = made.max_uses
    if made.renews is not None:
        event["renews"] = made.renews
    return event


def _entity(made: Decision) -> str:
    if made.actor_kind is ActorKind.OPERATOR:
        return CONTROLLER
    return made.actor_subject or made.subject
