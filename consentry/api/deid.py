"""De-identifying texts: sent, answered, and neither stored nor logged."""

from typing import Annotated, Literal, Self

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.text_profiles import SCOPE_PATTERN, TextTask
from consentry.workflows.deidentify_text import MAX_CHARACTERS, MAX_TEXTS, deidentify_texts
from deid.text import Scrubbed

router = new_router("deid")

Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]


class Texts(BaseModel):
    """Texts of whatever kind: complaints, chats, reviews, notes."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [{"texts": ["我叫王小明，电话13800138000，头痛三天"], "profile": "redact", "language": "auto"}]
        },
    )

    texts: Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]
    profile: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$", description="What is done with what is found.")] = (
        "redact"
    )
    language: Literal["auto", "zh", "en"] = "auto"
    scope: Annotated[str, Field(pattern=SCOPE_PATTERN)] | None = Field(
        default=None,
        description="For tokens and surrogates: the same value has the same one within it; the caller's own.",
    )
    shift_days: Annotated[int, Field(ge=-36_500, le=36_500)] | None = Field(
        default=None, description="For profiles that move days: by how many, the subject's own number, other than 0."
    )


class FoundSpan(BaseModel):
    """Where an identifier stood, in characters of the text that was sent, end-exclusive."""

    start: int
    end: int
    type: str = Field(description="Kind, see docs/reference/deid-kinds.md.")
    score: float = Field(description="0 to 1; 1 for a verified check digit.")
    source: str = Field(description="The rule that found it; never a value.")


class CleanText(BaseModel):
    """One text without its identifiers."""

    text: str
    spans: list[FoundSpan]
    withheld: bool = Field(description="Whether it was replaced whole, because it could not be judged in time.")

    @classmethod
    def of(cls, done: Scrubbed) -> Self:
        """Return what is answered of a text."""
        spans = [
            FoundSpan(start=s.start, end=s.end, type=s.type.value, score=s.score, source=s.source) for s in done.spans
        ]
        return cls(text=done.text, spans=spans, withheld=done.is_withheld)


class CleanTexts(BaseModel):
    """The texts in the order in which they were sent."""

    texts: list[CleanText]
    entry_id: str = Field(description="The entry of the log: counts and the profile, no word of the texts.")


def take_pace(request: Request, caller: Caller) -> None:
    """Take one request of the caller's pace, whoever it is: a text costs more than another question."""
    request.app.state.pace.take(caller.principal_id)


@router.post("/deid/text", responses=responses(401, 403, 404, 411, 415, 429), dependencies=[Depends(take_pace)])
def deidentify(sent: Texts, platform: PlatformHere, caller: Caller) -> CleanTexts:
    """Take the identifiers out of texts; nothing of them is kept."""
    task = TextTask(sent.profile, sent.language, sent.scope, sent.shift_days, owner=caller.principal_id)
    done = deidentify_texts(platform, caller, sent.texts, task=task)
    return CleanTexts(texts=[CleanText.of(one) for one in done.texts], entry_id=done.entry_id)
