"""What people say of a breach as it arrives: a JSON file of the command line, or an HTTP body."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from consentry.acts import Instant, SubjectIdText

Words = Annotated[str, Field(min_length=1, max_length=2000)]
"""Sealed beside the entry, never inside it."""


def _shaped(pattern: str, words: str, example: str) -> tuple[AfterValidator, WithJsonSchema]:
    """Return what checks a text's shape and tells it in words, not as a regular expression."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(words)
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


_DUTY: Final = _shaped(
    r"[a-z]{3,10}(\.[a-z]{3,12})?", "give a duty as the case lists it, for example pipl.authority", "pipl.authority"
)
_CHANNEL: Final = _shaped(
    r"[a-z][a-z0-9_-]{1,39}", "give a short code: 2 to 40 of a-z, 0-9, - and _, for example sms", "sms"
)

DutyCode = Annotated[str, _DUTY[0], _DUTY[1]]
Number = Annotated[int, Field(ge=0, le=10_000_000_000)]
MAX_SUBJECTS = 50_000


_EXAMPLE: Final[dict[str, JsonValue]] = {
    "categories": "names and mobile numbers",
    "cause": "a lost laptop",
    "harm": "calls by strangers",
    "measures": "the account was closed",
    "self_protection": "give no code to callers",
    "contact": "privacy@clinic.example",
    "people": 1200,
    "estimate": True,
}


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AccessFilter(_Said):
    """Which entries of the log belong to a breach; every condition that is given must hold."""

    request_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    actor: Annotated[str | None, Field(min_length=1, max_length=80)] = None
    subject_id: SubjectIdText | None = None
    since: Instant | None = None
    until: Instant | None = None


class BreachReport(_Said):
    """What is known of a breach; at the opening all six words are wanted, later only what changed (PIPL 57; R41).

    Attributes:
        people: how many subjects; where a list is given, not fewer than it names.
        subjects: their ids, as far as they are known.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE, {"people": 1300, "estimate": False}]})

    categories: Words | None = Field(default=None, repr=False, description="Which kinds of data.")
    cause: Words | None = Field(default=None, repr=False, description="What happened and why.")
    harm: Words | None = Field(default=None, repr=False, description="What harm may follow.")
    measures: Words | None = Field(default=None, repr=False, description="What was done against it.")
    self_protection: Words | None = Field(default=None, repr=False, description="What people can do themselves.")
    contact: Words | None = Field(default=None, repr=False, description="Whom to ask.")
    aware_at: Instant | None = Field(default=None, description="When it was learned of; now where not given.")
    people: Number | None = None
    minors: Number | None = None
    sensitive: Number | None = Field(default=None, description="How many of the people with sensitive data.")
    estimate: bool | None = Field(default=None, description="The numbers are estimates.")
    critical: bool | None = Field(default=None, description="Critical information infrastructure.")
    profiles: Annotated[list[Literal["pipl", "gdpr", "hipaa"]] | None, Field(min_length=1, max_length=3)] = None
    subjects: Annotated[list[SubjectIdText] | None, Field(min_length=1, max_length=MAX_SUBJECTS, repr=False)] = None
    accesses: AccessFilter | None = None


class BreachNotice(_Said):
    """That somebody was told: under which duty, how, with which text, when."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"duty": "pipl.authority", "channel": "portal", "text": "the text that was sent"}]
        }
    )

    duty: DutyCode
    channel: Annotated[str, _CHANNEL[0], _CHANNEL[1]]
    text: Annotated[str, Field(min_length=1, max_length=20_000, repr=False, description="Only its SHA-256 is kept.")]
    at: Instant | None = Field(default=None, description="Now where not given.")
    people: Number = 0
    complete: bool = Field(default=True, description="Nobody is left to be told under this duty.")
    recipient: Words | None = Field(default=None, repr=False, description="Who exactly; sealed.")


class BreachWaiver(_Said):
    """That a duty need not be done, and why; it counts once two people have said so."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"duty": "pipl.individuals", "reason": "stolen disk was encrypted"}]}
    )

    duty: DutyCode
    reason: Words = Field(repr=False)
