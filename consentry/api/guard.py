"""What stands around every request: bounded bodies, headers of every answer, and a last resort that tells nothing."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentry.api.failures import log_failure
from consentry.api.problems import problem

_SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Guard:
    """Middleware around the whole application.

    Args:
        max_body_bytes: the largest body that is read.
        others: the largest ones of some routes, by method and path.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, others: Mapping[tuple[str, str], int] | None = None) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._others = others or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def guarded_send(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        limit = self._others.get((scope["method"], scope["path"]), self._max_body_bytes)
        if (refused := _refused(Headers(scope=scope), limit)) is not None:
            await refused(scope, receive, guarded_send)
            return
        try:
            await self._app(scope, _counted(receive, limit), guarded_send)
        except Exception as err:  # noqa: BLE001 - the last resort: the server would log the message, which may hold values
            log_failure(scope, err)
            if not has_begun:
                await problem(500, HTTPStatus(500).phrase)(scope, receive, guarded_send)


def _counted(receive: Receive, limit: int) -> Receive:
    """Return a receiver that ends the request once more than the largest body has come, whatever was declared.

    It raises an ``HTTPException``, which the framework passes on to our table of problems as it is.
    """
    came_bytes = 0

    async def counted() -> Message:
        nonlocal came_bytes
        message = await receive()
        came_bytes += len(message.get("body", b""))
        if came_bytes > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return counted


def _refused(headers: Headers, limit: int) -> Response | None:
    """Refuse a body of unknown length, or one that is too large, before any of it is read.

    A server lets Transfer-Encoding override Content-Length (RFC 9112 section 6.3): beside it a length says nothing.
    """
    if "transfer-encoding" in headers:
        return problem(411, HTTPStatus(411).phrase, "Send Content-Length, and no Transfer-Encoding.")
    declared = headers.get("content-length")
    if declared is None:
        return None
    if not (declared.isascii() and declared.isdigit()) or int(declared) > limit:
        return problem(413, HTTPStatus(413).phrase, _too_large(limit))
    return None


def _too_large(limit: int) -> str:
    return f"A body has at most {limit} bytes; send less at a time."
