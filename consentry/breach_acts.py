"""What people say of a breach as it arrives: a JSON file of the command line, or an HTTP body."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consentry.acts import Instant, SubjectIdText

Words = Annotated[str, Field(min_length=1, max_length=2000)]
"""Sealed beside the entry, never inside it."""

DutyCode = Annotated[str, Field(pattern=r"^[a-z]{3,10}(\.[a-z]{3,12})?$", examples=["pipl.authority"])]
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
    sensitive: Number | None = Field(default=None, description="How many sensitive records.")
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
    channel: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{1,39}$", examples=["sms"])]
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
