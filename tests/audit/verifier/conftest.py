"""Logs made up in memory and written as exports, straight from the specifications and without the code under test."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.verifier import VerificationError, VerifierKey, verify_export

ORIGIN = "log.example/audit"


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word, over leaf hashes."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:]))


def number_path(number: int) -> str:
    """c2sp.org/tlog-tiles: 1234067 becomes x001/x234/067."""
    text = str(number)
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[start : start + 3] for start in range(0, len(text), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


class Signer:
    """A key of a log, or of a witness."""

    def __init__(self, seed: int, name: str = ORIGIN, algorithm: int = 1) -> None:
        self.secret = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
        self.key = VerifierKey(name, self.secret.public_key().public_bytes_raw(), algorithm)

    def line(self, signed: bytes) -> bytes:
        return f"\u2014 {self.key.name} {base64.b64encode(self.key.key_id + signed).decode()}\n".encode()

    def sign(self, text: bytes) -> bytes:
        return self.line(self.secret.sign(text))

    def cosign(self, text: bytes, time: int = 1_700_000_000) -> bytes:
        message = f"cosignature/v1\ntime {time}\n".encode() + text
        return self.line(time.to_bytes(8, "big") + self.secret.sign(message))


def checkpoint_text(size: int, root: bytes, origin: str = ORIGIN) -> bytes:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def note(text: bytes, *lines: bytes) -> bytes:
    return text + b"\n" + b"".join(lines)


@dataclass
class Made:
    """A log in memory: entries, and the sizes at which checkpoints were signed."""

    entries: list[bytes]
    sizes: Sequence[int] = ()
    signer: Signer = field(default_factory=lambda: Signer(1))

    @property
    def leaves(self) -> list[bytes]:
        return [sha256(b"\x00" + entry) for entry in self.entries]

    def root(self, size: int) -> bytes:
        return tree_hash(self.leaves[:size])

    def text(self, size: int) -> bytes:
        return checkpoint_text(size, self.root(size))

    def checkpoint(self, size: int, *more: bytes) -> bytes:
        text = self.text(size)
        return note(text, self.signer.sign(text), *more)

    def write(self, folder: Path) -> Path:
        """Write the export; the leaves in the tiles are those of the entries."""
        size = len(self.entries)
        folder.mkdir(parents=True)
        (folder / "tile").mkdir()
        pieces = [len(entry).to_bytes(2, "big") + entry for entry in self.entries]
        write_level(folder, "entries", pieces)
        nodes, level = self.leaves, 0
        while nodes:
            write_level(folder, str(level), nodes)
            full = range(0, len(nodes) - 255, 256)
            nodes, level = [tree_hash(nodes[start : start + 256]) for start in full], level + 1
        lines = [json.dumps(self.checkpoint(at).decode()) + "\n" for at in self.sizes]
        (folder / "checkpoints.ndjson").write_text("".join(lines))
        (folder / "checkpoint").write_bytes(self.checkpoint(size))
        return folder


def write_level(folder: Path, level: str, pieces: Sequence[bytes]) -> None:
    for number, start in enumerate(range(0, len(pieces), 256)):
        part = pieces[start : start + 256]
        path = folder / "tile" / level / (number_path(number) + ("" if len(part) == 256 else f".p/{len(part)}"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(part))


def entry(number: int) -> bytes:
    return f'{{"act":"gate.permit","id":"ent_{number}","v":1}}'.encode()


@pytest.fixture(scope="session")
def make() -> Callable[..., Made]:
    """Make up a log of a number of entries under checkpoints of some sizes."""

    def made(count: int, *sizes: int) -> Made:
        return Made([entry(number) for number in range(count)], sizes)

    return made


class Tampered:
    """An export of 600 entries under checkpoints, and hands to damage it."""

    SIZES = (100, 300, 550)

    def __init__(self, log: Made, folder: Path) -> None:
        self.log = log
        self.size = len(log.entries)
        self.folder = log.write(folder)
        self.key = log.signer.key

    def put_entries(self, entries: Sequence[bytes]) -> None:
        """Write other entries under the old names; the last bundle takes what is left over."""
        last = (self.size - 1) // 256
        for number in range(last + 1):
            part = entries[number * 256 : (number + 1) * 256 if number < last else None]
            width = min(256, self.size - number * 256)
            path = self.folder / "tile/entries" / (number_path(number) + ("" if width == 256 else f".p/{width}"))
            path.write_bytes(b"".join(len(one).to_bytes(2, "big") + one for one in part))

    def put_tiles(self, entries: Sequence[bytes], *levels: int) -> None:
        """Write the tiles of some levels as these entries make them."""
        nodes = [sha256(b"\x00" + one) for one in entries[: self.size]]
        for level in range(max(levels) + 1):
            if level in levels:
                write_level(self.folder, str(level), nodes)
            full = range(0, len(nodes) - 255, 256)
            nodes = [tree_hash(nodes[start : start + 256]) for start in full]

    def failure(self, *later: bytes, **options: object) -> VerificationError:
        with pytest.raises(VerificationError) as caught:
            verify_export(self.folder, self.key, later, **options)
        return caught.value

    def verdict(self, *later: bytes) -> tuple[str, int | None, tuple[int, int] | None]:
        failure = self.failure(*later)
        return failure.kind, failure.index, failure.within


@pytest.fixture
def tampered(make, tmp_path: Path) -> Tampered:
    """A whole export, to be damaged."""
    return Tampered(make(600, *Tampered.SIZES), tmp_path / "export")


@pytest.fixture(scope="session")
def signer_of() -> Callable[..., Signer]:
    """Make a signer by seed, name and algorithm."""
    return Signer


@pytest.fixture(scope="session")
def note_of() -> Callable[..., bytes]:
    """Make a note of a text and signature lines."""
    return note


@pytest.fixture(scope="session")
def text_of() -> Callable[..., bytes]:
    """Make the text of a checkpoint from size, root and origin."""
    return checkpoint_text


@pytest.fixture(scope="session")
def root_of() -> Callable[[Sequence[bytes]], bytes]:
    """Compute the root over leaf hashes by the words of RFC 6962."""
    return tree_hash
