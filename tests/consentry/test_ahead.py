"""One item ahead: the order, the errors and the end are those of the items."""

import threading

import pytest

from consentry.ahead import one_ahead
from kernel.errors import Unavailable


def test_items_come_in_order_and_one_is_asked_for_ahead():
    """While one is in hand the next is made, and no further one."""
    made, ahead = [], threading.Event()

    def items():
        for number in range(4):
            made.append(number)
            if number == 1:
                ahead.set()
            yield number

    taking = one_ahead(items())
    assert next(taking) == 0
    assert ahead.wait(5)
    assert 2 not in made
    assert list(taking) == [1, 2, 3]


def test_an_error_comes_in_its_turn():
    """After what came before it."""

    def items():
        yield 1
        raise Unavailable("The store is locked")

    taking = one_ahead(items())
    assert next(taking) == 1
    with pytest.raises(Unavailable, match="locked"):
        next(taking)


def test_whoever_stops_leaves_no_thread():
    """The one that was asked for ahead is waited for."""
    taking = one_ahead(iter(range(10)))
    next(taking)
    taking.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
