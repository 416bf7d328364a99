"""Work of a stream of items, one item ahead of whoever takes them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")


def one_ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield what an iterator yields, while a thread gets the next one from it.

    Whoever stops before the end waits for that one, and it is dropped; an error comes in its turn.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(_some, items)
        while found := coming.result():
            coming = thread.submit(_some, items)
            yield from found


def _some(items: Iterator[_T]) -> list[_T]:
    """Return the next item, or nothing at the end."""
    return list(islice(items, 1))
