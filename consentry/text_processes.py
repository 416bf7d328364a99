"""Texts of a file, dealt with by processes: lines in, lines out, in their order.

The processes are spawned, so that none inherits a store or a key, and leave no core: what they hold is plaintext.
"""

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final

from consentry.text_profiles import text_work
from deid.text.lines import TextLine, written_line
from kernel.core_dumps import forbid_core_dumps
from kernel.errors import Unavailable

WORTH_BYTES: Final = 4 * 1024 * 1024
"""Of a file; a smaller one is read to its end while a process starts and imports presidio."""

_BATCH_CHARACTERS: Final = 65_536
_BATCH_LINES: Final = 500
"""Of what one process is given at a time, whichever comes first."""

_WAITING: Final = 2
"""Batches of each process that are on their way: one at work, one behind it."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one batch.

    Attributes:
        lines: as they go out, hidden from repr.
        found: spans by kind.
        withheld: texts that were replaced whole.
    """

    lines: bytes = field(repr=False)
    texts: int
    found: Counter[str]
    withheld: int


@dataclass(frozen=True, slots=True)
class TextTask:
    """What is done with every text of a file."""

    profile: str
    language: str

    def done(self, batch: list[TextLine]) -> Done:
        """Deal with a batch in this process."""
        work = text_work(self.profile)
        lines, found, withheld = bytearray(), Counter[str](), 0
        for line in batch:
            said = work(line.text, self.language)
            lines += written_line(line, said.text, said.spans)
            found.update(span.type.value for span in said.spans)
            withheld += said.is_withheld
        return Done(bytes(lines), len(batch), found, withheld)


def process_count(asked: int | None, size_bytes: int | None) -> int:
    """Return how many processes a file gets: as many as were asked for, else one a core where it is worth it.

    Args:
        asked: by the caller.
        size_bytes: of the file; None where nobody knows.
    """
    if asked is not None:
        return asked
    return len(os.sched_getaffinity(0)) if size_bytes is not None and size_bytes >= WORTH_BYTES else 1


def work_through(lines: Iterable[TextLine], task: TextTask, *, processes: int) -> Iterator[Done]:
    """Yield what became of the lines, batch by batch, in their order.

    Args:
        lines: read as they are needed; a few batches ahead of what is yielded.
        task: what is done with each.
        processes: that do it; with one, this process.

    Raises:
        Unavailable: a process ended before it answered.
    """
    batches = _batches(lines)
    if processes == 1:
        yield from (task.done(batch) for batch in batches)
        return
    context = get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=forbid_core_dumps)
    try:
        yield from _in_order(pool, batches, task, ahead=_WAITING * processes)
    except BrokenProcessPool as err:
        raise Unavailable("A process ended before its texts were done", hint="Nothing was written; try again.") from err
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, batches: Iterator[list[TextLine]], task: TextTask, *, ahead: int
) -> Iterator[Done]:
    waiting: deque[Future[Done]] = deque()
    for batch in batches:
        waiting.append(pool.submit(task.done, batch))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _batches(lines: Iterable[TextLine]) -> Iterator[list[TextLine]]:
    batch: list[TextLine] = []
    characters = 0
    for line in lines:
        batch.append(line)
        characters += len(line.text)
        if characters >= _BATCH_CHARACTERS or len(batch) == _BATCH_LINES:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
