"""The export of the log: a folder of static files (c2sp.org/tlog-tiles) that proves itself with the public key.

It is read window by window, each in a transaction of its own, so that no writer waits for it: what lies below a signed
size does not change any more, unless it is pruned, which is looked for at the end.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from audit.anchors import AnchorKind
from audit.cosignatures import with_signatures
from audit.handouts import make_folder, sync_below, write_file
from audit.handovers import handover_keys
from audit.origins import Origin, origins
from audit.retention import unpruned
from audit.tables import anchor, checkpoint, handover, leaf
from audit.tile_files import write_tiles
from audit.verifier import Checkpoint, VerifierKey
from audit.verifier.exports import CHECKPOINT_FILE, HANDOVERS_FILE, HISTORY_FILE
from audit.verifier.recoveries import EARLIER_FOLDER, RECOVERED_FILE
from kernel.database import Database
from kernel.errors import BadInput, IntegrityFailed, Unavailable
from kernel.files import sync_folder

KEY_FILE: Final = "log.pub"
README_FILE: Final = "README.txt"
TIMESTAMP_FOLDER: Final = "timestamps"
_WINDOW: Final = 2_048
"""Notes read in one transaction."""
"""Rows in one read transaction; they are written when it is over."""


_README: Final = """\
审计日志导出 / Audit log export

{origin}: {size} entries

checkpoint          the signed head over all entries / 覆盖全部条目的签名检查点
checkpoints.ndjson  every head that was signed before / 此前签署的全部检查点
handovers.ndjson    hand-overs of the signing key / 签名密钥的交接记录
tile/entries/       the entries, the bytes that were hashed / 条目原文(即计入哈希的字节)
tile/0/, tile/1/ …  the hashes of the tree (c2sp.org/tlog-tiles) / 哈希树各层
timestamps/         RFC 3161 timestamps over the head, when an authority was asked / 时间戳(如有配置)
log.pub             the public key; take it from elsewhere / 公钥,校验时请从独立渠道取得
earlier/            what was logged before a loss, if ever / 日志重建之前的部分(如有)

How to verify / 校验方法

    consentry-verify log THIS_FOLDER --key PUBLIC_KEY

    --checkpoint FILE   a checkpoint that you kept: shows truncation, rollback and forks
                        另行保存的检查点,可发现截断、回滚与分叉
    --policy FILE       which witnesses must have cosigned / 要求哪些见证方联署
    --entries           also parse every entry / 逐条检查条目格式
    --lang zh           中文输出

    openssl ts -verify -in timestamps/1.tsr -data timestamps/note -CAfile ROOTS
                        the timestamp, by any RFC 3161 tool / 用任意 RFC 3161 工具校验时间戳

Exit status: 0 whole, 1 not whole (the first bad entry is named), 2 wrong usage.
退出码:0 完整;1 不完整(指出第一个有问题的条目);2 用法错误。

Each folder below earlier/ is verified in the same way, with the key that was used then.
earlier/ 下的每个文件夹以同样方式校验,使用当时的公钥。
Where entries were lost, recovered.json is the first entry of the log that followed: it states what survived. Such a
folder verifies as "lost", exit status 1, with the number of entries that are missing.
有条目丢失时,recovered.json 即后续日志的第一条,说明尚存的部分;校验结论为 lost,退出码 1,并给出缺失条数。
"""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written.

    Attributes:
        entries_bytes: of the current origin's entry bundles.
        earlier_origins: how many origins before it were exported beside it.
        alarm: why the stored log could not be settled; the export then holds the evidence, and will not verify.
    """

    folder: Path
    checkpoint: Checkpoint
    earlier_checkpoints: int
    entries_bytes: int
    earlier_origins: int = 0
    alarm: str | None = None


def export_log(database: Database, signed: Checkpoint, key: VerifierKey, folder: Path) -> ExportSummary:
    """Write the entries below a signed checkpoint and all that proves them; the checkpoint itself is written last.

    Folders and files are the owner's alone; a folder that is there already keeps its mode.

    Args:
        database: the data store.
        signed: of the current origin.
        key: the key in charge now.
        folder: a new one.
    Raises:
        BadInput: the folder holds something already.
        Conflict: the log was pruned meanwhile.
        Unavailable: the store cannot be read or the folder not written.
    """
    try:
        check_new_folder(folder)
        make_folder(folder)
        with unpruned(database):
            summary = _write_all(database, signed, key, folder)
        note, stamps = _said_of_head(database, signed)
        if stamps:
            _write_timestamps(folder / TIMESTAMP_FOLDER, signed.note, stamps)
        write_file(folder / README_FILE, [_README.format(origin=signed.origin, size=signed.size).encode()])
        sync_below(folder)
        write_file(folder / CHECKPOINT_FILE, [note])
        sync_folder(folder)
    except OSError as err:
        raise Unavailable(f"The export cannot be written: {err.strerror}", hint="Name another folder.") from None
    return summary


def check_new_folder(folder: Path) -> None:
    """Raise ``BadInput`` unless an export can be written there: an empty folder, or none in one that there is."""
    if not folder.exists() and not folder.parent.is_dir():
        raise BadInput(f"There is no folder {folder.parent}", hint="Make it first, or name another.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput("The export folder is not empty", hint="Name a new folder.")


def _write_all(database: Database, signed: Checkpoint, key: VerifierKey, folder: Path) -> ExportSummary:
    """Write every origin; of the current one all but its checkpoint, and what was said of it."""
    with database.read() as connection:
        found = origins(connection)
    earlier_origins = sum(_write_earlier(database, *pair, folder) for pair in pairwise(found))
    entries_bytes, earlier = _write_origin(database, found[-1], signed.size, folder)
    notes, in_charge = _handed_over(database, found[-1], signed.size, key)
    _write_notes(folder / HANDOVERS_FILE, notes)
    write_file(folder / KEY_FILE, [f"{in_charge}\n".encode()])
    return ExportSummary(folder, signed, earlier, entries_bytes, earlier_origins)


def _said_of_head(database: Database, signed: Checkpoint) -> tuple[bytes, Sequence[bytes]]:
    """Return the note with its cosignatures, and the timestamps over it."""
    with database.read() as connection:
        origin = origins(connection)[-1]
        note = with_signatures(signed.note, _said(connection, origin, signed.size, AnchorKind.WITNESS))
        return note, _said(connection, origin, signed.size, AnchorKind.TIMESTAMP)


def _write_earlier(database: Database, origin: Origin, following: Origin, folder: Path) -> bool:
    """Write an earlier origin under its last stored checkpoint; returns whether it had one.

    Where fewer entries survived than it covers, what survived stands beside the entry that says so.
    """
    query = select(checkpoint.c.size, checkpoint.c.note).where(checkpoint.c.origin_no == origin.number)
    with database.read() as connection:
        last = connection.execute(query.order_by(checkpoint.c.size.desc()).limit(1)).one_or_none()
        if last is None:
            return False
        first_entry = _first_entry(connection, following)
        cosigned = with_signatures(last.note, _said(connection, origin, last.size, AnchorKind.WITNESS))
    below = folder / EARLIER_FOLDER / str(origin.number)
    make_folder(below)
    survived = following.base - origin.base
    _write_origin(database, origin, min(last.size, survived), below, signed=last.size)
    if survived < last.size:
        write_file(below / RECOVERED_FILE, [first_entry])
    notes, _ = _handed_over(database, origin, last.size)
    _write_notes(below / HANDOVERS_FILE, notes)
    write_file(below / CHECKPOINT_FILE, [cosigned])
    return True


def _first_entry(connection: Connection, origin: Origin) -> bytes:
    return connection.scalar(select(leaf.c.body).where(leaf.c.leaf_index == origin.base)) or b""


def _write_origin(
    database: Database, origin: Origin, size: int, folder: Path, *, signed: int | None = None
) -> tuple[int, int]:
    """Write tiles and history of one origin; returns the bytes of its bundles and the number of earlier notes.

    Args:
        database: the data store.
        origin: whose.
        size: how many entries are written.
        folder: where.
        signed: how many the last checkpoint covers; None for as many.
    """
    entries_bytes = write_tiles(database, origin, size, folder)
    earlier = _write_notes(folder / HISTORY_FILE, _history(database, origin, size if signed is None else signed))
    return entries_bytes, earlier


def _history(database: Database, origin: Origin, size: int) -> Iterator[bytes]:
    """Yield the notes over fewer entries, smallest first, each with the cosignatures that came for it later."""
    known = -1
    while True:
        with database.read() as connection:
            page = _notes_between(connection, origin, known, size)
        yield from page.values()
        if len(page) < _WINDOW:
            return
        known = max(page)


def _notes_between(connection: Connection, origin: Origin, known: int, size: int) -> dict[int, bytes]:
    """Return the next notes with their cosignatures, by their sizes."""
    of_origin = checkpoint.c.origin_no == origin.number, checkpoint.c.size > known, checkpoint.c.size < size
    query = select(checkpoint.c.size, checkpoint.c.note).where(*of_origin).order_by(checkpoint.c.size).limit(_WINDOW)
    notes = {at: note for at, note in connection.execute(query)}  # noqa: C416 - a row is no pair to the type checker
    if not notes:
        return {}
    lines = select(anchor.c.size, anchor.c.token).where(
        anchor.c.origin_no == origin.number,
        anchor.c.size.between(min(notes), max(notes)),
        anchor.c.kind == AnchorKind.WITNESS.value,
    )
    for at, rows in groupby(connection.execute(lines.order_by(anchor.c.size, anchor.c.name)), key=lambda row: row.size):
        if at in notes:
            notes[at] = with_signatures(notes[at], [row.token for row in rows])
    return notes


def _said(connection: Connection, origin: Origin, size: int, kind: AnchorKind) -> Sequence[bytes]:
    """Return the cosignature lines or the timestamps of one head."""
    of_size = anchor.c.origin_no == origin.number, anchor.c.size == size, anchor.c.kind == kind.value
    return connection.scalars(select(anchor.c.token).where(*of_size).order_by(anchor.c.name)).all()


def _handed_over(
    database: Database, origin: Origin, size: int, key: VerifierKey | None = None
) -> tuple[list[bytes], VerifierKey | None]:
    """Return the hand-overs up to a size, the oldest first, and the key that was in charge there.

    A later hand-over would lead to keys that may not have signed that size.
    """
    query = select(handover.c.size, handover.c.note).where(handover.c.origin_no == origin.number)
    with database.read() as connection:
        rows = connection.execute(query.order_by(handover.c.size)).all()
    later = [row.note for row in rows if row.size > size]
    return [row.note for row in rows if row.size <= size], _retired(later[0], key) if later else key


def _retired(note: bytes, key: VerifierKey | None) -> VerifierKey | None:
    """Return the key that a hand-over retired; where it is damaged, the key now: the rest must leave all the same."""
    try:
        return handover_keys(note)[0]
    except IntegrityFailed:
        return key


def _write_notes(path: Path, notes: Iterable[bytes]) -> int:
    """Write notes as JSON strings; one that was damaged in the store as well as it can be: it must be seen to fail."""
    return write_file(path, (json.dumps(note.decode(errors="replace")).encode() + b"\n" for note in notes))


def _write_timestamps(folder: Path, note: bytes, stamps: Sequence[bytes]) -> None:
    """Write the bytes that an authority stamped, the note without cosignatures, and what it answered."""
    make_folder(folder)
    write_file(folder / "note", [note])
    for number, stamp in enumerate(stamps, 1):
        write_file(folder / f"{number}.tsr", [stamp])
