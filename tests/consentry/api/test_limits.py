"""What is refused before any route is asked: paths, methods, sizes, media types, and what is no JSON."""

import asyncio
import json
import socket

import pytest

from consentry.api.app import create_app

JSON = "application/json"


@pytest.fixture
def send(http, captured):
    """Posts raw bytes to /v1/consents under a capture key."""
    key = captured.machine_key("capture")

    def post(content, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.post("/v1/consents", content=content, headers={"Authorization": f"Bearer {key}", **named})

    return post


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/health/", "/v2/health", "/docs", "/redoc", "/v1/subjects/13912345678"]
)
def test_unknown_path_is_a_problem(http, refused, path):
    """There is no page of the framework, no redirect, and no repetition of the path."""
    document = refused(http.get(path), 404)
    assert "13912345678" not in str(document)


def test_method_that_a_route_does_not_have_is_a_problem(http, refused):
    """The answer says what the route can do."""
    said = http.delete("/v1/health")
    refused(said, 405)
    assert said.headers["allow"] == "GET"
    refused(http.get("/v1/consents"), 405)


def test_body_beyond_the_limit_is_refused_unread(http, platform, refused):
    """The declared length decides, before credentials are looked at."""
    limit = platform.settings.max_body_bytes
    said = http.post("/v1/records", content=b" " * (limit + 1), headers={"Content-Type": JSON})
    document = refused(said, 413)
    assert str(limit) in document["detail"]
    refused(http.post("/v1/records", content=b" " * limit, headers={"Content-Type": JSON}), 401, "NotAuthenticated")


def test_body_of_unknown_length_is_refused(http, refused):
    """A chunked body could be endless."""
    said = http.post("/v1/records", content=iter([b"{", b"}"]), headers={"Content-Type": JSON})
    assert "content-length" not in said.request.headers
    refused(said, 411)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_length_beside_a_transfer_encoding_is_refused(address, order):
    """A server lets the encoding override the length: five declared bytes could become any number."""
    host, port = address.removeprefix("http://").split(":")
    lengths = [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
    head = b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(head + b"".join(lengths[n] for n in order) + b"\r\n")  # refused before a chunk was sent
        assert raw.recv(100).startswith(b"HTTP/1.1 411")


def test_body_that_grows_beyond_the_limit_is_not_read_on(platform):
    """Whatever was declared: the first byte beyond the limit ends the request, and nothing more is taken in."""
    asked, sent = [], []

    async def receive():
        asked.append(1)
        return {"type": "http.request", "body": b" " * (platform.settings.max_body_bytes // 2), "more_body": True}

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"5")]
    scope = {"type": "http", "method": "POST", "path": "/v1/tokens", "raw_path": b"/v1/tokens", "root_path": ""}
    scope |= {"query_string": b"", "headers": headers, "scheme": "http", "http_version": "1.1", "asgi": {}}
    asyncio.run(create_app(platform)(scope, receive, send))
    assert sent[0]["status"] == 413
    assert str(platform.settings.max_body_bytes) in sent[1]["body"].decode()
    assert len(asked) == 3


def test_nonsense_for_a_length_is_refused_by_the_server(address):
    """What is no number never reaches the application."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_body_of_another_type_is_refused(send, refused, media_type):
    """JSON is the only form of a body."""
    refused(send(b"{}", Content_Type=media_type), 415)


@pytest.mark.parametrize("media_type", [JSON, "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_known_under_its_names(send, refused, media_type):
    """Parameters and case do not matter."""
    refused(send(b"{}", Content_Type=media_type), 422, "InvalidRequest")


def test_withdrawal_with_a_body_of_another_type_is_refused(call, captured, http, refused):
    """An optional body is JSON as well."""
    captured.person("u-1")
    path = f"/v1/consents/{captured.grant('u-1', 'P07')}/withdraw"
    headers = {"Authorization": f"Bearer {captured.machine_key('capture')}", "Content-Type": "text/plain"}
    refused(http.post(path, content=b"at=now", headers=headers), 415)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"\xff\xfe{\x00}\x00",
        b'{"act_id": "\xed\xa0\x80"}',
        b'{"act_id": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"act_id": NaN}',
        b'{"act_id": -Infinity}',
        b'{"act_id": ' + b"9" * 5_000 + b"}",
        b"[" * 100_000,
        b"\xef\xbb\xbf{}",
        b'{"act_id": "1", "act_id": "2"}',
        b"{'a': 1}",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_body_that_is_no_json_is_refused(send, refused, content):
    """Other encodings, unpaired surrogates, numbers that are none and endless nesting are a 422, never more."""
    refused(send(content, Content_Type=JSON), 422, "InvalidRequest" if not content else None)


@pytest.mark.parametrize("content", [b"[]", b"null", b"1", b'"x"', b"{}"])
def test_json_of_another_shape_is_refused(send, refused, content):
    """A body is an object with the members of its schema."""
    refused(send(content, Content_Type=JSON), 422, "InvalidRequest")


def test_text_beyond_ascii_arrives_as_it_was_sent(call, captured):
    """Escaped and plain, also beyond the first plane, are the same text."""
    captured.person("u-1")
    app = call(captured.machine_key("capture"))
    act = captured.act("grant", captured.known("u-1"), "P07") | {"act_id": "同意-𠮷"}
    plain = app.post("/consents", act)
    escaped = app.http.post("/v1/consents", content=json.dumps(act), headers={**app.headers, "Content-Type": JSON})
    assert (plain.status_code, escaped.status_code) == (201, 200)
    assert plain.json()["act_id"] == escaped.json()["act_id"] == "同意-𠮷"
