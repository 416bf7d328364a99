"""Writes choices as FHIR Consent, R4 and R5; docs/reference/interchange.md holds the mapping, element by element."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from consent.decisions import ActorKind
from consent.rules import DecisionAct, is_permissive
from consentry.interchange.choices import (
    ACT,
    ACTOR_KIND,
    DECIDED_AT,
    MAX_USES,
    RENEWS,
    Choice,
    Names,
    Person,
)
from consentry.interchange.fhir_models import check_model
from consentry.interchange.purpose_codes import ACT_REASON, PurposeCodes
from consentry.interchange.releases import Release
from kernel.encoding import JsonValue

SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
PRIVACY: Final = "patient-privacy"
LOINC: Final = "http://loinc.org"
CONSENT_DOCUMENT: Final = "59284-0"
"""LOINC, the category that the FHIR value set consent-category names for a patient's consent."""

PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
INFORMATION_RECIPIENT: Final = "IRCP"

_INSTANT: Final = timedelta(microseconds=1)
"""The register counts whole microseconds, and a FHIR Period includes its end."""

_Json = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class ConsentWriter:
    """Writes the choices of one deployment.

    Attributes:
        controller: the controller's name, as its notices state it; None leaves it out.
    """

    names: Names
    codes: PurposeCodes
    controller: str | None = None

    def write(self, choice: Choice, release: Release) -> _Json:
        """Return the resource as JSON, checked against the library's model of the release.

        Raises:
            ValueError: it does not fit the model; that would be a mistake of ours.
        """
        written = self._r4(choice) if release is Release.R4 else self._r5(choice)
        check_model(written, release)
        return written

    def _r4(self, choice: Choice) -> _Json:
        written = self._head(choice, _STATUS_R4[choice.act])
        written["scope"] = _concept(SCOPE, PRIVACY)
        written["category"] = [_concept(LOINC, CONSENT_DOCUMENT)]
        written["patient"] = self._person(choice.subject)
        written["dateTime"] = _stamp(choice)
        if choice.actor is not None:
            written["performer"] = [self._actor(choice.actor, choice)]
        written["organization"] = [self._organization()]
        written["sourceReference"] = self._record(choice)
        written["policy"] = [{"uri": self.names.notice_policy(choice)}]
        period = _period(choice)
        written["provision"] = {
            "type": _rule(choice.act),
            **({"period": period} if period else {}),
            **self._scope(choice),
        }
        return written

    def _r5(self, choice: Choice) -> _Json:
        written = self._head(choice, _STATUS_R5[choice.act])
        written["category"] = [_concept(LOINC, CONSENT_DOCUMENT)]
        written["subject"] = self._person(choice.subject)
        written["date"] = choice.decided_at.date().isoformat()
        written["_date"] = {"extension": [{"url": DECIDED_AT, "valueDateTime": _stamp(choice)}]}
        period = _period(choice)
        if period:
            written["period"] = period
        if choice.actor is not None:
            written["grantor"] = [self._actor(choice.actor, choice)]
        if choice.recipient is not None:
            written["grantee"] = [self._recipient(choice.recipient)]
        written["controller"] = [self._organization()]
        shown = [] if choice.notice is None else [self._source(choice)]
        written["sourceReference"] = [self._record(choice), *shown]
        written["policyBasis"] = {"url": self.names.notice_policy(choice)}
        written["decision"] = _rule(choice.act)
        written["provision"] = [self._scope(choice)]
        return written

    def _head(self, choice: Choice, status: str) -> _Json:
        extensions: list[JsonValue] = [{"url": ACT, "valueCode": choice.act.value}]
        if choice.renews is not None:
            extensions.append({"url": RENEWS, "valueString": choice.renews})
        written: _Json = {"resourceType": "Consent", "id": choice.choice_id.replace("_", "-"), "extension": extensions}
        if choice.max_uses is not None:
            written["modifierExtension"] = [{"url": MAX_USES, "valuePositiveInt": choice.max_uses}]
        written["identifier"] = [{"system": self.names.decisions, "value": choice.choice_id}]
        written["status"] = status
        return written

    def _scope(self, choice: Choice) -> _Json:
        """Return what the rule is about: purposes, recipient, fields."""
        scope: _Json = {}
        if choice.recipient is not None:
            role = _concept(PARTICIPATION, INFORMATION_RECIPIENT)
            scope["actor"] = [{"role": role, "reference": self._recipient(choice.recipient)}]
        standard = dict.fromkeys(
            self.codes.by_purpose[code] for code in choice.purposes if code in self.codes.by_purpose
        )
        own = [self._own_purpose(code) for code in choice.purposes]
        scope["purpose"] = [*({"system": ACT_REASON, "code": code} for code in standard), *own]
        if choice.fields is not None:
            scope["code"] = [self._field(code) for code in sorted(choice.fields)]
        return scope

    def _own_purpose(self, code: str) -> _Json:
        known = self.names.catalogue.purposes.get(code)
        display = {} if known is None else {"display": known.label.en}
        return {"system": self.names.purposes, "code": code, **display}

    def _field(self, code: str) -> _Json:
        known = self.names.catalogue.fields.get(code)
        display = {} if known is None else {"display": known.label.en}
        return {"coding": [{"system": self.names.fields, "code": code, **display}]}

    def _person(self, person: Person, kind: str = "Patient") -> _Json:
        """Return a pseudonymous reference: the random id of ours, behind which only we find somebody."""
        if person.subject_id is None:
            return {"reference": f"{kind}/{person.source_id}"}
        return {"type": kind, "identifier": {"system": self.names.subjects, "value": person.subject_id}}

    def _actor(self, actor: Person, choice: Choice) -> _Json:
        if choice.actor_kind is ActorKind.SELF:
            return self._person(actor)
        kind = {"url": ACTOR_KIND, "valueCode": choice.actor_kind.value}
        return {"extension": [kind], **self._person(actor, "RelatedPerson")}

    def _recipient(self, code: str) -> _Json:
        return {"type": "Organization", "identifier": {"system": self.names.recipients, "value": code}}

    def _organization(self) -> _Json:
        named = {} if self.controller is None else {"display": self.controller}
        identifier = {"system": self.names.controllers, "value": self.names.deployment}
        return {"type": "Organization", "identifier": identifier, **named}

    def _record(self, choice: Choice) -> _Json:
        """Return a reference to our record of the act, which holds its evidence and never hands it out."""
        return {
            "type": "DocumentReference",
            "identifier": {"system": self.names.decisions, "value": choice.choice_id},
        }

    def _source(self, choice: Choice) -> _Json:
        return {
            "type": "DocumentReference",
            "identifier": {"system": self.names.notices, "value": str(choice.notice)},
        }


def bundle_of(resources: Sequence[Mapping[str, JsonValue]]) -> _Json:
    """Return a collection of resources."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def _rule(act: DecisionAct) -> str:
    return "permit" if is_permissive(act) else "deny"


def _stamp(choice: Choice) -> str:
    return choice.decided_at.isoformat(timespec="microseconds")


def _period(choice: Choice) -> _Json:
    """Return the validity; a FHIR Period includes its end, so the end is the last instant that counts."""
    period: _Json = {}
    if choice.valid_from is not None:
        period["start"] = choice.valid_from.isoformat(timespec="microseconds")
    if choice.valid_until is not None:
        period["end"] = (choice.valid_until - _INSTANT).isoformat(timespec="microseconds")
    return period


def _concept(system: str, code: str) -> _Json:
    return {"coding": [{"system": system, "code": code}]}


_STATUS_R4: Final = {
    DecisionAct.GRANT: "active",
    DecisionAct.RENEW: "active",
    DecisionAct.REFUSE: "rejected",
    DecisionAct.WITHDRAW: "inactive",
    DecisionAct.EXPIRE: "inactive",
}
_STATUS_R5: Final = {**_STATUS_R4, DecisionAct.REFUSE: "active"}
"""R5 has no status for a refusal: an active consent that denies."""
