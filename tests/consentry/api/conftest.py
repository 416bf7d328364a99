"""The API behind a real server on the loopback interface."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from consentry.api.app import create_app
from consentry.platform import Platform


@contextmanager
def serving(platform: Platform) -> Iterator[str]:
    """Serve the API of a platform; yields the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(platform), access_log=False, server_header=False, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listener.close()


class Client:
    """Calls the API under one bearer."""

    def __init__(self, http: httpx.Client, bearer: str | None = None) -> None:
        self.http = http
        self.headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}

    def get(self, path: str, **params: str) -> httpx.Response:
        return self.http.get(f"/v1{path}", params=params, headers=self.headers)

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(f"/v1{path}", json=body, headers={**self.headers, **named})


@pytest.fixture(scope="session")
def serve() -> Callable[[Platform], "contextmanager[str]"]:
    """Serves a platform for the length of a with block."""
    return serving


@pytest.fixture
def address(platform: Platform) -> Iterator[str]:
    """Where the test's own server listens."""
    with serving(platform) as found:
        yield found


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    """Connections to the server; nothing of the environment, such as a proxy, is used."""
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def call(http: httpx.Client) -> Callable[[str | None], Client]:
    """Returns a caller under a bearer, or under none."""
    return lambda bearer=None: Client(http, bearer)


@pytest.fixture(scope="session")
def refused() -> Callable[..., dict[str, object]]:
    """Checks that an answer is a problem document of a status and, where it is given, of an error; returns it."""

    def check(said: httpx.Response, status: int, error: str | None = None) -> dict[str, object]:
        assert said.status_code == status, said.text
        assert said.headers["content-type"] == "application/problem+json"
        document = said.json()
        assert document.keys() == {"type", "title", "status", "detail"}
        assert document["status"] == status
        assert document["type"] == ("about:blank" if error is None else f"urn:consentry:problem:{error}")
        return document

    return check
