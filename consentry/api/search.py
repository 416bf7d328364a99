"""Whom the value of an indexed field leads to."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from consentry.acts import Code
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.find_subject import search_subjects

router = new_router("subjects")


class SearchRequest(BaseModel):
    """A field that the pack indexes, and its whole value."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"field": "mobile", "value": "13800000000"}]},
    )

    field: Code
    value: Annotated[SecretStr, Field(min_length=1, max_length=256)]


class SearchFound(BaseModel):
    """At most a hundred subjects; `exact` is false for candidates, of whom some have another value."""

    subjects: list[str]
    exact: bool
    more: bool


@router.post("/subjects/search", responses=responses(401, 403, 411, 415, 429))
def search(body: SearchRequest, platform: PlatformHere, caller: Caller) -> SearchFound:
    """Find people by a value without opening anything; the entry has a keyed digest of it only."""
    found = search_subjects(platform, caller, field=body.field, value=body.value.get_secret_value())
    return SearchFound(subjects=list(found.subjects), exact=found.is_exact, more=found.are_more)
