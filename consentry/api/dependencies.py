"""What routes are given: the platform and the authenticated caller."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import NotAuthenticated, Principal, PrincipalKind, authenticate_key, get_person
from kernel.errors import Denied

_bearer = HTTPBearer(auto_error=False, description="A machine's key `key_….secret`, or a person's token.")


def get_platform(request: Request) -> Platform:
    """Return the platform that the application was made with."""
    platform: Platform = request.app.state.platform
    return platform


PlatformHere = Annotated[Platform, Depends(get_platform)]


def get_caller(
    platform: PlatformHere, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """Return who calls; raises ``NotAuthenticated`` (401)."""
    if credentials is None:
        raise NotAuthenticated("This call needs a bearer key or token", hint="Send `Authorization: Bearer …`.")
    bearer = credentials.credentials
    if bearer.startswith("key_"):
        with platform.data.read() as connection:
            return authenticate_key(connection, bearer=bearer, clock=platform.clock)
    principal_id = platform.tokens.verify(bearer)
    with platform.data.read() as connection:
        return get_person(connection, principal_id)


Caller = Annotated[Principal, Depends(get_caller)]


def check_is_person(caller: Principal) -> None:
    """Raise ``Denied`` for a machine's key."""
    if caller.kind is not PrincipalKind.PERSON:
        raise Denied("A key cannot do this", hint="Sign in as a person and send the token.")


def check_caller(platform: Platform, caller: Principal, act: str) -> None:
    """Raise ``Denied`` unless the caller's role lists the act."""
    check_may_act(platform.catalogue, caller, act)
