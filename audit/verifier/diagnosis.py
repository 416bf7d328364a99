"""What is wrong with an export that is not whole, and where: as exactly as its checkpoints and tiles prove it."""

from collections.abc import Collection, Mapping
from typing import Final

from audit.verifier.bundles import Growth, tile_levels
from audit.verifier.climb import Pruned
from audit.verifier.entry_bytes import PRUNING_MARK, entry_id
from audit.verifier.evidence import Evidence
from audit.verifier.failures import VerificationError
from audit.verifier.merkle import HASH_BYTES
from audit.verifier.ranges import TILE_BITS
from audit.verifier.tiles import ENTRY_MAX_BYTES, TILE_WIDTH, TiledTree, TileFolder, tile_path, tile_width

MESSAGES: Final = {
    "changed": "an entry was changed or replaced",
    "removed": "an entry was removed",
    "inserted": "an entry was inserted",
    "swapped": "two entries were swapped",
    "truncated": "the entries end before the checkpoint",
    "malformed": "the bytes in a bundle are no entry",
}
_UNCERTAIN: Final = "entries and hash tiles were both altered; the place is known as far as the checkpoints tell"


def diagnose(folder: TileFolder, roots: Mapping[int, Collection[bytes]]) -> VerificationError | None:
    """Return what is wrong with entries, tiles or checkpoints; None when it is none of these.

    Args:
        folder: tiles and bundles.
        roots: of the known checkpoints, by size; that of the whole tree among them.
    Raises:
        VerificationError: a file is missing.
    """
    evidence = Evidence(folder)
    growth = Growth(roots)
    for bundle in range(folder.bundles):
        growth.take(evidence.leaves(bundle))
    if growth.agreed != folder.size:
        return _located(evidence, growth, roots)
    if growth.refuted is not None:
        first, end = growth.proven, growth.refuted
        message = "another log of {} entries was signed with the same key"
        return VerificationError("forked", message, end, index=first, within=(first, max(first, end - 1)))
    odd = [found for found in (_broken_bundle(evidence), _untold_gap(evidence)) if found is not None]
    return min(odd, key=lambda found: found.index or 0) if odd else _altered_tile(evidence)


def _located(evidence: Evidence, growth: Growth, roots: Mapping[int, Collection[bytes]]) -> VerificationError:
    """Name the first bad entry: by the tiles where a checkpoint proves them, else between two checkpoints."""
    end = evidence.size if growth.refuted is None else growth.refuted
    sizes = dict.fromkeys((evidence.size, end))
    narrowed = next(filter(None, (_narrowed(evidence, size, roots) for size in sizes)), None)
    if narrowed and narrowed[0] == narrowed[1]:
        return _named(evidence, narrowed[0])
    first, last = narrowed or (growth.proven, end - 1)
    within = max(first, growth.proven), max(growth.proven, min(last, end - 1))
    index = evidence.first_difference(within[0], within[1] + 1)
    kind = "changed" if index is None else _kind(evidence, index)
    if kind not in ("removed", "truncated"):
        kind = "changed"
    return VerificationError(kind, _UNCERTAIN, index=within[0] if index is None else index, within=within)


def _narrowed(evidence: Evidence, size: int, roots: Mapping[int, Collection[bytes]]) -> tuple[int, int] | None:
    """Follow the tiles that a checkpoint proves downwards, to where the entries differ; None when it proves none."""
    if set(roots[size]) != {TiledTree(evidence.folder).root(size)}:
        return None
    for level in range(size.bit_length() // TILE_BITS, -1, -1):
        tile, width = (size >> TILE_BITS * level) // TILE_WIDTH, (size >> TILE_BITS * level) % TILE_WIDTH
        differing = _first_differing(evidence, level, tile, width)
        if differing is not None:
            return _descended(evidence, level, *differing)
    return None


def _descended(evidence: Evidence, level: int, index: int, proven: bytes) -> tuple[int, int]:
    """Return the first and last entry below a proven node that the entries do not fit, as narrow as tiles allow."""
    while level and tile_levels(evidence.tile(level - 1, index))[-1] == proven:
        level -= 1
        differing = _first_differing(evidence, level, index, TILE_WIDTH)
        if differing is None:
            raise AssertionError(index)
        index, proven = differing
    return index << TILE_BITS * level, ((index + 1) << TILE_BITS * level) - 1


def _first_differing(evidence: Evidence, level: int, tile: int, width: int) -> tuple[int, bytes] | None:
    """Return index and stated hash of the first node of a tile that the entries do not fit."""
    stated = evidence.tile(level, tile) if width else b""
    for place in range(width):
        index, node = (tile << TILE_BITS) + place, stated[place * HASH_BYTES : (place + 1) * HASH_BYTES]
        if evidence.node(level, index) != node:
            return index, node
    return None


def _named(evidence: Evidence, index: int) -> VerificationError:
    kind = _kind(evidence, index)
    told = entry_id(evidence.entry(index + 1 if kind == "swapped" else index))
    named = None if kind in ("removed", "truncated") else told
    return VerificationError(kind, MESSAGES[kind], index=index, entry_id=named)


def _kind(evidence: Evidence, index: int) -> str:
    """Tell from bytes and hashes at the first bad place and after it what happened."""
    if not evidence.entry(index):
        if evidence.bundle(min(index, evidence.size - 1) // TILE_WIDTH)[1]:
            return "malformed"
        return "truncated" if evidence.is_end(index) else "removed"
    found, stated = evidence.found(index), evidence.stated(index)
    next_found, next_stated = evidence.found(index + 1), evidence.stated(index + 1)
    if found == next_stated:
        return "swapped" if next_found == stated else "removed"
    return "inserted" if next_found == stated else "changed"


def _broken_bundle(evidence: Evidence) -> VerificationError | None:
    """Return the first bundle that holds more than its entries, or an entry that is too large."""
    for bundle in range(evidence.folder.bundles):
        entries, rest = evidence.bundle(bundle)
        first, width = bundle << TILE_BITS, tile_width(evidence.size, 0, bundle)
        large = [index for index, entry in enumerate(entries[:width], first) if len(entry) > ENTRY_MAX_BYTES]
        if large:
            message = "an entry is larger than {} bytes"
            return VerificationError("malformed", message, ENTRY_MAX_BYTES, index=large[0])
        if evidence.folder.has(None, bundle) and (rest or len(entries) > width):
            message = "bytes stand in a bundle after its last entry"
            return VerificationError("malformed", message, index=first + width - 1)
    return None


def _untold_gap(evidence: Evidence) -> VerificationError | None:
    """Return the first entry whose bytes are gone although no later entry says that it was pruned."""
    below = 0
    for bundle in range(evidence.folder.bundles):
        entries, _ = evidence.bundle(bundle)
        if any(PRUNING_MARK in entry for entry in entries):
            heard = Pruned()
            heard.hear(bundle << TILE_BITS, entries)
            below = max(below, heard.below)
    gone = (index for index in range(below, evidence.size) if not evidence.entry(index))
    index = next(gone, None)
    if index is None:
        return None
    message = "the bytes of an entry are gone, and no later entry says that it was pruned"
    return VerificationError("removed", message, index=index)


def _altered_tile(evidence: Evidence) -> VerificationError | None:
    found = next(evidence.differing_tiles(), None)
    if found is None:
        return None
    path = tile_path(*found, tile_width(evidence.size, *found))
    return VerificationError("tile", "{} was altered; the entries themselves are whole", path)
