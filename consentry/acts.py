"""Consent acts as they arrive: one line of a file, or one HTTP body."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, SecretStr, model_validator

from consentry.bound_sources import NAME_PATTERN
from consentry.sources.cleaning import clean_key, parse_id_number, parse_mobile
from consentry.sources.records import RowRefused
from kernel.encoding import JsonValue as PlainValue
from kernel.encoding import canonical_json
from kernel.errors import BadInput

MAX_EVIDENCE_BYTES: Final = 16 * 1024
"""Evidence says how an act was made; whatever is larger belongs in a document store of the operator's."""

_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2999
"""Beyond any decision, and far enough from the ends of the calendar for every sum that is made with an instant."""

_FIRST_BIRTH: Final = date(1880, 1, 1)
_DAY: Final = timedelta(days=1)

SexWord = Literal["female", "male", "other", "unknown"]
ActKind = Literal["contract", "duty", "end", "grant", "renew", "refuse", "withdraw", "guardian", "agent"]

OWN_WISH: Final = "own"
"""The occasion of an act that nobody prompted; absent counts as prompted."""

_SHOWN_HASH: Final = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_EVIDENCE_CHARS: Final = {"channel": 64, "session": 200, "signature": 8 * 1024}


def _within_calendar(instant: datetime) -> datetime:
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise ValueError(f"give an instant between {_FIRST_YEAR} and {_LAST_YEAR}")
    return instant


def _in_utc(instant: datetime) -> datetime:
    return _within_calendar(instant).astimezone(UTC)


def _key(text: str) -> str:
    try:
        return clean_key(text)
    except RowRefused as refusal:
        raise ValueError(f"not usable as an id: {refusal.fault}") from None


def _cleaned(parse: Callable[[str], str]) -> AfterValidator:
    """Return a validator that writes a secret in the one way in which records write it."""

    def clean(given: SecretStr) -> SecretStr:
        try:
            return SecretStr(parse(given.get_secret_value()))
        except RowRefused as refusal:
            raise ValueError(f"refused: {refusal.fault}") from None

    return AfterValidator(clean)


def _small(evidence: Mapping[str, PlainValue]) -> Mapping[str, PlainValue]:
    try:
        size = len(canonical_json(evidence))
    except BadInput as err:
        raise ValueError(err.diagnostics()) from None
    if size > MAX_EVIDENCE_BYTES:
        raise ValueError(f"evidence is larger than {MAX_EVIDENCE_BYTES} bytes")
    return evidence


def _known_keys(evidence: Mapping[str, PlainValue]) -> Mapping[str, PlainValue]:
    """Check the keys that mean something to the register; others are the sender's own. The registry wants mechanism."""
    faulty = [key for key, is_sound in _EVIDENCE.items() if key in evidence and not is_sound(evidence[key])]
    if faulty:
        raise ValueError(f"evidence is not as documented in {', '.join(faulty)}")
    return evidence


def _is_text(value: PlainValue, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _is_locale(value: PlainValue) -> bool:
    return isinstance(value, str) and _LOCALE.fullmatch(value) is not None


def _is_shown(value: PlainValue) -> bool:
    return isinstance(value, str) and (value in ("full_text", "summary") or _SHOWN_HASH.fullmatch(value) is not None)


def _is_instant(value: PlainValue) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


_LOCALE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_EVIDENCE: Final[Mapping[str, Callable[[PlainValue], bool]]] = {
    "occasion": lambda value: value in ("prompt", OWN_WISH),
    "shown": _is_shown,
    "locale": _is_locale,
    "client_time": _is_instant,
    "channel": lambda value: _is_text(value, _EVIDENCE_CHARS["channel"]),
    "session": lambda value: _is_text(value, _EVIDENCE_CHARS["session"]),
    "signature": lambda value: _is_text(value, _EVIDENCE_CHARS["signature"]),
}
"""What each known key of the evidence must look like."""


Text = Annotated[str, Field(min_length=1, max_length=200)]
Key = Annotated[Text, AfterValidator(_key), Field(min_length=1)]
Code = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Codes and names go into the log and into messages as they are: a shape that no number of a person has."""

SubjectIdText = Annotated[str, Field(pattern=r"^sub_[a-z2-7]{24}$")]
Whom = Annotated[str, Field(pattern=r"^(me|sub_[a-z2-7]{24})$", examples=["me", "sub_aaaaaaaaaaaaaaaaaaaaaaaa"])]
"""A subject, or the person whose own token it is."""

Locale = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
WordsLocale = Annotated[str, Field(pattern=r"^(zh|en)(-[A-Z]{2})?$", description="Whose words: zh-CN or en.")]
"""A language that there are words in, where no text of the operator's own is asked for."""

Said = Annotated[str, Field(min_length=1, max_length=500, description="Sealed beside the log's entry.")]
"""A reason or a note; one visible character is enough, and blank is none (``consentry.words_said``)."""

Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
OffsetInstant = Annotated[AwareDatetime, AfterValidator(_within_calendar)]
"""An instant as its source wrote it: the register keeps the offset beside UTC."""

if TYPE_CHECKING:
    # What passes the checks below: canonical JSON has no float, which the framework's own type would let through.
    _EvidenceJson: TypeAlias = Mapping[str, PlainValue]
else:
    _EvidenceJson = dict[str, JsonValue]

Evidence = Annotated[
    _EvidenceJson, Field(max_length=20, repr=False), AfterValidator(_small), AfterValidator(_known_keys)
]
IdNumber = Annotated[SecretStr, _cleaned(parse_id_number)]
Mobile = Annotated[SecretStr, _cleaned(parse_mobile)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SubjectReference(_Strict):
    """Who an act is about: an id of ours, or a source's id with what identifies the person there.

    The identifying values are used in memory to resolve the person and never stored from here.
    """

    subject_id: Whom | None = None
    source: Name | None = None
    id: Key | None = Field(default=None, repr=False)
    id_number: IdNumber | None = None
    mobile: Mobile | None = None
    birth_date: Annotated[date, Field(ge=_FIRST_BIRTH)] | None = Field(default=None, repr=False)
    sex: SexWord | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _names_someone(self) -> "SubjectReference":
        if not self.subject_id and not (self.source and (self.id or self.id_number)):
            raise ValueError("give subject_id, or source with id or id_number")
        if self.birth_date and self._born_by_number not in (None, self.birth_date):
            raise ValueError("birth_date and id_number contradict each other")
        return self

    @property
    def stated_birth_date(self) -> date | None:
        """The birth date that is given, or the one that stands in the ID number (GB 11643)."""
        return self.birth_date or self._born_by_number

    @property
    def _born_by_number(self) -> date | None:
        number = None if self.id_number is None else self.id_number.get_secret_value()
        return None if number is None else date.fromisoformat(number[6:14])


class NoticeReference(_Strict):
    """The exact words that were shown."""

    code: Code
    version: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}(\.[0-9]{1,3})?$")]
    locale: Locale


class Actor(_Strict):
    """Who acted: the subject, a verified guardian or kin, an authorised agent, or the operator (bases only)."""

    kind: Literal["self", "guardian", "agent", "kin", "operator"] = "self"
    subject: SubjectReference | None = None

    @model_validator(mode="after")
    def _names_the_representative(self) -> "Actor":
        if (self.kind in ("guardian", "agent", "kin")) != (self.subject is not None):
            raise ValueError("a guardian or agent names its own subject, nobody else does")
        return self


class ConsentAct(_Strict):
    """One act of consent, or one that bears on consent.

    ``contract`` and ``duty`` record a lawful basis and ``end`` says that it is over; ``contract`` for the account
    purpose also registers a new person. ``guardian`` and ``agent`` record a representative: ``actor.subject`` acts for
    ``subject``.
    """

    act_id: Text = Field(description="Names the act for its sender; the same act again gets the same answer.")
    act: ActKind
    subject: SubjectReference
    purposes: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    recipient: Name | None = None
    notice: NoticeReference | None = None
    actor: Actor = Actor()
    evidence: Evidence = Field(
        default={},
        repr=False,
        description="How the act was made, with `mechanism`; known keys are occasion, shown, channel, locale, "
        "client_time, session and signature. Sealed when it is stored.",
    )
    at: OffsetInstant
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    max_uses: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    fields: Annotated[tuple[Code, ...], Field(max_length=200)] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> "ConsentAct":
        people = [self.subject, *([self.actor.subject] if self.actor.subject else [])]
        day = self.at.astimezone(UTC).date()
        if any(who.stated_birth_date and who.stated_birth_date > day + _DAY for who in people):
            raise ValueError("a birth date lies after the act")
        if self.act == "guardian":
            return self
        if not self.purposes:
            raise ValueError("name at least one purpose")
        if self.act in ("grant", "renew", "refuse") and self.notice is None:
            raise ValueError("name the notice that was shown")
        check_same_locale(self.notice, self.evidence)
        return self


def check_same_locale(notice: NoticeReference | None, evidence: Mapping[str, object]) -> None:
    """Raise ``ValueError`` where the evidence says that another translation was shown than the act names."""
    if notice is not None and evidence.get("locale", notice.locale) != notice.locale:
        raise ValueError("the locale of the evidence is not the notice's")


def act_content(act: ConsentAct) -> bytes:
    """Return all that an act says but its id, identifying values included; for keyed digests and nothing else.

    The instant counts and not the offset in which it is written, so that a sender may write it anew.
    """
    act = act.model_copy(update={"at": act.at.astimezone(UTC)})
    people = [who for who in (act.subject, act.actor.subject) if who is not None]
    stated = [None if s is None else s.get_secret_value() for who in people for s in (who.id_number, who.mobile)]
    absent = {name for name in _LATER_MEMBERS if getattr(act, name) is None}
    return f"{act.model_dump_json(exclude={'act_id', *absent})}\0{json.dumps(stated)}".encode()


_LATER_MEMBERS: Final = ("valid_from", "max_uses")
"""Came with the second release: an act without them has the digest that it always had."""
