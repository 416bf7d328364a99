"""Which pattern of IHE BALP each act follows as a FHIR AuditEvent, and the codes of the patterns.

Source: IHE ITI Basic Audit Log Patterns 1.1.5 (profiles.ihe.net/ITI/BALP; read as FSH in github.com/IHE/ITI.BasicAudit,
input/fsh: PatientRead, PatientQuery, PatientCreate, PatientUpdate, PatientDelete, AuthZ, Disclose, terms).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from audit.events import Act

BALP: Final = "https://profiles.ihe.net/ITI/BALP"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_RESTFUL: Final = "http://hl7.org/fhir/restful-interaction"
_AUTHZ: Final = f"{BALP}/CodeSystem/AuthZsubType"
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"

Code = tuple[str, str]
"""System and code."""

DESTINATION: Final[Code] = (DCM, "110152")
SOURCE: Final[Code] = (DCM, "110153")
APPLICATION: Final[Code] = (DCM, "110150")
CUSTODIAN: Final[Code] = (_PARTICIPANT, "custodian")
RECEIVER: Final[Code] = (_PARTICIPATION, "IRCP")
AUTHOR: Final[Code] = (_PARTICIPATION, "AUT")
PROVIDER: Final[Code] = ("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV")
AUTHORIZER: Final[Code] = ("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver")


class Shape(StrEnum):
    """What elements an AuditEvent has."""

    REST = "rest"
    QUERY = "query"
    DELETE = "delete"
    AUTHZ = "authz"
    DISCLOSURE = "disclosure"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Pattern:
    """The fixed parts of one pattern.

    Attributes:
        action: FHIR audit-event-action: C, R, U, D or E.
        client: type of the agent that asked; None where the pattern has none.
        server: type of the agent that answered.
        user: type of the person or machine who acted.
        profiles: ids of the profiles without and with one patient; empty where BALP has none.
    """

    shape: Shape
    type: Code
    subtype: Code | None
    action: str
    client: Code | None
    server: Code
    user: Code
    profiles: tuple[str, str] | None = None

    def profile(self, *, has_patient: bool) -> str | None:
        """Return the canonical address of the profile; None where there is none for this."""
        if self.profiles is None or not (name := self.profiles[has_patient]):
            return None
        return f"{BALP}/StructureDefinition/{name}"


def _rest(interaction: str, action: str, shape: Shape = Shape.REST) -> Pattern:
    name = interaction.split("-", maxsplit=1)[0].capitalize().replace("Search", "Query")
    is_read, is_delete = interaction == "read", shape is Shape.DELETE
    client, server = (DESTINATION, SOURCE) if is_read else (SOURCE, DESTINATION)
    return Pattern(
        shape, (_EVENT_TYPE, "rest"), (_RESTFUL, interaction), action,
        client=APPLICATION if is_delete else client,
        server=CUSTODIAN if is_delete else server,
        user=RECEIVER if action in "RE" else AUTHOR,
        profiles=(f"IHE.BasicAudit.{name}", f"IHE.BasicAudit.Patient{name}"),
    )  # fmt: skip


def _plain(kind: str, subtype: str | None, action: str) -> Pattern:
    """Return an event of DICOM's vocabulary (PS3.16, CID 400 and 401) that BALP has no profile for."""
    code = None if subtype is None else (DCM, subtype)
    return Pattern(Shape.PLAIN, (DCM, kind), code, action, client=None, server=APPLICATION, user=AUTHOR)


READ: Final = _rest("read", "R")
QUERY: Final = _rest("search-type", "E", Shape.QUERY)
CREATE: Final = _rest("create", "C")
UPDATE: Final = _rest("update", "U")
DELETE: Final = _rest("delete", "D", Shape.DELETE)
DECISION: Final = Pattern(
    Shape.AUTHZ, (DCM, "110113"), (_AUTHZ, "AuthZ-Consent"), "E", client=APPLICATION, server=AUTHORIZER, user=RECEIVER,
    profiles=("", "IHE.BasicAudit.AuthZconsent"),
)  # fmt: skip
DISCLOSURE: Final = Pattern(
    Shape.DISCLOSURE, (DCM, "110106"), (_LIFECYCLE, "disclose"), "R", client=None, server=SOURCE, user=RECEIVER,
    profiles=("", "IHE.BasicAudit.PrivacyDisclosure.Source"),
)  # fmt: skip
START: Final = _plain("110100", "110120", "E")
LOGIN: Final = _plain("110114", "110122", "E")
LOG_USED: Final = _plain("110101", None, "R")
LOG_PRUNED: Final = _plain("110101", None, "D")
LOG_RESTARTED: Final = _plain("110113", "110134", "C")
RESTRICTED_FUNCTION: Final = _plain("110113", "110132", "E")
USER_MADE: Final = _plain("110113", "110137", "C")
USER_CHANGED: Final = _plain("110113", "110137", "U")
SECURITY_CONFIGURED: Final = _plain("110113", "110129", "U")
SOFTWARE_CONFIGURED: Final = _plain("110113", "110131", "U")

PATTERNS: Final[dict[Act, Pattern]] = {
    Act.SYSTEM_INIT: START,
    Act.PACK_LOADED: SOFTWARE_CONFIGURED,
    Act.PRINCIPAL_CREATED: USER_MADE,
    Act.PRINCIPAL_DISABLED: USER_CHANGED,
    Act.TOKEN_ISSUED: LOGIN,
    Act.NOTICE_PUBLISHED: CREATE,
    Act.SUBJECT_REGISTERED: CREATE,
    Act.SUBJECT_LINKED: UPDATE,
    Act.SUBJECT_AGED: UPDATE,
    Act.SUBJECT_LOOKED_UP: QUERY,
    Act.SUBJECT_DOUBTFUL: CREATE,
    Act.SUBJECT_RESTRICTED: UPDATE,
    Act.SUBJECT_SETTLED: UPDATE,
    Act.SUBJECT_SPLIT: UPDATE,
    Act.GUARDIAN_RECORDED: CREATE,
    Act.AGENT_RECORDED: CREATE,
    Act.CONSENT_GRANTED: CREATE,
    Act.CONSENT_REFUSED: CREATE,
    Act.CONSENT_WITHDRAWN: UPDATE,
    Act.BASIS_RECORDED: CREATE,
    Act.CONSENT_RENEWED: UPDATE,
    Act.CONSENT_EXPIRED: UPDATE,
    Act.BASIS_ENDED: UPDATE,
    Act.CONSENT_READ: READ,
    Act.EVIDENCE_READ: READ,
    Act.GUARDIAN_ENDED: UPDATE,
    Act.AGENT_ENDED: UPDATE,
    Act.SUBJECT_RELEASED: UPDATE,
    Act.SUBJECT_DECEASED: UPDATE,
    Act.ASSESSMENT_RECORDED: CREATE,
    Act.RECIPIENT_RECORDED: CREATE,
    Act.TASK_CREATED: CREATE,
    Act.TASK_DONE: UPDATE,
    Act.WAKE_DONE: UPDATE,
    Act.WAKE_DEAD: UPDATE,
    Act.WAKE_RETRIED: UPDATE,
    Act.WEBHOOK_RECORDED: UPDATE,
    Act.READ_APPROVED: CREATE,
    Act.READ_REVOKED: UPDATE,
    Act.CASE_REQUESTED: CREATE,
    Act.CASE_GRANTED: UPDATE,
    Act.CASE_REFUSED: UPDATE,
    Act.CASE_REVOKED: UPDATE,
    Act.BREAK_GLASS_OPENED: RESTRICTED_FUNCTION,
    Act.BREAK_GLASS_REVIEWED: UPDATE,
    Act.ACCOUNT_FROZEN: USER_CHANGED,
    Act.ACCOUNT_RELEASED: USER_CHANGED,
    Act.LIMIT_NEARED: RESTRICTED_FUNCTION,
    Act.RECEIPT_ISSUED: CREATE,
    Act.RECONCILED: LOG_USED,
    Act.REGISTER_SUSPENDED: SECURITY_CONFIGURED,
    Act.REGISTER_RELEASED: SECURITY_CONFIGURED,
    Act.FIELDS_ERASING: UPDATE,
    Act.FIELDS_ERASED: DELETE,
    Act.PERMIT: DECISION,
    Act.REFUSAL: DECISION,
    Act.BATCH_OPENED: CREATE,
    Act.BATCH_CHUNK_STORED: CREATE,
    Act.BATCH_COMPLETED: UPDATE,
    Act.BATCH_DISCARDED: DELETE,
    Act.RECORD_CORRECTED: UPDATE,
    Act.RECORDS_MOVED: UPDATE,
    Act.CONFLICTS_READ: QUERY,
    Act.ATTACHMENT_STORED: CREATE,
    Act.ATTACHMENTS_LISTED: QUERY,
    Act.HOLD_SET: CREATE,
    Act.HOLD_RELEASED: UPDATE,
    Act.HOLDS_LISTED: READ,
    Act.SWEEP_STARTED: UPDATE,
    Act.SWEEP_CHUNK: DELETE,
    Act.SWEEP_COMPLETED: DELETE,
    Act.REVEAL: READ,
    Act.VIEW_BUILT: CREATE,
    Act.VIEW_READ: READ,
    Act.EXPORT_RELEASED: DISCLOSURE,
    Act.EXPORT_REFUSED: DISCLOSURE,
    Act.EXPORT_RECALLED: UPDATE,
    Act.TAGS_EVALUATED: CREATE,
    Act.TAGS_READ: READ,
    Act.TAGS_EXPLAINED: READ,
    Act.COHORT_COUNTED: QUERY,
    Act.CONTENT_CHECKED: READ,
    Act.CONTENT_SUBMITTED: CREATE,
    Act.CONTENT_READ: READ,
    Act.CONTENT_REVIEWED: UPDATE,
    Act.TEXT_DEIDENTIFIED: READ,
    Act.ACCESS_DENIED: RESTRICTED_FUNCTION,
    Act.ERASURE_STARTED: UPDATE,
    Act.KEYS_DESTROYED: DELETE,
    Act.ERASURE_COMPLETED: DELETE,
    Act.ERASURE_FINAL: DELETE,
    Act.TOMBSTONES_REPLAYED: DELETE,
    Act.BACKUP_CREATED: CREATE,
    Act.BACKUP_VERIFIED: QUERY,
    Act.BACKUP_PRUNED: DELETE,
    Act.BACKUP_RESTORED: SECURITY_CONFIGURED,
    Act.EPOCH_CLOSING: SECURITY_CONFIGURED,
    Act.ROOT_REWRAPPING: SECURITY_CONFIGURED,
    Act.ROOT_REWRAPPED: SECURITY_CONFIGURED,
    Act.EPOCH_ROTATED: SECURITY_CONFIGURED,
    Act.KEYS_ROTATING: SECURITY_CONFIGURED,
    Act.KEYS_ROTATED: SECURITY_CONFIGURED,
    Act.INDEX_ROTATING: SECURITY_CONFIGURED,
    Act.INDEX_ROTATED: SECURITY_CONFIGURED,
    Act.AUDIT_READ: LOG_USED,
    Act.AUDIT_EXPORTED: LOG_USED,
    Act.ACCESS_FLAGGED: RESTRICTED_FUNCTION,
    Act.ACCESS_REVIEWED: UPDATE,
    Act.BREACH_OPENED: CREATE,
    Act.BREACH_CHANGED: UPDATE,
    Act.BREACH_NOTIFIED: UPDATE,
    Act.BREACH_CLOSED: UPDATE,
    Act.DUTY_RECORDED: CREATE,
    Act.LOG_ANCHORED: SECURITY_CONFIGURED,
    Act.LOG_CONFIGURED: SECURITY_CONFIGURED,
    Act.LOG_KEY_ROTATED: SECURITY_CONFIGURED,
    Act.LOG_PRUNED: LOG_PRUNED,
    Act.LOG_RECOVERED: LOG_RESTARTED,
}
"""Every act; a test walks them."""
