"""One demo run for all journeys that look at it."""

from pathlib import Path

import pytest

from consentry.demo.run import Story, run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Story]:
    """The folder and story of a demo with 260 people."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    return folder, run_demo(subjects=260, seed=7, folder=folder, fresh=True)
