"""Verification of an exported log: every entry under every checkpoint, or the first bad entry by name.

Source: docs/reference/audit-format.md, c2sp.org/tlog-tiles.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.verifier.bundles import split_bundle
from audit.verifier.climb import climb
from audit.verifier.diagnosis import MESSAGES, diagnose
from audit.verifier.entry_bytes import entry_id, is_canonical
from audit.verifier.failures import Phrase, VerificationError
from audit.verifier.handovers import KeyChain
from audit.verifier.notes import Checkpoint, VerifierKey
from audit.verifier.policy import Policy
from audit.verifier.prunings import check_old_enough
from audit.verifier.ranges import TILE_BITS
from audit.verifier.recoveries import check_statement, lost, read_survivors
from audit.verifier.tiles import TileFolder, read_bounded, take_inventory, tile_width

CHECKPOINT_FILE: Final = "checkpoint"
HISTORY_FILE: Final = "checkpoints.ndjson"
HANDOVERS_FILE: Final = "handovers.ndjson"

NOTE_MAX_BYTES: Final = 1 << 16
_LINE_MAX_BYTES: Final = 1 << 19
_HANDOVERS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """A log that verified: every entry stands under every checkpoint that was given.

    Attributes:
        pruned: entries whose bytes are gone, as a later entry says; their hashes still prove the rest.
        handovers: how often the signing key changed.
        witnesses: names of the keys that cosigned the last checkpoint, where a policy was given.
    """

    origin: str
    size: int
    root: str
    checkpoints: int
    pruned: int = 0
    handovers: int = 0
    witnesses: tuple[str, ...] = ()


def verify_export(
    folder: Path,
    key: VerifierKey,
    later: Sequence[bytes] = (),
    *,
    policy: Policy | None = None,
    check_entries: bool = False,
) -> Report:
    """Verify an exported log.

    Args:
        folder: what ``audit export`` wrote.
        key: a public key of the log, from a trusted place; the first, or a later one.
        later: notes of checkpoints that were kept elsewhere; they show truncation, rollback and fork.
        policy: whose quorum the last checkpoint must have.
        check_entries: also parse every entry: canonical, and no id twice.
    Raises:
        VerificationError: the export is not whole; it names the first bad entry where there is one. ``lost``: an origin
            before this one, of which all verified that survived.
        OSError: a file that is there cannot be read.
    """
    chain = KeyChain(key, _handovers(folder / HANDOVERS_FILE))
    final = chain.open(read_bounded(folder / CHECKPOINT_FILE, NOTE_MAX_BYTES))
    known = [(final.size, final.root)]
    known += [(each.size, each.root) for each in _history(folder / HISTORY_FILE, chain)]
    kept = [_open_named(Phrase("later checkpoint {}", (number,)), note, chain) for number, note in enumerate(later, 1)]
    known += [(each.size, each.root) for each in kept]
    counted = len(known)
    known += [(each.size, each.root) for each in chain.handovers]
    survivors = read_survivors(folder, final)
    if survivors is not None and survivors.size < final.size:
        below = [(size, root) for size, root in known if size <= survivors.size]
        _check_tree(folder, survivors.size, [*below, (survivors.size, survivors.root)])
        raise lost(survivors, final)
    pruned = _check_tree(folder, final.size, known)
    check_statement(folder, final.size)
    if check_entries:
        _check_entries(TileFolder(str(folder), final.size))
    witnesses = () if policy is None else _witnesses(policy, final, kept, chain)
    root = base64.b64encode(final.root).decode()
    return Report(final.origin, final.size, root, counted, pruned, len(chain.handovers), witnesses)


def _witnesses(policy: Policy, final: Checkpoint, kept: Sequence[Checkpoint], chain: KeyChain) -> tuple[str, ...]:
    """Return who cosigned the last checkpoint, in the export or in a copy that was kept elsewhere."""
    copies = [each.note for each in kept if (each.size, each.root) == (final.size, final.root)]
    for note in copies:
        try:
            return tuple(key.name for key in policy.check(note, chain.keys))
        except VerificationError as err:
            if err.kind != "quorum":
                raise
    return tuple(key.name for key in policy.check(final.note, chain.keys))


def _check_tree(folder: Path, size: int, known: Sequence[tuple[int, bytes]]) -> int:
    """Return how many entries are pruned; raise unless entries, tiles and every known root agree."""
    roots: dict[int, set[bytes]] = {}
    for at, root in known:
        roots.setdefault(at, set()).add(root)
    tiles, stray = take_inventory(str(folder), size)
    try:
        pruned = climb(tiles, roots)
    except VerificationError as missing:
        raise _diagnose_with_gaps(tiles, roots, stray) or missing from None
    if pruned is None:
        raise diagnose(tiles, roots) or stray or VerificationError("changed", MESSAGES["changed"])
    if stray is not None:
        raise stray
    if (largest := max(roots)) > size:
        message = "a checkpoint over {} entries was signed, the export ends after {}"
        raise VerificationError("truncated", message, largest, size, index=size)
    if pruned.count:
        check_old_enough(tiles, pruned.told)
    return pruned.count


def _diagnose_with_gaps(
    tiles: TileFolder, roots: dict[int, set[bytes]], stray: VerificationError | None
) -> VerificationError | None:
    """Say what is wrong where a file is missing, from what lies in its place."""
    try:
        return diagnose(tiles, roots) or stray
    except VerificationError:
        return stray


def _check_entries(tiles: TileFolder) -> None:
    """Raise for an entry whose bytes were signed, and which is no entry all the same."""
    seen: set[str] = set()
    for bundle in range(tiles.bundles):
        entries, _ = split_bundle(tiles.read_bundle(bundle), tile_width(tiles.size, 0, bundle))
        for index, entry in enumerate(entries, start=bundle << TILE_BITS):
            if not entry:
                continue
            named = entry_id(entry)
            if named is None or not is_canonical(entry):
                raise VerificationError("malformed", "an entry is not canonical", index=index, entry_id=named)
            if named in seen:
                raise VerificationError("malformed", "an entry's id was used before", index=index, entry_id=named)
            seen.add(named)


def _history(path: Path, chain: KeyChain) -> Iterator[Checkpoint]:
    for number, note in enumerate(_notes(path), start=1):
        yield _open_named(_line(number, path), note, chain)


def _handovers(path: Path) -> list[bytes]:
    """Return the notes of the hand-overs; none when there is no such file."""
    if not path.exists() and not path.is_symlink():
        return []
    notes: list[bytes] = []
    for note in _notes(path):
        if len(notes) == _HANDOVERS_MAX:
            raise VerificationError("handover", "there are more than {} hand-overs", _HANDOVERS_MAX)
        notes.append(note)
    return notes


def _notes(path: Path) -> Iterator[bytes]:
    """Yield the notes of a file, each a JSON string in its one form on a line of its own."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise VerificationError("foreign_file", "{} is no regular file", ascii(path.name))
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise VerificationError("missing_file", "the export lacks {}", ascii(path.name)) from None
    with file:
        for number, line in enumerate(iter(lambda: file.readline(_LINE_MAX_BYTES), b""), start=1):
            note = _unquoted(line)
            if note is None:
                message = "{}: not a note in JSON"
                raise VerificationError("checkpoint", message, _line(number, path))
            yield note


def _unquoted(line: bytes) -> bytes | None:
    try:
        text = json.loads(line)
        is_exact = isinstance(text, str) and json.dumps(text).encode() + b"\n" == line
        return text.encode() if is_exact else None
    except (ValueError, RecursionError):
        return None


def _line(number: int, path: Path) -> Phrase:
    return Phrase("line {} of {}", (number, path.name))


def _open_named(source: Phrase, note: bytes, chain: KeyChain) -> Checkpoint:
    try:
        return chain.open(note)
    except VerificationError as err:
        raise VerificationError(err.kind, "{}: {}", source, err.phrase) from None
