"""Beside a running server: rotations go on, and an epoch that has lived as long as it may is ended."""

from typing import Final

from consent.wake import system_asking
from consentry.platform import Platform
from consentry.settling import Background
from consentry.workflows.rotate import end_old_epoch, resume_in_steps
from kernel.errors import Unavailable

INTERVAL_SECONDS: Final = 60.0
"""How long a rotation that another process left may rest."""


class _Ending(Unavailable):
    """The server ends between two steps; the next one goes on."""


class KeyTender(Background):
    """Does what ``consentry keys resume`` does, and ends epochs in time."""

    name = "key tender"
    complaint = "keys.not_tended"

    def __init__(self, platform: Platform, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._platform = platform

    def work(self) -> None:
        """Go on with what has begun, then end the epoch where it is time; stops between two steps."""
        asking = system_asking()
        resume_in_steps(self._platform, asking, at=self._stop_at)
        end_old_epoch(self._platform, asking, at=self._stop_at)

    def _stop_at(self, _point: str) -> None:
        if self.is_ending:
            raise _Ending("The server ends; the rotation of keys goes on at its next start")
