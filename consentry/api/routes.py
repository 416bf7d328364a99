"""How every route takes a request: first who calls, then a body that is JSON, and only then the rest."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, NoReturn

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from consentry.platform import Platform
from consentry.principals import (
    NotAuthenticated,
    Principal,
    PrincipalKind,
    SubjectUnknown,
    authenticate_key,
    subject_principal,
)
from consentry.subject_tokens import SubjectTokens, is_subject_token
from consentry.throttle import Pace
from consentry.workflows.freezing import know_person

BEARER = HTTPBearer(
    auto_error=False, description="A machine's key `key_….secret`, a token of staff, or a subject token."
)

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRequest(Request):
    """A request whose body is JSON as I-JSON has it (RFC 7493): UTF-8, each name once, no NaN, no lone surrogates."""

    async def json(self) -> Any:  # noqa: ANN401 - the signature is Starlette's; the models check what it is
        """Return the parsed body.

        Raises:
            HTTPException: 422, with the place of the mistake.
        """
        try:
            text = (await self.body()).decode()
            parsed = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
            if "\\u" in text:
                json.dumps(parsed, ensure_ascii=False).encode()
        except json.JSONDecodeError as err:
            raise HTTPException(422, f"The body is not JSON at line {err.lineno} column {err.colno}") from None
        except (ValueError, RecursionError):
            raise HTTPException(422, "The body is not JSON in UTF-8, names something twice, or has no end") from None
        return parsed


class OpenRoute(APIRoute):
    """A route for everybody; its body must still be JSON.

    Attributes:
        for_pages: whether pages of other origins may call it, where the settings name their origin.
    """

    for_pages: ClassVar[bool] = False

    def get_route_handler(self) -> _Handler:
        """Return the framework's handler behind our checks."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            await self.admit(request)
            self.check_content(request)
            return await handle(JsonRequest(request.scope, request.receive))

        return checked

    async def admit(self, request: Request) -> None:
        """Let everybody in."""

    def check_content(self, request: Request) -> None:
        """Raise unless a body, if there is one, says that it is JSON (415)."""
        _check_content_type(request)


class GuardedRoute(OpenRoute):
    """A route for callers who say who they are; nobody else has so much as a byte of the body read."""

    async def admit(self, request: Request) -> None:
        """Authenticate the caller; raises ``NotAuthenticated`` (401)."""
        credentials = await BEARER(request)
        if credentials is None:
            raise NotAuthenticated("This call needs a bearer key or token", hint="Send `Authorization: Bearer …`.")
        state = request.app.state
        caller = await run_in_threadpool(authenticate, state.platform, state.subject_tokens, credentials.credentials)
        check_pace(state.pace, caller)
        request.state.caller = caller


class FileRoute(GuardedRoute):
    """A route whose body is a file of any type; the handler reads it piece by piece."""

    def check_content(self, request: Request) -> None:
        """Raise unless the file's length and media type are declared (411, 415)."""
        if "content-length" not in request.headers:
            raise HTTPException(411, "Send Content-Length.")
        if not request.headers.get("content-type"):
            raise HTTPException(415, "Send the file's media type.")


class OpenPageRoute(OpenRoute):
    """A route for everybody, pages of other origins included."""

    for_pages = True


class GuardedPageRoute(GuardedRoute):
    """A route for callers who say who they are, from pages of other origins as well."""

    for_pages = True


def new_router(tag: str, *, is_open: bool = False, for_pages: bool = False) -> APIRouter:
    """Return a router of one resource, guarded unless it is said to be open, and for our own origin only."""
    kinds = {
        (False, False): GuardedRoute,
        (False, True): GuardedPageRoute,
        (True, False): OpenRoute,
        (True, True): OpenPageRoute,
    }
    return APIRouter(tags=[tag], route_class=kinds[is_open, for_pages])


def check_pace(pace: Pace, caller: Principal) -> None:
    """Raise ``TooManyRequests`` where a data subject or a capture key calls too often; staff and ingestion may."""
    if caller.kind is PrincipalKind.SUBJECT or (caller.kind is PrincipalKind.KEY and caller.role == "capture"):
        pace.take(caller.principal_id)


def authenticate(platform: Platform, subject_tokens: SubjectTokens | None, bearer: str) -> Principal:
    """Return who stands behind a key or a token.

    Raises:
        NotAuthenticated: nobody does.
        SubjectUnknown: the operator's login vouches for somebody who is not registered.
        AccountFrozen: the person's account is; the try stays in the log.
    """
    if bearer.startswith("key_"):
        with platform.data.read() as connection:
            return authenticate_key(connection, bearer=bearer, now=platform.log.now(connection))
    if subject_tokens is not None and is_subject_token(bearer):
        subject = platform.resolver.find(subject_tokens.source, subject_tokens.verify(bearer))
        if subject is None:
            raise SubjectUnknown(
                "The token's person is not registered", hint="Record a contract for the account with a capture key."
            )
        return subject_principal(subject)
    return know_person(platform, bearer)


def _check_content_type(request: Request) -> None:
    has_body = request.headers.get("content-length", "0") != "0"
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type != "application/json":
        raise HTTPException(415, "Send application/json.")


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
