"""Lists that workflows give page by page, whole for a command."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")


def every_page(read: Callable[[str], Sequence[_T]], key: Callable[[_T], str]) -> Iterator[_T]:
    """Yield the items of all pages.

    Args:
        read: returns what comes after a key; after the empty one at first.
        key: of an item.
    """
    page = read("")
    while page:
        yield from page
        page = read(key(page[-1]))
