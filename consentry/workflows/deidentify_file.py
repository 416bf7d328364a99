"""De-identify a file of texts, line by line; the file that comes out is whole or not there."""

import os
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from consentry.progress import progress
from consentry.text_profiles import PreparedTask, TextTask
from deid.text.lines import BadLine, TextLine, read_lines, written_line
from kernel.encoding import JsonValue
from kernel.errors import BadInput

if TYPE_CHECKING:
    from deid.text import Scrubbed

WORTH_BYTES: Final = 4 * 1024 * 1024
"""Of a file; a smaller one is read to its end while processes start and import presidio."""

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

    def count(self, said: "Scrubbed") -> None:
        """Count one text that was written."""
        self.texts += 1
        self.withheld += said.is_withheld
        self.found.update(span.type.value for span in said.spans)

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
        task: what is done with each text; a profile without tokens.
        processes: that find; one a core for a large file unless given, and with one this process.
        replace: whether a file that is there already may be replaced.
        show_progress: show how far it is.

    Raises:
        BadInput: the source cannot be read, the target is there already or has no folder; the profile needs more.
        NotFound: there is no such profile.
        Unavailable: a process ended; the target is as it was.
    """
    work = task.prepared()
    with new_file(target, replace=replace) as out:
        return written_file(source, out, work, processes=processes, show_progress=show_progress)


def process_count(asked: int | None, size_bytes: int | None) -> int:
    """Return how many processes a file gets: as many as were asked for, else one a core where it is worth it."""
    if asked is not None:
        return asked
    return len(os.sched_getaffinity(0)) if size_bytes is not None and size_bytes >= WORTH_BYTES else 1


def written_file(
    source: Path, out: IO[bytes], work: PreparedTask, *, processes: int | None, show_progress: bool
) -> FileReport:
    """Write what becomes of each text of a file, or of standard input; raises as ``deidentify_file``."""
    report = FileReport()
    with (
        opened_source(source) as (stream, size),
        progress("texts (bytes)", total=size, shown=show_progress) as done,
    ):
        tell = (lambda: None) if size is None else _told(stream, done)
        for line, said in _dealt(_good_lines(stream, report, tell), work, process_count(processes, size)):
            out.write(written_line(line, said.text, said.spans))
            report.count(said)
    return report


def _dealt(lines: Iterable[TextLine], work: PreparedTask, processes: int) -> "Iterator[tuple[TextLine, Scrubbed]]":
    """Yield each line with what became of its text; other processes find, and this one replaces."""
    if processes == 1:
        yield from ((line, work.apply(line.text)) for line in lines)
        return
    from deid.text.workers import ScrubberPool, ScrubberSetup

    ahead: deque[TextLine] = deque()
    with ScrubberPool(processes, ScrubberSetup(thresholds=dict(work.deidentifier.thresholds))) as pool:
        for spans in pool.find_many(_texts(lines, ahead), work.language):
            line = ahead.popleft()
            yield line, work.deidentifier.replaced(line.text, spans, work.setting)


def _texts(lines: Iterable[TextLine], ahead: deque[TextLine]) -> Iterator[str]:
    """Yield the texts of lines, which wait until they are answered."""
    for line in lines:
        ahead.append(line)
        yield line.text


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
def opened_source(source: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """Open what is read, with its size in bytes where it has one; raises ``BadInput`` where it cannot be read."""
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
def new_file(target: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """Open what is written: a draft for its owner alone, put in its place when the block ends without an error."""
    if target == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    _check_target(target, replace=replace)
    handle, name = tempfile.mkstemp(prefix=".consentry-", suffix=".draft", dir=target.parent)
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
