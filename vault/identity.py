"""Who a record is about, as a pure rule over what the record states and what is known.

An ID number joins; a source's own id joins where birth date and sex do not contradict it; a mobile never joins, since
families share one.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from unicodedata import normalize

from kernel.ids import SubjectId
from kernel.plaintext import Plaintext

_STATED: Final = ("id_number", "birth_date", "sex", "mobile")
"""Fields of the catalogue that say who a record is about."""
_SEX_UNSTATED: Final = frozenset({"", "unknown"})


@dataclass(frozen=True, slots=True, repr=False)
class IdentityKeys(Plaintext):
    """What one record states about whom it is about; plaintext, in memory only.

    Attributes:
        source: the sending system's name.
        source_subject: the person's id in that system.
        id_number: the national ID number.
        sex: ``female``, ``male`` or ``other``; ``unknown`` counts as not stated.
        mobile: indexed for look-ups, never joins.
    """

    source: str
    source_subject: str | None = None
    id_number: str | None = None
    birth_date: date | None = None
    sex: str | None = None
    mobile: str | None = None

    def __repr__(self) -> str:
        return f"IdentityKeys(source={self.source!r}, redacted)"

    @property
    def facts(self) -> dict[str, str]:
        """Birth date and sex as text, where they are stated."""
        stated: dict[str, str] = {}
        if self.birth_date is not None:
            stated["birth_date"] = self.birth_date.isoformat()
        if self.sex is not None and self.sex not in _SEX_UNSTATED:
            stated["sex"] = self.sex
        return stated

    @property
    def fields(self) -> frozenset[str]:
        """The codes of the fields that are stated."""
        return frozenset(code for code in _STATED if getattr(self, code) is not None)

    def narrowed(self, fields: Collection[str]) -> "IdentityKeys":
        """Return the same without what is stated in other fields; what the source calls the person is no field."""
        return IdentityKeys(
            self.source,
            self.source_subject,
            id_number=self.id_number if "id_number" in fields else None,
            birth_date=self.birth_date if "birth_date" in fields else None,
            sex=self.sex if "sex" in fields else None,
            mobile=self.mobile if "mobile" in fields else None,
        )

    @property
    def is_reference(self) -> bool:
        """Whether the record only refers to a person that its source has sent, and states no identity of its own."""
        return self.id_number is None and self.mobile is None and not self.facts


class ResolutionKind(StrEnum):
    """How a resolution ended."""

    KNOWN = "known"
    NEW = "new"
    DOUBTFUL = "doubtful"
    UNKNOWN_REFERENCE = "unknown_reference"


class Rule(StrEnum):
    """The rule that decided."""

    ID_NUMBER = "id_number"
    SOURCE_ID = "source_id"
    FIRST_SEEN = "first_seen"
    NOTHING_TO_GO_BY = "nothing_to_go_by"
    NEVER_SENT = "never_sent"
    ID_NUMBER_CONTRADICTED = "id_number_contradicted"
    SOURCE_ID_CONTRADICTED = "source_id_contradicted"
    TWO_PEOPLE = "two_people"


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whom a record is about.

    Attributes:
        subject: the person where ``kind`` is KNOWN or NEW, else None.
        how: the rule that decided.
        candidates: the people whom a DOUBTFUL record could be about.
    """

    kind: ResolutionKind
    subject: SubjectId | None
    how: Rule
    candidates: tuple[SubjectId, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known when one record is decided.

    Attributes:
        stated: what the record says.
        by_id_number: the person with the stated ID number, if there is one.
        by_source_id: the person with the stated source and source id, if there is one.
        contradicts: whether the stated birth date or sex differs from what is known of a person.
        has_other_id_number: whether another ID number than the stated one is known of a person.
    """

    stated: IdentityKeys
    by_id_number: SubjectId | None
    by_source_id: SubjectId | None
    contradicts: Callable[[SubjectId], bool]
    has_other_id_number: Callable[[SubjectId], bool]


def decide(evidence: Evidence) -> Resolution:
    """Return whom the record is about; ``NEW`` comes back without a subject."""
    if evidence.by_id_number is not None:
        return _by_id_number(evidence, evidence.by_id_number)
    if evidence.by_source_id is not None:
        return _by_source_id(evidence, evidence.by_source_id)
    if evidence.stated.source_subject is None and evidence.stated.id_number is None:
        return Resolution(ResolutionKind.UNKNOWN_REFERENCE, None, Rule.NOTHING_TO_GO_BY)
    if evidence.stated.is_reference:
        return Resolution(ResolutionKind.UNKNOWN_REFERENCE, None, Rule.NEVER_SENT)
    return Resolution(ResolutionKind.NEW, None, Rule.FIRST_SEEN)


def _by_id_number(evidence: Evidence, person: SubjectId) -> Resolution:
    if evidence.contradicts(person):
        return _doubtful(Rule.ID_NUMBER_CONTRADICTED, {person})
    if evidence.by_source_id not in (None, person):
        return _doubtful(Rule.TWO_PEOPLE, {person, evidence.by_source_id})
    return Resolution(ResolutionKind.KNOWN, person, Rule.ID_NUMBER)


def _by_source_id(evidence: Evidence, person: SubjectId) -> Resolution:
    if evidence.contradicts(person) or evidence.has_other_id_number(person):
        return _doubtful(Rule.SOURCE_ID_CONTRADICTED, {person})
    return Resolution(ResolutionKind.KNOWN, person, Rule.SOURCE_ID)


def _doubtful(rule: Rule, people: set[SubjectId | None]) -> Resolution:
    return Resolution(ResolutionKind.DOUBTFUL, None, rule, tuple(sorted(person for person in people if person)))


def normalised(text: str) -> str:
    """Return an ID number as it is compared: compatibility forms folded, no white space, upper case."""
    return "".join(normalize("NFKC", text).split()).upper()


def normalised_mobile(text: str) -> str:
    """Return the digits of a mobile number without the prefix of China."""
    digits = "".join(character for character in normalize("NFKC", text) if character.isdecimal())
    return digits[-_MOBILE_DIGITS:] if digits[:-_MOBILE_DIGITS] in _CHINA else digits


_MOBILE_DIGITS: Final = 11
_CHINA: Final = frozenset({"86", "0086"})
