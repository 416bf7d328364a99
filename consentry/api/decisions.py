"""Asking the gate, without opening anything."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from consentry.api.dependencies import Caller, PlatformHere, check_caller
from consentry.workflows.decide import decide
from kernel.ids import SubjectId

router = APIRouter(tags=["decisions"])


class Question(BaseModel):
    """May these fields of this subject be used for this purpose, by this recipient?"""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"subject_id": "sub_aaaaaaaaaaaaaaaaaaaaaaaa", "purpose": "P07", "fields": ["sex", "diagnosis"]}
            ]
        },
    )

    subject_id: Annotated[str, Field(pattern=r"^sub_[a-z2-7]{24}$")]
    purpose: Annotated[str, Field(min_length=1, max_length=32)]
    fields: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=200)]
    recipient: Annotated[str | None, Field(max_length=128)] = None


class Verdict(BaseModel):
    """The gate's answer, recorded in the log."""

    permitted: bool
    refused: dict[str, str] = Field(description="Reason of each field that does not pass.")
    entry_id: str


@router.post("/decisions")
def ask(question: Question, platform: PlatformHere, caller: Caller) -> Verdict:
    """Answer and record; a permit of this route opens nothing."""
    check_caller(platform, caller, "consent.read")
    answer = decide(
        platform,
        caller,
        subject=SubjectId(question.subject_id),
        purpose=question.purpose,
        fields=question.fields,
        recipient=question.recipient,
    )
    return Verdict(permitted=not answer.refused, refused=dict(answer.refused), entry_id=answer.entry_id)
