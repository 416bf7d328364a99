"""A deployment with parties outside the house."""

from contextlib import ExitStack

import pytest

from consentry.platform import open_platform
from consentry.settings import load_settings
from tests.consentry.outside_parties import Quorum


@pytest.fixture
def opened():
    """Closes what a test opens."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def quorum(tmp_path, platform, opened):
    """Witnesses of this deployment's log."""
    (tmp_path / "outside").mkdir()
    return Quorum(tmp_path / "outside", platform.log.checkpointer.verifier_key, opened)


@pytest.fixture
def configured(deployment, platform, opened, clock):
    """Opens the same deployment under further settings."""

    def open_with(**settings):
        given = load_settings(**{**deployment.settings.model_dump(), **settings})
        return opened.enter_context(open_platform(given, clock=clock))

    return open_with
