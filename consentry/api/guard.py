"""What stands around every request: bounded bodies, headers of every answer, and a last resort that tells nothing."""

from http import HTTPStatus
from typing import Final

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
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

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

        if (refused := self._refused(Headers(scope=scope))) is not None:
            await refused(scope, receive, guarded_send)
            return
        try:
            await self._app(scope, receive, guarded_send)
        except Exception as err:  # noqa: BLE001 - the last resort: the server would log the message, which may hold values
            log_failure(scope, err)
            if not has_begun:
                await problem(500, HTTPStatus(500).phrase)(scope, receive, guarded_send)

    def _refused(self, headers: Headers) -> Response | None:
        """Refuse a body of unknown length, or one that is too large, before any of it is read."""
        declared = headers.get("content-length")
        if declared is None:
            if "transfer-encoding" not in headers:
                return None
            return problem(411, HTTPStatus(411).phrase, "Send Content-Length.")
        if not (declared.isascii() and declared.isdigit()) or int(declared) > self._max_body_bytes:
            return problem(
                413, HTTPStatus(413).phrase, f"A body has at most {self._max_body_bytes} bytes; send less at a time."
            )
        return None
