"""Writes entries of the log as OCSF events; docs/reference/interchange.md holds the mapping."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from audit.events import Act, Outcome
from consentry import __version__
from consentry.interchange.audit_entry import LoggedEntry
from consentry.interchange.audit_ocsf_classes import ACTIVITIES, OTHER, VERSION, Activity, EventClass
from kernel.encoding import JsonValue

_PRODUCT: Final = "Consentry"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SHA_256: Final = 3
_RELATIONAL: Final = 1
_DATABASE: Final = 1
_USER, _SERVICE, _SYSTEM, _OTHER_KIND = 1, 4, 3, OTHER
"""``type_id`` of a user."""

_STATUS: Final = {Outcome.ALLOWED: 1, Outcome.DONE: 1, Outcome.FAILED: 2, Outcome.DENIED: 2}
"""``status_id``: success or failure."""

_INCIDENT_STATUS: Final = {1: 1, 2: 2, 3: 5}
"""``status_id`` of an incident by activity: new, in progress, closed."""

_REFUSED_SEVERITY: Final = 2
_FAILED_SEVERITY: Final = 3

_FINDINGS: Final = frozenset({EventClass.DETECTION_FINDING, EventClass.INCIDENT_FINDING})

_Json = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class OcsfWriter:
    """Writes the entries of one deployment."""

    deployment: str

    def write(self, entry: LoggedEntry) -> _Json:
        """Return the event as JSON: what the base event demands, what its class demands, and the rest."""
        activity = ACTIVITIES[entry.act]
        return {
            "activity_id": activity.activity_id,
            "activity_name": entry.act.value,
            "category_uid": activity.event_class.category,
            "class_uid": activity.event_class.value,
            "type_uid": activity.type_uid,
            "time": (datetime.fromisoformat(entry.at) - _EPOCH) // _MILLISECOND,
            "timezone_offset": 0,
            "severity_id": _severity(activity, entry),
            "status_id": _status(activity, entry),
            **({} if entry.reason is None else {"status_detail": entry.reason}),
            "message": f"{entry.act} {entry.outcome}",
            "metadata": self._metadata(entry),
            **self._of_class(activity, entry),
            "raw_data": entry.placed.body.decode(),
            "raw_data_hash": {"algorithm_id": _SHA_256, "value": hashlib.sha256(entry.placed.body).hexdigest()},
            "unmapped": _unmapped(entry),
        }

    def _metadata(self, entry: LoggedEntry) -> _Json:
        return {
            "version": VERSION,
            "product": {"name": _PRODUCT, "vendor_name": _PRODUCT, "version": __version__},
            "uid": entry.entry_id,
            "original_event_uid": entry.entry_id,
            "original_time": entry.at,
            "event_code": entry.act.value,
            "correlation_uid": entry.request_id,
            "sequence": entry.placed.tree_index,
            "log_name": entry.placed.origin,
            "log_provider": self.deployment,
        }

    def _of_class(self, activity: Activity, entry: LoggedEntry) -> _Json:
        """Return the attributes that the class demands, and those of it that the entry can fill."""
        user = _user(entry.actor, entry.role)
        if activity.event_class in _FINDINGS:
            return _finding(activity, entry, user)
        return {"actor": {"user": user}, **self._target(activity, entry, user)}

    def _target(self, activity: Activity, entry: LoggedEntry, user: _Json) -> _Json:
        name, uid = entry.object
        thing: _Json = {"type": activity.about, "uid": uid, "name": name}
        match activity.event_class:
            case EventClass.ENTITY_MANAGEMENT:
                return {"entity": thing}
            case EventClass.ACCOUNT_CHANGE:
                return {"user": _user(entry.refs.get("principal", uid), entry.refs.get("role", ""))}
            case EventClass.AUTHENTICATION:
                return {"user": user, "service": {"name": self.deployment}}
            case EventClass.AUTHORIZE_SESSION:
                return {"user": user, "privileges": _privileges(entry)}
            case EventClass.DATASTORE_ACTIVITY:
                store: _Json = {"name": self.deployment, "type_id": _RELATIONAL}
                table: _Json = {"name": activity.about, "uid": uid}
                return {"database": store, "table": table, "type_id": _DATABASE, **self._source()}
        return {"api": _api(entry), "resources": [thing], **self._source()}

    def _source(self) -> _Json:
        """Return the source: the log knows who called, and from no address, so that it is the service that tells."""
        return {"src_endpoint": {"svc_name": self.deployment}}


def _api(entry: LoggedEntry) -> _Json:
    """Return the call; of a refused one, what was tried."""
    tried = entry.refs.get("act", "") if entry.act is Act.ACCESS_DENIED else ""
    return {"operation": tried or entry.act.value, "request": {"uid": entry.request_id}}


def _finding(activity: Activity, entry: LoggedEntry, user: _Json) -> _Json:
    """Return a finding; whoever acted on an incident stands as its assignee, whom the class asks for."""
    found: _Json = {"uid": entry.object[1], "title": activity.about}
    if activity.event_class is EventClass.INCIDENT_FINDING:
        return {"finding_info_list": [found], "assignee": user, "desc": entry.act.value}
    return {"finding_info": found, "is_alert": entry.act is Act.ACCESS_FLAGGED}


def _severity(activity: Activity, entry: LoggedEntry) -> int:
    floor = {Outcome.DENIED: _REFUSED_SEVERITY, Outcome.FAILED: _FAILED_SEVERITY}.get(entry.outcome, 0)
    return max(activity.severity_id, floor)


def _status(activity: Activity, entry: LoggedEntry) -> int:
    if activity.event_class is EventClass.INCIDENT_FINDING:
        return _INCIDENT_STATUS[activity.activity_id]
    if activity.event_class is EventClass.DETECTION_FINDING:
        return activity.activity_id
    return _STATUS[entry.outcome]


def _user(principal: str, role: str) -> _Json:
    kinds = {"usr": _USER, "key": _SERVICE, "als": _OTHER_KIND, "local:": _SYSTEM}
    kind = next((kind for prefix, kind in kinds.items() if principal.startswith(prefix)), _OTHER_KIND)
    return {"uid": principal, "type_id": kind, **({"groups": [{"name": role}]} if role else {})}


def _privileges(entry: LoggedEntry) -> list[JsonValue]:
    """Return what was asked for: the purpose with each field, or the purpose alone."""
    purpose = entry.purpose or "none"
    return [f"{purpose}:{code}" for code in entry.fields] or [purpose]


def _unmapped(entry: LoggedEntry) -> _Json:
    """Return what OCSF has no attribute for, and where the proof lies."""
    rest: _Json = {
        "outcome": entry.outcome.value, "purpose": entry.purpose, "basis": entry.basis, "recipient": entry.recipient,
        "subject": entry.subject, "level": entry.level, "cohort_size": entry.cohort_size,
        "cohort_digest": entry.cohort_digest, "fields": list(entry.fields), "counts": dict(entry.counts),
        "refs": dict(entry.refs), "leaf_hash": entry.placed.leaf_hash.hex(),
    }  # fmt: skip
    return {name: value for name, value in rest.items() if value not in (None, [], {})}
