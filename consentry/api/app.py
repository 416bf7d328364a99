"""The application: routers, problems, limits; opened around one platform."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from consentry import __version__
from consentry.api import (
    accesses,
    approvals,
    attachments,
    audit,
    audit_stream,
    breaches,
    cases,
    choices,
    consents,
    content,
    corrections,
    decisions,
    deid,
    emergencies,
    erasures,
    health,
    holds,
    keys,
    notices,
    oversight,
    problems,
    records,
    reviews,
    search,
    subjects,
    tokens,
)
from consentry.api.guard import Guard
from consentry.api.held_checkpoints import HeldCheckpoints
from consentry.api.origins import Origins, page_routes
from consentry.api.telemetry import NO_TELEMETRY
from consentry.log_clock import LogClock
from consentry.platform import Platform
from consentry.subject_tokens import SubjectTokens
from consentry.throttle import Pace

_THREADS: Final = 12
"""Requests at work at once; SQLAlchemy's pool gives each store 15 connections, and nobody shall wait for one."""

ROUTERS: Final = tuple(
    module.router
    for module in (
        health,
        tokens,
        notices,
        consents,
        choices,
        decisions,
        deid,
        records,
        attachments,
        subjects,
        corrections,
        accesses,
        approvals,
        cases,
        emergencies,
        content,
        erasures,
        holds,
        oversight,
        audit,
        breaches,
        audit_stream,
        reviews,
        keys,
        search,
    )
)
"""One a resource."""


def create_app(platform: Platform, *, closing: Callable[[], None] | None = None) -> FastAPI:
    """Return the HTTP API of one deployment.

    The documentation pages of the framework would load scripts from other hosts; they are off, `/openapi.json` is on.

    Args:
        platform: of the deployment.
        closing: called when the server ends; None where the caller closes the platform.

    Raises:
        ConfigurationError: subject tokens are half configured, or their file holds no sound public keys.
    """
    app = _Application(
        title="Consentry",
        version=__version__,
        summary="Consent capture, gated ingestion, audited access, tags and the audit log.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        telemetry=NO_TELEMETRY,
    )
    settings = platform.settings
    app.state.platform = platform
    app.state.closing = closing
    app.state.subject_tokens = SubjectTokens.load(settings, LogClock(platform.data, platform.log))
    app.state.pace = Pace(settings.requests_per_minute)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router, prefix="/v1")
    app.add_middleware(HeldCheckpoints, log=platform.log)
    others = {attachments.UPLOAD: settings.max_attachment_bytes}
    app.add_middleware(Guard, max_body_bytes=settings.max_body_bytes, others=others)
    app.add_middleware(Origins, allowed=settings.cors_origins, routes=page_routes(ROUTERS, prefix="/v1"))
    return app


class _Application(FastAPI):
    """The framework's application with problem documents in its schema."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        document["components"]["schemas"].setdefault("Problem", problems.Problem.model_json_schema())
        return document


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = _THREADS
    try:
        yield
    finally:
        if app.state.closing is not None:
            app.state.closing()
