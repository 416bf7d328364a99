"""What the first entry of a new origin states of the entries that survived of the one before.

Source: docs/reference/audit-format.md, "Origins".
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.verifier.bundles import split_bundle
from audit.verifier.entry_bytes import entry_id
from audit.verifier.failures import VerificationError
from audit.verifier.merkle import HASH_BYTES
from audit.verifier.notes import Checkpoint, strict_base64
from audit.verifier.tiles import ENTRY_MAX_BYTES, TileFolder, read_bounded

RECOVERED_FILE: Final = "recovered.json"
EARLIER_FOLDER: Final = "earlier"

_ACT: Final = "log.recovered"


@dataclass(frozen=True, slots=True)
class Survivors:
    """The entries that survived a loss, as a later origin vouches for them."""

    size: int
    root: bytes
    entry_id: str


def read_survivors(folder: Path, last: Checkpoint) -> Survivors | None:
    """Return what is stated beside an origin of which entries were lost; None where nothing is.

    Args:
        folder: the export of the origin.
        last: its last checkpoint, verified.
    Raises:
        VerificationError: ``malformed``: the file states nothing about that checkpoint.
    """
    path = folder / RECOVERED_FILE
    if not path.exists() and not path.is_symlink():
        return None
    found = _parse(read_bounded(path, ENTRY_MAX_BYTES), last)
    if found is None:
        raise VerificationError("malformed", "{} states nothing of this checkpoint", ascii(path.name))
    return found


def check_statement(folder: Path, size: int) -> None:
    """Raise unless what lies beside the newest earlier origin is the first entry of this, verified, log.

    Raises:
        VerificationError: ``changed``: it is another.
    """
    numbers = [int(one.name) for one in (folder / EARLIER_FOLDER).glob("[1-9]*") if one.name.isdecimal()]
    path = folder / EARLIER_FOLDER / str(max(numbers, default=0)) / RECOVERED_FILE
    if not path.is_file() or not size:
        return
    (first, *_), _ = split_bundle(TileFolder(str(folder), size).read_bundle(0), 1)
    if read_bounded(path, ENTRY_MAX_BYTES) != first:
        shown = ascii(str(path.relative_to(folder)))
        raise VerificationError("changed", "{} is not the first entry of this log", shown)


def lost(survivors: Survivors, last: Checkpoint) -> VerificationError:
    """Return the finding about an origin whose surviving entries verified."""
    missing = last.size - survivors.size
    message = "{} of {} entries survive and are those of the root that {} states; {} are missing"
    values = survivors.size, last.size, survivors.entry_id, missing
    return VerificationError("lost", message, *values, index=survivors.size)


def _parse(entry: bytes, last: Checkpoint) -> Survivors | None:
    try:
        members = json.loads(entry)
        counts, refs = members["counts"], members["refs"]
        size, root = counts["surviving_size"], strict_base64(refs["surviving_root"])
        previous = refs["previous_origin"], counts["previous_size"], strict_base64(refs["previous_root"])
        is_about = (members["act"], *previous) == (_ACT, last.origin, last.size, last.root)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not is_about or type(size) is not int or size < 0 or root is None or len(root) != HASH_BYTES:
        return None
    return Survivors(size, root, ascii(entry_id(entry) or ""))
