"""De-identify a file of texts, line by line; the file that comes out is whole or not there."""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from consentry.progress import progress
from consentry.text_processes import TextTask, process_count, work_through
from consentry.text_profiles import check_profile
from deid.text.lines import BadLine, TextLine, read_lines
from kernel.encoding import JsonValue
from kernel.errors import BadInput

STANDARD: Final = Path("-")
"""Standard input, or standard output."""


@dataclass
class FileReport:
    """What became of a file.

    Attributes:
        texts: that were written.
        withheld: of them those that were replaced whole, because they could not be judged in time.
        found: identifiers by kind.
        with_more: lines that had members beside id and text, which were left out.
        bad: lines that are no texts; they were written nowhere.
    """

    texts: int = 0
    withheld: int = 0
    found: Counter[str] = field(default_factory=Counter)
    with_more: int = 0
    bad: list[BadLine] = field(default_factory=list)

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs: counts and numbers of lines."""
        return {
            "texts": self.texts,
            "withheld": self.withheld,
            "found": dict(sorted(self.found.items())),
            "lines with other members, left out": self.with_more,
            "bad lines": len(self.bad),
        }


def deidentify_file(
    source: Path,
    target: Path,
    *,
    task: TextTask,
    processes: int | None = None,
    replace: bool = False,
    show_progress: bool = False,
) -> FileReport:
    """De-identify every text of a file of JSON lines; touches no store and needs no deployment.

    Args:
        source: a file, or ``-``.
        target: a file, which is written beside itself and put in its place at the end, or ``-``.
        task: profile and language.
        processes: that work; one a core for a large file unless given.
        replace: whether a file that is there already may be replaced.
        show_progress: show how far it is.

    Raises:
        BadInput: the source cannot be read, the target is there already or has no folder.
        NotFound: there is no such profile.
        Unavailable: a process ended; the target is as it was.
    """
    check_profile(task.profile)
    report = FileReport()
    with (
        _opened(source) as (stream, size),
        _made(target, replace=replace) as out,
        progress("texts (bytes)", total=size, shown=show_progress) as done,
    ):
        lines = _good_lines(stream, report, (lambda: None) if size is None else _told(stream, done))
        for batch in work_through(lines, task, processes=process_count(processes, size)):
            out.write(batch.lines)
            report.texts += batch.texts
            report.withheld += batch.withheld
            report.found += batch.found
    return report


def _good_lines(stream: IO[bytes], report: FileReport, told: Callable[[], object]) -> Iterator[TextLine]:
    for line in read_lines(stream):
        told()
        if isinstance(line, BadLine):
            report.bad.append(line)
            continue
        report.with_more += line.more
        yield line


def _told(stream: IO[bytes], done: Callable[[int], None]) -> Callable[[], object]:
    """Return a function that says how far the file has been read since it was last called."""
    reached = 0

    def tell() -> None:
        nonlocal reached
        now = stream.tell()
        done(now - reached)
        reached = now

    return tell


@contextmanager
def _opened(source: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """Open what is read, with its size in bytes where it has one."""
    if source == STANDARD:
        yield sys.stdin.buffer, None
        return
    try:
        stream = source.open("rb")
    except OSError as err:
        raise BadInput(f"{source} cannot be read: {err.strerror}", hint="Name a file of JSON lines.") from err
    with stream:
        yield stream, os.fstat(stream.fileno()).st_size if source.is_file() else None


@contextmanager
def _made(target: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """Open what is written: a draft for its owner alone, put in its place when the block ends without an error."""
    if target == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    _check_target(target, replace=replace)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".draft", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        _put(draft, target, replace=replace)
    finally:
        draft.unlink(missing_ok=True)


def _check_target(target: Path, *, replace: bool) -> None:
    if not target.parent.is_dir():
        raise BadInput(f"There is no folder {target.parent}", hint="Make it, or name another place.")
    if target.is_dir() or (target.exists() and not (replace and target.is_file())):
        raise BadInput(f"{target} is there already", hint="Name another file, or replace a file with --force.")


def _put(draft: Path, target: Path, *, replace: bool) -> None:
    if replace:
        draft.replace(target)
        return
    try:
        target.hardlink_to(draft)  # unlike a rename it fails where somebody has made the file meanwhile
    except FileExistsError:
        raise BadInput(f"{target} is there already", hint="Name another file, or use --force.") from None
    except OSError:  # a file system without hard links
        draft.replace(target)
