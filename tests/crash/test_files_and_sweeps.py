"""Kills and full disks while a file comes and while what has expired goes: whole or not at all, and gone on with."""

import os
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from consentry.settings import load_settings
from consentry.workflows.attach import SentFile, open_attachment, store_attachment
from consentry.workflows.sweep import sweep_expired
from kernel.clock import FixedClock
from kernel.errors import Unavailable
from tests.consentry.conftest import ADMIN, Captured
from tests.crash.faults import Fault, Injector
from tests.crash.ward import STARTED, Notes, Ward, points, work_with
from vault.tables import (
    attachment,
    attachment_chunk,
    data_key,
    key_tombstone,
    retiring_key,
    sealed_record,
    sweep,
    tombstone,
)

AT_NIGHT = pytest.mark.skipif(os.environ.get("CONSENTRY_NIGHTLY") != "1", reason="every fault in `make nightly`")

CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4_700
"""Five chunks."""


@pytest.fixture
def ward(ward: Ward) -> Ward:
    """With a clock of its own."""
    return replace(ward, clock=FixedClock(STARTED))


def send(ward: Ward, platform, notes: Notes) -> None:
    """Send a file, and tell its id once it is acknowledged."""
    sent = SentFile("app", "img-1", "images", STARTED, "a.png", "image/png", "u-1")
    notes.tell("filed", store_attachment(platform, ADMIN, sent, [CONTENT]).attachment_id)


def sweep_up(ward: Ward, platform, notes: Notes) -> None:
    """Run a cycle, and tell how it ended."""
    done = sweep_expired(platform, ADMIN)
    notes.tell("swept", "nothing" if done.cycle is None else done.cycle.sweep_id)


def fresh(ward: Ward, folder) -> Ward:
    """A copy for one point."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ward.settings.home, folder)
    return replace(ward, settings=load_settings(**{**ward.settings.model_dump(), "home": folder}))


def count(database, *tables) -> list[int]:
    """Rows of tables."""
    with database.read() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) for table in tables]


@pytest.mark.parametrize(
    ("fault", "tried"),
    [
        pytest.param(Fault.KILLED, points(first=1, step=173), id="killed"),
        pytest.param(Fault.TORN, points(first=61, step=173), id="torn", marks=AT_NIGHT),
        pytest.param(Fault.FULL, points(first=90, step=173), id="full"),
    ],
)
def test_a_file_is_whole_or_not_there(ward, tmp_path, fault, tried):
    """What was acknowledged opens; of anything else an hour later no byte is left, and sent again it comes."""
    for number in tried:
        mine, notes = fresh(ward, tmp_path / "point"), Notes(tmp_path / f"notes-{number}")
        code = work_with(Injector(fault, number), mine, notes, send)
        mine.clock.advance(timedelta(hours=1, minutes=1))
        with mine.opened() as platform:
            filed = notes.told("filed")
            assert count(platform.data, attachment, attachment_chunk) in ([0, 0], [1, 5])
            if not filed:
                send(mine, platform, notes)
            ((attachment_id,),) = notes.told("filed")
            opened = open_attachment(platform, mine.doctor, attachment_id, purpose="P02", reason="consultation")
            assert b"".join(opened.attachment.pieces) == CONTENT
            assert count(platform.data, attachment, attachment_chunk) == [1, 5]
        if code == 0 and filed:
            break


@pytest.fixture
def expired(ward: Ward) -> Ward:
    """Three people's page views, which have expired by now; one of them has a record that lives."""
    with ward.opened() as platform:
        captured = Captured(platform, numbers=iter(range(1_000, 2_000)))
        for name in ("u-1", "u-2", "u-3"):
            captured.person(name, "P07", "P08")
            captured.store(
                [captured.posted(name, "event", f"e-{name}", event_type="page_view", page="a", session_id="s")]
            )
    ward.clock.advance(timedelta(days=400))
    return ward


@pytest.mark.parametrize(
    ("fault", "tried"),
    [
        pytest.param(Fault.KILLED, points(first=30, step=140), id="killed"),
        pytest.param(Fault.TORN, points(first=70, step=140), id="torn", marks=AT_NIGHT),
        pytest.param(Fault.FULL, points(first=110, step=140), id="full", marks=AT_NIGHT),
    ],
)
def test_a_cycle_ends_with_the_same_numbers(expired, tmp_path, fault, tried):
    """Rows, keys and tombstones agree after the next call, whichever point the first one died at; one certificate."""
    with expired.opened() as platform:
        (before,) = count(platform.data, sealed_record)
    for number in tried:
        mine, notes = fresh(expired, tmp_path / "point"), Notes(tmp_path / f"notes-{number}")
        work_with(Injector(fault, number), mine, notes, sweep_up)
        with mine.opened() as platform:
            is_done = bool(notes.told("swept"))
            for _ in range(2):
                sweep_up(mine, platform, notes)
            rows, cycles, left, graves = count(platform.data, sealed_record, sweep, retiring_key, tombstone)
            assert (cycles, left) == (1, 0)
            assert before - rows == 6
            assert count(platform.keys, key_tombstone) == [graves] == [3]
            with platform.data.read() as connection:
                needed = set(connection.scalars(select(sealed_record.c.key_id)))
                counts = connection.scalar(select(sweep.c.counts))["counts"]
            with platform.keys.read() as connection:
                assert needed <= set(connection.scalars(select(data_key.c.key_id)))
            assert (counts["rows"], counts["keys"], counts["left_rows"]) == (6, 3, 0)
        if is_done:
            break


def test_a_full_disk_says_so(ward, tmp_path, notes):
    """The sender is told, and nothing of the file is seen."""

    def send_into_nothing(ward: Ward, platform, notes: Notes) -> None:
        try:
            send(ward, platform, notes)
        except Unavailable as err:
            notes.tell("refused", "full" in err.diagnostics())

    assert work_with(Injector(Fault.FULL, 40), ward, notes, send_into_nothing) == 0
    assert notes.told("refused") == [["True"]]
