"""A deployment of its own in a folder, as ``consentry init`` makes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consentry.platform import Platform, open_platform
from consentry.settings import load_settings
from consentry.workflows.initialise import initialise
from kernel.ports import Clock


@contextmanager
def new_deployment(home: Path, *, clock: Clock | None = None) -> Iterator[Platform]:
    """Make a deployment with the medical pack and SQLite stores, and open it.

    Args:
        home: an empty or missing folder.
        clock: None for the machine's.
    """
    settings = load_settings(home=home)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    with open_platform(load_settings(home=home, deployment=made.deployment), clock=clock) as platform:
        yield platform
