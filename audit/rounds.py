"""Rounds of work that many callers share: who asks while one round runs is served by the next, with all the others."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


def _never() -> bool:
    return False


class SharedRounds(Generic[_T]):
    """Runs one piece of work at a time, on the thread of one of those who wait for it.

    A caller's result is that of a round that began after the call: what the caller had done before is covered by it.
    """

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._started = 0
        self._finished = 0
        self._is_running = False
        self._result: _T
        self._error: Exception | None = None

    def run(self, is_served: Callable[[], bool] = _never) -> _T:
        """Have the work done in a round that begins after this call, and return its result.

        Args:
            is_served: says that a round which was under way has served the caller after all.
        Raises:
            Exception: what the round raised; everybody whom it served gets it.
        """
        with self._changed:
            wanted = self._started + 1
            while self._finished < wanted and not is_served():
                if self._is_running:
                    self._changed.wait()
                    continue
                self._lead()
            if self._error is not None:
                raise self._error
            return self._result

    def _lead(self) -> None:
        """Run one round; the condition is held on entry and on return, and free while the work is done."""
        self._is_running = True
        self._started += 1
        number = self._started
        self._changed.release()
        error: Exception | None = None
        result: _T | None = None
        try:
            result = self._work()
        except Exception as err:  # noqa: BLE001 - handed to everybody whom this round served
            error = err
        finally:
            self._changed.acquire()
            self._is_running = False
            self._finished, self._error = number, error
            if error is None:
                self._result = result  # type: ignore[assignment]  # the work returned it
            self._changed.notify_all()
