"""One table from error types to problem+json (RFC 9457); no answer carries a field value."""

from collections.abc import Mapping
from datetime import UTC, timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from consentry.api.failures import log_failure
from consentry.principals import DailyCapReached, NotAuthenticated
from consentry.throttle import WINDOW, TooManyAttempts, TooManyRequests
from consentry.workflows.limits import LimitReached
from kernel.errors import (
    BadInput,
    ConfigurationError,
    Conflict,
    ConsentryError,
    Denied,
    IntegrityFailed,
    NotFound,
    Unavailable,
)

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[tuple[tuple[type[ConsentryError], int, str], ...]] = (
    (NotAuthenticated, 401, "The caller is not known"),
    (DailyCapReached, 429, "The key has reached its daily cap"),
    (TooManyAttempts, 429, "Too many attempts have failed"),
    (TooManyRequests, 429, "The caller calls too often"),
    (LimitReached, 429, "The caller has read as much as it may for now"),
    (Denied, 403, "A role, a rule or the gate refuses"),
    (NotFound, 404, "There is no such thing"),
    (Conflict, 409, "The request contradicts what is stored"),
    (BadInput, 422, "The request cannot be used as it is"),
    (Unavailable, 503, "A store, a key or the log cannot be used now"),
    (IntegrityFailed, 503, "Stored bytes do not verify"),
    (ConfigurationError, 500, "Settings, pack or stores do not fit together"),
)
"""Error, status and title; the first type that fits decides, and anything else of ours is a failed check: 500."""

_TYPE: Final = "urn:consentry:problem:"
_SHOWN_ERRORS: Final = 5


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="`urn:consentry:problem:` and the name of the error, or `about:blank`.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do; ids and rule names, never a field value.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's problems: those given and the ones that every route can have."""
    media = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    found = sorted({*statuses, 413, 422, 500, 503})
    return {status: {"description": HTTPStatus(status).phrase, "content": media} for status in found}


def problem(
    status: int, title: str, detail: str = "", *, kind: str = "about:blank", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return one problem document."""
    body = {"type": kind, "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(ConsentryError)
    def _ours(request: Request, err: ConsentryError) -> JSONResponse:
        status, title = _row(err)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log_failure(request.scope, err)
        headers = _headers(request, err)
        return problem(status, title, err.diagnostics(), kind=_TYPE + type(err).__name__, headers=headers)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, err: RequestValidationError) -> JSONResponse:
        names = known_names(request.app)
        shown = [f"{_place(e['loc'], names)}: {e['msg']}" for e in err.errors()[:_SHOWN_ERRORS]]
        return problem(422, "The request does not fit the schema", "; ".join(shown), kind=_TYPE + "InvalidRequest")

    @app.exception_handler(HTTPException)
    def _http(_request: Request, err: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(err.status_code).phrase
        detail = "" if err.detail == phrase else err.detail
        return problem(err.status_code, phrase, detail, headers=err.headers)


def known_names(app: FastAPI) -> frozenset[str]:
    """Return the names that the schema knows; any other name in a request may be a value in the place of a name."""
    document = app.openapi()
    members = {name for schema in document["components"]["schemas"].values() for name in schema.get("properties", {})}
    parameters = {
        parameter["name"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
    }
    return frozenset({"body", "path", "query", "header", *members, *parameters})


def _place(parts: tuple[int | str, ...], names: frozenset[str]) -> str:
    return ".".join(str(part) if isinstance(part, int) or part in names else "*" for part in parts)


def _row(error: ConsentryError) -> tuple[int, str]:
    fitting = ((status, title) for kind, status, title in STATUS if isinstance(error, kind))
    return next(fitting, (500, "A check has failed"))


def _headers(request: Request, error: ConsentryError) -> dict[str, str]:
    if isinstance(error, NotAuthenticated):
        told = ', error="invalid_token"' if "authorization" in request.headers else ""
        return {"WWW-Authenticate": f'Bearer realm="consentry"{told}'}
    if isinstance(error, DailyCapReached):
        now = request.app.state.platform.clock.now().astimezone(UTC)
        tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return {"Retry-After": str(int((tomorrow - now).total_seconds()))}
    if isinstance(error, TooManyRequests | LimitReached):
        return {"Retry-After": str(error.wait_seconds)}
    if isinstance(error, TooManyAttempts):
        return {"Retry-After": str(int(WINDOW.total_seconds()))}
    return {}
