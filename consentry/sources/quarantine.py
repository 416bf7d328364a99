"""Writes refused rows to a file: where and why, never what."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol, Self

from kernel.errors import Unavailable

COLUMNS: Final = ("locator", "reason", "field")
_SUFFIXES: Final = frozenset({".csv", ".ndjson"})


class RefusedRow(Protocol):
    """Where, why, and in which field; a row has an attribute for every column of its list."""

    @property
    def locator(self) -> str:
        """``file.csv:17``."""
        ...

    @property
    def reason(self) -> str:
        """Name of the rule."""
        ...

    @property
    def field(self) -> str | None:
        """The field at fault, or None."""
        ...


def quarantine_path(source: Path) -> Path:
    """Return the place beside an input where its refused rows go: ``orders.csv`` → ``orders.csv.quarantine.csv``."""
    named = source if source.name not in {"", ".."} else source.resolve()
    return named.with_name(f"{named.name}.quarantine.csv")


class QuarantineWriter:
    """Gathers refused rows in a file that appears whole, or not at all; flat in memory.

    Nothing is written where nothing was refused; an older file at the path is taken away then, for it speaks of
    another run. After an error inside the ``with`` block the older file stays as it was, and so it does after
    ``leave_older``. A draft that a crash left behind is replaced by the next run.
    """

    def __init__(self, path: Path, *, columns: Sequence[str] = COLUMNS) -> None:
        """Take the path; ``.ndjson`` gives one JSON object a line, ``.csv`` a table."""
        if path.suffix.lower() not in _SUFFIXES:
            path = path.with_name(f"{path.name}.csv")
        self.path = path
        self.count = 0
        self._columns = columns
        self._draft = path.with_name(f".{path.name}.draft")
        self._handle: IO[str] | None = None
        self._write: Callable[[RefusedRow], object] | None = None
        self._leaves_older = False

    def __enter__(self) -> Self:
        """Return the writer; the file opens with the first row."""
        return self

    def write(self, row: RefusedRow) -> None:
        """Add one refused row.

        Raises:
            Unavailable: the folder cannot be written, or the disk is full.
        """
        try:
            if self._write is None:
                self._write = self._open()
            self._write(row)
        except OSError as err:
            raise self._failed(err) from None
        self.count += 1

    def secure(self) -> None:
        """Make what was written durable, before the rows that were kept become final; raises as ``write``."""
        if self._handle is not None:
            try:
                self._handle.flush()
                os.fsync(self._handle.fileno())
            except OSError as err:
                raise self._failed(err) from None

    def leave_older(self) -> None:
        """Let the list of an earlier run stand: this one looked at no row."""
        self._leaves_older = True

    def __exit__(
        self, kind: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Put the file in its place, or throw it away after an error."""
        try:
            if kind is None:
                self._commit()
        except OSError as err:
            raise self._failed(err) from None
        finally:
            self._discard()

    def _open(self) -> Callable[[RefusedRow], object]:
        self._draft.unlink(missing_ok=True)
        handle = self._draft.open("x", encoding="utf-8", errors="backslashreplace", newline="")
        self._handle = handle
        if self.path.suffix.lower() == ".ndjson":
            return lambda row: handle.write(json.dumps(self._cells(row), ensure_ascii=False) + "\n")
        table = csv.DictWriter(handle, self._columns, lineterminator="\n")
        table.writeheader()
        return lambda row: table.writerow(self._cells(row))

    def _cells(self, row: RefusedRow) -> dict[str, str | None]:
        return {name: None if (cell := getattr(row, name)) is None else str(cell) for name in self._columns}

    def _commit(self) -> None:
        if self._handle is None:
            if not self._leaves_older:
                self.path.unlink(missing_ok=True)
            return
        self.secure()
        self._handle.close()
        self._draft.replace(self.path)
        self._handle = None

    def _discard(self) -> None:
        if self._handle is not None:
            try:
                self._handle.close()
            except OSError:  # a full disk: what could not be written is thrown away with the rest
                pass
            finally:
                self._draft.unlink(missing_ok=True)
                self._handle = None

    def _failed(self, err: OSError) -> Unavailable:
        return Unavailable(
            f"The quarantine file {self.path.name} cannot be written ({err.strerror})",
            hint="Free space, or name another with --quarantine, and run the same command again.",
        )
