"""One exchange with a receiver: bounded in time and size, and with nobody else."""

import gzip
import socket
import threading
import time
import tracemalloc

import pytest

from consentry.wake.posting import MAX_ANSWER_BYTES, Answer, Bounds, NotAnswered, Poster

QUICK = Poster(Bounds(connect=0.5, read=0.3, total=0.8))


def test_the_answer_comes_back(receiver):
    """Status and content, and the body arrived as it was sent."""
    receiver.script(201, content=b"thanks")
    assert Poster().post(receiver.url, {"x-a": "b"}, b'{"a":1}') == Answer(201, b"thanks")
    (seen,) = receiver.seen
    assert (seen.method, seen.body, seen.headers["x-a"]) == ("POST", b'{"a":1}', "b")
    assert seen.headers["content-type"] == "application/json"


def test_a_redirect_is_not_followed(receiver, other_receiver):
    """Promise 7: an address that nobody registered is never asked, whoever names it."""
    receiver.script(307, headers={"Location": other_receiver.url})
    assert Poster().post(receiver.url, {}, b"{}").status == 307
    assert other_receiver.seen == []


def test_a_proxy_of_the_surroundings_is_not_used(receiver, other_receiver, monkeypatch):
    """Promise 7: what the environment names is not what the operator registered."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other_receiver.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    Poster().post(receiver.url, {}, b"{}")
    assert (len(receiver.seen), other_receiver.seen) == (1, [])


def test_a_long_answer_is_cut(receiver):
    """No receiver can fill the memory."""
    receiver.script(200, content=b"x" * (4 * MAX_ANSWER_BYTES))
    assert len(Poster().post(receiver.url, {}, b"{}").content) == MAX_ANSWER_BYTES


def test_a_packed_answer_is_not_unpacked(receiver):
    """What claims to be compressed is read as it comes."""
    receiver.script(200, content=b"not gzip", headers={"Content-Encoding": "gzip"})
    assert Poster().post(receiver.url, {}, b"{}").content == b"not gzip"


def test_a_bomb_is_not_unpacked(receiver):
    """A gigabyte in a megabyte costs 64 KiB of reading, to a question as well, and says nothing."""
    bomb = gzip.compress(b'{"received": true}' + b" " * 200_000_000, compresslevel=1)
    assert len(bomb) > MAX_ANSWER_BYTES
    receiver.answer_get(200, bomb)
    receiver.script(200, content=bomb, headers={"Content-Encoding": "gzip"})
    tracemalloc.start()
    try:
        asked, sent = Poster().get(receiver.url, {}), Poster().post(receiver.url, {}, b"{}")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {len(asked.content), len(sent.content)} == {MAX_ANSWER_BYTES}
    assert not asked.says_received
    assert peak_bytes < 20_000_000


def test_endless_headers_end_in_time_and_size(receiver):
    """Headers without an end are given up, dripping after the total and pouring after their bound."""
    for pause in (0.1, 0.0):
        receiver.script(200, headers_for_ever=pause)
        began = time.monotonic()
        with pytest.raises(NotAnswered):
            QUICK.post(receiver.url, {}, b"{}")
        assert time.monotonic() - began < 5


def test_a_redirected_question_is_no(receiver, other_receiver):
    """Promise 7: whoever is named in the answer to a question is not asked instead."""
    receiver.answer_get(302, b'{"received": true}', headers={"Location": other_receiver.url})
    assert not Poster().get(receiver.url, {}).says_received
    assert other_receiver.seen == []


def test_a_silent_name_server_ends_in_time(receiver, monkeypatch):
    """The bound counts although the look-up goes on in its thread."""
    is_over = threading.Event()

    def silent(*_asked, **_more):
        is_over.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    began = time.monotonic()
    with pytest.raises(NotAnswered):
        QUICK.post(receiver.url.replace("127.0.0.1", "localhost"), {}, b"{}")
    assert time.monotonic() - began < 5
    is_over.set()


def test_silence_ends_in_time(receiver):
    """A receiver that says nothing is given up after the time for reading."""
    receiver.script(200, wait=threading.Event())
    began = time.monotonic()
    with pytest.raises(NotAnswered, match="ReadTimeout"):
        QUICK.post(receiver.url, {}, b"{}")
    assert time.monotonic() - began < 5


def test_a_dripping_answer_ends_in_time(receiver):
    """Byte after byte, each in time, is given up after the total."""
    receiver.script(200, drip=True)
    began = time.monotonic()
    with pytest.raises(NotAnswered, match="TimeoutError"):
        QUICK.post(receiver.url, {}, b"{}")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("way", ["closed", "garbage"])
def test_no_answer_is_an_error_without_the_address(receiver, way):
    """Nothing listens, or what answers is no HTTP; an address may hold a path that is a secret."""
    if way == "closed":
        receiver.close()
    else:
        receiver.script(0)
    with pytest.raises(NotAnswered) as raised:
        QUICK.post(receiver.url + "?token=hidden", {}, b"{}")
    assert "hidden" not in raised.value.diagnostics()


@pytest.mark.parametrize(
    ("status", "content", "received"),
    [
        (200, b'{"received": true}', True),
        (200, b'{"received": "true"}', False),
        (200, b"[true]", False),
        (200, b"\xff", False),
        (201, b'{"received": true}', False),
        (404, b'{"received": true}', False),
        (200, b"[" * 60_000, False),
        (200, b'{"received":' * 5_000, False),
        (200, b'{"received":' + b"9" * 60_000 + b"}", False),
        (200, b"", False),
    ],
)
def test_only_one_answer_says_that_a_message_is_there(receiver, status, content, received):
    """Everything else means that it is sent again, under the same id."""
    receiver.answer_get(status, content)
    assert Poster().get(receiver.url, {"webhook-id": "wk_1"}).says_received is received
