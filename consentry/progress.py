"""Progress bars for people: on a terminal only, and on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(title: str, *, total: int | None = None, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show how far a long job is.

    Args:
        title: what is being done.
        total: units of the whole job, or None when unknown.
        shown: False shows nothing.

    Yields:
        A function that is told how many further units are done.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)
