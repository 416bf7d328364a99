"""What routes are given: the platform and the authenticated caller."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPAuthorizationCredentials

from consentry.acts import Whom
from consentry.api.routes import BEARER
from consentry.platform import Platform
from consentry.principals import Principal


def get_platform(request: Request) -> Platform:
    """Return the platform that the application was made with."""
    platform: Platform = request.app.state.platform
    return platform


def get_caller(
    request: Request, _documented: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
) -> Principal:
    """Return who calls, as the route has authenticated before it read the body."""
    caller: Principal = request.state.caller
    return caller


PlatformHere = Annotated[Platform, Depends(get_platform)]
Caller = Annotated[Principal, Depends(get_caller)]
SubjectPath = Annotated[str, Path(pattern=r"^sub_[a-z2-7]{24}$", examples=["sub_aaaaaaaaaaaaaaaaaaaaaaaa"])]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Names this request for its sender; the same one again gets the same answer.",
    ),
]
WhomPath = Annotated[Whom, Path(description="A subject's id, or `me` for the person of a subject token.")]
DecisionPath = Annotated[str, Path(pattern=r"^dec_[a-z2-7]{24}$", examples=["dec_aaaaaaaaaaaaaaaaaaaaaaaa"])]
PrivacySignal = Annotated[
    str | None,
    Header(
        alias="Sec-GPC",
        max_length=20,
        description="Global Privacy Control, as browsers send it; `1` says that the person does not want to be asked.",
    ),
]
