"""What can be logged: the closed list of acts, their outcomes, and the event that a caller hands to the journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kernel.encoding import JsonValue
from kernel.ids import RequestId, SubjectId


class Act(StrEnum):
    """Every act that leaves an entry."""

    SYSTEM_INIT = "system.init"
    PACK_LOADED = "pack.loaded"
    PRINCIPAL_CREATED = "principal.created"
    PRINCIPAL_DISABLED = "principal.disabled"
    TOKEN_ISSUED = "token.issued"  # noqa: S105 - the name of an act
    NOTICE_PUBLISHED = "notice.published"
    SUBJECT_REGISTERED = "subject.registered"
    SUBJECT_LINKED = "subject.linked"
    SUBJECT_AGED = "subject.aged"
    SUBJECT_LOOKED_UP = "subject.looked_up"
    SUBJECT_DOUBTFUL = "subject.doubtful"
    SUBJECT_RESTRICTED = "subject.restricted"
    SUBJECT_SETTLED = "subject.settled"
    SUBJECT_SPLIT = "subject.split"
    GUARDIAN_RECORDED = "guardian.recorded"
    AGENT_RECORDED = "agent.recorded"
    CONSENT_GRANTED = "consent.granted"
    CONSENT_REFUSED = "consent.refused"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    BASIS_RECORDED = "basis.recorded"
    CONSENT_RENEWED = "consent.renewed"
    CONSENT_EXPIRED = "consent.expired"
    BASIS_ENDED = "basis.ended"
    CONSENT_READ = "consent.read"
    EVIDENCE_READ = "consent.evidence_read"
    GUARDIAN_ENDED = "guardian.ended"
    AGENT_ENDED = "agent.ended"
    SUBJECT_RELEASED = "subject.released"
    SUBJECT_DECEASED = "subject.deceased"
    ASSESSMENT_RECORDED = "assessment.recorded"
    RECIPIENT_RECORDED = "recipient.recorded"
    TASK_CREATED = "task.created"
    TASK_DONE = "task.done"
    WAKE_DONE = "wake.done"
    WAKE_DEAD = "wake.dead"
    WAKE_RETRIED = "wake.retried"
    WEBHOOK_RECORDED = "webhook.recorded"
    READ_APPROVED = "read.approved"
    READ_REVOKED = "read.revoked"
    CASE_REQUESTED = "case.requested"
    CASE_GRANTED = "case.granted"
    CASE_REFUSED = "case.refused"
    CASE_REVOKED = "case.revoked"
    BREAK_GLASS_OPENED = "break_glass.opened"
    BREAK_GLASS_REVIEWED = "break_glass.reviewed"
    ACCOUNT_FROZEN = "account.frozen"
    ACCOUNT_RELEASED = "account.released"
    LIMIT_NEARED = "limit.neared"
    RECEIPT_ISSUED = "receipt.issued"
    RECONCILED = "log.reconciled"
    REGISTER_SUSPENDED = "register.suspended"
    REGISTER_RELEASED = "register.released"
    FIELDS_ERASING = "fields.erasing"
    FIELDS_ERASED = "fields.erased"
    PERMIT = "gate.permit"
    REFUSAL = "gate.refusal"
    BATCH_OPENED = "batch.opened"
    BATCH_CHUNK_STORED = "batch.chunk_stored"
    BATCH_COMPLETED = "batch.completed"
    BATCH_DISCARDED = "batch.discarded"
    RECORD_CORRECTED = "record.corrected"
    RECORDS_MOVED = "records.moved"
    CONFLICTS_READ = "conflicts.read"
    ATTACHMENT_STORED = "attachment.stored"
    ATTACHMENTS_LISTED = "attachments.listed"
    HOLD_SET = "hold.set"
    HOLD_RELEASED = "hold.released"
    HOLDS_LISTED = "holds.listed"
    SWEEP_STARTED = "sweep.started"
    SWEEP_CHUNK = "sweep.chunk"
    SWEEP_COMPLETED = "sweep.completed"
    REVEAL = "vault.reveal"
    VIEW_BUILT = "view.built"
    VIEW_READ = "view.read"
    EXPORT_RELEASED = "export.released"
    EXPORT_REFUSED = "export.refused"
    EXPORT_RECALLED = "export.recalled"
    TAGS_EVALUATED = "tags.evaluated"
    TAGS_READ = "tags.read"
    TAGS_EXPLAINED = "tags.explained"
    COHORT_COUNTED = "cohort.counted"
    CONTENT_CHECKED = "content.checked"
    CONTENT_SUBMITTED = "content.submitted"
    CONTENT_READ = "content.read"
    CONTENT_REVIEWED = "content.reviewed"
    TEXT_DEIDENTIFIED = "text.deidentified"
    ACCESS_DENIED = "access.denied"
    ERASURE_STARTED = "erasure.started"
    KEYS_DESTROYED = "keys.destroyed"
    ERASURE_COMPLETED = "erasure.completed"
    ERASURE_FINAL = "erasure.final"
    TOMBSTONES_REPLAYED = "tombstones.replayed"
    BACKUP_CREATED = "backup.created"
    BACKUP_VERIFIED = "backup.verified"
    BACKUP_PRUNED = "backup.pruned"
    BACKUP_RESTORED = "backup.restored"
    EPOCH_CLOSING = "epoch.closing"
    ROOT_REWRAPPING = "root.rewrapping"
    ROOT_REWRAPPED = "root.rewrapped"
    EPOCH_ROTATED = "epoch.rotated"
    KEYS_ROTATING = "keys.rotating"
    KEYS_ROTATED = "keys.rotated"
    INDEX_ROTATING = "index.rotating"
    INDEX_ROTATED = "index.rotated"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORTED = "audit.exported"
    ACCESS_FLAGGED = "access.flagged"
    ACCESS_REVIEWED = "access.reviewed"
    DUTY_RECORDED = "duty.recorded"
    BREACH_OPENED = "breach.opened"
    BREACH_CHANGED = "breach.changed"
    BREACH_NOTIFIED = "breach.notified"
    BREACH_CLOSED = "breach.closed"
    LOG_ANCHORED = "log.anchored"
    LOG_CONFIGURED = "log.configured"
    LOG_KEY_ROTATED = "log.key_rotated"
    LOG_PRUNED = "log.pruned"
    LOG_RECOVERED = "log.recovered"


OWNERS: Final[Mapping[Act, str]] = {
    Act.SYSTEM_INIT: "consentry",
    Act.PACK_LOADED: "consentry",
    Act.PRINCIPAL_CREATED: "consentry",
    Act.PRINCIPAL_DISABLED: "consentry",
    Act.TOKEN_ISSUED: "consentry",
    Act.NOTICE_PUBLISHED: "consent",
    Act.SUBJECT_REGISTERED: "consentry",
    Act.SUBJECT_LINKED: "consentry",
    Act.SUBJECT_AGED: "consent",
    Act.SUBJECT_LOOKED_UP: "consentry",
    Act.SUBJECT_DOUBTFUL: "consentry",
    Act.SUBJECT_RESTRICTED: "vault",
    Act.SUBJECT_SETTLED: "consentry",
    Act.SUBJECT_SPLIT: "vault",
    Act.GUARDIAN_RECORDED: "consent",
    Act.AGENT_RECORDED: "consent",
    Act.CONSENT_GRANTED: "consent",
    Act.CONSENT_REFUSED: "consent",
    Act.CONSENT_WITHDRAWN: "consent",
    Act.BASIS_RECORDED: "consent",
    Act.CONSENT_RENEWED: "consent",
    Act.CONSENT_EXPIRED: "consent",
    Act.BASIS_ENDED: "consent",
    Act.CONSENT_READ: "consentry",
    Act.EVIDENCE_READ: "consentry",
    Act.GUARDIAN_ENDED: "consent",
    Act.AGENT_ENDED: "consent",
    Act.SUBJECT_RELEASED: "consentry",
    Act.SUBJECT_DECEASED: "consent",
    Act.ASSESSMENT_RECORDED: "consent",
    Act.RECIPIENT_RECORDED: "consent",
    Act.TASK_CREATED: "consent",
    Act.TASK_DONE: "consentry",
    Act.WAKE_DONE: "consent",
    Act.WAKE_DEAD: "consent",
    Act.WAKE_RETRIED: "consent",
    Act.WEBHOOK_RECORDED: "consentry",
    Act.READ_APPROVED: "consentry",
    Act.READ_REVOKED: "consentry",
    Act.CASE_REQUESTED: "consentry",
    Act.CASE_GRANTED: "consentry",
    Act.CASE_REFUSED: "consentry",
    Act.CASE_REVOKED: "consentry",
    Act.BREAK_GLASS_OPENED: "consentry",
    Act.BREAK_GLASS_REVIEWED: "consentry",
    Act.ACCOUNT_FROZEN: "consentry",
    Act.ACCOUNT_RELEASED: "consentry",
    Act.LIMIT_NEARED: "consentry",
    Act.RECEIPT_ISSUED: "consentry",
    Act.RECONCILED: "consentry",
    Act.REGISTER_SUSPENDED: "consent",
    Act.REGISTER_RELEASED: "consent",
    Act.FIELDS_ERASING: "vault",
    Act.FIELDS_ERASED: "vault",
    Act.PERMIT: "consent",
    Act.REFUSAL: "consent",
    Act.BATCH_OPENED: "vault",
    Act.BATCH_CHUNK_STORED: "vault",
    Act.BATCH_COMPLETED: "vault",
    Act.BATCH_DISCARDED: "vault",
    Act.RECORD_CORRECTED: "vault",
    Act.RECORDS_MOVED: "vault",
    Act.CONFLICTS_READ: "consentry",
    Act.ATTACHMENT_STORED: "vault",
    Act.ATTACHMENTS_LISTED: "consentry",
    Act.HOLD_SET: "vault",
    Act.HOLD_RELEASED: "vault",
    Act.HOLDS_LISTED: "consentry",
    Act.SWEEP_STARTED: "vault",
    Act.SWEEP_CHUNK: "vault",
    Act.SWEEP_COMPLETED: "vault",
    Act.REVEAL: "consentry",
    Act.VIEW_BUILT: "consentry",
    Act.VIEW_READ: "consentry",
    Act.EXPORT_RELEASED: "consentry",
    Act.EXPORT_REFUSED: "consentry",
    Act.EXPORT_RECALLED: "consentry",
    Act.TAGS_EVALUATED: "consentry",
    Act.TAGS_READ: "consentry",
    Act.TAGS_EXPLAINED: "consentry",
    Act.COHORT_COUNTED: "consentry",
    Act.CONTENT_CHECKED: "consentry",
    Act.CONTENT_SUBMITTED: "consentry",
    Act.CONTENT_READ: "consentry",
    Act.CONTENT_REVIEWED: "consentry",
    Act.TEXT_DEIDENTIFIED: "consentry",
    Act.ACCESS_DENIED: "consentry",
    Act.ERASURE_STARTED: "vault",
    Act.KEYS_DESTROYED: "vault",
    Act.ERASURE_COMPLETED: "vault",
    Act.ERASURE_FINAL: "vault",
    Act.TOMBSTONES_REPLAYED: "vault",
    Act.BACKUP_CREATED: "consentry",
    Act.BACKUP_VERIFIED: "consentry",
    Act.BACKUP_PRUNED: "consentry",
    Act.BACKUP_RESTORED: "consentry",
    Act.EPOCH_CLOSING: "vault",
    Act.ROOT_REWRAPPING: "vault",
    Act.ROOT_REWRAPPED: "vault",
    Act.EPOCH_ROTATED: "vault",
    Act.KEYS_ROTATING: "vault",
    Act.KEYS_ROTATED: "vault",
    Act.INDEX_ROTATING: "vault",
    Act.INDEX_ROTATED: "vault",
    Act.AUDIT_READ: "consentry",
    Act.AUDIT_EXPORTED: "consentry",
    Act.ACCESS_FLAGGED: "consentry",
    Act.ACCESS_REVIEWED: "consentry",
    Act.DUTY_RECORDED: "consentry",
    Act.BREACH_OPENED: "consentry",
    Act.BREACH_CHANGED: "consentry",
    Act.BREACH_NOTIFIED: "consentry",
    Act.BREACH_CLOSED: "consentry",
    Act.LOG_ANCHORED: "consentry",
    Act.LOG_CONFIGURED: "consentry",
    Act.LOG_KEY_ROTATED: "consentry",
    Act.LOG_PRUNED: "consentry",
    Act.LOG_RECOVERED: "audit",
}
"""The package that writes each act."""


class Outcome(StrEnum):
    """How an act ended."""

    ALLOWED = "allowed"
    DENIED = "denied"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """One act to be logged; names, codes, ids and counts only, never a field value.

    Attributes:
        actor: id of the principal; a subject id is replaced by its alias before anything is stored.
        role: the role that the actor used.
        request_id: chains the entries of one request.
        subject: the one subject concerned; only its alias enters the log.
        cohort: the subjects of a batch; only their number and a salted digest enter the log.
        fields: catalogue codes.
        level: highest level among the fields, 1 to 5.
        basis: decision id or lawful basis.
        reason: name of the rule that decided, such as ``WITHDRAWN``; a person's own words belong in ``details``.
        counts: non-negative numbers by name.
        refs: ids, versions and hashes by name; subject ids are replaced by their aliases.
        details: sealed beside the entry, never inside it.
    """

    act: Act
    outcome: Outcome
    actor: str
    role: str
    request_id: RequestId
    purpose: str | None = None
    recipient: str | None = None
    subject: SubjectId | None = None
    cohort: tuple[SubjectId, ...] = ()
    fields: tuple[str, ...] = ()
    level: int | None = None
    basis: str | None = None
    reason: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    refs: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, JsonValue] | None = field(default=None, repr=False)
