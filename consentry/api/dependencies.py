"""What routes are given: the platform and the authenticated caller."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPAuthorizationCredentials

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
