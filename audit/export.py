"""The export of the log: a folder of static files (c2sp.org/tlog-tiles) that proves itself with the public key."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, select

from audit.anchors import AnchorKind
from audit.cosignatures import with_signatures
from audit.origins import Origin, current_origin, origins
from audit.tables import anchor, checkpoint, handover, leaf, subtree
from audit.verifier import HASH_BYTES, Checkpoint, VerifierKey
from audit.verifier.exports import CHECKPOINT_FILE, HANDOVERS_FILE, HISTORY_FILE
from audit.verifier.ranges import TILE_BITS
from audit.verifier.recoveries import EARLIER_FOLDER, RECOVERED_FILE
from audit.verifier.tiles import GAP, TILE_FOLDER, TILE_WIDTH, tile_path
from kernel.database import Database
from kernel.errors import BadInput, Unavailable

KEY_FILE: Final = "log.pub"
README_FILE: Final = "README.txt"
TIMESTAMP_FOLDER: Final = "timestamps"
_READ_SIZE: Final = 2_048
_LENGTH_MAX: Final = 0xFFFF

_Piece = TypeVar("_Piece")

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


def export_log(
    database: Database,
    signed: Checkpoint,
    key: VerifierKey,
    folder: Path,
    *,
    handovers: Sequence[bytes] | None = None,
) -> ExportSummary:
    """Write the entries below a signed checkpoint and all that proves them; the checkpoint itself is written last.

    Args:
        database: the data store.
        signed: of the current origin.
        key: the key in charge.
        folder: a new one.
        handovers: notes of the current origin's hand-overs, the oldest first; None takes those in the store.
    Raises:
        BadInput: the folder holds something already.
        Unavailable: the store cannot be read or the folder not written.
    """
    try:
        check_new_folder(folder)
        folder.mkdir(exist_ok=True)
        with database.read() as connection:
            earlier_origins = _write_earlier(connection, folder)
            origin = current_origin(connection)
            notes = _stored_handovers(connection, origin) if handovers is None else handovers
            entries_bytes, earlier = _write_origin(connection, origin, signed.size, folder)
            _write_notes(folder / HANDOVERS_FILE, notes)
            note = with_signatures(signed.note, _said(connection, origin, signed.size, AnchorKind.WITNESS))
            stamps = _said(connection, origin, signed.size, AnchorKind.TIMESTAMP)
        if stamps:
            _write_timestamps(folder / TIMESTAMP_FOLDER, signed.note, stamps)
        _write(folder / README_FILE, [_README.format(origin=signed.origin, size=signed.size).encode()])
        _write(folder / KEY_FILE, [f"{key}\n".encode()])
        _write(folder / CHECKPOINT_FILE, [note])
    except OSError as err:
        raise Unavailable(f"The export cannot be written: {err.strerror}", hint="Name another folder.") from None
    return ExportSummary(folder, signed, earlier, entries_bytes, earlier_origins)


def check_new_folder(folder: Path) -> None:
    """Raise ``BadInput`` unless an export can be written there: an empty folder, or none in one that there is."""
    if not folder.exists() and not folder.parent.is_dir():
        raise BadInput(f"There is no folder {folder.parent}", hint="Make it first, or name another.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput("The export folder is not empty", hint="Name a new folder.")


def _write_earlier(connection: Connection, folder: Path) -> int:
    """Write each earlier origin under its last stored checkpoint; returns how many had one.

    Where fewer entries survived than it covers, what survived stands beside the entry that says so.
    """
    written = 0
    for origin, following in pairwise(origins(connection)):
        query = select(checkpoint.c.size, checkpoint.c.note).where(checkpoint.c.origin_no == origin.number)
        last = connection.execute(query.order_by(checkpoint.c.size.desc()).limit(1)).one_or_none()
        if last is not None:
            below = folder / EARLIER_FOLDER / str(origin.number)
            below.mkdir(parents=True)
            survived = following.base - origin.base
            _write_origin(connection, origin, min(last.size, survived), below, signed=last.size)
            if survived < last.size:
                _write(below / RECOVERED_FILE, [_first_entry(connection, following)])
            _write_notes(below / HANDOVERS_FILE, _stored_handovers(connection, origin))
            cosigned = with_signatures(last.note, _said(connection, origin, last.size, AnchorKind.WITNESS))
            _write(below / CHECKPOINT_FILE, [cosigned])
            written += 1
    return written


def _first_entry(connection: Connection, origin: Origin) -> bytes:
    return connection.scalar(select(leaf.c.body).where(leaf.c.leaf_index == origin.base)) or b""


def _write_origin(
    connection: Connection, origin: Origin, size: int, folder: Path, *, signed: int | None = None
) -> tuple[int, int]:
    """Write tiles and history of one origin; returns the bytes of its bundles and the number of earlier notes.

    Args:
        connection: any transaction.
        origin: whose.
        size: how many entries are written.
        folder: where.
        signed: how many the last checkpoint covers; None for as many.
    """
    (folder / TILE_FOLDER).mkdir()
    entries_bytes = _write_entries(connection, origin, size, folder)
    level = 1
    while size >> TILE_BITS * level:
        hashes = _Pieces(folder, level)
        for node in _filled(_subtrees(connection, origin, level, size >> TILE_BITS * level), GAP):
            hashes.add(node)
        hashes.finish()
        level += 1
    earlier = _write_notes(folder / HISTORY_FILE, _history(connection, origin, size if signed is None else signed))
    return entries_bytes, earlier


def _write_entries(connection: Connection, origin: Origin, size: int, folder: Path) -> int:
    """Write bundles and leaf tiles from the stored bytes and hashes as they are, right or wrong.

    A missing row becomes an empty entry under a hash of zeros, so that the verifier names the place.
    """
    bundles, hashes = _Pieces(folder, None), _Pieces(folder, 0)
    written = 0
    for body, hashed in _filled(_leaves(connection, origin, size), (b"", GAP)):
        piece = len(body[:_LENGTH_MAX]).to_bytes(2, "big") + body[:_LENGTH_MAX]
        bundles.add(piece)
        hashes.add(hashed[:HASH_BYTES].ljust(HASH_BYTES, b"\0"))
        written += len(piece)
    bundles.finish()
    hashes.finish()
    return written


class _Pieces:
    """Files of 256 pieces each: the tiles of one level, or the entry bundles."""

    def __init__(self, folder: Path, level: int | None) -> None:
        self._folder = folder
        self._level = level
        self._index = 0
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        if len(self._pieces) == TILE_WIDTH:
            self.finish()

    def finish(self) -> None:
        """Write what waits, as a partial tile when it is one."""
        if self._pieces:
            path = self._folder / tile_path(self._level, self._index, len(self._pieces))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(self._pieces))
            self._index += 1
            self._pieces.clear()


def _leaves(connection: Connection, origin: Origin, size: int) -> Iterator[tuple[int, tuple[bytes, bytes] | None]]:
    """Yield index, body and hash of the stored leaves in order, and at the end the size."""
    query = select(leaf.c.leaf_index, leaf.c.body, leaf.c.leaf_hash)
    within = query.where(leaf.c.leaf_index >= origin.base, leaf.c.leaf_index < origin.base + size)
    rows = connection.execute(within.order_by(leaf.c.leaf_index).execution_options(yield_per=_READ_SIZE))
    for index, body, hashed in rows:
        yield index - origin.base, (body, hashed)
    yield size, None


def _subtrees(connection: Connection, origin: Origin, level: int, count: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield position and hash of the stored subtrees of a level in order, and at the end their number."""
    query = select(subtree.c.position, subtree.c.hash).where(
        subtree.c.origin_no == origin.number, subtree.c.level == level, subtree.c.position < count
    )
    rows = connection.execute(query.order_by(subtree.c.position).execution_options(yield_per=_READ_SIZE))
    for position, hashed in rows:
        yield position, hashed[:HASH_BYTES].ljust(HASH_BYTES, b"\0")
    yield count, None


def _filled(numbered: Iterable[tuple[int, _Piece | None]], gap: _Piece) -> Iterator[_Piece]:
    """Yield what is numbered, and the gap for each number that is not there."""
    expected = 0
    for number, piece in numbered:
        for _ in range(number - expected):
            yield gap
        if piece is not None:
            yield piece
        expected = number + 1


def _history(connection: Connection, origin: Origin, size: int) -> Iterator[bytes]:
    """Yield the notes over fewer entries, smallest first, each with the cosignatures that came for it later."""
    notes = select(checkpoint.c.size, checkpoint.c.note).where(
        checkpoint.c.origin_no == origin.number, checkpoint.c.size < size
    )
    lines = select(anchor.c.size, anchor.c.token).where(
        anchor.c.origin_no == origin.number, anchor.c.size < size, anchor.c.kind == AnchorKind.WITNESS.value
    )
    streamed = {"yield_per": _READ_SIZE}
    rows = connection.execute(lines.order_by(anchor.c.size, anchor.c.name).execution_options(**streamed))
    cosigned = groupby(rows, key=lambda row: row.size)
    at, tokens = next(cosigned, (size, iter(())))
    for known, note in connection.execute(notes.order_by(checkpoint.c.size).execution_options(**streamed)):
        while at < known:
            at, tokens = next(cosigned, (size, iter(())))
        yield with_signatures(note, [row.token for row in tokens]) if at == known else note


def _said(connection: Connection, origin: Origin, size: int, kind: AnchorKind) -> Sequence[bytes]:
    """Return the cosignature lines or the timestamps of one head."""
    of_size = anchor.c.origin_no == origin.number, anchor.c.size == size, anchor.c.kind == kind.value
    return connection.scalars(select(anchor.c.token).where(*of_size).order_by(anchor.c.name)).all()


def _stored_handovers(connection: Connection, origin: Origin) -> Sequence[bytes]:
    query = select(handover.c.note).where(handover.c.origin_no == origin.number)
    return connection.scalars(query.order_by(handover.c.size)).all()


def _write_notes(path: Path, notes: Iterable[bytes]) -> int:
    """Write notes as JSON strings; one that was damaged in the store as well as it can be: it must be seen to fail."""
    written = 0
    with path.open("xb") as file:
        for note in notes:
            file.write(json.dumps(note.decode(errors="replace")).encode() + b"\n")
            written += 1
        file.flush()
        os.fsync(file.fileno())
    return written


def _write_timestamps(folder: Path, note: bytes, stamps: Sequence[bytes]) -> None:
    """Write the bytes that an authority stamped, the note without cosignatures, and what it answered."""
    folder.mkdir()
    _write(folder / "note", [note])
    for number, stamp in enumerate(stamps, 1):
        _write(folder / f"{number}.tsr", [stamp])


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("xb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
