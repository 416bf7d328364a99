"""Texts dealt with by a profile: found as ever, replaced as it says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Final

from deid.text.engine import PresidioDetector
from deid.text.kinds import Kind
from deid.text.operators import Found, Generalise, Keep, Operator, Setting, ShiftDate, Surrogate
from deid.text.own import OwnFinder
from deid.text.profiles import Profile
from deid.text.scrubber import TextScrubber
from deid.text.spans import OWN, Scrubbed, Span
from deid.text.thresholds import THRESHOLDS
from kernel.errors import BadInput

_WIDER: Final = Generalise(to="year")

_NAMED_DAY: Final = (
    "(?:星期|周|礼拜)[一二三四五六日天]|除夕|春节|元旦|元宵节?|清明节?|端午节?|中秋节?|国庆节?|圣诞节?|(?:大年|正月)?初一"
    "|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
)
_BEFORE: Final = re.compile(rf"(?:{_NAMED_DAY})[ ,，(（]{{0,2}}\Z", re.IGNORECASE)
_BEHIND: Final = re.compile(rf"[ ,，]{{0,2}}(?:[(（](?:{_NAMED_DAY})[)）]|(?:{_NAMED_DAY}))", re.IGNORECASE)
"""What a day is called, beside its date."""

_REACH: Final = 12
"""Characters before a date in which such a name stands."""


class Deidentifier:
    """Replaces identifiers as a profile says; safe to share between threads.

    Args:
        profile: what is done with each kind.
        scrubber: finds; one with the profile's thresholds unless given.
    """

    def __init__(self, profile: Profile, scrubber: TextScrubber | None = None) -> None:
        self._profile = profile
        self._scrubber = scrubber
        self._lock = Lock()

    def apply(self, text: str, setting: Setting | None = None, language: str = "auto") -> Scrubbed:
        """Return the text with what stands in the place of its identifiers, and the spans that were replaced.

        Args:
            text: one document.
            setting: what belongs to it: scope, tokeniser, days to move by, the subject's own identifiers.
            language: ``zh``, ``en`` or ``auto``.

        Raises:
            BadInput: the profile needs something that the setting does not have; nothing was read.
        """
        setting = Setting() if setting is None else setting
        self.check(setting)
        own = () if setting.own is None else (OwnFinder(setting.own),)
        return self.replaced(text, self._ready_scrubber().find(text, language, own), setting)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The profile's, for whoever finds."""
        return self._profile.thresholds

    def replaced(self, text: str, spans: Sequence[Span], setting: Setting) -> Scrubbed:
        """Return a text in which somebody else, such as another process, has found these spans."""
        parts: list[str] = []
        replaced: list[Span] = []
        position = 0
        for span in spans:
            if span.end <= position or isinstance(self._operator_for(span), Keep):
                continue
            whole = self._whole(text, span, setting)
            whole = replace(whole, start=max(whole.start, position))
            parts += (text[position : whole.start], self._replacement(text, span, setting))
            position = whole.end
            replaced.append(whole)
        return Scrubbed("".join((*parts, text[position:])), tuple(replaced))

    def _whole(self, text: str, span: Span, setting: Setting) -> Span:
        """Return a span with the weekday or holiday beside a date that is moved: they would tell by how much."""
        moves = setting.shift_days and isinstance(self._operator_for(span), ShiftDate | Surrogate)
        if span.type is not Kind.DATE or not moves:
            return span
        near = max(0, span.start - _REACH)
        before, behind = _BEFORE.search(text[near : span.start]), _BEHIND.match(text, span.end)
        start = near + before.start() if before else span.start
        return replace(span, start=start, end=behind.end() if behind else span.end)

    def _replacement(self, text: str, span: Span, setting: Setting) -> str:
        found = Found(span.type, text[span.start : span.end], span.source)
        return self._operator_for(span).replace(found, setting)

    def _operator_for(self, span: Span) -> Operator:
        """Return what is done with a span; what the subject's own record says is never kept."""
        operator = self._profile.operator_for(span.type)
        return _WIDER if isinstance(operator, Keep) and span.source.startswith(OWN) else operator

    def check(self, setting: Setting) -> None:
        """Raise ``BadInput`` where the profile needs something that the setting does not have."""
        lacks = []
        if "tokeniser" in self._profile.needs and (setting.tokeniser is None or not setting.scope):
            lacks.append("a tokeniser and a scope")
        if "shift_days" in self._profile.needs and not setting.shift_days:
            lacks.append("days to move by")
        if lacks:
            raise BadInput(
                f"Profile {self._profile.name} needs {' and '.join(lacks)}", hint="Give the setting what it lacks."
            )

    def _ready_scrubber(self) -> TextScrubber:
        with self._lock:
            if self._scrubber is None:
                usual = dict(self._profile.thresholds) == dict(THRESHOLDS)
                detector = None if usual else PresidioDetector(thresholds=self._profile.thresholds)
                self._scrubber = TextScrubber(detector=detector)
            return self._scrubber
