"""One table from error types to problem+json (RFC 9457); no answer carries a field value."""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from consentry.principals import NotAuthenticated
from kernel.errors import BadInput, ConfigurationError, Conflict, ConsentryError, Denied, NotFound, Unavailable

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[tuple[tuple[type[ConsentryError], int], ...]] = (
    (NotAuthenticated, 401),
    (Denied, 403),
    (NotFound, 404),
    (Conflict, 409),
    (ConfigurationError, 500),
    (BadInput, 422),
    (Unavailable, 503),
)
"""The first type that fits decides; anything else of ours is a failed check: 500."""

_BEARER: Final = {"WWW-Authenticate": "Bearer"}


def status_of(error: ConsentryError) -> int:
    """Return the HTTP status for an error of ours."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem(status: int, title: str, detail: str = "", *, kind: str = "about:blank") -> JSONResponse:
    """Return one problem document."""
    body = {"type": kind, "title": title, "status": status, "detail": detail}
    headers = _BEARER if status == 401 else None  # noqa: PLR2004 - the HTTP status
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(ConsentryError)
    def _ours(_request: Request, err: ConsentryError) -> JSONResponse:
        return problem(status_of(err), err.message, err.hint, kind=f"urn:consentry:problem:{type(err).__name__}")

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, err: RequestValidationError) -> JSONResponse:
        places = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in err.errors()[:5])
        return problem(422, "The request does not fit the schema", places, kind="urn:consentry:problem:BadInput")

    @app.exception_handler(HTTPException)
    def _http(_request: Request, err: HTTPException) -> JSONResponse:
        return problem(err.status_code, str(err.detail))
