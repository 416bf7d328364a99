"""The application: routers, problems, limits; opened around one platform."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response

from consentry import __version__
from consentry.api import audit, consents, decisions, health, problems, records, subjects, tokens
from consentry.platform import Platform

_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def create_app(platform: Platform) -> FastAPI:
    """Return the HTTP API of one deployment.

    The documentation pages of the framework would load scripts from other hosts; they are off, `/openapi.json` is on.
    """
    app = FastAPI(
        title="Consentry",
        version=__version__,
        summary="Consent capture, gated ingestion, audited access, tags and the audit log.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.platform = platform
    problems.install(app)
    for module in (health, tokens, consents, decisions, records, subjects, audit):
        app.include_router(module.router, prefix="/v1")
    limit = platform.settings.max_body_bytes

    @app.middleware("http")
    async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse bodies that are too large or of unknown length, and forbid caching of every answer."""
        if (refused := _oversized(request, limit)) is not None:
            return refused
        response = await call_next(request)
        response.headers.update(_SECURITY_HEADERS)
        return response

    return app


def _oversized(request: Request, limit: int) -> Response | None:
    declared = request.headers.get("content-length")
    if request.headers.get("transfer-encoding") and declared is None:
        return problems.problem(411, "The length of the body is not declared", "Send Content-Length.")
    if declared is not None and (not declared.isdigit() or int(declared) > limit):
        return problems.problem(413, f"The body is larger than {limit} bytes", "Send fewer records at a time.")
    return None
