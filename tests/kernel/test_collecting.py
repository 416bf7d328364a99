"""The collector rests during bulk work, and goes on afterwards as before."""

import gc

import pytest

from kernel.collecting import rarely_collecting


def test_the_collector_is_as_before_afterwards():
    """Also where the work fails."""
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), rarely_collecting():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]
        raise ZeroDivisionError
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_blocks_that_overlap_leave_it_as_it_was():
    """Two loads of one process, of which the first to begin is the first to end."""
    before = gc.get_threshold()
    first, second = rarely_collecting(), rarely_collecting()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] > before[0]
    second.__exit__(None, None, None)
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
