"""What has expired goes beside a running server, and at every start what a crash left of it."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from consentry.platform import Platform, open_platform
from consentry.tending import Sweeping
from consentry.workflows.sweep import sweep_expired
from tests.consentry.conftest import ADMIN, Captured
from vault.retention import Sweeper
from vault.tables import attachment, retiring_key, sealed_record, sweep


def browse(captured: Captured, name: str = "u-1") -> None:
    """Somebody's page view, which is kept for six months."""
    captured.person(name, "P07", "P08")
    captured.store([captured.posted(name, "event", f"e-{name}", event_type="page_view", page="a", session_id="s")])


def count(platform: Platform, table) -> int:
    """Rows of a table."""
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_a_server_sweeps_when_it_starts_and_not_again_within_the_cycle(platform: Platform, captured: Captured):
    """R65: the first round takes what has expired; what expires later waits for the next cycle."""
    browse(captured)
    platform.clock.advance(timedelta(days=400))
    sweeping = Sweeping(platform)
    sweeping.work()
    assert (count(platform, sealed_record), count(platform, sweep)) == (0, 1)
    platform.clock.advance(timedelta(hours=1))
    browse(captured, "u-2")
    platform.clock.advance(timedelta(days=400))
    sweeping.work()
    assert count(platform, sweep) == 1


def test_a_server_that_ends_leaves_the_cycle_to_the_next(platform: Platform, captured: Captured):
    """It stops between two parts, and the cycle goes on under its id."""
    for number in range(21):
        browse(captured, f"u-{number}")
    platform.clock.advance(timedelta(days=400))
    ending = Sweeping(platform)
    ending._stop.set()
    ending.work()
    assert count(platform, sealed_record) > 0
    done = sweep_expired(platform, ADMIN)
    assert (count(platform, sealed_record), count(platform, sweep)) == (0, 1)
    assert done.cycle.counts["keys"] == 21


def test_a_start_finishes_keys_and_files_that_a_crash_left(platform: Platform, captured: Captured):
    """Keys that a cycle had noted are destroyed, and files that stopped coming are removed, before anything else."""
    browse(captured)
    platform.clock.advance(timedelta(days=400))

    def crash(point: str) -> None:
        if point == "deleted":
            raise KeyboardInterrupt

    sweeper = Sweeper(
        platform.data, platform.keystore, platform.log, platform.signer, platform.clock,
        deployment=platform.settings.deployment, at=crash,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        sweeper.sweep(asking=platform.asking(ADMIN))
    assert count(platform, retiring_key) > 0
    with open_platform(platform.settings, clock=platform.clock) as again:
        assert count(again, retiring_key) == 0
        assert sweep_expired(again, ADMIN).cycle.counts["rows"] == 2
        assert sweep_expired(again, ADMIN).cycle is None
        assert count(again, attachment) == 0


def test_a_round_without_anything_says_so(platform: Platform):
    """No cycle, no certificate, no entry."""
    assert sweep_expired(platform, ADMIN).as_json() == {
        "erasures_gone_on": 0,
        "unfinished_attachments": 0,
        "closed_accounts": 0,
        "sweep": None,
    }
    assert count(platform, sweep) == 0


def test_a_cycle_for_programs_has_numbers_and_its_certificate(platform: Platform, captured: Captured):
    """What went, by field and kind; no value and no subject."""
    browse(captured)
    platform.clock.advance(timedelta(days=400))
    said = sweep_expired(platform, ADMIN).as_json()
    assert said["kinds"] == {"event": 2}
    assert set(said["fields"]) == {"event_type", "page", "session_id"}
    assert "sub_" not in str(said)
