"""Which class and activity of OCSF each act becomes.

Source: Open Cybersecurity Schema Framework 1.8.0 of 16 March 2026 (schema.ocsf.io; read in github.com/ocsf/ocsf-schema:
events/iam, events/application, events/findings). 1.9.0 deprecates Account Change for a class that is new in it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from audit.events import Act

VERSION: Final = "1.8.0"


class EventClass(Enum):
    """The classes in use, by ``class_uid``; the thousands are the category."""

    DETECTION_FINDING = 2004
    INCIDENT_FINDING = 2005
    ACCOUNT_CHANGE = 3001
    AUTHENTICATION = 3002
    AUTHORIZE_SESSION = 3003
    ENTITY_MANAGEMENT = 3004
    API_ACTIVITY = 6003
    DATASTORE_ACTIVITY = 6005

    @property
    def category(self) -> int:
        """The ``category_uid``: 2 findings, 3 identity and access management, 6 application activity."""
        return self.value // 1000


@dataclass(frozen=True, slots=True)
class Activity:
    """What an act is in OCSF.

    Attributes:
        activity_id: of the class.
        about: what kind of thing it is about: type of the managed entity, or of the resource.
        severity_id: 1 informational, 2 low, 3 medium, 4 high; where the act went as it should.
    """

    event_class: EventClass
    activity_id: int
    about: str
    severity_id: int = 1

    @property
    def type_uid(self) -> int:
        """``class_uid * 100 + activity_id``."""
        return self.event_class.value * 100 + self.activity_id


OTHER: Final = 99
_CREATE, _READ, _UPDATE, _DELETE, _DISABLE, _SUSPEND, _RESUME = 1, 2, 3, 4, 9, 12, 13
"""Activities of Entity Management; the first four are also those of API Activity."""

_DATA_READ, _DATA_UPDATE, _DATA_QUERY, _DATA_WRITE, _DATA_CREATE, _DATA_DELETE, _DATA_DECRYPT = 1, 2, 4, 5, 6, 7, 10
"""Activities of Datastore Activity."""


def _entity(activity: int, about: str, severity: int = 1) -> Activity:
    return Activity(EventClass.ENTITY_MANAGEMENT, activity, about, severity)


def _api(activity: int, about: str, severity: int = 1) -> Activity:
    return Activity(EventClass.API_ACTIVITY, activity, about, severity)


def _data(activity: int, about: str) -> Activity:
    return Activity(EventClass.DATASTORE_ACTIVITY, activity, about)


def _incident(activity: int, severity: int) -> Activity:
    return Activity(EventClass.INCIDENT_FINDING, activity, "breach case", severity)


ACTIVITIES: Final[dict[Act, Activity]] = {
    Act.SYSTEM_INIT: _entity(_CREATE, "deployment"),
    Act.PACK_LOADED: _entity(_UPDATE, "pack"),
    Act.PRINCIPAL_CREATED: Activity(EventClass.ACCOUNT_CHANGE, 1, "account"),
    Act.PRINCIPAL_DISABLED: Activity(EventClass.ACCOUNT_CHANGE, 5, "account"),
    Act.TOKEN_ISSUED: Activity(EventClass.AUTHENTICATION, 1, "token"),
    Act.NOTICE_PUBLISHED: _entity(_CREATE, "notice"),
    Act.SUBJECT_REGISTERED: _entity(_CREATE, "subject"),
    Act.SUBJECT_LINKED: _entity(_UPDATE, "subject"),
    Act.SUBJECT_AGED: _entity(_UPDATE, "subject"),
    Act.SUBJECT_LOOKED_UP: _data(_DATA_QUERY, "subject"),
    Act.SUBJECT_DOUBTFUL: _entity(_CREATE, "doubtful pair"),
    Act.SUBJECT_RESTRICTED: _entity(_SUSPEND, "subject"),
    Act.SUBJECT_SETTLED: _entity(_UPDATE, "doubtful pair"),
    Act.SUBJECT_SPLIT: _entity(_UPDATE, "subject"),
    Act.GUARDIAN_RECORDED: _entity(_CREATE, "guardianship"),
    Act.AGENT_RECORDED: _entity(_CREATE, "agency"),
    Act.CONSENT_GRANTED: _entity(_CREATE, "consent"),
    Act.CONSENT_REFUSED: _entity(_CREATE, "consent"),
    Act.CONSENT_WITHDRAWN: _entity(_DISABLE, "consent"),
    Act.BASIS_RECORDED: _entity(_CREATE, "lawful basis"),
    Act.CONSENT_RENEWED: _entity(_UPDATE, "consent"),
    Act.CONSENT_EXPIRED: _entity(_DISABLE, "consent"),
    Act.BASIS_ENDED: _entity(_DISABLE, "lawful basis"),
    Act.CONSENT_READ: _api(_READ, "consent"),
    Act.EVIDENCE_READ: _api(_READ, "evidence of consent"),
    Act.GUARDIAN_ENDED: _entity(_DISABLE, "guardianship"),
    Act.AGENT_ENDED: _entity(_DISABLE, "agency"),
    Act.SUBJECT_RELEASED: _entity(_RESUME, "subject"),
    Act.SUBJECT_DECEASED: _entity(_UPDATE, "subject"),
    Act.ASSESSMENT_RECORDED: _entity(_CREATE, "impact assessment"),
    Act.RECIPIENT_RECORDED: _entity(_CREATE, "recipient"),
    Act.TASK_CREATED: _entity(_CREATE, "task"),
    Act.TASK_DONE: _entity(_UPDATE, "task"),
    Act.WAKE_DONE: _entity(_UPDATE, "consequence of a decision"),
    Act.WAKE_DEAD: _entity(_SUSPEND, "consequence of a decision", 3),
    Act.WAKE_RETRIED: _entity(_RESUME, "consequence of a decision"),
    Act.WEBHOOK_RECORDED: _entity(_UPDATE, "webhook"),
    Act.READ_APPROVED: _entity(_CREATE, "approval"),
    Act.READ_REVOKED: _entity(_DISABLE, "approval"),
    Act.CASE_REQUESTED: _entity(_CREATE, "case grant"),
    Act.CASE_GRANTED: _entity(_UPDATE, "case grant"),
    Act.CASE_REFUSED: _entity(_UPDATE, "case grant"),
    Act.CASE_REVOKED: _entity(_DISABLE, "case grant"),
    Act.BREAK_GLASS_OPENED: Activity(EventClass.DETECTION_FINDING, 1, "emergency access", 4),
    Act.BREAK_GLASS_REVIEWED: Activity(EventClass.DETECTION_FINDING, 2, "emergency access"),
    Act.ACCOUNT_FROZEN: _entity(_SUSPEND, "account", 4),
    Act.ACCOUNT_RELEASED: _entity(_RESUME, "account", 3),
    Act.LIMIT_NEARED: Activity(EventClass.DETECTION_FINDING, 1, "limit of reading", 3),
    Act.RECEIPT_ISSUED: _entity(_CREATE, "consent receipt"),
    Act.RECONCILED: _api(_READ, "register"),
    Act.REGISTER_SUSPENDED: _entity(_SUSPEND, "register", 4),
    Act.REGISTER_RELEASED: _entity(_RESUME, "register", 3),
    Act.FIELDS_ERASING: _data(_DATA_UPDATE, "fields"),
    Act.FIELDS_ERASED: _data(_DATA_DELETE, "fields"),
    Act.PERMIT: Activity(EventClass.AUTHORIZE_SESSION, 1, "permit"),
    Act.REFUSAL: Activity(EventClass.AUTHORIZE_SESSION, 1, "permit"),
    Act.BATCH_OPENED: _data(_DATA_CREATE, "batch"),
    Act.BATCH_CHUNK_STORED: _data(_DATA_WRITE, "batch"),
    Act.BATCH_COMPLETED: _data(_DATA_UPDATE, "batch"),
    Act.BATCH_DISCARDED: _data(_DATA_DELETE, "batch"),
    Act.RECORD_CORRECTED: _data(_DATA_UPDATE, "record"),
    Act.RECORDS_MOVED: _data(_DATA_UPDATE, "record"),
    Act.CONFLICTS_READ: _data(_DATA_QUERY, "record"),
    Act.ATTACHMENT_STORED: _data(_DATA_CREATE, "attachment"),
    Act.ATTACHMENTS_LISTED: _data(_DATA_QUERY, "attachment"),
    Act.HOLD_SET: _entity(_CREATE, "legal hold"),
    Act.HOLD_RELEASED: _entity(_DISABLE, "legal hold"),
    Act.HOLDS_LISTED: _api(_READ, "legal hold"),
    Act.SWEEP_STARTED: _data(_DATA_UPDATE, "expired records"),
    Act.SWEEP_CHUNK: _data(_DATA_DELETE, "expired records"),
    Act.SWEEP_COMPLETED: _data(_DATA_DELETE, "expired records"),
    Act.REVEAL: _data(_DATA_DECRYPT, "record"),
    Act.VIEW_BUILT: _data(_DATA_CREATE, "view"),
    Act.VIEW_READ: _data(_DATA_READ, "view"),
    Act.EXPORT_RELEASED: _api(_READ, "export"),
    Act.EXPORT_REFUSED: _api(_READ, "export"),
    Act.EXPORT_RECALLED: _entity(_DISABLE, "export"),
    Act.TAGS_EVALUATED: _data(_DATA_WRITE, "tags"),
    Act.TAGS_READ: _data(_DATA_READ, "tags"),
    Act.TAGS_EXPLAINED: _data(_DATA_READ, "tags"),
    Act.COHORT_COUNTED: _data(_DATA_QUERY, "tags"),
    Act.CONTENT_CHECKED: _api(_READ, "content"),
    Act.CONTENT_SUBMITTED: _entity(_CREATE, "content review"),
    Act.CONTENT_READ: _data(_DATA_DECRYPT, "content"),
    Act.CONTENT_REVIEWED: _entity(_UPDATE, "content review"),
    Act.TEXT_DEIDENTIFIED: _api(_READ, "text"),
    Act.ACCESS_DENIED: _api(OTHER, "call"),
    Act.ERASURE_STARTED: _data(_DATA_UPDATE, "subject"),
    Act.KEYS_DESTROYED: _data(_DATA_DELETE, "keys"),
    Act.ERASURE_COMPLETED: _data(_DATA_DELETE, "subject"),
    Act.ERASURE_FINAL: _data(_DATA_DELETE, "subject"),
    Act.TOMBSTONES_REPLAYED: _data(_DATA_DELETE, "keys"),
    Act.BACKUP_CREATED: _entity(_CREATE, "backup"),
    Act.BACKUP_VERIFIED: _api(_READ, "backup"),
    Act.BACKUP_PRUNED: _entity(_DELETE, "backup"),
    Act.BACKUP_RESTORED: _entity(_UPDATE, "stores"),
    Act.EPOCH_CLOSING: _entity(_UPDATE, "key epoch"),
    Act.ROOT_REWRAPPING: _entity(_UPDATE, "root key"),
    Act.ROOT_REWRAPPED: _entity(_UPDATE, "root key"),
    Act.EPOCH_ROTATED: _entity(_UPDATE, "key epoch"),
    Act.KEYS_ROTATING: _entity(_UPDATE, "data keys"),
    Act.KEYS_ROTATED: _entity(_UPDATE, "data keys"),
    Act.INDEX_ROTATING: _entity(_UPDATE, "blind index"),
    Act.INDEX_ROTATED: _entity(_UPDATE, "blind index"),
    Act.AUDIT_READ: _api(_READ, "audit log"),
    Act.AUDIT_EXPORTED: _api(_READ, "audit log"),
    Act.ACCESS_FLAGGED: Activity(EventClass.DETECTION_FINDING, 1, "unusual access", 3),
    Act.ACCESS_REVIEWED: Activity(EventClass.DETECTION_FINDING, 2, "unusual access"),
    Act.BREACH_OPENED: _incident(1, 4),
    Act.BREACH_CHANGED: _incident(2, 3),
    Act.BREACH_NOTIFIED: _incident(2, 3),
    Act.BREACH_CLOSED: _incident(3, 1),
    Act.DUTY_RECORDED: _entity(_CREATE, "duty"),
    Act.LOG_ANCHORED: _entity(_UPDATE, "audit log"),
    Act.LOG_CONFIGURED: _entity(_UPDATE, "audit log", 3),
    Act.LOG_KEY_ROTATED: _entity(_UPDATE, "audit log", 2),
    Act.LOG_PRUNED: _data(_DATA_DELETE, "audit log"),
    Act.LOG_RECOVERED: _entity(_RESUME, "audit log", 4),
}
"""Every act; a test walks them."""
