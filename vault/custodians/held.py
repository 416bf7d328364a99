"""Epoch keys of a remote custodian, held in memory for a short time, so that it is not asked for each record."""

import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import final

from kernel.errors import ConsentryError
from kernel.ports import Clock
from vault.custodian import Custodian

_Wanted = tuple[bytes, bytes]
"""Blob and context."""


@final
@dataclass(slots=True, repr=False)
class _Kept:
    """A key in memory.

    Attributes:
        asked_at: by the deployment's clock.
        since: seconds of real time.
        is_used: whether it was given again since the custodian was asked.
    """

    key: bytes
    asked_at: datetime
    since: float
    is_used: bool = False


class HeldKeys:
    """A custodian that is asked for each epoch key once in a while; implements ``Custodian``.

    An unwrapped key is given again for at most ``seconds``, by the clock, after the custodian was asked for it: so long
    may things open after the custodian has withdrawn its consent. It is out of memory half of that time later at the
    latest, and at once at the end of its epoch and at ``close``. For a key that is in use the custodian is asked again
    after half of that time, beside the work, so that nobody waits for it; where it fails, the first bound stands. Who
    asks while a question is under way waits for its answer, a failure as well.

    Args:
        custodian: the remote one.
        clock: the deployment's.
        seconds: 0 to ask each time.
    """

    def __init__(self, custodian: Custodian, clock: Clock, *, seconds: float) -> None:
        self._custodian = custodian
        self._clock = clock
        self._seconds = seconds
        self._mutex = threading.Lock()
        self._kept: dict[_Wanted, _Kept] = {}
        self._asked: dict[_Wanted, Future[bytes]] = {}
        self._timer: threading.Timer | None = None

    @property
    def name(self) -> str:
        """The custodian's."""
        return self._custodian.name

    @property
    def is_remote(self) -> bool:
        """As the custodian is."""
        return self._custodian.is_remote

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Ask the custodian."""
        return self._custodian.wrap(key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the key that is held, or ask the custodian and hold what it answers."""
        wanted = (blob, context)
        with self._mutex:
            now = self._clock.now()
            kept = self._kept.get(wanted)
            if kept is not None and timedelta(0) <= now - kept.asked_at < timedelta(seconds=self._seconds):
                kept.is_used = True
                return kept.key
            under_way = self._asked.get(wanted)
            if under_way is None:
                answer = self._asked[wanted] = Future()
        if under_way is not None:
            return under_way.result()
        return self._ask(wanted, now, answer)

    def destroy(self, context: bytes, *, keep: bytes | None = None) -> None:
        """Forget the epoch's key, then let the custodian destroy what wrapped it."""
        with self._mutex:
            self._kept = {wanted: kept for wanted, kept in self._kept.items() if wanted[1] != context}
        self._custodian.destroy(context, keep=keep)

    def close(self) -> None:
        """Forget every key, and close the custodian."""
        with self._mutex:
            self._kept = {}
            self._seconds = 0
            if self._timer is not None:
                self._timer.cancel()
        self._custodian.close()

    def _ask(self, wanted: _Wanted, now: datetime, answer: Future[bytes]) -> bytes:
        since = time.monotonic()
        try:
            key = self._custodian.unwrap(*wanted)
        except BaseException as err:
            with self._mutex:
                del self._asked[wanted]
                self._kept.pop(wanted, None)
            answer.set_exception(err)
            raise
        with self._mutex:
            del self._asked[wanted]
            if self._seconds:
                self._kept[wanted] = _Kept(key, now, since)
                self._tend_later()
        answer.set_result(key)
        return key

    def _ask_again(self, wanted: _Wanted, now: datetime) -> None:
        since = time.monotonic()
        key = self._custodian.unwrap(*wanted)
        with self._mutex:
            if wanted in self._kept:  # and its epoch has not ended meanwhile
                self._kept[wanted] = _Kept(key, now, since)

    def _tend_later(self) -> None:
        if self._timer is None or not self._timer.is_alive() or self._timer is threading.current_thread():
            self._timer = threading.Timer(self._seconds / 2, self._tend)
            self._timer.daemon = True
            self._timer.start()

    def _tend(self) -> None:
        """Ask again for what is in use, and drop what is not any more; at half of the time, in a thread of its own."""
        with self._mutex:
            now, oldest = self._clock.now(), time.monotonic() - self._seconds
            self._kept = {wanted: kept for wanted, kept in self._kept.items() if kept.since > oldest}
            used = [wanted for wanted, kept in self._kept.items() if kept.is_used]
        for wanted in used:
            with suppress(ConsentryError):  # what is held stands to its end, and whoever asks after it is told
                self._ask_again(wanted, now)
        with self._mutex:
            if self._kept:
                self._tend_later()
