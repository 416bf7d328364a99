"""What a child process takes, and how two pieces of work are timed."""

import sys

import pytest

from benchmarks.timing import best_beside, run_child


def test_the_peak_is_the_childs_own(tmp_path):
    """A process that holds 200 MB shows them, and a small one shows neither them nor the parent's memory."""
    held = bytearray(300 * 1024 * 1024)
    small = run_child((sys.executable, "-c", "pass"), log=tmp_path / "small.log")
    large = run_child((sys.executable, "-c", "b'x' * (200 * 1024 * 1024)"), log=tmp_path / "large.log")
    assert len(held) > 0
    assert small.peak_mb < 100
    assert 200 <= large.peak_mb < 290


def test_the_peak_reaches_through_to_grandchildren(tmp_path):
    """A command that starts another one is measured with it."""
    code = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', \"b'x' * (200 * 1024 * 1024)\"])"
    assert run_child((sys.executable, "-c", code), log=tmp_path / "log").peak_mb >= 200


def test_a_failing_command_is_told_with_its_last_words(tmp_path):
    """A benchmark of something that does not run has no figure."""
    with pytest.raises(RuntimeError, match="status 3:\nlost"):
        run_child((sys.executable, "-c", "print('lost'); raise SystemExit(3)"), log=tmp_path / "log")


def test_work_and_yardstick_take_turns():
    """Neither runs all its rounds before the other has begun."""
    calls = []
    best_beside(lambda: calls.append("work"), lambda: calls.append("yardstick"), rounds=3)
    assert calls == ["work", "yardstick"] * 3
