"""Epoch keys of a remote custodian, held in memory for a short time, so that it is not asked for each record."""

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import final

from kernel.ports import Clock
from vault.custodian import Custodian


@final
@dataclass(frozen=True, slots=True, repr=False)
class _Kept:
    key: bytes
    asked_at: datetime
    since: float


class HeldKeys:
    """A custodian that is asked for each epoch key once in a while; implements ``Custodian``.

    An unwrapped key is given again for at most ``seconds``, by the clock, after the custodian was asked for it: so long
    may things open after the custodian has withdrawn its consent. It is dropped when that time is over, at the end of
    its epoch and at ``close``, whichever comes first. Who asks while a question is under way waits for its answer,
    a failure as well.

    Args:
        custodian: the remote one.
        clock: the deployment's.
        seconds: 0 to ask each time.
    """

    def __init__(self, custodian: Custodian, clock: Clock, *, seconds: int) -> None:
        self._custodian = custodian
        self._clock = clock
        self._seconds = seconds
        self._mutex = threading.Lock()
        self._kept: dict[tuple[bytes, bytes], _Kept] = {}
        self._asked: dict[tuple[bytes, bytes], Future[bytes]] = {}
        self._timer: threading.Timer | None = None

    @property
    def name(self) -> str:
        """The custodian's."""
        return self._custodian.name

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
            if self._timer is not None:
                self._timer.cancel()
        self._custodian.close()

    def _ask(self, wanted: tuple[bytes, bytes], now: datetime, answer: Future[bytes]) -> bytes:
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
                self._wake_in(self._seconds)
        answer.set_result(key)
        return key

    def _wake_in(self, seconds: float) -> None:
        """Drop in time also what nobody asks for any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, self._drop_old)
        self._timer.daemon = True
        self._timer.start()

    def _drop_old(self) -> None:
        with self._mutex:
            oldest = time.monotonic() - self._seconds
            self._kept = {wanted: kept for wanted, kept in self._kept.items() if kept.since > oldest}
            if self._kept:
                self._wake_in(min(kept.since for kept in self._kept.values()) - oldest)
