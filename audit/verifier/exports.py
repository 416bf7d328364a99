"""Verification of an exported log: every entry under every checkpoint, or the first bad entry by name.

Source: docs/reference/audit-format.md.
"""

import base64
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from audit.verifier.merkle import CompactRange, VerificationError, leaf_hash
from audit.verifier.notes import Checkpoint, VerifierKey, open_checkpoint

ENTRIES_FILE: Final = "entries.ndjson"
LEAVES_FILE: Final = "leaves.txt"
CHECKPOINT_FILE: Final = "checkpoint"
HISTORY_FILE: Final = "checkpoints.ndjson"

_LINE_MAX_BYTES: Final = 1 << 20
_MESSAGES: Final = {
    "changed": "an entry was changed or replaced",
    "removed": "an entry was removed",
    "inserted": "an entry was inserted",
    "swapped": "two entries were swapped",
    "truncated": "the entries end before the checkpoint",
}
_LEAF_LINE: Final = re.compile(rb"([0-9a-f]{64}) ([!-~]{1,64})\n")


@dataclass(frozen=True, slots=True)
class Report:
    """A log that verified: every entry stands under every checkpoint that was given."""

    origin: str
    size: int
    root: str
    checkpoints: int


@dataclass(slots=True)
class _Side:
    """One of the two lists of leaf hashes, compared with the checkpoints while it grows."""

    anchors: dict[int, set[bytes]]
    tree: CompactRange = field(default_factory=CompactRange)
    proven: int = 0
    refuted: int | None = None

    def take(self, leaf: bytes | None) -> None:
        if leaf is not None:
            self.tree.append(leaf)
        roots = self.anchors.get(self.tree.size)
        if roots is not None and self.refuted is None:
            if roots == {self.tree.root()}:
                self.proven = self.tree.size
            else:
                self.refuted = self.tree.size


@dataclass(slots=True)
class _Scan:
    """What one pass over entries and leaf list found."""

    entries: _Side
    leaves: _Side
    differing: int | None = None
    around: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    found_id: str | None = None
    stated_id: str | None = None
    surplus_id: str | None = None
    flaw: VerificationError | None = None


def verify_export(folder: Path, key: VerifierKey, later: Sequence[bytes] = ()) -> Report:
    """Verify an exported log.

    Args:
        folder: what ``audit export`` wrote.
        key: the log's public key, from a trusted place.
        later: notes of checkpoints that were kept elsewhere; they show truncation, rollback and fork.
    Raises:
        VerificationError: the export is not whole; it names the first bad entry where there is one.
        OSError: a file that is there cannot be read.
    """
    final = open_checkpoint(_read(folder / CHECKPOINT_FILE), key)
    known = [final, *_history(folder / HISTORY_FILE, key)]
    known += [_open_named(f"later checkpoint {number}", note, key) for number, note in enumerate(later, start=1)]
    anchors: dict[int, set[bytes]] = {}
    for checkpoint in known:
        anchors.setdefault(checkpoint.size, set()).add(checkpoint.root)
    scan = _scan(folder, anchors, final.size)
    if scan.entries.tree.size != final.size or scan.entries.tree.root() != final.root:
        raise _located(scan, final.size)
    _check_whole(scan, max(anchors), final.size)
    return Report(final.origin, final.size, base64.b64encode(final.root).decode(), len(known))


def _check_whole(scan: _Scan, largest: int, size: int) -> None:
    """Raise for what a matching root leaves open: other pasts, altered helper files, entries that are none."""
    if (refuted := scan.entries.refuted) is not None and refuted <= size:
        first = scan.entries.proven
        message = f"another log of {refuted} entries was signed with the same key"
        raise VerificationError("forked", message, index=first, within=(first, refuted - 1))
    if scan.differing is not None:
        message = f"{LEAVES_FILE} was altered at line {scan.differing + 1}; the entries themselves are whole"
        raise VerificationError("leaf_list", message)
    if scan.flaw is not None:
        raise scan.flaw
    if largest > size:
        message = f"a checkpoint over {largest} entries was signed, the export ends after {size}"
        raise VerificationError("truncated", message, index=size)


def _located(scan: _Scan, size: int) -> VerificationError:
    """Name the first bad entry: by the leaf list where a checkpoint proves it, else between two checkpoints."""
    first, count = scan.entries.proven, scan.entries.tree.size
    end = size if scan.entries.refuted is None else min(scan.entries.refuted, size)
    index = scan.differing
    if first >= size:
        message = "an entry stands beyond the checkpoint"
        return VerificationError("inserted", message, index=size, entry_id=scan.surplus_id)
    if index is not None and scan.leaves.proven >= end:
        kind = _kind(scan.around)
        entry_id = scan.found_id if kind == "inserted" else scan.stated_id
        return VerificationError(kind, _MESSAGES[kind], index=index, entry_id=entry_id)
    if index is None or not first <= index < end:
        index = first
    kind = "truncated" if count < size and scan.entries.refuted is None else "changed"
    message = "entries and leaf list were both altered; the place is known as far as the checkpoints tell"
    return VerificationError(kind, message, index=index, within=(first, end - 1))


def _kind(around: Sequence[tuple[bytes | None, bytes | None]]) -> str:
    """Tell from the hashes found and stated at the first difference and after it what happened."""
    (found, stated), (next_found, next_stated) = (*around, (None, None))[:2]
    if found is None:
        return "truncated"
    if found == next_stated:
        return "swapped" if next_found == stated else "removed"
    return "inserted" if next_found == stated or stated is None else "changed"


def _scan(folder: Path, anchors: dict[int, set[bytes]], size: int) -> _Scan:
    scan = _Scan(_Side(anchors), _Side(anchors))
    scan.entries.take(None)
    scan.leaves.take(None)
    seen: set[str] = set()
    pairs = itertools.zip_longest(_lines(folder / ENTRIES_FILE), _lines(folder / LEAVES_FILE))
    for index, (line, leaf_line) in enumerate(pairs):
        found = None if line is None else leaf_hash(line.removesuffix(b"\n"))
        stated, stated_id = _leaf(leaf_line)
        if found is not None:
            scan.entries.take(found)
        if leaf_line is not None:
            scan.leaves.take(stated)
        if scan.differing is None and found != stated:
            scan.differing, scan.found_id, scan.stated_id = index, _entry_id(line), stated_id
        if scan.differing is not None and len(scan.around) < 2:  # noqa: PLR2004 - this line and the next
            scan.around.append((found, stated))
        if index == size:
            scan.surplus_id = _entry_id(line)
        if scan.flaw is None and line is not None:
            scan.flaw = _flaw(index, line, stated_id, seen)
    return scan


def _history(path: Path, key: VerifierKey) -> Iterator[Checkpoint]:
    for number, line in enumerate(_lines(path), start=1):
        source = f"line {number} of {HISTORY_FILE}"
        try:
            note = json.loads(line).encode()
        except (ValueError, AttributeError, RecursionError):
            raise VerificationError("checkpoint", f"{source}: not a checkpoint in JSON") from None
        yield _open_named(source, note, key)


def _open_named(source: str, note: bytes, key: VerifierKey) -> Checkpoint:
    try:
        return open_checkpoint(note, key)
    except VerificationError as err:
        raise VerificationError(err.kind, f"{source}: {err.message}") from None


def _flaw(index: int, line: bytes, stated_id: str | None, seen: set[str]) -> VerificationError | None:
    """Return what is wrong with an entry whose bytes were signed: not canonical, another id, an id used twice."""
    entry_id = _entry_id(line)
    if entry_id is None or not _is_canonical(line):
        problem = "an entry is not canonical"
    elif entry_id != stated_id:
        problem = f"{LEAVES_FILE} names another id than the entry"
    elif entry_id in seen:
        problem = "an entry's id was used before"
    else:
        seen.add(entry_id)
        return None
    return VerificationError("malformed", problem, index=index, entry_id=entry_id)


def _is_canonical(line: bytes) -> bool:
    """Say whether a line is one RFC 8785 object; entries have no floats, and their keys are ASCII."""
    try:
        members = json.loads(line, parse_float=_refuse, parse_constant=_refuse)
        text = json.dumps(members, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return text.encode() + b"\n" == line
    except (ValueError, RecursionError):
        return False


def _refuse(number: str) -> None:
    raise ValueError(number)


def _entry_id(line: bytes | None) -> str | None:
    try:
        entry_id = json.loads(line or b"null")["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return entry_id if isinstance(entry_id, str) else None


def _leaf(line: bytes | None) -> tuple[bytes | None, str | None]:
    """Parse a line of the leaf list; a malformed one yields a hash that equals none."""
    if line is None:
        return None, None
    match = _LEAF_LINE.fullmatch(line)
    return (bytes.fromhex(match[1].decode()), match[2].decode()) if match else (b"", None)


def _lines(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        while line := file.readline(_LINE_MAX_BYTES):
            yield line


def _read(path: Path) -> bytes:
    with _opened(path) as file:
        return file.read(_LINE_MAX_BYTES)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise VerificationError("missing_file", f"the export lacks {path.name}") from None
