"""Who turns opened columns into a view's rows: this process, or one that is given neither a store nor a key.

Embedded, the process that builds is the one that opens, which is a stated limit. With PostgreSQL the rows are made by a
process of its own; its environment is empty but for what Python needs, and what it is given stands under pseudonyms.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from deid.row_process import (
    BATCH,
    DROPPED,
    FAILED,
    ROWS,
    TASK,
    TOKEN,
    WANTED,
    Frame,
    packed,
    read_frame,
    rows_of,
    write_frame,
)
from deid.rows import RowBuilder
from deid.view_definition import ViewDefinition
from kernel.errors import Unavailable
from kernel.ports import Tokeniser

if TYPE_CHECKING:
    import pyarrow as pa

_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")
"""Of the environment; whatever names a store, a key or a credential stays here."""

_ENDING_SECONDS: Final = 10.0


class RowMaker(Protocol):
    """Makes rows of one view; a context manager."""

    @property
    def dropped(self) -> Counter[tuple[str, str]]:
        """What did not become a cell, by column and reason."""
        ...

    def rows(self, batch: "pa.RecordBatch") -> "pa.Table":
        """Return the rows of the people of a batch, whose columns are those of ``deid.columns``."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class OwnRows:
    """Makes rows in this process."""

    def __init__(self, view: ViewDefinition, *, tokeniser: Tokeniser, as_of: date) -> None:
        from deid.text import TextScrubber

        scrubber = TextScrubber()
        self._builder = RowBuilder(view, tokeniser=tokeniser, scrub=lambda text: scrubber.scrub(text).text, as_of=as_of)

    @property
    def dropped(self) -> Counter[tuple[str, str]]:
        """What did not become a cell, by column and reason."""
        return self._builder.dropped

    def rows(self, batch: "pa.RecordBatch") -> "pa.Table":
        """Return the rows of the people of a batch."""
        return rows_of(self._builder, batch)

    def __enter__(self) -> Self:
        """Return itself; there is nothing to start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """There is nothing to end."""


class ProcessRows:
    """Makes rows in a process that was given no key and no store; answers its questions for tokens."""

    def __init__(self, view: ViewDefinition, *, pack: Path, tokeniser: Tokeniser, as_of: date) -> None:
        self._task = {"pack": str(pack), "view": view.code, "hash": view.hash, "as_of": as_of.isoformat()}
        self._tokeniser = tokeniser
        self.dropped: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        """Start the process."""
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deid.row_process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, close_fds=True,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
        self._write(TASK, json.dumps(self._task).encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        if kind is not None:
            self._process.kill()
        try:
            self._process.communicate(timeout=_ENDING_SECONDS)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.communicate()

    @property
    def process_id(self) -> int:
        """The process's number."""
        return self._process.pid

    def rows(self, batch: "pa.RecordBatch") -> "pa.Table":
        """Return the rows of the people of a batch.

        Raises:
            Unavailable: the process failed or ended; no build is left behind.
        """
        import pyarrow as pa

        self._write(BATCH, packed(batch))
        with pa.ipc.open_stream(self._answer(ROWS)) as stream:
            table = stream.read_all()
        told = json.loads(self._answer(DROPPED))
        self.dropped = Counter({(column, why): number for column, why, number in told})
        return table

    def _answer(self, kind: bytes) -> bytes:
        while True:
            frame = self._read()
            if frame.kind == WANTED:
                value, scope = json.loads(frame.content)
                self._write(TOKEN, self._tokeniser.token(value, scope=scope).encode())
            elif frame.kind == kind:
                return frame.content
            else:
                raise _ended(frame.content.decode() if frame.kind == FAILED else "it answers something else")

    def _read(self) -> Frame:
        if self._process.stdout is None:
            raise AssertionError("started with pipes")
        frame = read_frame(self._process.stdout)
        if frame is None:
            raise _ended("it ended")
        return frame

    def _write(self, kind: bytes, content: bytes) -> None:
        if self._process.stdin is None:
            raise AssertionError("started with pipes")
        try:
            write_frame(self._process.stdin, kind, content)
        except (BrokenPipeError, ValueError):  # the second where it was ended by this side
            raise _ended("it ended") from None


def _ended(why: str) -> Unavailable:
    return Unavailable(f"The process that makes rows failed: {why}", hint="Nothing was built; build the view again.")
