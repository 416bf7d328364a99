"""The API behind a real server on the loopback interface, and an operator's login that issues subject tokens."""

import json
import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey
from starlette.routing import BaseRoute

from consentry.api.app import create_app
from consentry.platform import Platform, open_platform
from consentry.settings import load_settings
from kernel.clock import FixedClock
from tests.loopback import served

PAGE = "https://app.example"
"""The origin of the operator's page."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody: the servers here speak plain HTTP, and a client would read all authorities anew otherwise."""


ANALYSED: dict[int, BaseRoute] = {}
"""The routes of each router as an application has included them, by the router."""


def application(platform: Platform) -> FastAPI:
    """The API of a platform; the framework analyses its routes, which are the same for each, once a process."""
    app = create_app(platform)
    for place, route in enumerate(app.router.routes):
        if (router := getattr(route, "original_router", None)) is not None:
            app.router.routes[place] = ANALYSED.setdefault(id(router), route)
    return app


@contextmanager
def serving(platform: Platform) -> Iterator[str]:
    """Serve the API of a platform; yields the address."""
    config = uvicorn.Config(application(platform), access_log=False, server_header=False, log_config=None)
    with served(config) as address:
        yield address


class Client:
    """Calls the API under one bearer."""

    def __init__(self, http: httpx.Client, bearer: str | None = None) -> None:
        self.http = http
        self.headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}

    def get(self, path: str, *, more: Mapping[str, str] | None = None, **params: str) -> httpx.Response:
        return self.http.get(f"/v1{path}", params=params or None, headers={**self.headers, **(more or {})})

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(f"/v1{path}", json=body, headers={**self.headers, **named})


class Login:
    """The operator's login: knows its users by the ids that the app's records have, and signs tokens for them."""

    def __init__(self, folder: Path, clock: FixedClock) -> None:
        self.clock = clock
        self.key = OKPKey.generate_key("Ed25519", {"kid": "login-1"})
        self.jwks = folder / "jwks.json"
        self.publish(self.key.as_dict(private=False))
        self.settings = {
            "subject_token_issuer": "https://login.example",
            "subject_token_audience": "consentry",
            "subject_token_source": "app",
            "subject_token_jwks_file": self.jwks,
        }

    def publish(self, *keys: Mapping[str, object]) -> None:
        """Write the public keys."""
        self.jwks.write_text(json.dumps({"keys": keys}))

    def claims(self, sub: str = "u-1", **more: object) -> dict[str, object]:
        """The claims of a sound token, issued now for five minutes; a claim that is None is left out."""
        now = int(self.clock.now().timestamp())
        made = {"iss": "https://login.example", "aud": "consentry", "sub": sub, "iat": now, "exp": now + 300} | more
        return {name: value for name, value in made.items() if value is not None}

    def token(self, sub: str = "u-1", *, alg: str = "EdDSA", key: object = None, **more: object) -> str:
        """A signed token."""
        signer = self.key if key is None else key
        header = {"alg": alg} | ({"kid": signer.kid} if signer.kid else {})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # the library warns of the name EdDSA
            return jwt.encode(header, self.claims(sub, **more), signer, algorithms=[alg])


@pytest.fixture
def login(tmp_path: Path, clock: FixedClock) -> Login:
    """The operator's own login."""
    return Login(tmp_path, clock)


@pytest.fixture
def platform(deployment, login: Login, clock: FixedClock) -> Iterator[Platform]:
    """Every part of the deployment, which takes the login's tokens and calls from the operator's page."""
    more = {**login.settings, "cors_origins": [PAGE]}
    with open_platform(load_settings(**{**deployment.settings.model_dump(), **more}), clock=clock) as opened:
        yield opened


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
    with httpx.Client(base_url=address, trust_env=False, verify=NO_TLS, timeout=30) as client:
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
