"""Every answer to a known caller carries the log's newest signed checkpoint, so that callers hold checkpoints too.

Whoever keeps one can show later that the log was cut, rolled back or forked: see docs/reference/http-api.md.
"""

import base64
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audit.log import AuditLog

HEADER: Final = "Audit-Checkpoint"
_FIRST_REFUSAL: Final = 400


class HeldCheckpoints:
    """Middleware that adds the checkpoint's note, in base64, to what succeeded for a caller with credentials."""

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP with credentials passes through."""
        if scope["type"] != "http" or "authorization" not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            newest = self._log.newest
            if message["type"] == "http.response.start" and message["status"] < _FIRST_REFUSAL and newest is not None:
                MutableHeaders(scope=message)[HEADER] = base64.b64encode(newest.note).decode()
            await send(message)

        await self._app(scope, receive, told)
