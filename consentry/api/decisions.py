"""Asking the gate, without opening anything."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from consentry.acts import Code, Name, SubjectIdText
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.decide import decide
from consentry.workflows.denials import check_allowed
from kernel.ids import SubjectId

router = new_router("decisions")


class Question(BaseModel):
    """May these fields of this subject be used for this purpose, by this recipient?"""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {"subject_id": "sub_aaaaaaaaaaaaaaaaaaaaaaaa", "purpose": "P07", "fields": ["sex", "diagnosis"]}
            ]
        },
    )

    subject_id: SubjectIdText
    purpose: Code
    fields: Annotated[list[Code], Field(min_length=1, max_length=200)]
    recipient: Name | None = None


class Verdict(BaseModel):
    """The gate's answer, recorded in the log."""

    permitted: bool
    refused: dict[str, str] = Field(description="Reason of each field that does not pass.")
    entry_id: str


@router.post("/decisions", responses=responses(401, 403, 411, 415))
def ask(question: Question, platform: PlatformHere, caller: Caller) -> Verdict:
    """Answer and record; a permit of this route opens nothing."""
    subject = SubjectId(question.subject_id)
    check_allowed(platform, caller, "consent.read", subject=subject)
    answer = decide(
        platform,
        caller,
        subject=subject,
        purpose=question.purpose,
        fields=question.fields,
        recipient=question.recipient,
    )
    return Verdict(permitted=not answer.refused, refused=dict(answer.refused), entry_id=answer.entry_id)
