"""De-identification as a process that was given no key and no store: columns under pseudonyms in, rows out.

    python -m deid.row_process

Standard input and output carry frames: a kind (1 byte), the length of what follows (4, big-endian), and that. The
first one in is the task as JSON; then come batches, each answered by its rows, and between the two the process may ask
for tokens of identifying values. This package cannot import the vault, which import-linter checks.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from struct import Struct
from typing import IO, TYPE_CHECKING, Final, NamedTuple, NoReturn

from deid.columns import source_rows
from deid.rows import RowBuilder
from deid.views import load_views
from kernel.core_dumps import forbid_core_dumps
from kernel.errors import ConsentryError, IntegrityFailed
from kernel.ids import SubjectId
from kernel.pack import load_pack

if TYPE_CHECKING:
    import pyarrow as pa

TASK: Final = b"t"
BATCH: Final = b"b"
ROWS: Final = b"r"
WANTED: Final = b"w"
TOKEN: Final = b"k"
DROPPED: Final = b"d"
FAILED: Final = b"f"

_HEAD: Final = Struct(">cI")


class Frame(NamedTuple):
    """One message."""

    kind: bytes
    content: bytes


def write_frame(stream: IO[bytes], kind: bytes, content: bytes) -> None:
    """Write one frame and send it on its way."""
    stream.write(_HEAD.pack(kind, len(content)))
    stream.write(content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Frame | None:
    """Return the next frame, or None at the end.

    Raises:
        IntegrityFailed: the stream ends inside a frame.
    """
    head = stream.read(_HEAD.size)
    if not head:
        return None
    kind, size = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0)
    content = stream.read(size)
    if not kind or len(content) != size:
        raise IntegrityFailed("The stream of rows ends inside a frame", hint="Build the view again.")
    return Frame(kind, content)


@dataclass(frozen=True, slots=True)
class Streams:
    """Where frames come from and go to; asks for tokens on the way."""

    given: IO[bytes]
    answers: IO[bytes]

    def pseudonyms(self, subjects: Sequence[SubjectId], *, scope: str) -> NoReturn:
        """Refuse: whoever streams has put pseudonyms in the place of subjects already."""
        raise AssertionError(f"{len(subjects)} subjects have reached scope {scope}")

    def token(self, value: str, *, scope: str) -> str:
        """Return the token of an identifying value, from the side that holds the key of the scope."""
        write_frame(self.answers, WANTED, json.dumps([value, scope]).encode())
        answer = read_frame(self.given)
        if answer is None or answer.kind != TOKEN:
            raise IntegrityFailed("No token came back", hint="Build the view again.")
        return answer.content.decode()


def rows_of(builder: RowBuilder, batch: "pa.RecordBatch") -> "pa.Table":
    """Return the view's rows of the people of a batch."""
    import pyarrow as pa

    rows = [row for pseudonym, records in source_rows(batch) for row in builder.rows(pseudonym, records)]
    return pa.Table.from_pylist(rows, schema=builder.schema)


def serve(streams: Streams) -> None:
    """Build rows until the batches end, then say how many cells were dropped."""
    import pyarrow as pa

    from deid.text import TextScrubber

    task = read_frame(streams.given)
    if task is None:
        return
    said = json.loads(task.content)
    pack = Path(said["pack"])
    view = load_views(pack, load_pack(pack))[said["view"]]
    if view.hash != said["hash"]:
        raise IntegrityFailed("The view's definition has changed", hint="Build the view again.")
    scrubber = TextScrubber()
    builder = RowBuilder(
        view, tokeniser=streams, scrub=lambda text: scrubber.scrub(text).text, as_of=date.fromisoformat(said["as_of"])
    )
    while (frame := read_frame(streams.given)) is not None:
        with pa.ipc.open_stream(frame.content) as stream:
            write_frame(streams.answers, ROWS, packed(rows_of(builder, stream.read_next_batch())))
        dropped = [[column, why, number] for (column, why), number in builder.dropped.items()]
        write_frame(streams.answers, DROPPED, json.dumps(dropped).encode())


def packed(table: "pa.Table | pa.RecordBatch") -> bytes:
    """Return a table as an Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write(table)
    return bytes(memoryview(sink.getvalue()))


def main() -> None:
    """Serve standard input and output; an error is told by its message, which holds no value, and nothing else."""
    forbid_core_dumps()
    streams = Streams(sys.stdin.buffer, sys.stdout.buffer)
    try:
        serve(streams)
    except ConsentryError as err:
        write_frame(streams.answers, FAILED, err.diagnostics().encode())
        sys.exit(1)
    except Exception as err:  # noqa: BLE001 - it may hold plaintext, and is told by its name alone
        write_frame(streams.answers, FAILED, type(err).__name__.encode())
        sys.exit(1)


if __name__ == "__main__":
    main()
