"""Writes refused rows to a file: where and why, never what."""

import csv
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from consentry.sources.records import BadRow
from kernel.errors import Unavailable

_COLUMNS: Final = ("locator", "reason", "field")
_SUFFIXES: Final = frozenset({".csv", ".ndjson"})


def quarantine_path(source: Path) -> Path:
    """Return the place beside an input where its refused rows go: ``orders.csv`` → ``orders.csv.quarantine.csv``."""
    return source.with_name(f"{source.name}.quarantine.csv")


class QuarantineWriter:
    """Gathers refused rows in a file that appears whole, or not at all.

    Nothing is written where nothing was refused; an older file at the path is taken away then, for it speaks of
    another run. After an error inside the ``with`` block the older file stays as it was.
    """

    def __init__(self, path: Path) -> None:
        """Take the path; ``.ndjson`` gives one JSON object a line, ``.csv`` a table."""
        if path.suffix.lower() not in _SUFFIXES:
            path = path.with_name(f"{path.name}.csv")
        self.path = path
        self.count = 0
        self._handle: IO[str] | None = None
        self._write: Callable[[BadRow], object] | None = None

    def __enter__(self) -> Self:
        """Return the writer; the file opens with the first row."""
        return self

    def write(self, row: BadRow) -> None:
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

    def _open(self) -> Callable[[BadRow], object]:
        handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed in __exit__
            "w", encoding="utf-8", newline="", dir=self.path.parent, prefix=".quarantine-", delete=False
        )
        self._handle = handle
        if self.path.suffix.lower() == ".ndjson":
            return lambda row: handle.write(json.dumps(_cells(row), ensure_ascii=False) + "\n")
        table = csv.DictWriter(handle, _COLUMNS, lineterminator="\n")
        table.writeheader()
        return lambda row: table.writerow(_cells(row))

    def _commit(self) -> None:
        if self._handle is None:
            self.path.unlink(missing_ok=True)
            return
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._handle.close()
        Path(self._handle.name).replace(self.path)
        self._handle = None

    def _discard(self) -> None:
        if self._handle is not None:
            self._handle.close()
            Path(self._handle.name).unlink(missing_ok=True)
            self._handle = None

    def _failed(self, err: OSError) -> Unavailable:
        return Unavailable(
            f"The quarantine file {self.path.name} cannot be written ({err.strerror})",
            hint="Free space, or give another path; nothing of the batch was kept.",
        )


def _cells(row: BadRow) -> dict[str, str | None]:
    return {"locator": row.locator, "reason": row.reason.value, "field": row.field}
