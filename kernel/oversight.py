"""By which numbers an officer watches the log and the law's duties; a pack may set others in its oversight.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AccessThresholds:
    """When an access to somebody's record is unusual.

    Attributes:
        volume_cap: distinct people whom one actor may open in a natural day, whatever the past.
        volume_floor, volume_factor: below the floor nobody is compared; above it, so many times the usual day of the
            role is unusual.
        history_days: how many days before are the past.
        hour_accesses: accesses of an actor in the past below which its hours are not judged.
        denial_streak, denial_minutes: so many refusals of one actor within so many minutes.
        review_hours: within which an emergency access is reviewed (GB/T 39725; R49).
    """

    volume_cap: int = 100
    volume_floor: int = 20
    volume_factor: int = 5
    history_days: int = 28
    hour_accesses: int = 40
    denial_streak: int = 5
    denial_minutes: int = 60
    review_hours: int = 24


@dataclass(frozen=True, slots=True)
class DutyThresholds:
    """From how many people on the law asks for something.

    Attributes:
        sensitive_for_assessment, subjects_for_assessment, subjects_for_contract: people whose data went abroad in a
            year (促进和规范数据跨境流动规定 5, 7, 8; R11).
        subjects_for_audit, audit_months: a compliance audit above so many, every so many months (合规审计办法 4; R45).
        subjects_for_officer, officer_working_days: an officer is filed from so many on, within so many working days
            (合规审计办法 12; R45).
        sensitive_for_person: above so many with sensitive data a responsible person is named (R45).
    """

    sensitive_for_assessment: int = 10_000
    subjects_for_assessment: int = 1_000_000
    subjects_for_contract: int = 100_000
    subjects_for_audit: int = 10_000_000
    audit_months: int = 24
    subjects_for_officer: int = 1_000_000
    officer_working_days: int = 30
    sensitive_for_person: int = 100_000


@dataclass(frozen=True, slots=True)
class BreachThresholds:
    """How grave a personal data breach is, and within what time whom it is told to.

    Attributes:
        particularly_serious, serious, larger: people from whom on it is 特别重大, 重大 and 较大 (R43).
        larger_hours, critical_hours: to the authority, of a larger one and of critical infrastructure
            (国家网络安全事件报告管理办法 4; R42).
        at_once_hours: what the law calls at once, without undue delay (PIPL 57; GDPR 34); a number of our own.
        gdpr_hours: to the supervisory authority (GDPR 33).
        hipaa_days: to the people concerned (45 CFR 164.404).
        hipaa_people: from so many on to the authority and the media within the same time (164.406, 164.408).
    """

    particularly_serious: int = 100_000_000
    serious: int = 10_000_000
    larger: int = 1_000_000
    larger_hours: int = 4
    critical_hours: int = 1
    at_once_hours: int = 24
    gdpr_hours: int = 72
    hipaa_days: int = 60
    hipaa_people: int = 500


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """How much one person of staff reads of people's records (R48); numbers of our own.

    Each window begins with its minute or hour (UTC), or with the pack's natural day.

    Attributes:
        reads_minute, reads_hour, reads_day: openings of one person's record, its tags included.
        fields_minute, fields_hour, fields_day: fields that were asked for in them.
        subjects_minute, subjects_hour, subjects_day: different people.
    """

    reads_minute: int = 120
    reads_hour: int = 1_500
    reads_day: int = 6_000
    fields_minute: int = 2_400
    fields_hour: int = 20_000
    fields_day: int = 80_000
    subjects_minute: int = 60
    subjects_hour: int = 300
    subjects_day: int = 1_000


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """What bounds the reading of records, beside the roles.

    Attributes:
        case_hours: the longest that a case grant for the most sensitive fields lasts (R49).
        emergencies_day: how often one person breaks the glass within 24 hours.
        near_percent: of a limit, from which on an officer is told.
        limits: of every role that names none of its own.
    """

    case_hours: int = 72
    emergencies_day: int = 10
    near_percent: int = 80
    limits: ReadingLimits = ReadingLimits()


@dataclass(frozen=True, slots=True)
class Oversight:
    """Everything that an officer watches by.

    Attributes:
        care_purposes: purposes that are treatment, payment or operations in the sense of HIPAA (45 CFR 164.501), each
            with which of them; an accounting of disclosures leaves them out (164.528(a)(1)(i)).
    """

    care_purposes: Mapping[str, str] = field(default_factory=dict)
    access: AccessThresholds = AccessThresholds()
    duties: DutyThresholds = DutyThresholds()
    breach: BreachThresholds = BreachThresholds()
    reading: ReadingRules = ReadingRules()
