"""The export of the log: a folder that proves itself offline with the public key."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select

from audit.checkpoints import stored_notes
from audit.origins import FIRST
from audit.tables import leaf
from audit.verifier import Checkpoint, VerifierKey
from audit.verifier.exports import CHECKPOINT_FILE, ENTRIES_FILE, HISTORY_FILE, LEAVES_FILE
from kernel.database import Database
from kernel.errors import BadInput, Unavailable

KEY_FILE: Final = "log.pub"
README_FILE: Final = "README.txt"
_READ_SIZE: Final = 2_048

_README: Final = """\
审计日志导出 / Audit log export

Log {origin}, {size} entries.

{entries}     one entry a line, the bytes that were hashed into the log
{leaves}          hash and id of each entry, to name the first bad one
{checkpoint}          the signed head over all entries
{history}  every head that was signed before
{key}             the public key; take it from elsewhere when you verify

    consentry-verify THIS_FOLDER --key PUBLIC_KEY [--checkpoint LATER_CHECKPOINT]

校验时公钥请从独立渠道取得;如另存有更晚的检查点,可发现截断与回滚。
Exit status: 0 whole, 1 not whole (the first bad entry is named), 2 wrong usage.
"""

_GAP: Final = b"missing\n"
"""Stands in the leaf list where the store has no row; it equals no hash, so the verifier names the place."""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written.

    Attributes:
        alarm: why the stored log could not be settled; the export then holds the evidence, and will not verify.
    """

    folder: Path
    checkpoint: Checkpoint
    earlier_checkpoints: int
    entries_bytes: int
    alarm: str | None = None


def export_log(database: Database, signed: Checkpoint, key: VerifierKey, folder: Path) -> ExportSummary:
    """Write the entries below a signed checkpoint and all that proves them; the checkpoint itself is written last.

    Raises:
        BadInput: the folder holds something already.
        Unavailable: the store cannot be read or the folder not written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BadInput("The export folder is not empty", hint="Name a new folder.")
        entries_bytes, earlier = _write_log(database, signed, folder)
        names = {"entries": ENTRIES_FILE, "leaves": LEAVES_FILE, "checkpoint": CHECKPOINT_FILE, "history": HISTORY_FILE}
        readme = _README.format(origin=signed.origin, size=signed.size, key=KEY_FILE, **names)
        _write(folder / README_FILE, [readme.encode()])
        _write(folder / KEY_FILE, [f"{key}\n".encode()])
        _write(folder / CHECKPOINT_FILE, [signed.note])
    except OSError as err:
        raise Unavailable(f"The export cannot be written: {err.strerror}", hint="Name another folder.") from None
    return ExportSummary(folder, signed, earlier, entries_bytes)


def _write_log(database: Database, signed: Checkpoint, folder: Path) -> tuple[int, int]:
    with database.read() as connection:
        notes = list(stored_notes(connection, FIRST, below=signed.size))
        query = select(leaf.c.leaf_index, leaf.c.body, leaf.c.leaf_hash, leaf.c.entry_id)
        below = query.where(leaf.c.leaf_index < signed.size).order_by(leaf.c.leaf_index)
        rows = connection.execution_options(yield_per=_READ_SIZE).execute(below)
        with (folder / ENTRIES_FILE).open("xb") as entries, (folder / LEAVES_FILE).open("xb") as leaves:
            expected = 0
            for index, body, hashed, entry_id in rows:
                entries.write(body + b"\n")
                leaves.write(_GAP * (index - expected) + f"{hashed.hex()} {entry_id}\n".encode())
                expected = index + 1
            leaves.write(_GAP * (signed.size - expected))
            entries_bytes = entries.tell()
    # A note that was damaged in the store is exported as well as it can be: it must be seen to fail.
    _write(folder / HISTORY_FILE, [json.dumps(note.decode(errors="replace")).encode() + b"\n" for note in notes])
    return entries_bytes, len(notes)


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("xb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
