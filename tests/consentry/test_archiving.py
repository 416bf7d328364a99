"""The server's archiver: a changed key store is backed up, an unchanged one is not, and what is final is told."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from consentry.archiving import Archiver
from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows.erase import erase_subject
from consentry.workflows.rotate import rotate_keys
from tests.consentry.conftest import ADMIN, Captured
from vault.backup_keys import BackupIdentity, BackupStore
from vault.tables import erasure


@pytest.fixture
def recipients(tmp_path) -> dict[str, str]:
    made = {store: BackupIdentity.create(tmp_path / store, store) for store in BackupStore}
    return {f"backup_{store}_recipient": str(one.recipient) for store, one in made.items()}


@pytest.mark.parametrize(("minutes", "files"), [(0, 0), (15, 1)])
def test_changed_key_store_is_backed_up_once_in_the_minutes(deployment, clock, recipients, minutes, files):
    """Where the setting says so, and not again before the minutes are over."""
    settings = load_settings(**{**deployment.settings.model_dump(), **recipients, "backup_keys_minutes": minutes})
    with open_platform(settings, clock=clock) as platform:
        archiver = Archiver(platform)
        archiver.work()
        Captured(platform).person("u-1")
        archiver.work()
        assert len(list(settings.backups_path.glob("keys-*"))) == files


def test_unchanged_key_store_is_not_backed_up_again_and_what_is_over_goes(deployment, clock, recipients, monkeypatch):
    """The next round looks at the store first; a backup whose epoch has ended is deleted by the one after it."""
    settings = load_settings(**{**deployment.settings.model_dump(), **recipients, "backup_keys_minutes": 1})
    now = [0.0]
    monkeypatch.setattr("consentry.archiving.time.monotonic", lambda: now[0])
    with open_platform(settings, clock=clock) as platform:
        archiver = Archiver(platform)
        for _ in range(3):
            now[0] += 61
            archiver.work()
        (first,) = settings.backups_path.glob("keys-*")
        clock.advance(timedelta(days=2))
        rotate_keys(platform, ADMIN)
        now[0] += 61
        archiver.work()
        (second,) = settings.backups_path.glob("keys-*")
        assert second != first


def test_what_leads_to_a_person_is_backed_up_as_well(deployment, clock, recipients, monkeypatch):
    """A pseudonym needs no new key; a backup that lacks it would lose the way back."""
    settings = load_settings(**{**deployment.settings.model_dump(), **recipients, "backup_keys_minutes": 1})
    now = [0.0]
    monkeypatch.setattr("consentry.archiving.time.monotonic", lambda: now[0])
    with open_platform(settings, clock=clock) as platform:
        archiver, captured = Archiver(platform), Captured(platform)
        subjects = [captured.person(name) for name in ("u-1", "u-2")]
        for subject in subjects:
            platform.pseudonyms.pseudonyms([subject], scope="view:x")
            now[0] += 61
            archiver.work()
        assert len(list(settings.backups_path.glob("keys-*"))) == len(subjects)


def test_final_erasures_are_told(platform, captured):
    """Once the epoch of its keys has ended, an erasure has a second entry."""
    subject = captured.person("u-1")
    captured.store([captured.posted("u-1", "profile", mobile="13800138000")])
    erase_subject(platform, ADMIN, subject=subject, reason="request")
    archiver = Archiver(platform)
    archiver.work()
    assert final(platform) == [None]
    rotate_keys(platform, ADMIN)
    archiver.work()
    (entry,) = final(platform)
    assert entry is not None


def final(platform) -> list[str | None]:
    with platform.data.read() as connection:
        return list(connection.scalars(select(erasure.c.final_entry)))
