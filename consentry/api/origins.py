"""Pages of other origins (CORS, fetch.spec.whatwg.org): exact origins, the capture routes, and bearers only.

No cookie plays a part, so `Access-Control-Allow-Credentials` is never sent, and a preflight needs no credentials.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentry.api.routes import OpenRoute

_ALLOWED_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-None-Match"
_EXPOSED_HEADERS: Final = "ETag, Retry-After"
_MAX_AGE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One route that pages may call."""

    path: re.Pattern[str]
    methods: frozenset[str]


def page_routes(routers: Sequence[APIRouter], *, prefix: str) -> tuple[PageRoute, ...]:
    """Return the routes that pages of other origins may call."""
    return tuple(
        PageRoute(compile_path(prefix + route.path)[0], frozenset(route.methods or ())) for route in _for_pages(routers)
    )


def _for_pages(routers: Sequence[APIRouter]) -> Iterator[APIRoute]:
    for router in routers:
        for route in router.routes:
            if isinstance(route, OpenRoute) and route.for_pages:
                yield route


class Origins:
    """Middleware outside of everything, so that a page can read refusals as well.

    Args:
        allowed: the exact origins. routes: those that they may call.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str], routes: Sequence[PageRoute]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight of an allowed page, and let an allowed page read other answers."""
        methods = self._methods(scope) if scope["type"] == "http" else frozenset[str]()
        if not methods:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        is_allowed = origin in self._allowed
        if is_allowed and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(origin, methods)(scope, receive, send)
            return

        async def open_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if is_allowed:
                    answer["Access-Control-Allow-Origin"] = origin
                    answer["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
            await send(message)

        await self._app(scope, receive, open_send)

    def _methods(self, scope: Scope) -> frozenset[str]:
        """Return what pages may do at this path; nothing where no page may call it, or none is allowed at all."""
        if not self._allowed:
            return frozenset()
        fitting = (route.methods for route in self._routes if route.path.match(scope["path"]))
        return frozenset[str]().union(*fitting)


def _preflight(origin: str, methods: Collection[str]) -> Response:
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
        "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
        "Access-Control-Max-Age": str(_MAX_AGE_SECONDS),
        "Vary": "Origin",
        "Cache-Control": "no-store",
    }
    return Response(status_code=204, headers=headers)
