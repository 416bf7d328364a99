"""Bulk work without a garbage collector that looks through everything again and again.

What a bulk load makes goes by itself as soon as it is used. The collector would all the same walk through the rows of
each chunk, and every now and then through the whole process, for a tenth of the time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_MADE: Final = 100_000
"""New objects after which the youngest are looked through; Python's own bound is 700."""


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Look through new objects rarely while the block runs, and through those from before not at all."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_MADE, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
