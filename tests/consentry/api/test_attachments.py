"""Files over HTTP: the body itself comes and goes, never whole in memory, and never half."""

import socket
import time
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

import httpx
import pytest
from sqlalchemy import func, select, update

from consentry.api import attachments
from consentry.platform import open_platform
from consentry.settings import load_settings
from tests.consentry.api.conftest import serving
from vault._content import CHUNK_BYTES
from vault.tables import attachment, attachment_chunk

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def described(**other: str) -> dict[str, str]:
    """The headers of a picture."""
    said = {
        "Attachment-Source": "app",
        "Attachment-Field": "images",
        "Attachment-Subject": quote("u-1"),
        "Attachment-Record": quote("影像-1"),
        "Attachment-Observed-At": "2026-11-21T09:00:00+08:00",
        "Attachment-Name": quote("胸片 1.png"),
        "Content-Type": "image/png",
    }
    return said | {name.replace("_", "-"): value for name, value in other.items()}


@pytest.fixture
def patient(captured):
    """An adult who granted care."""
    return captured.person("u-1", "P02")


@pytest.fixture
def send(call, captured):
    """Sends a file with an ingest key."""
    client = call(captured.machine_key("ingest"))

    def post(content: bytes | Iterator[bytes] = PNG, headers: Mapping[str, str] | None = None) -> httpx.Response:
        said = {**client.headers, **(described() if headers is None else headers)}
        return client.http.post("/v1/attachments", content=content, headers=said)

    return post


def rows(platform) -> tuple[int, int]:
    """Files and chunks that are there."""
    with platform.data.read() as connection:
        return tuple(connection.scalar(select(func.count()).select_from(t)) for t in (attachment, attachment_chunk))


def settled(platform, wanted: tuple[int, int]) -> None:
    """Wait until the server has cleared away what it is clearing away."""
    for _ in range(200):
        if rows(platform) == wanted:
            return
        time.sleep(0.02)
    assert rows(platform) == wanted


def test_a_file_comes_and_goes(call, captured, patient, send):
    """The same bytes, as an attachment that no browser renders, stores or sniffs."""
    stored = send()
    assert stored.status_code == 201
    told = stored.json()
    assert (told["field"], told["size_bytes"], told["repeated"]) == ("images", len(PNG), False)
    assert "胸片" not in stored.text
    reader = call(captured.token("clinician"))
    opened = reader.post(f"/attachments/{told['attachment']}/open", {"purpose": "P02", "reason": "follow-up"})
    assert opened.content == PNG
    assert opened.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{quote('胸片 1.png', safe='')}"
    assert opened.headers["Content-Type"] == "image/png"
    assert opened.headers["X-Content-Type-Options"] == "nosniff"
    assert opened.headers["Cache-Control"] == "no-store"
    assert "sandbox" in opened.headers["Content-Security-Policy"]
    assert opened.headers["Audit-Entry"]
    listed = reader.get(f"/subjects/{patient}/attachments").json()["attachments"]
    assert [one["attachment"] for one in listed] == [told["attachment"]]


def test_the_same_file_again_is_told_so(patient, send):
    """Who lost the answer sends again."""
    first, again = send().json(), send().json()
    assert (again["attachment"], again["repeated"]) == (first["attachment"], True)


def test_files_are_larger_than_other_bodies(platform, patient, send):
    """max_body_bytes does not count for them."""
    large = PNG + bytes(platform.settings.max_body_bytes)
    assert send(large).status_code == 201


def test_other_bodies_keep_their_limit(call, captured, platform):
    """The larger limit is that of one route."""
    body = {"x": "y" * platform.settings.max_body_bytes}
    assert call(captured.machine_key("ingest")).post("/records", body).status_code == 413


def test_a_body_without_length_or_type_is_refused(patient, send):
    """As everywhere: the length is declared."""
    assert send(iter([PNG])).status_code == 411
    assert send(headers={k: v for k, v in described().items() if k != "Content-Type"}).status_code == 415


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Attachment_Field": "diagnosis"}, 422),
        ({"Attachment_Subject": "u-2"}, 404),
        ({"Content_Type": "text/html"}, 422),
        ({"Content_Type": "image/jpeg"}, 422),
        ({"Attachment_Observed_At": "yesterday"}, 422),
        ({"Attachment_Observed_At": "2026-11-21T09:00:00"}, 422),
        ({"Attachment_Name": quote("\x00")}, 422),
        ({"Attachment_Source": "a b"}, 422),
    ],
)
def test_what_cannot_be_is_a_problem(platform, patient, send, changed, status):
    """Each refusal is a problem document that repeats nothing, and leaves nothing."""
    said = send(headers=described(**changed))
    assert (said.status_code, said.headers["Content-Type"]) == (status, "application/problem+json")
    assert rows(platform) == (0, 0)


def test_missing_headers_are_named(patient, send):
    """What describes a file must be there."""
    headers = {name: value for name, value in described().items() if name != "Attachment-Record"}
    said = send(headers=headers)
    assert said.status_code == 422
    assert "record" in said.json()["detail"]


def test_a_sender_who_goes_away_leaves_nothing(address, captured, platform, patient):
    """The connection ends in the middle of the body: what had come is taken away again."""
    host = urlsplit(address)
    headers = {**described(), "Authorization": f"Bearer {captured.machine_key('ingest')}"}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = f"POST /v1/attachments HTTP/1.1\r\nHost: x\r\nContent-Length: {8 * CHUNK_BYTES}\r\n" + "\r\n".join(lines)
    with socket.create_connection((host.hostname, host.port)) as link:
        link.sendall(head.encode() + b"\r\n\r\n" + PNG)
        link.sendall(bytes(6 * CHUNK_BYTES - len(PNG)))
        settled(platform, (1, 4))
    settled(platform, (0, 0))


def test_only_so_many_files_come_at_once(patient, send, monkeypatch):
    """Others shall have threads left."""
    for _ in range(4):
        assert attachments._coming.acquire(blocking=False)
    try:
        said = send()
        assert (said.status_code, said.json()["title"]) == (503, "A store, a key or the log cannot be used now")
    finally:
        for _ in range(4):
            attachments._coming.release()
    assert send().status_code == 201


def test_a_changed_first_piece_is_a_problem_and_a_later_one_cuts_the_answer(call, captured, platform, patient, send):
    """Nothing that does not verify is given out, and nobody takes a part for the whole."""
    told = send(PNG + bytes(2 * CHUNK_BYTES)).json()
    reader = call(captured.token("clinician"))
    asked = {"purpose": "P02", "reason": "follow-up"}

    def spoil(number: int) -> None:
        with platform.data.write() as connection:
            mine = attachment_chunk.c.number == number
            sealed = connection.scalar(select(attachment_chunk.c.sealed).where(mine))
            spoilt = sealed[:-1] + bytes([sealed[-1] ^ 1])
            connection.execute(update(attachment_chunk).where(mine).values(sealed=spoilt))

    spoil(1)
    with pytest.raises(httpx.RemoteProtocolError):
        reader.post(f"/attachments/{told['attachment']}/open", asked)
    spoil(0)
    said = reader.post(f"/attachments/{told['attachment']}/open", asked)
    assert (said.status_code, said.json()["type"]) == (503, "urn:consentry:problem:IntegrityFailed")


def test_text_is_given_as_bytes(call, captured, patient, send):
    """Nobody has stated its encoding, and no browser shall guess."""
    told = send(
        "患者：头痛".encode(), described(Attachment_Field="consult_recording", Content_Type="text/plain")
    ).json()
    opened = call(captured.token("clinician")).post(
        f"/attachments/{told['attachment']}/open", {"purpose": "P02", "reason": "follow-up"}
    )
    assert opened.headers["Content-Type"] == "application/octet-stream"


def test_an_unknown_file_is_not_found(call, captured):
    """An id that is nobody's."""
    said = call(captured.token("clinician")).post(
        f"/attachments/att_{'a' * 24}/open", {"purpose": "P02", "reason": "x"}
    )
    assert said.status_code == 404


def test_a_smaller_limit_can_be_set(deployment, clock):
    """The setting is the route's limit."""
    settings = load_settings(**{**deployment.settings.model_dump(), "max_attachment_bytes": 2_000})
    with open_platform(settings, clock=clock) as platform, serving(platform) as address, httpx.Client() as http:
        said = http.post(f"{address}/v1/attachments", content=bytes(2_001), headers=described())
        assert said.status_code == 413
        assert "at most 2000 bytes" in said.json()["detail"]
