"""A deployment whose log somebody attacks: what the intruder can do to its files, and who may notice."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from audit.events import Act, Event, Outcome
from audit.origins import current_origin
from audit.signing import NoteSigner
from audit.tree import StoredTree
from audit.verifier import VerifierKey
from audit.verifier import main as consentry_verify
from audit.verifier.notes import COSIGNATURE
from audit.verifier.policy import PolicyWitness
from audit.witness import Witness
from audit.witness_state import open_witness_state
from audit.witnessing import Reply, Statement, ask_witness
from consentry.api.witness import create_witness_app
from consentry.demo.shell import Shell
from consentry.platform import Platform, open_platform
from consentry.settings import Settings, load_settings
from consentry.workflows.initialise import initialise
from consentry.workflows.keep_log import check_log
from kernel.clock import FixedClock, SystemClock
from kernel.errors import ConsentryError
from kernel.ids import RequestId, SubjectId
from tests.consentry.conftest import Captured

STARTED = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
EVERYBODY = ("u-1", "u-2")


class Intruder:
    """Writes to the data store of a deployment as the owner of its file can, and to the files beside it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @contextlib.contextmanager
    def unguarded(self) -> Iterator[sqlite3.Connection]:
        """The store with its triggers dropped; they are back afterwards, so that their absence gives nobody away."""
        with closing(sqlite3.connect(self.home / "data.db")) as connection, connection:
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            yield connection
            for _, statement in triggers:
                connection.execute(statement)

    def strike(self, *statements: str) -> None:
        """Run statements, each of which must hit something."""
        with self.unguarded() as connection:
            for statement in statements:
                assert connection.execute(statement).rowcount > 0, statement

    def slip_in(self, body: bytes) -> None:
        """Put an entry into the inbox, as any transaction does; it is signed with the next ones."""
        with closing(sqlite3.connect(self.home / "data.db")) as connection, connection:
            (at,) = connection.execute("SELECT max(at) FROM audit_leaf").fetchone()
            said = forge(body, at=json.loads(self.bodies()[-1])["at"])
            row = (json.loads(said)["id"], at, said)
            connection.execute("INSERT INTO audit_inbox (entry_id, at, body) VALUES (?, ?, ?)", row)

    def bodies(self) -> list[bytes]:
        with closing(sqlite3.connect(self.home / "data.db")) as connection:
            return [body for (body,) in connection.execute("SELECT body FROM audit_leaf ORDER BY leaf_index")]

    def put_bodies(self, bodies: Sequence[bytes]) -> None:
        """Let the log hold other bytes, each row's id and look-up columns made to fit; hashes stay as they are."""
        with self.unguarded() as connection:
            old = connection.execute(
                "SELECT leaf_index, body, leaf_hash FROM audit_leaf ORDER BY leaf_index"
            ).fetchall()
            for index, body in enumerate(bodies):
                if index >= len(old) or body != old[index][1]:
                    connection.execute("DELETE FROM audit_leaf WHERE leaf_index = ?", (index,))
            connection.execute("DELETE FROM audit_leaf WHERE leaf_index >= ?", (len(bodies),))
            for index, body in enumerate(bodies):
                if index >= len(old) or body != old[index][1]:
                    hashed = old[index][2] if index < len(old) else sha256(b"\x00" + body)
                    _insert_leaf(connection, index, body, hashed)

    def rebuild(self) -> None:
        """Compute hashes, subtrees and head anew from the bytes, all that needs no key, and forget the signed heads."""
        leaves = [sha256(b"\x00" + body) for body in self.bodies()]
        with self.unguarded() as connection:
            rows = [(hashed, index) for index, hashed in enumerate(leaves)]
            connection.executemany("UPDATE audit_leaf SET leaf_hash = ? WHERE leaf_index = ?", rows)
            connection.execute("DELETE FROM audit_subtree")
            for position in range(len(leaves) // 256):
                root = tree_hash(leaves[position * 256 : (position + 1) * 256])
                connection.execute("INSERT INTO audit_subtree VALUES (1, 1, ?, ?)", (position, root))
            connection.execute("UPDATE audit_head SET size = ?, peaks = ?", (len(leaves), b"".join(peaks(leaves))))

    def cut(self, size: int) -> None:
        """Take away every entry from an index on, and every checkpoint that tells of them."""
        self.put_bodies(self.bodies()[:size])
        self.rebuild()
        with self.unguarded() as connection:
            connection.execute("DELETE FROM audit_checkpoint WHERE size > ?", (size,))

    def forget_signer(self) -> None:
        """Remove the embedded signer's memory, and every checkpoint that shows that it had one."""
        (self.home / "signing.state").unlink()
        with self.unguarded() as connection:
            connection.execute("DELETE FROM audit_checkpoint")


class House(Intruder):
    """One deployment under attack.

    Attributes:
        key: its public key, as somebody outside got it at the beginning.
        held: a checkpoint that somebody outside keeps, over ``held_size`` entries.
        older: a folder with everything as it was before that checkpoint, when nobody had withdrawn yet.
    """

    def __init__(self, made: "Template", home: Path) -> None:
        super().__init__(home)
        self.key, self.held, self.held_size, self.older = made.key, made.held, made.held_size, made.older
        self.shell = Shell(home, shown=False)

    @property
    def settings(self) -> Settings:
        return load_settings(home=self.home, busy_timeout_ms=5_000)

    @property
    def origin(self) -> str:
        return self.key.split("+")[0]

    @property
    def size(self) -> int:
        return len(self.bodies())

    @contextlib.contextmanager
    def opened(self) -> Iterator[Platform]:
        with open_platform(self.settings) as platform:
            yield platform

    def start(self) -> str:
        """Start as every command and the server do; returns why that was refused, or nothing."""
        try:
            with self.opened() as platform:
                check_log(platform)
        except ConsentryError as err:
            return err.message
        return ""

    def live_on(self, number: int = 1) -> None:
        """Write some entries more, and have them signed for."""
        with self.opened() as platform:
            grow(platform, number)

    def exported(self, name: str = "export") -> Path:
        """Export the log, whole or not."""
        folder = self.home.parent / name
        self.shell.refused("audit", "export", str(folder))
        return folder

    def verified(self, *words: object, key: str = "") -> dict[str, Any]:
        """Export and run ``consentry-verify log``; returns what it found, empty where the log is whole."""
        return verdict("log", self.exported(), *words, "--key", key or self.key)

    def proven(self, index: int, note: bytes, policy: Path) -> dict[str, Any]:
        """Run ``consentry-verify entry`` on one entry under a note; returns what it found, empty where it stands."""
        size = int(note.split(b"\n")[1])
        with self.opened() as platform, platform.data.read() as connection:
            hashes = StoredTree(connection, current_origin(connection)).inclusion_proof(index, size)
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *(base64.b64encode(one).decode() for one in hashes)]
        proof, entry = self.home.parent / "proof", self.home.parent / "entry"
        proof.write_bytes("\n".join(lines).encode() + b"\n\n" + note)
        entry.write_bytes(self.bodies()[index])
        return verdict("entry", "--proof", proof, "--entry", entry, "--key", self.key, "--policy", policy)

    def reconciled(self) -> list[str]:
        """Run ``consentry audit reconcile``; returns part and differences of each mismatch."""
        told = json.loads(self.printed("audit", "reconcile", "--json").splitlines()[-1])
        return [f"{one['part']}: {', '.join(one['differs'])}" for one in told["named"]]

    def printed(self, *words: str) -> str:
        """What a command prints before it ends, however it ends."""
        from consentry.cli.app import app

        printed = io.StringIO()
        with contextlib.suppress(ConsentryError), contextlib.redirect_stdout(printed):
            app([*words, "--home", str(self.home)], standalone_mode=False)
        return printed.getvalue()

    def restore_older(self, *names: str) -> None:
        """Put back files of the time before the held checkpoint."""
        for name in names:
            shutil.copy(self.older / name, self.home / name)

    def ask(self, witnesses: "Witnesses", *names: str) -> tuple[bytes, list[Statement]]:
        """Ask for the head's cosignature, as `consentry audit anchor` does; returns its note and what they said."""
        with self.opened() as platform:
            signed = platform.log.settle()
            with platform.data.read() as connection:
                tree = StoredTree(connection, current_origin(connection))

                def prove(old: int) -> Sequence[bytes]:
                    return tree.consistency_proof(old, signed.size)

                asked = [witnesses.named(name) for name in names]
                said = [ask_witness(one, signed, last=0, prove=prove, post=witnesses.post) for one in asked]
        return signed.note, said

    def cosigned(self, witnesses: "Witnesses", *names: str) -> Path:
        """Have the head cosigned by some witnesses; returns the file with the note that carries their lines."""
        note, said = self.ask(witnesses, *names)
        assert all(one.line for one in said), said
        path = self.home.parent / f"seen-by-{'-'.join(names)}"
        path.write_bytes(note + b"".join(one.line for one in said))
        return path

    def copy(self, name: str) -> "House":
        """A copy of everything, key and signer's memory included."""
        shutil.copytree(self.home, self.home.parent / name / "home")
        made = House.__new__(House)
        made.__dict__.update(self.__dict__, home=self.home.parent / name / "home")
        made.shell = Shell(made.home, shown=False)
        return made


class Witnesses:
    """Parties outside, w1, w2 and w3, each with a key and a state of its own, asked through their HTTP interface."""

    def __init__(self, folder: Path, log: VerifierKey, opened: contextlib.ExitStack) -> None:
        self._folder, self._log, self._opened = folder, log, opened
        self._signers = {
            name: NoteSigner(f"{name}.example", name.encode().ljust(32), algorithm=COSIGNATURE)
            for name in ("w1", "w2", "w3")
        }
        self._apps: dict[str, FastAPI] = {}

    def policy(self, threshold: int) -> Path:
        """The file of somebody who wants the cosignatures of so many of them."""
        named = [f"witness {name} {signer.key} http://{name}" for name, signer in self._signers.items()]
        group = f"group of-three {threshold} {' '.join(self._signers)}"
        path = self._folder / f"policy-{threshold}"
        path.write_text("\n".join([f"log {self._log}", *named, group, "quorum of-three", ""]))
        return path

    def named(self, name: str) -> PolicyWitness:
        return PolicyWitness(name, self._signers[name].key, f"http://{name}")

    def post(self, url: str, content: bytes, content_type: str) -> Reply:
        """Carry a question to the witness that the URL names, and its answer back."""
        name = urlsplit(url).netloc
        if name not in self._apps:
            state = self._opened.enter_context(open_witness_state(self._folder / name, is_new=True))
            witness = Witness(self._signers[name], [self._log], state, SystemClock())
            self._apps[name] = create_witness_app(witness)
        return asyncio.run(_posted(self._apps[name], url, content, content_type))


@dataclass(frozen=True)
class Template:
    """A deployment that tests attack copies of."""

    home: Path
    key: str
    held: Path
    held_size: int
    older: Path


async def _posted(app: FastAPI, url: str, content: bytes, content_type: str) -> Reply:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        answer = await client.post(url, content=content, headers={"content-type": content_type})
    return Reply(answer.status_code, answer.content)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1 over leaf hashes; an intruder can read it too."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:]))


def peaks(leaves: Sequence[bytes]) -> list[bytes]:
    """The roots of the perfect subtrees from left to right."""
    if not leaves:
        return []
    width = 1 << len(leaves).bit_length() - 1
    return [tree_hash(leaves[:width]), *peaks(leaves[width:])]


def verdict(command: str, *words: object) -> dict[str, Any]:
    """Run ``consentry-verify``; returns the failure, empty where everything holds."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = consentry_verify([command, *map(str, words), "--json"])
    told = json.loads(printed.getvalue())
    assert status == (0 if told["whole"] else 1)
    return told.get("failure", {})


def grow(platform: Platform, number: int) -> None:
    """Write entries about nothing in particular."""
    event = Event(Act.AUDIT_READ, Outcome.ALLOWED, "usr_officer", "compliance_officer", RequestId("req_grown"))
    with platform.data.write() as connection:
        platform.log.record_many(connection, [event] * number)
    platform.log.settle()


def look_at_all(platform: Platform, subjects: Sequence[SubjectId]) -> None:
    """Write the entry of an access to several people at once."""
    event = Event(
        Act.COHORT_COUNTED, Outcome.ALLOWED, "usr_analyst", "analyst", RequestId("req_many"), cohort=tuple(subjects)
    )
    with platform.data.write() as connection:
        platform.log.record(connection, event)


def forge(body: bytes, **members: object) -> bytes:
    """Return an entry that says something else, as canonical as a real one."""
    said = json.loads(body) | members
    return json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _insert_leaf(connection: sqlite3.Connection, index: int, body: bytes, hashed: bytes) -> None:
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    at = datetime.fromisoformat(said["at"]) if "at" in said else STARTED
    row = {
        "leaf_index": index, "entry_id": said.get("id", f"ent_{index}"), "body": body, "leaf_hash": hashed,
        "at": int(at.timestamp()) * 1_000_000 + at.microsecond, "purpose": said.get("purpose"),
        "alias": said.get("subject"), "level": said.get("level"),
        **{name: said.get(name, "") for name in ("act", "outcome", "actor", "role", "request_id")},
    }  # fmt: skip
    names = ", ".join(row)
    connection.execute(f"INSERT OR REPLACE INTO audit_leaf ({names}) VALUES (:{', :'.join(row)})", row)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Two people with decisions, some six hundred entries, and a checkpoint that left the house before the last."""
    folder = tmp_path_factory.mktemp("attacked")
    clock = FixedClock(STARTED)
    settings = load_settings(home=folder / "home", busy_timeout_ms=5_000)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    ready = load_settings(home=folder / "home", busy_timeout_ms=5_000)
    with open_platform(ready, clock=clock) as platform:
        people = Captured(platform)
        look_at_all(platform, [people.person(name, "P06", "P07") for name in EVERYBODY])
        grow(platform, 520)
    shutil.copytree(folder / "home", folder / "older")
    with open_platform(ready, clock=clock) as platform:
        people = Captured(platform, numbers=count(100))
        people.record(people.act("withdraw", people.known("u-1"), "P07"))
        held = platform.log.settle()
        for _ in range(3):
            grow(platform, 3)
    (folder / "held").write_bytes(held.note)
    return Template(folder / "home", made.verifier_key, folder / "held", held.size, folder / "older")


@pytest.fixture
def witnesses(template: Template, tmp_path: Path) -> Iterator[Witnesses]:
    """Three parties outside who have not been asked yet."""
    (tmp_path / "outside").mkdir()
    with contextlib.ExitStack() as opened:
        yield Witnesses(tmp_path / "outside", VerifierKey.parse(template.key), opened)


@pytest.fixture
def house(template: Template, tmp_path: Path) -> House:
    """A copy of that deployment, to be attacked."""
    shutil.copytree(template.home, tmp_path / "home")
    return House(template, tmp_path / "home")
