"""Who outside is asked, as the settings name them."""

import hashlib
import socket
import time

import pytest

from audit.signing import NoteSigner
from audit.verifier.notes import COSIGNATURE
from consentry.outsiders import Outsiders, post_outside
from consentry.settings import load_settings
from kernel.errors import ConfigurationError, Unavailable
from tests.audit.timestamp_authority import Authority
from tests.consentry.outside_parties import answering

KEY = NoteSigner("w.example", b"w" * 32, algorithm=COSIGNATURE).verifier_key


@pytest.fixture
def outsiders(tmp_path):
    """Reads settings with a policy file of this content."""

    def read(content=None, **settings):
        if content is not None:
            (tmp_path / "policy").write_bytes(content)
            settings["witness_policy_file"] = tmp_path / "policy"
        return Outsiders.of(load_settings(home=tmp_path, **settings))

    return read


def test_nobody_is_there_without_settings(outsiders):
    """Promise 7: who is not named is not asked."""
    assert not outsiders().are_there


def test_policy_is_read_with_its_hash(outsiders):
    """The hash goes into the log."""
    content = f"witness w {KEY} https://w.example\nquorum w\n".encode()
    read = outsiders(content)
    assert read.are_there
    assert [one.url for one in read.policy.witnesses] == ["https://w.example"]
    assert read.policy_hash == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"quorum nobody\n",
        f"witness w {KEY} ftp://w.example\nquorum w\n".encode(),
        f"witness w {KEY} w.example\nquorum w\n".encode(),
        f"witness w {KEY} https://\nquorum w\n".encode(),
        f"witness w {KEY} https://w\xff.example\nquorum w\n".encode("latin-1"),
    ],
)
def test_wrong_policy_is_refused(outsiders, content):
    """No policy, or a URL that is none."""
    with pytest.raises(ConfigurationError):
        outsiders(content)


def test_missing_files_are_unavailable(outsiders, tmp_path):
    """A file that is not there is told apart from a wrong one."""
    with pytest.raises(Unavailable):
        outsiders(witness_policy_file=tmp_path / "none")
    with pytest.raises(Unavailable):
        outsiders(timestamp_url="https://tsa.example", timestamp_roots_file=tmp_path / "none")


def test_timestamps_need_roots(outsiders, tmp_path):
    """A timestamp that nobody can verify is none."""
    with pytest.raises(ConfigurationError, match="timestamp_roots_file"):
        outsiders(timestamp_url="https://tsa.example")
    roots = Authority.make(tmp_path / "tsa").roots
    with pytest.raises(ConfigurationError):
        outsiders(timestamp_url="tsa.example", timestamp_roots_file=roots)
    read = outsiders(timestamp_url="https://user:secret@tsa.example:8443/tsr", timestamp_roots_file=roots)
    assert read.authority == "tsa.example:8443"


def test_answer_comes_back_with_its_status():
    """Bytes and status, with the media type that was asked for."""
    with answering(lambda body: (409, body[::-1])) as url:
        assert post_outside(url, b"abc", "text/plain").content == b"cba"
        assert post_outside(url, b"abc", "text/plain").status == 409


def test_redirect_and_proxy_are_not_followed(monkeypatch):
    """Promise 7: only the address that the operator configured is asked."""
    seen = []
    with answering(lambda body: (seen.append(body) or 200, b"")) as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, other)
        with answering(lambda _body: (307, b"")) as url:
            assert post_outside(url, b"x", "text/plain").status == 307
    assert seen == []


def test_nobody_there_ends_in_time():
    """A refused connection and an address that does not exist."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer"):
        post_outside(f"http://127.0.0.1:{port}", b"x", "text/plain")
    assert time.monotonic() - began < 10
