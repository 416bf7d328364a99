"""Bulk work without a garbage collector that looks through everything again and again.

What a bulk load makes goes by itself as soon as it is used. The collector would all the same walk through the rows of
each chunk, and every now and then through the whole process, for a tenth of the time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_MADE: Final = 100_000
"""New objects after which the youngest are looked through; Python's own bound is 700."""


class _Resting:
    """How many blocks of this process let the collector rest, and how it was before the first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks = 0
        self._before = gc.get_threshold()

    def begin(self) -> None:
        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                self._before = gc.get_threshold()
                gc.freeze()
                gc.set_threshold(_MADE, *self._before[1:])

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                gc.set_threshold(*self._before)
                gc.unfreeze()


_resting: Final = _Resting()


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Look through new objects rarely while the block runs, and through those from before not at all.

    Blocks of several threads may overlap: the last one to end puts the collector back.
    """
    _resting.begin()
    try:
        yield
    finally:
        _resting.end()
