"""Posts to one registered address, within bounds: no redirect, no proxy, a short answer, in time."""

import asyncio
import json
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from consent.wake import TargetFailed

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
"""Without a byte."""
TOTAL_SECONDS: Final = 30.0
"""From the first to the last byte; far below the lease of an item."""
MAX_ANSWER_BYTES: Final = 64 * 1024


class NotAnswered(TargetFailed):
    """The address did not answer in time; whether it took what was sent is not known."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long one exchange may take, in seconds."""

    connect: float = CONNECT_SECONDS
    read: float = READ_SECONDS
    total: float = TOTAL_SECONDS


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``content`` is cut at ``MAX_ANSWER_BYTES``."""

    status: int
    content: bytes

    @property
    def is_acknowledged(self) -> bool:
        """Whether the receiver has taken what was sent."""
        return HTTPStatus(200) <= self.status < HTTPStatus(300)

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing more, ever."""
        return self.status == HTTPStatus.GONE

    @property
    def is_failure(self) -> bool:
        """Whether the receiver as a whole cannot take messages now, whatever is in them."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status == HTTPStatus.TOO_MANY_REQUESTS

    @property
    def says_received(self) -> bool:
        """Whether the receiver, asked, says that it has the message."""
        if self.status != HTTPStatus.OK:
            return False
        try:
            said = json.loads(self.content)
        except (ValueError, RecursionError):  # what cannot be read says nothing
            return False
        return isinstance(said, dict) and said.get("received") is True


class Poster:
    """Sends and asks; one connection for each exchange."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()

    def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """Send a message, as JSON unless the headers say otherwise.

        Raises:
            NotAnswered: no connection, no answer in time, or one that is no HTTP.
        """
        return _run(self._exchange("POST", url, {"content-type": "application/json", **headers}, content))

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask whether a message has arrived; raises like ``post``."""
        return _run(self._exchange("GET", url, headers, b""))

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Answer:
        import httpx

        bounds = self._bounds
        try:
            async with (
                asyncio.timeout(bounds.total),
                httpx.AsyncClient(
                    timeout=httpx.Timeout(bounds.read, connect=bounds.connect),
                    follow_redirects=False,
                    trust_env=False,  # a proxy of the surroundings is an address that nobody registered
                    verify=ssl.create_default_context(),
                ) as client,
                client.stream(method, url, headers=_plain(headers), content=content or None) as response,
            ):
                return Answer(response.status_code, await _start(response))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as err:
            raise NotAnswered(f"A webhook was not answered: {type(err).__name__}", hint="Try again.") from None


def _run(exchange: Coroutine[Any, Any, Answer]) -> Answer:
    """Run one exchange, and do not wait for the thread of a look-up that its bound has left behind.

    ``asyncio.run`` would: a name server that is silent would then hold every other webhook for as long as it likes.
    """
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(exchange)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _start(response: "httpx.Response") -> bytes:
    """Read the first bytes of an answer as they come, never unpacked."""
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) >= MAX_ANSWER_BYTES:
            break
    return content[:MAX_ANSWER_BYTES]


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "accept-encoding": "identity", "user-agent": "consentry"}
