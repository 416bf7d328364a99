"""A start looks at the log first: on a store that was put back nothing is finished, destroyed or added."""

import shutil

import pytest
from sqlalchemy import func, select

from audit.tables import inbox, leaf
from consent.standing import Standing, get_standing
from consentry.platform import open_platform
from consentry.starting import finish_interrupted
from consentry.workflows.erase import erase_subject
from kernel.errors import Unavailable
from tests.consentry.conftest import ADMIN
from vault.tables import data_key, sealed_record


def interrupted(platform, captured, monkeypatch):
    """An erasure that stops before its keys are destroyed; returns whose."""
    subject = captured.person("u-1")
    captured.store([captured.posted("u-1", "profile", mobile="13800138000")])
    with monkeypatch.context() as patched:

        def crash(*_given, **_named):
            raise KeyboardInterrupt

        patched.setattr("vault.erasure.destroy_subject_keys", crash)
        with pytest.raises(KeyboardInterrupt):
            erase_subject(platform, ADMIN, subject=subject, reason="request")
    platform.log.settle()
    return subject


def state(platform, subject) -> tuple[Standing, int, int, int]:
    """Standing, rows, keys and entries."""
    with platform.data.read() as connection:
        standing = get_standing(connection, subject).state
        rows = connection.scalar(select(func.count()).select_from(sealed_record))
        entries = sum(connection.scalar(select(func.count()).select_from(table)) for table in (leaf, inbox))
    with platform.keys.read() as connection:
        mine = select(func.count()).select_from(data_key).where(data_key.c.subject_id == subject)
        return standing, rows, connection.scalar(mine), entries


def test_interrupted_erasure_in_an_older_store_waits_for_its_log(deployment, platform, captured, clock, monkeypatch):
    """It was begun before the copy was taken; the copy's keys and rows stay until somebody has looked at the log."""
    subject = interrupted(platform, captured, monkeypatch)
    platform.data.dispose()
    home = deployment.settings.home
    shutil.copy(home / "data.db", home / "older.db")
    captured.person("u-2")
    platform.log.settle()
    platform.data.dispose()
    shutil.copy(home / "older.db", home / "data.db")
    before = state(platform, subject)
    assert before[0] is Standing.ERASING
    with open_platform(deployment.settings, clock=clock) as reopened:
        assert state(reopened, subject) == before
        assert finish_interrupted(reopened) is False


def test_interrupted_erasure_is_finished_on_the_log_that_was_signed(deployment, platform, captured, clock, monkeypatch):
    """As every start has done."""
    subject = interrupted(platform, captured, monkeypatch)
    with open_platform(deployment.settings, clock=clock) as reopened:
        assert state(reopened, subject)[:3] == (Standing.ERASED, 0, 0)
        assert finish_interrupted(reopened) is True


def test_a_signer_that_does_not_answer_leaves_it_for_the_next_start(platform, captured, monkeypatch):
    """No erasure without a certificate, and no start that fails for it."""
    subject = interrupted(platform, captured, monkeypatch)

    def gone():
        raise Unavailable("The signer does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(platform.log.checkpointer, "check", gone)
        assert finish_interrupted(platform) is False
    assert state(platform, subject)[0] is Standing.ERASING
    assert finish_interrupted(platform) is True
    assert state(platform, subject)[0] is Standing.ERASED
