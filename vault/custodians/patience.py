"""Patience with a custodian that is asked over a wire: every question ends in time, however it is answered."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, TypeVar

from vault.custodian import CustodianUnavailable

_T = TypeVar("_T")

_FIRST_PAUSE_SECONDS: Final = 0.1
_MOST_HANGING: Final = 4
"""Questions whose answers are still awaited by nobody; with more of them nobody is asked any more."""

NOTHING_DONE: Final = "Nothing was opened or changed; try again once it is back."


class TryAgain(Exception):
    """A failure that may pass: says what it was, without anything that was sent or received."""


class Patience:
    """Bounds each question to one custodian; a failure that may pass is asked again within the same bound.

    A question is asked in a thread of its own: a peer that sends a byte now and then, or a token's library that does
    not come back, ignores every time-out of sockets. What comes back too late is dropped.

    Args:
        name: of the custodian, for messages.
        timeout_ms: how long one question may take, with all its tries.
    """

    def __init__(self, name: str, timeout_ms: int) -> None:
        self._name = name
        self._timeout_ms = timeout_ms
        self._places = threading.BoundedSemaphore(_MOST_HANGING)

    @property
    def seconds(self) -> float:
        """The bound."""
        return self._timeout_ms / 1000

    def ask(self, question: Callable[[], _T]) -> _T:
        """Return the answer.

        Args:
            question: raises ``TryAgain`` for a failure that may pass.

        Raises:
            CustodianUnavailable: there was no answer in time.
        """
        if not self._places.acquire(blocking=False):
            raise CustodianUnavailable(
                f"The custodian {self._name} has not answered {_MOST_HANGING} earlier questions", hint=NOTHING_DONE
            )
        answer: Future[_T] = Future()
        until = time.monotonic() + self.seconds
        threading.Thread(target=self._answer, args=(question, answer, until), daemon=True).start()
        done, _ = wait([answer], self.seconds)
        if not done:
            raise CustodianUnavailable(
                f"The custodian {self._name} did not answer within {self._timeout_ms} ms", hint=NOTHING_DONE
            )
        return answer.result()

    def _answer(self, question: Callable[[], _T], answer: Future[_T], until: float) -> None:
        try:
            answer.set_result(self._tried(question, until))
        except BaseException as err:  # noqa: BLE001 - handed to whoever waits
            answer.set_exception(err)
        finally:
            self._places.release()

    def _tried(self, question: Callable[[], _T], until: float) -> _T:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return question()
            except TryAgain as err:
                if time.monotonic() + pause >= until:
                    raise CustodianUnavailable(f"The custodian {self._name} fails: {err}", hint=NOTHING_DONE) from None
            time.sleep(pause)
            pause *= 2
