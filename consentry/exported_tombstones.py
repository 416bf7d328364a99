"""Tombstones that an export of a newer log tells of: a restored store learns by it what was erased since its backup."""

from pathlib import Path

from audit.verifier import VerificationError, VerifierKey
from audit.verifier.bundles import split_bundle
from audit.verifier.exports import verify_export
from audit.verifier.tiles import TILE_WIDTH, TileFolder
from kernel.errors import BadInput, IntegrityFailed
from vault.replaying import Buried, named_keys


def read_tombstones(folder: Path, key: VerifierKey) -> dict[bytes, Buried]:
    """Return the destroyed keys that an exported log names.

    Args:
        folder: what `consentry audit export` wrote.
        key: a public key of the log.

    Raises:
        IntegrityFailed: the export is not whole.
        BadInput: the folder cannot be read.
    """
    try:
        size = verify_export(folder, key).size
    except VerificationError as err:
        raise IntegrityFailed(f"The export of the log is not whole: {err.message}", hint="Take another.") from None
    except OSError as err:
        raise BadInput(f"The export cannot be read: {err.strerror}", hint="Name the folder of an export.") from None
    tiles, found = TileFolder(str(folder), size), dict[bytes, Buried]()
    for number in range(tiles.bundles):
        entries, _ = split_bundle(tiles.read_bundle(number), min(TILE_WIDTH, size - number * TILE_WIDTH))
        for entry in entries:
            if entry:
                found |= named_keys(entry)
    return found
