"""Texts dealt with by a profile: found as ever, replaced as it says."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Final

from deid.text.engine import PresidioDetector
from deid.text.operators import Found, Generalise, Keep, Operator, Setting
from deid.text.own import OwnFinder
from deid.text.profiles import Profile
from deid.text.scrubber import TextScrubber
from deid.text.spans import OWN, Scrubbed, Span
from deid.text.thresholds import THRESHOLDS
from kernel.errors import BadInput

_WIDER: Final = Generalise(to="year")


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
        position = 0
        replaced = [span for span in spans if not isinstance(self._operator_for(span), Keep)]
        for span in replaced:
            parts += (text[position : span.start], self._replacement(text, span, setting))
            position = span.end
        return Scrubbed("".join((*parts, text[position:])), tuple(replaced))

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
