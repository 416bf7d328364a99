"""Beside a running server: what has expired is recorded within a minute, and who has come of age is to be asked."""

import time
from typing import Final

from consent.wake import system_asking
from consentry.platform import Platform
from consentry.settling import Background
from consentry.workflows.freezing import mark_frozen
from consentry.workflows.sweep import sweep_in_steps
from consentry.workflows.tell_alarms import tell_alarms
from consentry.workflows.tend import ask_again_in_steps, expire_in_steps
from consentry.workflows.unusual_access import flag_unusual

INTERVAL_SECONDS: Final = 60.0
"""The gate refuses what is over by itself; so long may it take until what follows from the end begins."""

AT_ONCE: Final = 200
"""Decisions in one transaction: short enough that nobody waits long for the lock."""


LOOK_SECONDS: Final = 3600.0
"""How often the log is looked through for unusual access."""


ALARM_SECONDS: Final = 1.0
"""How long an alarm waits before it is sent to the officers."""


class Alarmer(Background):
    """Sends the officers what waits for them."""

    name = "alarmer"
    complaint = "alarms.not_told"

    def __init__(self, platform: Platform, *, interval_seconds: float = ALARM_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._platform = platform

    def work(self) -> None:
        """Send what is due."""
        tell_alarms(self._platform)


class Sweeping(Background):
    """Deletes what has expired once in each cycle, and goes on with one that was interrupted."""

    name = "sweeper"
    complaint = "expired.not_swept"

    def __init__(self, platform: Platform, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._platform = platform
        self._swept: float | None = None

    def work(self) -> None:
        """Sweep where a cycle is due, and stop between two transactions when the server ends."""
        seconds = self._platform.settings.sweep_hours * 3600
        if self._swept is not None and time.monotonic() - self._swept < seconds:
            return
        for _ in sweep_in_steps(self._platform, system_asking()):
            if self.is_ending:
                return
        self._swept = time.monotonic()


class Finisher(Background):
    """Finishes what a full disk, or a store that was away, has broken off: what a start finishes, without one."""

    name = "finisher"
    complaint = "works.not_finished"

    def __init__(self, platform: Platform, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._platform = platform

    def work(self) -> None:
        """Go on with erasures, moves, corrections and discarded batches; one that is under way loses nothing by it."""
        finish = (
            self._platform.eraser.resume,
            self._platform.mover.resume,
            self._platform.corrector.resume,
            self._platform.returner.resume,
            self._platform.batches.finish_discards,
        )
        for one in finish:
            if self.is_ending:
                return
            one()


class Tender(Background):
    """Does what ``consentry consent tend`` does, without anybody calling it."""

    name = "tender"
    complaint = "register.not_tended"

    def __init__(self, platform: Platform, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._platform = platform
        self._looked: float | None = None

    def work(self) -> None:
        """Record what is due, and stop between two transactions when the server ends."""
        asking = system_asking()
        for steps in (expire_in_steps, ask_again_in_steps):
            for _ in steps(self._platform, asking, at_once=AT_ONCE):
                if self.is_ending:
                    return
        mark_frozen(self._platform, asking)
        if self._looked is None or time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            flag_unusual(self._platform, asking)
