"""Where the tiles and entry bundles of a log lie in a folder, and how they are read without trust in it.

Source: c2sp.org/tlog-tiles.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from audit.verifier.failures import VerificationError
from audit.verifier.merkle import HASH_BYTES
from audit.verifier.ranges import TILE_BITS, consistency_ranges, range_root

TILE_WIDTH: Final = 1 << TILE_BITS
ENTRY_MAX_BYTES: Final = 16_384
BUNDLE_MAX_BYTES: Final = TILE_WIDTH * (2 + ENTRY_MAX_BYTES)
TILE_FOLDER: Final = "tile"
GAP: Final = bytes(HASH_BYTES)
"""Stands in a tile where the store has no row; it is the hash of nothing that is known."""

DESKTOP_FILES: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What desktops leave in each folder that somebody looks into; no tile has such a name, and nothing reads them."""

_ENTRIES: Final = "entries"
_LEVEL: Final = r"(entries|[0-9]|[1-5][0-9]|6[0-3])"
_FOLDER_PATH: Final = re.compile(_LEVEL + r"(/x[0-9]{3}){0,6}(/[0-9]{3}\.p)?")
_FILE_PATH: Final = re.compile(_LEVEL + r"/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_NOT_REGULAR: Final = (errno.ELOOP, errno.ENXIO)
"""What the system says of a link that is not followed, and of a socket."""

_OPEN_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


def tile_path(level: int | None, index: int, width: int) -> str:
    """Return the path of a tile below the log's folder; without a level that of an entry bundle."""
    digits = f"{index % 1000:03}"
    while index := index // 1000:
        digits = f"x{index % 1000:03}/{digits}"
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return f"{TILE_FOLDER}/{_ENTRIES if level is None else level}/{digits}{suffix}"


def tile_width(size: int, level: int, index: int) -> int:
    """Return how many hashes a tile of a tree has: 1 to 256, or 0 when the tree has no such tile."""
    return max(0, min(TILE_WIDTH, (size >> TILE_BITS * level) - (index << TILE_BITS)))


def read_bounded(path: str | Path, limit: int) -> bytes:
    """Read a regular file of an export that has at most ``limit`` bytes.

    Raises:
        VerificationError: ``missing_file``; ``foreign_file`` for a link, a folder, a device, or more bytes than that.
        OSError: it is there and cannot be read.
    """
    name = ascii(os.path.basename(path))  # noqa: PTH119 - paths of tiles are texts, for speed
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except FileNotFoundError:
        raise VerificationError("missing_file", "the export lacks {}", name) from None
    except OSError as err:
        if err.errno in _NOT_REGULAR:
            raise VerificationError("foreign_file", "{} is no regular file", name) from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise VerificationError("foreign_file", "{} is no regular file", name)
        # One byte more than there should be tells a file that grew; a buffer of the limit each time would be slow.
        content = os.read(descriptor, min(status.st_size, limit) + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise VerificationError("foreign_file", "{} is larger than {} bytes", name, limit)
    return content


@dataclass(frozen=True, slots=True)
class TileFolder:
    """The tiles and bundles of one tree of ``size`` entries; nothing that is read is verified."""

    root: str
    size: int
    strays: dict[tuple[int | None, int], str] = field(default_factory=dict)
    """Paths of tiles and bundles of another width, where the right one may be missing; by level and index."""

    @property
    def bundles(self) -> int:
        """Number of entry bundles, the partial one included."""
        return -(-self.size // TILE_WIDTH)

    def has(self, level: int | None, index: int) -> bool:
        """Say whether a tile or bundle of the right width lies there."""
        return os.path.lexists(f"{self.root}/{tile_path(level, index, tile_width(self.size, level or 0, index))}")

    def read_bundle(self, index: int) -> bytes:
        """Return an entry bundle as it lies there."""
        return self._read(None, index, tile_width(self.size, 0, index), BUNDLE_MAX_BYTES)

    def read_tile(self, level: int, index: int) -> bytes:
        """Return a hash tile as it lies there."""
        return self._read(level, index, tile_width(self.size, level, index), TILE_WIDTH * HASH_BYTES)

    def read_stray_bundle(self, index: int) -> bytes:
        """Return a bundle, or one of another width in its place."""
        return self._read_stray(None, index, BUNDLE_MAX_BYTES) or self.read_bundle(index)

    def read_stray_tile(self, level: int, index: int) -> bytes:
        """Return the hashes of a tile, filled up or cut to its width; of one of another width where it is missing."""
        content = self._read_stray(level, index, TILE_WIDTH * HASH_BYTES) or self.read_tile(level, index)
        width_bytes = tile_width(self.size, level, index) * HASH_BYTES
        return content[:width_bytes].ljust(width_bytes, b"\0")

    def _read(self, level: int | None, index: int, width: int, limit: int) -> bytes:
        path = tile_path(level, index, width)
        try:
            return read_bounded(f"{self.root}/{path}", limit)
        except VerificationError as err:
            raise VerificationError(err.kind, "{}: {}", path, err.phrase) from None

    def _read_stray(self, level: int | None, index: int, limit: int) -> bytes | None:
        """Return what lies there under another width; None where the right file is there, or nothing."""
        path = self.strays.get((level, index))
        return None if path is None or self.has(level, index) else read_bounded(f"{self.root}/{path}", limit)


class TiledTree:
    """Roots and proofs from hash tiles; what they are worth is shown by the checkpoint that a root is compared with."""

    def __init__(self, folder: TileFolder) -> None:
        self._folder = folder

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves."""
        return range_root(0, size, self._nodes)

    def consistency_proof(self, size1: int, size2: int) -> list[bytes]:
        """Return the proof that the tree of ``size2`` leaves extends that of ``size1``, 0 < size1 <= size2."""
        return [range_root(*part, self._nodes) for part in consistency_ranges(size1, size2)]

    def _nodes(self, level: int, first: int, count: int) -> list[bytes]:
        index, offset = divmod(first, TILE_WIDTH)
        hashes = self._folder.read_stray_tile(level, index)
        starts = range(offset * HASH_BYTES, (offset + count) * HASH_BYTES, HASH_BYTES)
        return [hashes[start : start + HASH_BYTES] for start in starts]


def take_inventory(root: str, size: int) -> tuple[TileFolder, VerificationError | None]:
    """Look at every name below ``tile/``; return the folder, and the first finding that is not fatal by itself.

    Raises:
        VerificationError: ``foreign_file`` for a link or a special file, and for a folder that is no tile's.
    """
    folder = TileFolder(root, size)
    finding: VerificationError | None = None
    for path in _walk(f"{root}/{TILE_FOLDER}"):
        found = _judge(folder, path)
        if finding is None or (finding.index is None and found is not None and found.index is not None):
            finding = found
    return folder, finding


def _judge(folder: TileFolder, path: str) -> VerificationError | None:
    """Return what is wrong with a file's name, or None; a tile of another width is remembered."""
    match = _FILE_PATH.fullmatch(path)
    if match is None:
        return _foreign(path)
    index = int(re.sub("[x/]", "", match[2]))
    width = int(match[3] or TILE_WIDTH)
    level = None if match[1] == _ENTRIES else int(match[1])
    if tile_path(level, index, width) != f"{TILE_FOLDER}/{path}":
        return _foreign(path)
    wanted = tile_width(folder.size, level or 0, index)
    if width == wanted:
        return None
    if wanted:
        folder.strays[level, index] = f"{TILE_FOLDER}/{path}"
    end = (index << TILE_BITS) + width
    if level is None and end > folder.size:
        return VerificationError("inserted", "an entry stands beyond the checkpoint", index=folder.size)
    if level is None and index == folder.bundles - 1 and not folder.has(None, index):
        return VerificationError("truncated", "the entries end before the checkpoint", index=end)
    return _foreign(path)


def _walk(top: str) -> Iterator[str]:
    """Yield the path of each file below a folder, in order."""
    if os.path.islink(top):  # noqa: PTH114 - paths of tiles are texts, for speed
        raise _foreign("")
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        folders = []
        for entry in _listed(f"{top}/{prefix}"):
            path = prefix + entry.name
            if entry.name in DESKTOP_FILES and entry.is_file(follow_symlinks=False):
                continue
            if entry.is_dir(follow_symlinks=False) and _FOLDER_PATH.fullmatch(path):
                folders.append(f"{path}/")
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                raise _foreign(path)
        waiting.extend(reversed(folders))


def _listed(folder: str) -> "list[os.DirEntry[str]]":
    """Return what is in a folder by name; nothing when there is none."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise _foreign("") from None


def _foreign(path: str) -> VerificationError:
    shown = ascii(f"{TILE_FOLDER}/{path}"[:200])
    return VerificationError("foreign_file", "{} does not belong to the log", shown)
