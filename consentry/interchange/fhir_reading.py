"""Reads FHIR Consent, R4 and R5, into choices; what the register cannot express is refused by name.

Every element is read or refused: one that is passed over could have said something about the person's will. Only what
describes the resource itself (id, meta without labels, narrative, language) is left unread.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from consent.decisions import ActorKind
from consent.notices import NoticeRef
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
from consentry.interchange.fhir_elements import (
    ACTS,
    AGREES,
    CATEGORIES,
    DESCRIBES,
    ELEMENT,
    NOTICE,
    PATIENT,
    PROVISION_FAULTS,
    READ,
    REPRESENTATIVES,
    ROLES,
    SCOPES,
    Element,
    Fault,
    Refused,
    covered,
    is_coded,
    own_code,
)
from consentry.interchange.fhir_models import check_model
from consentry.interchange.fhir_proofs import VERIFICATION_PARTS, named_by, read_proofs
from consentry.interchange.purpose_codes import ACT_REASON, PurposeCodes
from consentry.interchange.releases import Release
from kernel.ids import SubjectId, is_id


@dataclass(frozen=True, slots=True)
class ConsentReader:
    """Reads resources for one deployment."""

    names: Names
    codes: PurposeCodes

    def read(self, resource: Element) -> Choice | tuple[Refused, ...]:
        """Return the choice that a resource states, or everything that stands against taking it over."""
        release = release_of(resource)
        try:
            check_model(resource, release)
        except ValueError:
            return (Refused(Fault.NOT_A_CONSENT, "Consent"),)
        reading = _Reading(self.names, self.codes, resource, release)
        choice = reading.choice()
        return tuple(dict.fromkeys(reading.refused)) or choice


def release_of(resource: Element) -> Release:
    """Return the release of a resource: ``scope`` is mandatory in R4 and unknown in R5."""
    return Release.R4 if "scope" in resource else Release.R5


@dataclass
class _Reading:
    names: Names
    codes: PurposeCodes
    resource: Element
    release: Release
    refused: list[Refused] = field(default_factory=list)

    def choice(self) -> Choice:
        """Return the choice; it counts only while ``refused`` is empty."""
        self._check_elements()
        is_r4 = self.release is Release.R4
        rule = self._rule()
        subject = self._person(self.resource.get("patient" if is_r4 else "subject"), "patient" if is_r4 else "subject")
        act = self._act(str(rule.get("type") if is_r4 else self.resource.get("decision")))
        kind, actor = self._actor(subject, act, "performer" if is_r4 else "grantor")
        notice, notice_hash = self._notice(act)
        proofs = self._proofs(act)
        begins, ends = self._period((rule if is_r4 else self.resource).get("period"), act)
        return Choice(
            choice_id=self._choice_id(),
            subject=subject,
            purposes=self._purposes(rule.get("purpose", ())),
            act=act,
            actor_kind=kind,
            actor=actor,
            decided_at=self._decided_at(),
            recipient=self._recipient(rule.get("actor", ())),
            notice=notice,
            notice_hash=notice_hash,
            fields=self._fields(rule.get("code"), act),
            valid_from=begins,
            valid_until=ends,
            max_uses=self._extension("modifierExtension", MAX_USES, "valuePositiveInt"),
            renews=self._extension("extension", RENEWS, "valueString"),
            proofs=proofs,
        )

    def _refuse(self, fault: Fault, element: str) -> None:
        self.refused.append(Refused(fault, f"Consent.{element}"))

    def _check_elements(self) -> None:
        for name in self.resource.keys() - READ[self.release]:
            if not (name.startswith("_") and name[1:] in DESCRIBES):
                fault = Fault.BASE_RULE if name in ("policyRule", "regulatoryBasis") else Fault.UNREAD_ELEMENT
                self._refuse(fault, name if ELEMENT.fullmatch(name) else "?")
        if self.resource.get("meta", {}).get("security"):
            self._refuse(Fault.LABEL, "meta.security")
        for name, known in (("extension", {ACT, RENEWS}), ("modifierExtension", {MAX_USES})):
            if any(one.get("url") not in known for one in self.resource.get(name, ())):
                self._refuse(Fault.UNREAD_ELEMENT, name)
        if self.release is Release.R4 and not is_coded(self.resource["scope"], SCOPES):
            self._refuse(Fault.SCOPE, "scope")
        if not all(is_coded(one, CATEGORIES) for one in self.resource.get("category", ())):
            self._refuse(Fault.CATEGORY, "category")

    def _rule(self) -> Element:
        """Return the one provision; a second, a nested one or an element that narrows it otherwise is refused."""
        given = self.resource.get("provision")
        provisions: Sequence[Element] = [given] if isinstance(given, Mapping) else given or ()
        if len(provisions) != 1:
            self._refuse(Fault.NESTED_PROVISION if provisions else Fault.RULE, "provision")
            return {}
        allowed = {"purpose", "actor", "code", *(("type", "period") if self.release is Release.R4 else ())}
        for name in provisions[0].keys() - allowed:
            fault = PROVISION_FAULTS.get(name, Fault.UNREAD_ELEMENT)
            self._refuse(fault, f"provision.{name if ELEMENT.fullmatch(name) else '?'}")
        return provisions[0]

    def _act(self, rule: str) -> DecisionAct:
        """Return the act; our own extension says more than the status, and must agree with it."""
        status = str(self.resource.get("status"))
        usual = ACTS[self.release].get((status, rule)) or ACTS[self.release].get((status, ""))
        if usual is None:
            is_rule = any(known == status for known, _ in ACTS[self.release])
            self._refuse(*((Fault.RULE, "provision.type") if is_rule else (Fault.STATUS, "status")))
            return DecisionAct.REFUSE
        stated = self._extension("extension", ACT, "valueCode")
        if stated is None:
            return usual
        if stated not in AGREES[usual]:
            self._refuse(Fault.ACT, "extension")
            return usual
        return DecisionAct(stated)

    def _extension(self, name: str, url: str, value: str) -> Any:  # noqa: ANN401 - a value as FHIR types it
        found = [one.get(value) for one in self.resource.get(name, ()) if one.get("url") == url]
        if len(found) > 1 or None in found:
            self._refuse(Fault.UNREAD_ELEMENT, name)
        return found[0] if found else None

    def _choice_id(self) -> str:
        ours = [one.get("value") for one in self.resource.get("identifier", ())]
        return str(ours[0] if ours and ours[0] else self.resource.get("id", ""))

    def _person(self, reference: Element | None, element: str, *, may_extend: bool = False) -> Person:
        """Return whom a reference names: a subject of ours, or a patient by the source's id."""
        given = reference or {}
        identifier = given.get("identifier") or {}
        value = str(identifier.get("value") or "")
        is_plain = given.keys() <= {
            "reference",
            "type",
            "identifier",
            "display",
            *(("extension",) if may_extend else ()),
        }
        if is_plain and identifier.get("system") == self.names.subjects and is_id(value, "sub"):
            return Person(subject_id=SubjectId(value))
        found = PATIENT.fullmatch(str(given.get("reference") or ""))
        if is_plain and found is not None and not identifier:
            return Person(source_id=found[1])
        self._refuse(Fault.PERSON, element)
        return Person()

    def _actor(self, subject: Person, act: DecisionAct, element: str) -> tuple[ActorKind, Person | None]:
        """Return who acted. Nobody is supposed to have acted who is not named."""
        named = self.resource.get(element, ())
        if act is DecisionAct.EXPIRE and not named:
            return ActorKind.OPERATOR, None
        if len(named) != 1:
            self._refuse(Fault.ACTOR, element)
            return ActorKind.SELF, subject
        kinds = [one.get("valueCode") for one in named[0].get("extension", ()) if one.get("url") == ACTOR_KIND]
        person = self._person(named[0], element, may_extend=True)
        if not kinds and "extension" not in named[0] and person == subject:
            return ActorKind.SELF, subject
        if len(kinds) == len(named[0].get("extension", ())) == 1 and kinds[0] in REPRESENTATIVES:
            return ActorKind(kinds[0]), person
        self._refuse(Fault.ACTOR, element)
        return ActorKind.SELF, subject

    def _decided_at(self) -> datetime:
        """Return the instant of the act. A day alone counts from its beginning, the earliest that it can have been."""
        is_r4 = self.release is Release.R4
        written = self.resource.get("dateTime" if is_r4 else "date")
        more = [] if is_r4 else self.resource.get("_date", {}).get("extension", [])
        exact = [one.get("valueDateTime") for one in more if one.get("url") == DECIDED_AT]
        read = covered(exact[0] if len(exact) == 1 else written, self._zone)
        if read is None or len(exact) != len(more):
            self._refuse(Fault.INSTANT, "dateTime" if is_r4 else "date")
            return datetime.max.replace(tzinfo=self._zone)
        return read[0]

    def _period(self, given: Element | None, act: DecisionAct) -> tuple[datetime | None, datetime | None]:
        """Return the validity, half open. What has ended is over whatever its period says; a refusal has none."""
        period = given or {}
        if act in (DecisionAct.WITHDRAW, DecisionAct.EXPIRE):
            return None, None
        if period and not is_permissive(act):
            self._refuse(Fault.PERIOD, "period")
        if period.keys() - {"start", "end"}:
            self._refuse(Fault.UNREAD_ELEMENT, "period")
        start, end = (covered(period.get(name), self._zone) for name in ("start", "end"))
        if (start is None) != ("start" not in period) or (end is None) != ("end" not in period):
            self._refuse(Fault.PERIOD, "period")
        return (None if start is None else start[0]), (None if end is None else end[1])

    def _notice(self, act: DecisionAct) -> tuple[NoticeRef | None, str | None]:
        """Return the notice of ours that policy or source names; what closes may name none, or leave out its hash."""
        policies = self._policies()
        found = [match for uri in policies if (match := self._policy.fullmatch(uri))]
        sources = self._sources()
        texts = {match["ref"] for match in found} | set(sources)
        is_ours = len(texts) == 1 and len(found) <= 1
        if is_ours and (len(policies) == len(found) or not is_permissive(act)):
            code, version, locale = texts.pop().split("/")
            stated = found[0]["hash"] if found else None
            if stated is None and is_permissive(act):
                self._refuse(Fault.NOTICE_HASH, "policy")
            return NoticeRef(code, version, locale), stated
        if is_permissive(act) or act is DecisionAct.REFUSE or len(texts) > 1:
            self._refuse(Fault.NOTICE, "policy")
        return None, None

    def _policies(self) -> list[str]:
        if self.release is Release.R5:
            basis = self.resource.get("policyBasis") or {}
            return [str(basis.get("url") or "")] if basis else []
        return [str(one.get("uri") or "") for one in self.resource.get("policy", ())]

    def _sources(self) -> list[str]:
        given = self.resource.get("sourceReference")
        named = [given] if isinstance(given, Mapping) else given or []
        found = []
        for one in named:
            identifier = one.get("identifier") or {}
            value = str(identifier.get("value") or "")
            if identifier.get("system") == self.names.notices:
                found.append(value)
        if not all(map(NOTICE.fullmatch, found)):
            self._refuse(Fault.NOTICE, "sourceReference")
            return []
        return found

    def _proofs(self, act: DecisionAct) -> tuple[str, ...]:
        """Return the elements that show the act; what opens needs one, and no verification that says otherwise."""
        given = self.resource.get("verification", ())
        if any(one.keys() - VERIFICATION_PARTS for one in given):
            self._refuse(Fault.UNREAD_ELEMENT, "verification")
        subject, actor = ("patient", "performer") if self.release is Release.R4 else ("subject", "grantor")
        people = {named_by(one) for one in (self.resource.get(subject, {}), *self.resource.get(actor, ()))}
        proofs = read_proofs(self.resource, notices=self.names.notices, people=people)
        if is_permissive(act) and given and "verification" not in proofs:
            self._refuse(Fault.PROOF, "verification")
        elif is_permissive(act) and not proofs:
            self._refuse(Fault.PROOF, "sourceReference")
        return proofs

    def _purposes(self, codings: Iterable[Element]) -> tuple[str, ...]:
        """Return the purposes: by our codes, or by a standard code that means one purpose here."""
        listed = list(codings)
        own = [str(one.get("code")) for one in listed if one.get("system") == self.names.purposes]
        standard = [str(one.get("code")) for one in listed if one.get("system") == ACT_REASON]
        meant = own or [self.codes.purpose_of(code) or "" for code in standard]
        agrees = {self.codes.by_purpose.get(code) for code in meant} >= set(standard)
        known = all(code in self.names.catalogue.purposes for code in meant)
        if not meant or not known or not agrees or len(own) + len(standard) != len(listed):
            self._refuse(Fault.PURPOSE, "provision.purpose")
        return tuple(dict.fromkeys(meant))

    def _fields(self, concepts: Sequence[Element] | None, act: DecisionAct) -> frozenset[str] | None:
        if concepts is None:
            return None
        codes = [own_code(one, self.names.fields) for one in concepts]
        if not is_permissive(act) or any(code not in self.names.catalogue.fields for code in codes):
            self._refuse(Fault.FIELD, "provision.code")
        return frozenset(str(code) for code in codes)

    def _recipient(self, actors: Sequence[Element]) -> str | None:
        grantees = [self._organization(one) for one in self.resource.get("grantee", ())]
        named = [self._organization(one.get("reference")) for one in actors]
        roles = all(is_coded(one.get("role"), ROLES) and one.keys() <= {"role", "reference"} for one in actors)
        if len(named) > 1 or not roles or "" in named or (grantees and grantees != named):
            self._refuse(Fault.RECIPIENT, "provision.actor")
        return named[0] if named else None

    def _organization(self, reference: Element | None) -> str:
        given = reference or {}
        identifier = given.get("identifier") or {}
        is_ours = identifier.get("system") == self.names.recipients and "reference" not in given
        return str(identifier.get("value") or "") if is_ours else ""

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.names.catalogue.time_zone)

    @property
    def _policy(self) -> re.Pattern[str]:
        return re.compile(
            rf"{re.escape(self.names.notices)}/(?P<ref>{NOTICE.pattern})(?:#sha256-(?P<hash>[0-9a-f]{{64}}))?"
        )
