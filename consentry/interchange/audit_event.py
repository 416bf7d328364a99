"""Writes entries of the log as FHIR R4 AuditEvent after IHE BALP; docs/reference/interchange.md holds the mapping."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from audit.events import Outcome
from consentry.interchange.audit_entry import LoggedEntry
from consentry.interchange.audit_event_patterns import BALP, DESTINATION, PATTERNS, PROVIDER, Code, Pattern, Shape
from consentry.interchange.choices import LOG_ENTRY, Names
from consentry.interchange.fhir_models import check_audit_event
from consentry.interchange.purpose_codes import ACT_REASON, PurposeCodes
from kernel.encoding import JsonValue

_OUTCOMES: Final = {Outcome.ALLOWED: "0", Outcome.DONE: "0", Outcome.FAILED: "4", Outcome.DENIED: "8"}
"""FHIR audit-event-outcome: success, minor failure (it did not work), serious failure (it was refused)."""

_SUCCESS: Final = "0"
_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_OBJECT_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE_TYPE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
_REQUEST_ID: Final[Code] = (f"{BALP}/CodeSystem/BasicAuditEntityType", "XrequestId")
_PERSON: Final[Code] = (_ENTITY_TYPE, "1")
_SYSTEM_OBJECT: Final[Code] = (_ENTITY_TYPE, "2")
_PATIENT: Final[Code] = (_OBJECT_ROLE, "1")
_DOMAIN_RESOURCE: Final[Code] = (_OBJECT_ROLE, "4")
_QUERY: Final[Code] = (_OBJECT_ROLE, "24")

_Json = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class AuditEventWriter:
    """Writes the entries of one deployment.

    The first event of each build is checked against the library's model of R4, which takes ten times as long as writing
    it; those of one build differ in codes and ids only, whose characters the log has checked.
    """

    names: Names
    codes: PurposeCodes
    _checked: set[tuple[object, ...]] = field(default_factory=set, init=False, repr=False, compare=False)

    def write(self, entry: LoggedEntry) -> _Json:
        """Return the resource as JSON.

        Raises:
            ValueError: it does not fit the model; that would be a mistake of ours.
        """
        written = self._event(entry)
        if (build := _build(entry)) not in self._checked:
            check_audit_event(written)
            self._checked.add(build)
        return written

    def _event(self, entry: LoggedEntry) -> _Json:
        pattern, outcome = PATTERNS[entry.act], _OUTCOMES[entry.outcome]
        profile = _profile(pattern, entry, outcome)
        return {
            "resourceType": "AuditEvent",
            "id": entry.entry_id.replace("_", "-"),
            **({} if profile is None else {"meta": {"profile": [profile]}}),
            "extension": [self._extension(entry)],
            "type": _coding(pattern.type),
            **({} if pattern.subtype is None else {"subtype": [_coding(pattern.subtype)]}),
            "action": pattern.action,
            "recorded": entry.at,
            "outcome": outcome,
            **({} if entry.reason is None else {"outcomeDesc": entry.reason}),
            **self._purpose(entry),
            "agent": self._agents(pattern, entry),
            "source": {
                "site": self.names.deployment,
                "observer": self._house(),
                "type": [_coding((_SOURCE_TYPE, "6" if pattern.shape is Shape.AUTHZ else "4"))],
            },
            "entity": self._entities(pattern, entry),
        }

    def _agents(self, pattern: Pattern, entry: LoggedEntry) -> list[JsonValue]:
        """Return who took part; of machines the log knows the key, of what else sat at the other end nothing."""
        is_key = entry.actor.startswith("key_")
        found: list[JsonValue] = []
        if pattern.client is not None:
            found.append(_agent(pattern.client, self._principal(entry.actor) if is_key else _absent("unknown")))
        found.append({
            "type": _concept(pattern.user),
            "role": [_concept((self.names.roles, entry.role))],
            "who": self._principal(entry.actor),
            "requestor": True,
        })  # fmt: skip
        if pattern.shape is Shape.AUTHZ:
            organization = {"type": "Organization", **self._identified(self.names.controllers, self.names.deployment)}
            found.append({"type": _concept(PROVIDER), "who": organization, "requestor": False})
            found.append({"type": _concept(pattern.server), "who": self._house(), "requestor": False})
        else:
            found.append(_agent(pattern.server, self._house()))
        if entry.recipient is not None and pattern.shape in _WITH_RECIPIENT:
            recipient = {"type": "Organization", **self._identified(self.names.recipients, entry.recipient)}
            found.append(_agent(DESTINATION, recipient))
        return found

    def _entities(self, pattern: Pattern, entry: LoggedEntry) -> list[JsonValue]:
        """Return what it was about; a decision's entities are closed, so that its request stands in the extension."""
        found: list[JsonValue] = []
        if entry.subject is not None:
            patient = {"type": "Patient", **self._identified(self.names.aliases, entry.subject)}
            found.append({"what": patient, "type": _coding(_PERSON), "role": _coding(_PATIENT)})
        if pattern.shape is Shape.AUTHZ:
            if _is_decision(entry.basis):
                found.append(self._consent(entry.basis or ""))
            return found
        found.append(_query() if pattern.shape is Shape.QUERY else self._object(entry))
        if _is_decision(entry.basis):
            found.append(self._consent(entry.basis or ""))
        found.append({
            "what": self._identified(self.names.requests, entry.request_id), "type": _coding(_REQUEST_ID),
        })  # fmt: skip
        return found

    def _object(self, entry: LoggedEntry) -> _Json:
        name, value = entry.object
        what = self._identified(self.names.logged(name), value)
        return {"what": what, "type": _coding(_SYSTEM_OBJECT), "role": _coding(_DOMAIN_RESOURCE)}

    def _consent(self, decision: str) -> _Json:
        what = {"type": "Consent", **self._identified(self.names.decisions, decision)}
        return {"what": what, "type": _coding((_RESOURCE_TYPES, "Consent"))}

    def _purpose(self, entry: LoggedEntry) -> _Json:
        if entry.purpose is None:
            return {}
        standard = self.codes.by_purpose.get(entry.purpose)
        codings = [] if standard is None else [_coding((ACT_REASON, standard))]
        return {"purposeOfEvent": [{"coding": [*codings, _coding((self.names.purposes, entry.purpose))]}]}

    def _extension(self, entry: LoggedEntry) -> _Json:
        """Return what ties the event to its proof, and what AuditEvent has no place for.

        The index is a text: FHIR's integers end at 2^31 - 1.
        """
        placed = entry.placed
        texts = {
            "origin": placed.origin, "index": str(placed.tree_index), "leaf-hash": placed.leaf_hash.hex(),
            "act": entry.act.value, "outcome": entry.outcome.value, "request": entry.request_id,
            "recipient": entry.recipient, "basis": entry.basis,
        }  # fmt: skip
        parts: list[JsonValue] = [
            {"url": name, "valueString": text} for name, text in texts.items() if text is not None
        ]
        parts += [{"url": "field", "valueCoding": _coding((self.names.fields, code))} for code in entry.fields]
        if entry.level is not None:
            parts.append({"url": "level", "valueInteger": entry.level})
        parts.append({"url": "entry", "valueBase64Binary": b64encode(placed.body).decode()})
        return {"url": LOG_ENTRY, "extension": parts}

    def _principal(self, actor: str) -> _Json:
        """Return a principal; a subject who acts stands under the alias, as in the log."""
        return self._identified(self.names.aliases if actor.startswith("als_") else self.names.principals, actor)

    def _house(self) -> _Json:
        """Return this deployment as the system that answered and recorded."""
        return {"type": "Device", **self._identified(self.names.controllers, self.names.deployment)}

    @staticmethod
    def _identified(system: str, value: str) -> _Json:
        return {"identifier": {"system": system, "value": value}}


def _profile(pattern: Pattern, entry: LoggedEntry, outcome: str) -> str | None:
    """Return the profile that the event keeps in every element; None where it does not.

    The profiles of RESTful acts are for successes only, a decision names a person and a consent, a disclosure a person
    and its recipient. A cohort is a number and a digest in the log, and no list of patients.
    """
    has_patient = entry.subject is not None
    match pattern.shape:
        case Shape.AUTHZ if not _is_decision(entry.basis):
            return None
        case Shape.DISCLOSURE if entry.recipient is None:
            return None
        case Shape.REST | Shape.QUERY | Shape.DELETE if outcome != _SUCCESS:
            return None
    return pattern.profile(has_patient=has_patient)


def _build(entry: LoggedEntry) -> tuple[object, ...]:
    """Return what decides which elements an event has."""
    told = (entry.subject, entry.purpose, entry.reason, entry.recipient, entry.level, entry.fields)
    return (entry.act, entry.outcome, entry.actor[:4], _is_decision(entry.basis), *map(bool, told))


def _is_decision(basis: str | None) -> bool:
    return basis is not None and basis.startswith("dec_")


def _agent(kind: Code, who: _Json) -> _Json:
    """Return an agent of the network; the log keeps no address, and says so where a profile asks for one."""
    return {"type": _concept(kind), "who": who, "requestor": False, "network": _absent("unknown")}


def _query() -> _Json:
    """Return the query of a search: its words are sealed beside the entry."""
    return {"type": _coding(_SYSTEM_OBJECT), "role": _coding(_QUERY), "_query": _absent("masked")}


def _absent(reason: str) -> _Json:
    return {"extension": [{"url": _ABSENT, "valueCode": reason}]}


def _coding(code: Code) -> _Json:
    return {"system": code[0], "code": code[1]}


def _concept(code: Code) -> Mapping[str, JsonValue]:
    return {"coding": [_coding(code)]}


_WITH_RECIPIENT: Final = frozenset({Shape.AUTHZ, Shape.DISCLOSURE})
"""Elsewhere the type of a recipient is the one of client or server, of which a profile has exactly one."""
