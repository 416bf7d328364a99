"""The catalogue: every field, event type, relation, purpose, notice and role that a pack declares.

What is not in the catalogue is refused. Loading from YAML is ``kernel.pack``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from kernel.errors import BadInput
from kernel.oversight import Oversight, ReadingLimits
from kernel.trust import TrustRule, trust_rank


class FieldClass(StrEnum):
    """What a field can do to a person (shared vocabulary of GB/T 37964 and GB/T 39725)."""

    DIRECT = "direct"
    QUASI = "quasi"
    SENSITIVE = "sensitive"
    BEHAVIOUR = "behaviour"
    OPERATIONAL = "operational"


class FieldType(StrEnum):
    """How a field's value is written; every value travels as JSON without floats.

    ``code`` is ``system:code`` such as ``icd10:E11.9``; ``quantity`` is an object with ``code``, ``value`` (decimal
    as text), ``unit`` and optionally ``flag``; ``decimal`` is text; ``date`` and ``instant`` are ISO 8601 text. An
    ``attachment`` is a file and no JSON: it is stored and opened by ways of its own.
    """

    STRING = "string"
    TEXT = "text"
    DATE = "date"
    INSTANT = "instant"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    CODE = "code"
    QUANTITY = "quantity"
    ATTACHMENT = "attachment"


ATTACHMENT_MEDIA: Final = frozenset(
    {
        "application/dicom",
        "application/pdf",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "image/webp",
        "text/plain",
        "video/mp4",
        "video/webm",
    }
)
"""Media types that a pack may let attachments have: nothing that a browser runs."""


class ConsentKind(StrEnum):
    """What must stand behind a field: contract or duty, separate consent, opt-in, or nothing (not personal)."""

    CONTRACT = "contract"
    SEPARATE = "separate"
    OPT_IN = "opt_in"
    NONE = "none"


class IndexKind(StrEnum):
    """How a field can be searched: not at all, by a 128-bit keyed index, or by a truncated one."""

    NONE = "none"
    UNIQUE = "unique"
    LOW = "low"


class Compartment(StrEnum):
    """The parts of a subject's data that have keys of their own."""

    IDENTITY = "identity"
    CONTACT = "contact"
    DEMOGRAPHIC = "demographic"
    CLINICAL = "clinical"
    SPECIAL = "special"
    WELLNESS = "wellness"
    BEHAVIOUR = "behaviour"
    COMMERCE = "commerce"
    SOCIAL = "social"
    OPERATIONAL = "operational"


class LawfulBasis(StrEnum):
    """PIPL article 13 (GDPR article 6) bases that a purpose may rest on."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_DUTY = "legal_duty"
    EMERGENCY = "emergency"


class Mask(StrEnum):
    """How a value is shown to whoever may see it masked only; what each leaves is in ``vault.masking``."""

    NAME = "name"
    MOBILE = "mobile"
    ID_NUMBER = "id_number"
    EMAIL = "email"
    ADDRESS = "address"
    CARD = "card"
    YEAR = "year"
    HIDDEN = "hidden"


_MASK_OF: Final = {FieldType.DATE: Mask.YEAR, FieldType.INSTANT: Mask.YEAR}
"""How a field is masked that says nothing of it; any other is hidden altogether."""


TRANSFORMS: Final = frozenset(
    {
        "allergy_class",
        "age_band",
        "atc_level3",
        "band",
        "bin",
        "city_tier",
        "code",
        "count",
        "day",
        "days_since_band",
        "drop",
        "generalise",
        "group",
        "has",
        "has_group",
        "hour",
        "icd10_chapter",
        "icd10_group",
        "keep",
        "month",
        "province",
        "rate_band",
        "redact",
        "region",
        "score_band",
        "strip_metadata",
        "token",
        "topic",
        "vaccine_group",
        "year",
        "year_90",
    }
)
"""Every name that a field may give as its default de-identification."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name for people, in Chinese and English."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a value is kept.

    Attributes:
        keep: after the observation; None keeps for the life of the account.
        floor: the law's minimum; while it runs an erasure restricts instead of deleting. None: no hold.
    """

    keep: timedelta | None
    floor: timedelta | None = None

    def expires_at(self, observed_at: datetime) -> datetime | None:
        """Return the end of keeping, or None for the life of the account; a longer floor wins (PIPL 19 and 47)."""
        return None if self.keep is None else observed_at + max(self.keep, self.floor or self.keep)

    def held_until(self, observed_at: datetime) -> datetime | None:
        """Return the end of the legal hold, or None without one."""
        return None if self.floor is None else observed_at + self.floor


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the catalogue.

    Attributes:
        classes: first the leading class.
        level: 1 to 5 after GB/T 39725 practice.
        collect: the purpose of collection.
        purposes: every purpose that may use it, ``collect`` included.
        transform: the default de-identification, one of ``TRANSFORMS``.
        mask: how a role sees it that may see it masked only; None goes by the type.
        repeated: whether one record may hold a list of values.
        allowed: closed list of values, or None.
        media: media types (RFC 6838) that an attachment may have; empty for every other type.
    """

    code: str
    label: Label
    classes: tuple[FieldClass, ...]
    level: int
    compartment: Compartment
    type: FieldType
    unit: str | None
    code_system: str | None
    collect: str
    purposes: frozenset[str]
    consent: ConsentKind
    transform: str
    retention: Retention
    index: IndexKind
    repeated: bool = False
    allowed: frozenset[str] | None = None
    mask: Mask | None = None
    media: frozenset[str] = frozenset()

    @property
    def shown_masked(self) -> Mask:
        """How its values are masked: as the pack says, or by its type."""
        return self.mask or _MASK_OF.get(self.type, Mask.HIDDEN)

    @property
    def is_direct(self) -> bool:
        """Whether the value names a person by itself."""
        return FieldClass.DIRECT in self.classes


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose of processing.

    Attributes:
        bases: the lawful bases it may rest on.
        separate_consent: whether its grant must be an act of its own (PIPL 29).
        per_recipient: whether a decision must name the recipient (PIPL 23).
        withdrawable: False for contract and duty.
        sensitive: whether necessity, impact and separate acts are required.
        necessity, impact: the texts of PIPL 30; empty when not required.
        assessment: id of the impact assessment, or None; whether it stands approved is the register's to say, and
            until it does a purpose that needs one is inactive (R35).
        needs_assessment: PIPL 55.
    """

    code: str
    label: Label
    bases: tuple[LawfulBasis, ...]
    separate_consent: bool
    per_recipient: bool
    withdrawable: bool
    sensitive: bool
    necessity: Label | None
    impact: Label | None
    needs_assessment: bool
    assessment: str | None
    recipients: tuple[str, ...] = ()

    @property
    def is_optional(self) -> bool:
        """Whether it rests on consent alone, so that the service works without it (PIPL 16)."""
        return self.bases == (LawfulBasis.CONSENT,)


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of behaviour event; ``properties`` are field codes."""

    code: str
    label: Label
    actor: str
    properties: tuple[str, ...]
    required: tuple[str, ...]
    purposes: frozenset[str]
    retention: Retention


@dataclass(frozen=True, slots=True)
class Relation:
    """One kind of relation between two subjects; needs the decisions of both where ``both_consent``."""

    code: str
    label: Label
    roles: tuple[str, str]
    verification: str
    both_consent: bool


@dataclass(frozen=True, slots=True)
class NoticeText:
    """The text of one notice in one locale, as the pack ships it (R01, R03).

    Attributes:
        purposes: codes that the notice informs about.
        sections: controller, contact, purpose, method, categories, retention, end_of_retention, rights; in order.
        collected, third_parties: rows of the two tables that R03 asks for.
    """

    code: str
    version: str
    locale: str
    title: str
    purposes: tuple[str, ...]
    sections: Mapping[str, str]
    collected: tuple[Mapping[str, str], ...]
    third_parties: tuple[Mapping[str, str], ...]
    audience: str = "general"


@dataclass(frozen=True, slots=True)
class AssessmentText:
    """An impact assessment 个人信息保护影响评估 (PIPL 55, 56; GDPR 35), as the pack ships it.

    Attributes:
        purposes: codes that it was made for.
        parts: legality_and_necessity, impact_and_risk, protective_measures: the three of PIPL 56.
        approved_by: the name of the office that approved it.
        expires_on: the first day on which it does not count any more.
    """

    assessment_id: str
    purposes: tuple[str, ...]
    parts: Mapping[str, str]
    approved_by: str
    approved_on: date
    expires_on: date


@dataclass(frozen=True, slots=True)
class TransferMechanism:
    """What a transfer abroad rests on (PIPL 38): its kind, the document's name, and the first day without it."""

    kind: str
    document: str
    until: date


@dataclass(frozen=True, slots=True)
class RecipientText:
    """Somebody outside who is given data, as the pack or an officer declares it.

    Attributes:
        kind: controller (PIPL 23), joint (20), processor (21) or authority (41).
        country: ISO 3166-1 alpha-2.
        fields: the contract's scope; None for all of its purposes.
        term_from, term_until: the contract's term, half open.
        mechanism: for one abroad.
        engaged_by: the processor that engages this sub-processor.
        approved_by: who approved a sub-processor, or the hand-over to an authority.
    """

    code: str
    kind: str
    name: Label
    contact: str
    country: str
    purposes: tuple[str, ...]
    method: str
    contract: str
    term_from: date
    term_until: date | None
    fields: frozenset[str] | None = None
    mechanism: TransferMechanism | None = None
    engaged_by: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """What a role may do: acts, and for opening, purposes and the highest level; default deny.

    Attributes:
        max_level: of what it opens by itself.
        fields: the only ones that it opens; None for whatever the level allows.
        case_level: of what it opens under a case grant of the person who asks, or in an emergency; None for no more
            than ``max_level`` (R49).
        masked_fields: those whose values it sees masked only, whatever ``max_level`` says.
        limits: how much one of its people reads; None for the pack's own numbers.
    """

    code: str
    label: Label
    acts: frozenset[str]
    purposes: frozenset[str]
    max_level: int
    fields: frozenset[str] | None = None
    case_level: int | None = None
    masked_fields: frozenset[str] = frozenset()
    limits: ReadingLimits | None = None


_OVERSIGHT: Final = Oversight()


@dataclass(frozen=True)
class Catalogue:
    """A whole pack, loaded and checked.

    Attributes:
        pack: the pack's name; version: its version; hash: SHA-256 over its canonical content.
        time_zone: IANA name; natural days and hours are counted in it.
        trust: whom to believe where sources of a profile disagree; without rules the newest observation.
    """

    pack: str
    version: str
    hash: str
    fields: Mapping[str, Field]
    purposes: Mapping[str, Purpose]
    event_types: Mapping[str, EventType]
    relations: Mapping[str, Relation]
    notices: tuple[NoticeText, ...]
    roles: Mapping[str, Role]
    time_zone: str = "Asia/Shanghai"
    assessments: tuple[AssessmentText, ...] = ()
    recipients: tuple[RecipientText, ...] = ()
    jurisdiction: str = "CN"
    digital_age: int = 14
    cool_down: timedelta = timedelta(hours=48)
    oversight: Oversight = _OVERSIGHT
    trust: tuple[TrustRule, ...] = ()

    def get_field(self, code: str) -> Field:
        """Return a field; raises ``BadInput`` for an unknown one."""
        try:
            return self.fields[code]
        except KeyError:
            hint = "Declare it in the pack's fields.yaml."
            raise BadInput(f"Field {code!r} is not in the catalogue", hint=hint) from None

    def get_value_field(self, code: str) -> Field:
        """Return a field whose values are JSON; raises ``BadInput`` for an unknown one and for one of files."""
        field = self.get_field(code)
        if field.type is FieldType.ATTACHMENT:
            raise BadInput(f"Field {code!r} holds files, no values", hint="Send the file as an attachment.")
        return field

    def get_purpose(self, code: str) -> Purpose:
        """Return a purpose; raises ``BadInput`` for an unknown one."""
        try:
            return self.purposes[code]
        except KeyError:
            raise BadInput(f"Purpose {code!r} is not in the catalogue", hint="See purposes.yaml of the pack.") from None

    def get_role(self, code: str) -> Role:
        """Return a role; raises ``BadInput`` for an unknown one."""
        try:
            return self.roles[code]
        except KeyError:
            raise BadInput(f"Role {code!r} is not in the pack", hint="See roles.yaml of the pack.") from None

    def trust_rank(self, source: str, field: str) -> int:
        """Return how far a source is believed for a field: 0 is most."""
        compartment = self.get_field(field).compartment
        return trust_rank(self.trust, source=source, field=field, compartment=compartment)

    def begin_of(self, day: date) -> datetime:
        """Return the instant in UTC at which a day begins in the pack's time zone."""
        return datetime.combine(day, time.min, ZoneInfo(self.time_zone)).astimezone(UTC)

    def year_of(self, instant: datetime) -> int:
        """Return the calendar year of an instant in the pack's time zone."""
        return instant.astimezone(ZoneInfo(self.time_zone)).year

    @cached_property
    def fields_by_purpose(self) -> Mapping[str, frozenset[str]]:
        """Field codes that each purpose may use."""
        return {p: frozenset(f.code for f in self.fields.values() if p in f.purposes) for p in self.purposes}
