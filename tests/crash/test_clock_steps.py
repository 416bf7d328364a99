"""The machine's clock steps by a day, forward and back: the log stays ordered, checkpoints go on, terms still end."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from audit.log import AuditLog
from audit.sequencer import Sequencer
from consent.permits import Permit, PermitExpired
from consentry.demo.shell import verify
from consentry.platform import Platform
from consentry.tokens import NotAuthenticated
from kernel.clock import FixedClock, SystemClock
from tests.crash.ward import STARTED, Ward, access, check_started

DAY = timedelta(days=1)


@dataclass
class Machine:
    """A clock that somebody sets, and real time that nobody can."""

    wall: datetime = field(default=STARTED + timedelta(minutes=1))
    elapsed: float = 1_000.0

    def step(self, days: int) -> None:
        """Set the clock."""
        self.wall += days * DAY

    def run(self, **time: float) -> None:
        """Let real time pass."""
        self.wall += timedelta(**time)
        self.elapsed += timedelta(**time).total_seconds()

    def started(self, ward: Ward) -> Ward:
        """The ward for a process that starts now: its clock knows of nothing before."""
        return replace(ward, clock=SystemClock(wall=lambda: self.wall, elapsed=lambda: self.elapsed))


@pytest.fixture
def machine() -> Machine:
    """A machine whose clock is right."""
    return Machine()


@pytest.mark.parametrize("steps", [(1, -1), (-1, 1), (1, 1, -2)], ids=lambda steps: "".join(f"{n:+}" for n in steps))
def test_log_goes_on_in_order_whatever_the_clock_does(ward, machine, notes, steps, tmp_path):
    """Entries are ordered by place and never go back in time, each access is signed for, and the export verifies."""
    for step in steps:
        with machine.started(ward).opened() as platform:
            before = platform.log.settle().size
            access(ward, platform, notes)
            machine.step(step)
            assert not platform.log.lag().is_alarming
            access(ward, platform, notes)
            machine.run(seconds=5)
            access(ward, platform, notes)
            assert platform.log.settle().size == before + 6
    check_started(machine.started(ward), notes)
    with machine.started(ward).opened() as platform:
        platform.log.export(tmp_path / "log")
        status, said = verify(tmp_path / "log", str(platform.signer.verifier_key))
    assert status == 0, said


def test_log_goes_on_beside_a_clock_that_jumps_between_processes(ward, notes):
    """Two processes, one of which has a clock that is a day behind."""
    early, late = (replace(ward, clock=FixedClock(STARTED + days * DAY)) for days in (-1, 1))
    with early.opened() as first, late.opened() as second:
        for platform in (first, second, first, second):
            access(ward, platform, notes)
    check_started(early, notes)


def test_step_while_an_entry_waits_is_no_lag_and_a_lag_is_seen_through_a_step(ward, machine):
    """Half a second is half a second after a step forward; two seconds are an alarm after a step back."""
    with machine.started(ward).opened() as platform:
        whole = platform.log
        elapsed = lambda: machine.elapsed  # noqa: E731 - once
        log = AuditLog(platform.data, whole.journal, Sequencer(platform.data), whole.checkpointer, elapsed=elapsed)
        log.settle()
        assert log.lag().oldest == timedelta(0)
        machine.run(seconds=0.25)
        permit_for(ward, platform)
        machine.step(1)
        machine.run(seconds=0.25)
        assert log.lag().oldest == timedelta(seconds=0.5)
        machine.step(-2)
        machine.run(seconds=2)
        assert log.lag().is_alarming
        log.settle()
        assert log.lag().oldest == timedelta(0)


def permit_for(ward: Ward, platform: Platform) -> Permit:
    """Ask the gate for a permit, whose entry then waits."""
    asking = platform.asking(ward.doctor, reason="consultation")
    with platform.data.write() as connection:
        said = platform.gate.check(connection, asking=asking, purpose="P02", subject=ward.subject, fields=["diagnosis"])
    assert isinstance(said, Permit)
    return said


def is_live(platform: Platform, token: str) -> bool:
    """Say whether a token is taken."""
    try:
        platform.tokens.verify(token)
    except NotAuthenticated:
        return False
    return True


def test_step_forward_ends_a_token_and_a_step_back_does_not_revive_it(ward, machine, notes):
    """Once it has ended, it has ended, also for a process that starts when the clock was set back."""
    with machine.started(ward).opened() as platform:
        token = platform.tokens.issue(ward.doctor.principal_id)
        assert is_live(platform, token)
        machine.step(1)
        assert not is_live(platform, token)
        access(ward, platform, notes)
        machine.step(-1)
        assert not is_live(platform, token)
    with machine.started(ward).opened() as platform:
        assert not is_live(platform, token)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_token_ends_within_twice_its_term_after_the_clock_was_set_back(ward, machine, notes, is_restarted):
    """A day ahead, back, and the quarter of an hour is over after half an hour, not after a day."""
    with machine.started(ward).opened() as platform:
        machine.step(1)
        access(ward, platform, notes)
        token = platform.tokens.issue(ward.doctor.principal_id)
        machine.step(-1)
        if not is_restarted:
            check_ends(platform, machine, token)
    with machine.started(ward).opened() as platform:
        if is_restarted:
            check_ends(platform, machine, token)


def check_ends(platform: Platform, machine: Machine, token: str) -> None:
    """Let half an hour pass."""
    assert is_live(platform, token)
    machine.run(minutes=14)
    assert is_live(platform, token)
    machine.run(minutes=17)
    assert not is_live(platform, token)


def test_permit_and_its_receipt_end_after_the_clock_was_set_back(ward, machine, notes):
    """A minute's permit, given before a step back, opens nothing two minutes later; nor does one given after it."""
    with machine.started(ward).opened() as platform:
        machine.step(1)
        permits = [permit_for(ward, platform)]
        machine.step(-1)
        permits.append(permit_for(ward, platform))
        receipts = [
            platform.log.receipt(
                permit.entry_id, actor=ward.doctor.principal_id, purpose="P02", subjects=permit.subjects,
                fields=permit.fields,
            )
            for permit in permits
        ]  # fmt: skip
        machine.run(seconds=121)
        for permit, receipt in zip(permits, receipts, strict=True):
            with pytest.raises(PermitExpired):
                platform.vault.open(permit, receipt, subject=ward.subject, fields=permit.fields)
        access(ward, platform, notes)


def test_start_with_a_clock_behind_the_log_goes_on_from_the_log(ward, machine, notes):
    """What is judged by the clock alone, such as the term of a key, is not judged by yesterday either."""
    with machine.started(ward).opened() as platform:
        machine.step(1)
        access(ward, platform, notes)
    machine.step(-1)
    with machine.started(ward).opened() as platform:
        assert platform.clock.now() >= machine.wall + DAY
