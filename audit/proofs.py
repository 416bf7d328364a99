"""Proofs that leave the house: that one entry stands in the log, as a text that is verified offline.

Source: c2sp.org/tlog-proof.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, bindparam, select

from audit.handouts import make_folder, write_file
from audit.origins import current_origin
from audit.tables import as_bytes, leaf
from audit.tree import StoredTree
from audit.verifier import Checkpoint
from audit.verifier.proofs import PROOF_HEADER
from kernel.errors import BadInput, NotFound, Unavailable
from kernel.ids import EntryId
from kernel.prepared import Prepared


@dataclass(frozen=True, slots=True)
class EntryProof:
    """An entry's bytes with the proof that they stand in the log.

    Attributes:
        entry_id: of the entry.
        index: its place in the tree of its origin.
        entry: the bytes that were hashed; empty when they were pruned.
    """

    entry_id: EntryId
    index: int
    entry: bytes = field(repr=False)
    proof: str = field(repr=False)


def write_proof(index: int, hashes: Sequence[bytes], note: bytes, extra: bytes | None = None) -> str:
    """Return the text of an inclusion proof.

    Args:
        index: the entry's place, from 0.
        hashes: from the leaf's sibling upwards.
        note: the signed checkpoint, with what cosignatures it has.
        extra: opaque bytes that nobody vouches for.
    """
    lines = [PROOF_HEADER]
    if extra:
        lines.append(f"extra {base64.b64encode(extra).decode()}")
    lines.append(f"index {index}")
    lines += [base64.b64encode(node).decode() for node in hashes]
    return "".join(f"{line}\n" for line in lines) + "\n" + note.decode()


def prove_entry(connection: Connection, entry_id: EntryId, signed: Checkpoint) -> EntryProof:
    """Prove an entry under a signed checkpoint of the current origin.

    Raises:
        NotFound: no such entry stands in the log.
        BadInput: it stands in an earlier origin, or is not yet under the checkpoint.
        IntegrityFailed: the stored tree lacks nodes.
    """
    rows = _ENTRY.rows(connection, entry_id=entry_id)
    if not rows:
        raise NotFound(f"Entry {entry_id} is not in the log", hint="Look its id up with `consentry audit query`.")
    origin = current_origin(connection)
    place, body = rows[0]
    index = int(place) - origin.base
    if not 0 <= index < signed.size:
        raise BadInput(
            f"Entry {entry_id} is not under the checkpoint over {signed.size} entries",
            hint="Export the log: it holds what was logged before a loss.",
        )
    hashes = StoredTree(connection, origin).inclusion_proof(index, signed.size)
    return EntryProof(entry_id, index, as_bytes(body), write_proof(index, hashes, signed.note))


def write_proof_files(folder: Path, proven: EntryProof) -> tuple[Path, Path]:
    """Write an entry and its proof for their owner alone, in the place of earlier ones; returns both paths.

    Raises:
        Unavailable: they cannot be written.
    """
    paths = folder / f"{proven.entry_id}.json", folder / f"{proven.entry_id}.tlog-proof"
    try:
        make_folder(folder)
        for path, content in zip(paths, (proven.entry, proven.proof.encode()), strict=True):
            path.unlink(missing_ok=True)
            write_file(path, [content])
    except OSError as err:
        raise Unavailable(f"The proof cannot be written: {err.strerror}", hint="Name another folder.") from None
    return paths


_ENTRY: Final = Prepared(select(leaf.c.leaf_index, leaf.c.body).where(leaf.c.entry_id == bindparam("entry_id")))
