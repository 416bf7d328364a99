"""Receivers on loopback, and a register with somebody outside who is told."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from audit.entries import decode_entry
from audit.tables import leaf
from consentry.workflows.webhooks import add_webhook
from tests.loopback import start_serving


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    method: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """A small server on loopback that answers as it is told, and keeps what arrived."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._answers: list[dict[str, Any]] = []
        self._get: dict[str, Any] = {"status": 404}
        receiver = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)
                receiver._answer(self, receiver._answers.pop(0) if receiver._answers else {"status": 204})

            def do_GET(self) -> None:
                receiver._take(self)
                receiver._answer(self, receiver._get)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._ended = threading.Event()
        start_serving(self._server)

    def script(self, status: int, **answer: Any) -> None:
        """Answer the next POST so; several calls stand in a row, afterwards 204."""
        self._answers.append({"status": status, **answer})

    def answer_get(self, status: int, content: bytes = b"", **answer: Any) -> None:
        """Answer every GET so."""
        self._get = {"status": status, "content": content, **answer}

    def methods(self) -> list[str]:
        return [one.method for one in self.seen]

    def close(self) -> None:
        """Stop; safe to repeat."""
        self._ended.set()
        for answer in self._answers:
            answer.get("wait", self._ended).set()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.command, headers, body))

    def _answer(self, request: BaseHTTPRequestHandler, answer: Mapping[str, Any]) -> None:
        if "wait" in answer:
            self._ended.wait(10)
            return
        if answer["status"] == 0:
            request.wfile.write(b"no http\r\n\r\n")
            return
        if "headers_for_ever" in answer:
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
            with suppress(OSError):
                while not self._ended.wait(answer["headers_for_ever"]):
                    request.wfile.write(b"x-more: " + b"x" * 1000 + b"\r\n")
            return
        content = answer.get("content", b"")
        request.send_response(answer["status"])
        for name, value in answer.get("headers", {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", "1000" if "drip" in answer else str(len(content)))
        request.end_headers()
        with suppress(OSError):
            request.wfile.write(content)
            while "drip" in answer and not self._ended.wait(0.1):
                request.wfile.write(b"x")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that acknowledges whatever it is sent."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def other_receiver() -> Iterator[Receiver]:
    """Another one."""
    made = Receiver()
    yield made
    made.close()


@dataclass
class Told:
    """A person who shares with the insurer, and a receiver of the insurer's."""

    platform: Any
    captured: Any
    receiver: Receiver
    subject: str = ""
    target: str = ""
    secret: str = ""

    def register(self, recipient: str = "insurer", receiver: Receiver | None = None) -> str:
        """Register a target; remembers the newest one's id and secret."""
        url = (receiver or self.receiver).url
        made, secret = add_webhook(self.platform, self.captured.caller, recipient=recipient, url=url)
        self.target, self.secret = made.target_id, secret.reveal()
        return made.target_id

    def act(self, act: str, purpose: str, **more: object) -> None:
        self.platform.clock.advance(timedelta(minutes=1))
        self.captured.record(self.captured.act(act, self.captured.known("u-1"), purpose, **more))

    def withdraw(self, purpose: str = "P11", recipient: str | None = "insurer") -> None:
        self.act("withdraw", purpose, **({} if recipient is None else {"recipient": recipient}))

    def run(self, platform: Any = None) -> Any:
        return (platform or self.platform).wake.run_due(100)

    def items(self) -> list[Any]:
        with self.platform.data.read() as connection:
            items = self.platform.wake.of_subject(connection, self.subject)
        return [item for item in items if item.handler == "webhooks"]

    def results(self) -> list[str]:
        return [item.outcome["result"] if item.outcome else item.state.value for item in self.items()]

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(one.body) for one in self.receiver.seen if one.method == "POST"]

    def name(self, scope: str) -> str:
        return self.platform.pseudonyms.unrecorded(self.subject, scope=scope)

    def entries(self, act: str) -> list[Mapping[str, Any]]:
        self.platform.log.settle()
        with self.platform.data.read() as connection:
            rows = connection.execute(leaf.select().where(leaf.c.act == act).order_by(leaf.c.leaf_index))
            return [decode_entry(row.body) for row in rows]


@pytest.fixture
def told(platform, captured, receiver) -> Told:
    """One person with a grant to the insurer; no target yet."""
    made = Told(platform, captured, receiver, subject=captured.person("u-1"))
    captured.grant("u-1", "P11", recipient="insurer")
    return made


@pytest.fixture
def insurer(told: Told) -> Told:
    """The same with a target of the insurer."""
    told.register()
    return told
