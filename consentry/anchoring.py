"""Beside a running server: a log that has grown is cosigned and timestamped outside."""

import structlog

from audit.anchors import has_grown
from audit.witnessing import HeadBehindWitness
from consent.register_head import read_head
from consent.wake import system_asking
from consentry.outsiders import Outsiders
from consentry.platform import Platform
from consentry.settling import Background
from consentry.workflows.anchor import anchor_head, check_anchored


class Anchorer(Background):
    """Does what ``consentry audit anchor`` does, whenever others than its own entries have been added.

    Each time that a witness's refusal suspends the gate anew it says so, also where the refusal itself is an old one.

    Args:
        platform: every part.
        outsiders: whom the settings name.
        interval_seconds: the setting ``anchor_seconds`` when left out.
    """

    name = "anchorer"
    complaint = "log.not_anchored"

    def __init__(self, platform: Platform, outsiders: Outsiders, *, interval_seconds: float | None = None) -> None:
        seconds = platform.settings.anchor_seconds if interval_seconds is None else interval_seconds
        super().__init__(interval_seconds=seconds)
        self._platform = platform
        self._outsiders = outsiders
        self._anchored: int | None = None

    def work(self) -> None:
        """Anchor the head, unless nothing but entries about anchoring was added since the last success."""
        if not self._outsiders.are_there or not self._is_due():
            return
        before = self._suspended()
        try:
            done = anchor_head(self._platform, system_asking(), self._outsiders)
        except HeadBehindWitness as err:
            if before != (now := self._suspended()):
                structlog.get_logger().error("gate.suspended", reason=now, problem=err.message)
            raise
        check_anchored(done)
        self._anchored = done.checkpoint.size

    def _suspended(self) -> str | None:
        with self._platform.data.read() as connection:
            return read_head(connection)[1]

    def _is_due(self) -> bool:
        if self._anchored is None:
            return True
        size = self._platform.log.settle().size
        with self._platform.data.read() as connection:
            return has_grown(connection, self._anchored, size)
