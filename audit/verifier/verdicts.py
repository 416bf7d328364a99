"""What each command of the verifier checks, and what it says when everything holds."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from audit.verifier.certificates import verify_certificate
from audit.verifier.exports import CHECKPOINT_FILE, NOTE_MAX_BYTES, verify_export
from audit.verifier.failures import InputError, Phrase, VerificationError
from audit.verifier.notes import Checkpoint, VerifierKey, open_cosignatures, strict_base64
from audit.verifier.policy import Policy
from audit.verifier.proofs import (
    PROOF_MAX_BYTES,
    compare_heads,
    compare_with_tiles,
    open_by_any,
    parse_hashes,
    verify_proof,
)
from audit.verifier.tiles import ENTRY_MAX_BYTES, TiledTree, TileFolder, read_bounded

_POLICY_MAX_BYTES: Final = 1 << 16
_CERTIFICATE_MAX_BYTES: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Verdict:
    """That what was given verifies: a sentence for people, and members for machines."""

    phrase: Phrase
    members: Mapping[str, object]


class ForkError(VerificationError):
    """Two witnesses cosigned two logs; the two notes prove it.

    Attributes:
        evidence: the files with the notes, and the notes.
    """

    def __init__(self, size: int, evidence: Mapping[str, bytes]) -> None:
        files = " ".join(map(ascii, evidence))
        super().__init__("forked", "FORK: two logs of {} entries were signed and cosigned; evidence: {}", size, files)
        self.evidence = {name: note.decode(errors="replace") for name, note in evidence.items()}


@dataclass(frozen=True, slots=True)
class Means:
    """What shows that one checkpoint extends another: a file with a proof, or an export with its tiles."""

    proof: Path | None = None
    export: Path | None = None


def judge_log(
    folder: Path, key: VerifierKey, later: Sequence[Path], policy: Path | None, *, check_entries: bool
) -> Verdict:
    """Verify a whole export."""
    notes = [read_note(path) for path in later]
    report = verify_export(folder, key, notes, policy=read_policy(policy), check_entries=check_entries)
    counts = (report.size, report.origin, report.checkpoints, report.root)
    phrase = Phrase("Whole: {} entries of {} under {} checkpoint(s), root {}", counts)
    if report.pruned:
        phrase = Phrase("{}; {} of them pruned", (phrase, report.pruned))
    if report.witnesses:
        phrase = Phrase("{}; cosigned by {}", (phrase, ", ".join(report.witnesses)))
    return Verdict(phrase, {"command": "log", **asdict(report)})


def judge_entry(proof: Path, entry: Path, keys: Sequence[VerifierKey], policy: Path | None) -> Verdict:
    """Verify that one entry stands in the log."""
    given = read_given(proof, PROOF_MAX_BYTES), read_given(entry, ENTRY_MAX_BYTES + 1)
    proven = verify_proof(*given, keys, read_policy(policy))
    counts = (proven.index, proven.size, proven.origin)
    phrase = Phrase("In the log: entry {} of {} of {}", counts)
    if proven.witnesses:
        phrase = Phrase("{}; cosigned by {}", (phrase, ", ".join(proven.witnesses)))
    return Verdict(phrase, {"command": "entry", **asdict(proven)})


def judge_certificate(file: Path, keys: Sequence[VerifierKey]) -> Verdict:
    """Verify that a key of the log signed a certificate of an erasure or of a sweep."""
    found = verify_certificate(read_given(file, _CERTIFICATE_MAX_BYTES), keys)
    phrase = Phrase("Signed by the log's key: {}", (found.name,))
    if found.final_at:
        phrase = Phrase("{}; final at the latest at {}", (phrase, found.final_at))
    return Verdict(phrase, {"command": "certificate", "certificate": dict(found.content)})


def judge_consistency(old: Path, new: Path, keys: Sequence[VerifierKey], means: Means) -> Verdict:
    """Verify that one checkpoint extends another."""
    first, second = (open_by_any(read_note(path), keys) for path in (old, new))
    if first.size > second.size:
        raise InputError("OLD covers more entries than NEW")
    _compare(first, second, keys, means)
    phrase = Phrase("Consistent: {} entries of {} extend {}", (second.size, second.origin, first.size))
    return Verdict(phrase, {"command": "consistency", **_heads(first, second)})


def judge_witnesses(one: Path, other: Path, keys: Sequence[VerifierKey], policy: Path, means: Means) -> Verdict:
    """Compare what two witnesses cosigned."""
    notes = {path: read_note(path) for path in (one, other)}
    known = read_policy(policy)
    first, second = (open_by_any(notes[path], keys) for path in (one, other))
    names = [_cosigners(notes[path], known) for path in (one, other)]
    if first.size == second.size and first.root != second.root and first.origin == second.origin:
        raise ForkError(first.size, {str(path): note for path, note in notes.items()})
    _compare(first, second, keys, means)
    said = (", ".join(names[0]), first.size, ", ".join(names[1]), second.size, first.origin)
    phrase = Phrase("Agree: {} on {} entries, {} on {} entries of {}", said)
    return Verdict(phrase, {"command": "witnesses", **_heads(first, second), "witnesses": names})


def read_given(path: Path, limit: int) -> bytes:
    """Read a file that the caller named, links and pipes included.

    Raises:
        InputError: it is larger than anything of its kind.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError("{} is larger than {} bytes", ascii(str(path)), limit)
    return content


def read_note(path: Path) -> bytes:
    """Read a note that the caller named: as it was signed, or in base64 as the header ``Audit-Checkpoint`` holds it."""
    content = read_given(path, NOTE_MAX_BYTES)
    return strict_base64(content.decode("ascii", errors="replace").strip()) or content


def read_policy(path: Path | None) -> Policy | None:
    """Parse a policy file."""
    return None if path is None else Policy.parse(read_given(path, _POLICY_MAX_BYTES))


def _compare(one: Checkpoint, other: Checkpoint, keys: Sequence[VerifierKey], means: Means) -> None:
    if means.export is not None:
        signed = open_by_any(read_bounded(means.export / CHECKPOINT_FILE, NOTE_MAX_BYTES), keys)
        if signed.size < max(one.size, other.size):
            message = "the export ends after {} entries"
            raise VerificationError("truncated", message, signed.size, index=signed.size)
        compare_with_tiles(one, other, TiledTree(TileFolder(str(means.export), signed.size)))
        return
    if means.proof is None and one.size != other.size:
        raise InputError("checkpoints of two sizes need --proof or --export")
    compare_heads(one, other, _read_proof(means.proof))


def _read_proof(path: Path | None) -> tuple[bytes, ...]:
    """Return the hashes of a consistency proof, one in base64 a line."""
    if path is None:
        return ()
    text = read_given(path, PROOF_MAX_BYTES).decode("ascii", errors="replace")
    if text and not text.endswith("\n"):
        raise VerificationError("proof", "a hash of the proof is malformed")
    return parse_hashes(text.split("\n")[:-1])


def _cosigners(note: bytes, policy: Policy | None) -> list[str]:
    """Return the names of the policy's witnesses that cosigned a note; there must be one."""
    known = () if policy is None else policy.witnesses
    found = open_cosignatures(note, [witness.key for witness in known])
    if not found:
        raise VerificationError("quorum", "no witness of the policy cosigned the checkpoint")
    return [key.name for key in found]


def _heads(*heads: Checkpoint) -> dict[str, object]:
    told = [{"size": head.size, "root": base64.b64encode(head.root).decode()} for head in heads]
    return {"origin": heads[0].origin, "checkpoints": told}
