"""Consent acts as they arrive: one line of a file, or one HTTP body."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, SecretStr, model_validator

Text = Annotated[str, Field(min_length=1, max_length=200)]
ActKind = Literal["contract", "duty", "grant", "refuse", "withdraw", "guardian", "agent"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SubjectReference(_Strict):
    """Who an act is about: an id of ours, or a source's id with what identifies the person there.

    The identifying values are used in memory to resolve the person and never stored from here.
    """

    subject_id: Annotated[str, Field(pattern=r"^sub_[a-z2-7]{24}$")] | None = None
    source: Text | None = None
    id: Text | None = None
    id_number: SecretStr | None = None
    mobile: SecretStr | None = None
    birth_date: date | None = None
    sex: Literal["female", "male", "other", "unknown"] | None = None

    @model_validator(mode="after")
    def _names_someone(self) -> "SubjectReference":
        if not self.subject_id and not (self.source and (self.id or self.id_number)):
            raise ValueError("give subject_id, or source with id or id_number")
        return self


class NoticeReference(_Strict):
    """The exact words that were shown."""

    code: Text
    version: Text
    locale: Text


class Actor(_Strict):
    """Who acted: the subject, a verified guardian, an authorised agent, or the operator (contract and duty only)."""

    kind: Literal["self", "guardian", "agent", "operator"] = "self"
    subject: SubjectReference | None = None

    @model_validator(mode="after")
    def _names_the_representative(self) -> "Actor":
        if (self.kind in ("guardian", "agent")) != (self.subject is not None):
            raise ValueError("a guardian or agent names its own subject, nobody else does")
        return self


class ConsentAct(_Strict):
    """One act of consent, or one that bears on consent.

    ``contract`` and ``duty`` record a lawful basis; ``contract`` for the account purpose also registers a new person.
    ``guardian`` and ``agent`` record a representative: ``actor.subject`` acts for ``subject``.
    """

    act_id: Text
    act: ActKind
    subject: SubjectReference
    purposes: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    recipient: Text | None = None
    notice: NoticeReference | None = None
    actor: Actor = Actor()
    evidence: Annotated[dict[str, JsonValue], Field(max_length=20)] = {}
    at: AwareDatetime
    valid_until: AwareDatetime | None = None
    fields: Annotated[tuple[Text, ...], Field(max_length=200)] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> "ConsentAct":
        if self.act == "guardian":
            return self
        if not self.purposes:
            raise ValueError("name at least one purpose")
        if self.act in ("grant", "refuse") and self.notice is None:
            raise ValueError("name the notice that was shown")
        return self
