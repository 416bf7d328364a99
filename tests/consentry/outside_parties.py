"""Parties outside the house on loopback: real witnesses, authorities for timestamps, and who answers as told."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from audit.signing import NoteSigner
from audit.verifier import VerifierKey
from audit.verifier.notes import COSIGNATURE
from audit.witness import Witness
from audit.witness_state import open_witness_state
from consentry.api.witness import create_witness_app
from kernel.clock import SystemClock
from kernel.database import Database
from tests.loopback import served, start_serving


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on loopback; yields its address."""
    with served(uvicorn.Config(app, log_level="warning", lifespan="off")) as address:
        yield address


@contextmanager
def answering(answer) -> Iterator[str]:
    """Serve POST on loopback: `answer` is given the body and returns status and bytes."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, content = answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    start_serving(server)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Asked:
    """A witness that can be started again with other keys, under the same address."""

    def __init__(self, signer: NoteSigner, log: VerifierKey, state: Database) -> None:
        self._signer, self._state = signer, state
        self.restart([log])

    def restart(self, logs: list[VerifierKey]) -> None:
        self._witness = Witness(self._signer, logs, self._state, SystemClock())

    def add_checkpoint(self, body: bytes) -> bytes:
        return self._witness.add_checkpoint(body)

    def last_note(self, origin: str) -> bytes:
        return self._witness.last_note(origin)


class Quorum:
    """Witnesses of one log and the policy file that names them."""

    def __init__(self, folder: Path, log: VerifierKey, opened: ExitStack) -> None:
        self.folder, self.log, self._opened = folder, log, opened
        self._asked: list[Asked] = []
        self._lines: list[str] = []
        self.keys: dict[str, VerifierKey] = {}

    @property
    def policy(self) -> Path:
        return self.folder / "policy"

    def witness(self, name: str) -> None:
        """Start an honest witness."""
        signer = self.signer(name)
        state = self._opened.enter_context(open_witness_state(self.folder / f"{name}.state", is_new=True))
        asked = Asked(signer, self.log, state)
        self._asked.append(asked)
        self.add(name, self._opened.enter_context(serving(create_witness_app(asked))))

    def trust(self, key: VerifierKey) -> None:
        """Let every witness know one more key, as `--log` does at its next start."""
        for asked in self._asked:
            asked.restart([self.log, key])

    def lying(self, name: str, answer) -> None:
        """Start one that answers as it is told."""
        self.add(name, self._opened.enter_context(answering(answer)))

    def add(self, name: str, url: str = "") -> None:
        self.keys[name] = self.signer(name).key
        self._lines.append(f"witness {name} {self.keys[name]} {url}")

    def signer(self, name: str) -> NoteSigner:
        return NoteSigner(f"{name}.example", name.encode().ljust(32), algorithm=COSIGNATURE)

    def ask_for(self, threshold: int) -> Path:
        """Write the policy: so many of the witnesses make the quorum."""
        lines = [f"log {self.log}", *self._lines]
        lines += [f"group all-of-us {threshold} {' '.join(self.keys)}", "quorum all-of-us"]
        self.policy.write_text("\n".join(lines) + "\n")
        return self.policy
