"""The witness's HTTP interface, served on loopback and asked as a log asks."""

import threading

import httpx
import pytest

from audit.notes import checkpoint_text, sign_note
from audit.signing import NoteSigner
from audit.verifier.notes import COSIGNATURE, open_cosignatures
from audit.witness import MAX_BODY_BYTES, Witness, encode_submission
from audit.witness_state import open_witness_state
from consentry.api.witness import create_witness_app
from kernel.database import open_database
from tests.audit.memory_log import MemoryLog
from tests.consentry.outside_parties import serving

LOG = NoteSigner("log.example/audit", b"l" * 32)
WITNESS = NoteSigner("w.example/1", b"w" * 32, algorithm=COSIGNATURE)


@pytest.fixture
def state_path(tmp_path):
    """A new state file."""
    with open_witness_state(tmp_path / "witness.state", is_new=True):
        return tmp_path / "witness.state"


@pytest.fixture
def url(state_path, clock):
    """The address of a running witness whose patience for its state is short."""
    state = open_database(f"sqlite:///{state_path}", label="witness state", busy_timeout_ms=50)
    app = create_witness_app(Witness(WITNESS, [LOG.key], state, clock))
    with serving(app) as address:
        yield address
    state.dispose()


@pytest.fixture
def post(url):
    """Submits bytes."""
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield lambda body, **headers: client.post("/add-checkpoint", content=body, headers=headers)


@pytest.fixture
def honest():
    """A log of twenty entries."""
    return MemoryLog(LOG, 20)


def test_cosignature_lines_come_back(post, honest, clock):
    """200: signature lines and nothing else."""
    answer = post(honest.submission(0, 7))
    assert answer.status_code == 200
    assert answer.content.startswith(b"\xe2\x80\x94 w.example/1 ")
    assert answer.content.count(b"\n") == 1
    assert set(open_cosignatures(honest.checkpoint(7).note + answer.content, [WITNESS.key])) == {WITNESS.key}


def test_content_type_of_a_submission_does_not_matter(post, honest):
    """Clients name the body as they like; it is never read as JSON or as a form."""
    assert post(honest.submission(0, 1), **{"content-type": "application/json"}).status_code == 200
    assert post(honest.submission(1, 2), **{"content-type": "application/x-www-form-urlencoded"}).status_code == 200


def test_conflict_says_the_size_in_its_own_media_type(post, honest):
    """409: the size in decimal and a line end, as `text/x.tlog.size`, for another old size and another root alike."""
    post(honest.submission(0, 7))
    for body in (honest.submission(0, 20), MemoryLog(LOG, 7, history="b").submission(7, 7)):
        answer = post(body)
        assert (answer.status_code, answer.content) == (409, b"7\n")
        assert answer.headers["content-type"] == "text/x.tlog.size"


def test_each_refusal_has_its_status(post, honest):
    """400, 403, 404 and 422 of the protocol, each with one line that says why."""
    foreign = NoteSigner("other.example", b"o" * 32)
    unsigned = sign_note(checkpoint_text(LOG.name, 3, honest.root(3)), foreign)
    asked = {
        400: [b"", b"old 1\n\nx", encode_submission(8, [], honest.checkpoint(7).note), honest.submission(0, 3) + b"x"],
        403: [encode_submission(0, [], unsigned)],
        404: [MemoryLog(foreign, 3).submission(0, 3)],
        422: [encode_submission(0, [b"h" * 32], honest.checkpoint(7).note)],
    }
    for status, bodies in asked.items():
        for body in bodies:
            answer = post(body)
            assert answer.status_code == status
            assert answer.text.count("\n") == 1
            assert answer.headers["content-type"].startswith("text/plain")


def test_body_is_bounded(post):
    """More than 64 KiB is not read, whether its length is stated or not."""
    assert post(b"x" * (MAX_BODY_BYTES + 1)).status_code == 413
    assert post(iter([b"x"] * 3)).status_code == 411


def test_state_that_is_locked_answers_503(post, honest, state_path):
    """Nothing is cosigned that cannot be remembered."""
    with open_witness_state(state_path) as holder, holder.write():
        assert post(honest.submission(0, 3)).status_code == 503
    assert post(honest.submission(0, 3)).status_code == 200


def test_monitor_reads_the_last_cosigned_note(post, honest, url):
    """GET /checkpoint: the note with the log's signature and the witness's; 404 before the first."""
    asked = {"origin": LOG.name}
    assert httpx.get(f"{url}/checkpoint", params=asked, trust_env=False).status_code == 404
    line = post(honest.submission(0, 7)).content
    answer = httpx.get(f"{url}/checkpoint", params=asked, trust_env=False)
    assert (answer.status_code, answer.content) == (200, honest.checkpoint(7).note + line)


def test_there_is_nothing_else(url):
    """No schema, no pages, no other method."""
    for path in ("/", "/docs", "/openapi.json", "/v1/health"):
        assert httpx.get(url + path, trust_env=False).status_code == 404
    assert httpx.get(f"{url}/add-checkpoint", trust_env=False).status_code == 405


def test_many_at_once_are_answered_and_never_roll_back(post, honest, url):
    """Two logs' servers that submit at the same moment: every answer is 200 or 409, and the largest size stands."""
    seen = []

    def submit(size):
        with httpx.Client(base_url=url, trust_env=False) as client:
            answer = client.post("/add-checkpoint", content=honest.submission(0, size))
            seen.append((answer.status_code, size))

    threads = [threading.Thread(target=submit, args=(size,)) for size in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    granted = [size for status, size in seen if status == 200]
    assert {status for status, _ in seen} <= {200, 409, 503}
    assert len(seen) == 12
    assert post(honest.submission(0, 20)).content == f"{max(granted)}\n".encode()
