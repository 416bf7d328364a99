"""Entry bundles and hash tiles of a log's export (c2sp.org/tlog-tiles), from the stored bytes as they are."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import select

from audit.handouts import make_folder, write_file
from audit.origins import Origin
from audit.tables import leaf, subtree
from audit.verifier import HASH_BYTES
from audit.verifier.ranges import TILE_BITS
from audit.verifier.tiles import GAP, TILE_FOLDER, TILE_WIDTH, tile_path
from kernel.database import Database

_WINDOW: Final = 2_048
"""Rows read in one transaction."""

_LENGTH_MAX: Final = 0xFFFF

_Piece = TypeVar("_Piece")


def write_tiles(database: Database, origin: Origin, size: int, folder: Path) -> int:
    """Write the bundles and the tiles of every level over the first ``size`` entries; returns the bundles' bytes."""
    make_folder(folder / TILE_FOLDER)
    written = _write_entries(database, origin, size, folder)
    level = 1
    while size >> TILE_BITS * level:
        hashes = _Pieces(folder, level)
        for node in _filled(_subtrees(database, origin, level, size >> TILE_BITS * level), GAP):
            hashes.add(node)
        hashes.finish()
        level += 1
    return written


def _write_entries(database: Database, origin: Origin, size: int, folder: Path) -> int:
    """Write bundles and leaf tiles from the stored bytes and hashes as they are, right or wrong.

    A missing row becomes an empty entry under a hash of zeros, so that the verifier names the place.
    """
    bundles, hashes = _Pieces(folder, None), _Pieces(folder, 0)
    written = 0
    for body, hashed in _filled(_leaves(database, origin, size), (b"", GAP)):
        piece = len(body[:_LENGTH_MAX]).to_bytes(2, "big") + body[:_LENGTH_MAX]
        bundles.add(piece)
        hashes.add(hashed[:HASH_BYTES].ljust(HASH_BYTES, b"\0"))
        written += len(piece)
    bundles.finish()
    hashes.finish()
    return written


class _Pieces:
    """Files of 256 pieces each: the tiles of one level, or the entry bundles."""

    def __init__(self, folder: Path, level: int | None) -> None:
        self._folder = folder
        self._level = level
        self._index = 0
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        if len(self._pieces) == TILE_WIDTH:
            self.finish()

    def finish(self) -> None:
        """Write what waits, as a partial tile when it is one."""
        if self._pieces:
            path = self._folder / tile_path(self._level, self._index, len(self._pieces))
            make_folder(path.parent)
            write_file(path, self._pieces)
            self._index += 1
            self._pieces.clear()


def _leaves(database: Database, origin: Origin, size: int) -> Iterator[tuple[int, tuple[bytes, bytes] | None]]:
    """Yield index, body and hash of the stored leaves in order, and at the end the size."""
    query = select(leaf.c.leaf_index, leaf.c.body, leaf.c.leaf_hash).order_by(leaf.c.leaf_index)
    for first, last in _windows(size):
        within = query.where(leaf.c.leaf_index.between(origin.base + first, origin.base + last))
        with database.read() as connection:
            rows = connection.execute(within).all()
        for index, body, hashed in rows:
            yield index - origin.base, (body, hashed)
    yield size, None


def _subtrees(database: Database, origin: Origin, level: int, count: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield position and hash of the stored subtrees of a level in order, and at the end their number."""
    of_level = subtree.c.origin_no == origin.number, subtree.c.level == level
    query = select(subtree.c.position, subtree.c.hash).where(*of_level).order_by(subtree.c.position)
    for first, last in _windows(count):
        with database.read() as connection:
            rows = connection.execute(query.where(subtree.c.position.between(first, last))).all()
        for position, hashed in rows:
            yield position, hashed[:HASH_BYTES].ljust(HASH_BYTES, b"\0")
    yield count, None


def _windows(count: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last number of each window."""
    for first in range(0, count, _WINDOW):
        yield first, min(first + _WINDOW, count) - 1


def _filled(numbered: Iterable[tuple[int, _Piece | None]], gap: _Piece) -> Iterator[_Piece]:
    """Yield what is numbered, and the gap for each number that is not there."""
    expected = 0
    for number, piece in numbered:
        for _ in range(number - expected):
            yield gap
        if piece is not None:
            yield piece
        expected = number + 1
