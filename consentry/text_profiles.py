"""What is done with the identifiers of texts that somebody sends: a profile, with what it needs of this deployment."""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from kernel.errors import BadInput
from kernel.ports import Tokeniser

if TYPE_CHECKING:
    from deid.text import Scrubbed
    from deid.text.deidentifier import Deidentifier
    from deid.text.operators import Setting
    from deid.text.profiles import Profile

REDACT: Final = "redact"
"""The profile of what leaves: every identifier becomes the mark of its kind."""

SCOPE_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,59}$"
"""A scope's name stands in the log, so that it may not be just anything."""

_SCOPE: Final = "text/"
"""What scopes of texts begin with: no view and no export has one, so that tokens of texts meet none of theirs."""


@dataclass(frozen=True, slots=True)
class TextTask:
    """How texts are dealt with.

    Attributes:
        profile: its name.
        language: ``auto``, ``zh`` or ``en``.
        scope: within which the same value has the same token; for profiles with pseudonyms or surrogates.
        shift_days: by which days are moved; for profiles that move days, and the same for all texts of the task.
        owner: whose the scope is. Who is given tokens could send every number there is and see which has which, so
            that a caller gets those of its own scopes only.
    """

    profile: str = REDACT
    language: str = "auto"
    scope: str | None = None
    shift_days: int | None = field(default=None, repr=False)
    owner: str = ""

    @property
    def needs_tokens(self) -> bool:
        """Whether the profile makes tokens, for which it takes the keys of a deployment; raises as ``prepared``."""
        return "tokeniser" in self._checked_needs()

    @property
    def refs(self) -> dict[str, str]:
        """What an entry names of the task."""
        return {"profile": self.profile} | ({"scope": self.scope} if self.scope else {})

    def prepared(self, tokeniser: Tokeniser | None = None) -> "PreparedTask":
        """Return the task ready to work.

        Args:
            tokeniser: of the deployment.

        Raises:
            NotFound: there is no such profile.
            BadInput: the profile needs a scope or days to move by.
        """
        from deid.text.operators import Setting

        self._checked_needs()
        scope = f"{_SCOPE}{self.owner}/{self.scope}" if self.scope else ""
        setting = Setting(scope=scope, tokeniser=tokeniser, shift_days=self.shift_days)
        deidentifier = _deidentifier(self.profile)
        deidentifier.check(setting)
        return PreparedTask(self.language, deidentifier, setting)

    def _checked_needs(self) -> frozenset[str]:
        """Return what the profile needs, of which the task has all but the keys."""
        needs = _profile(self.profile).needs
        if "tokeniser" in needs and not self.scope:
            raise BadInput(f"Profile {self.profile} needs a scope", hint="Name one; values have the same token in it.")
        if self.scope and re.fullmatch(SCOPE_PATTERN, self.scope) is None:
            raise BadInput("This is no name of a scope", hint="Use up to 60 small letters, digits, - and _.")
        if "shift_days" in needs and not self.shift_days:
            raise BadInput(f"Profile {self.profile} moves days", hint="Give the number of days, other than 0.")
        return needs


@dataclass(frozen=True, slots=True)
class PreparedTask:
    """A task with all that its profile needs."""

    language: str
    deidentifier: "Deidentifier"
    setting: "Setting"

    def apply(self, text: str) -> "Scrubbed":
        """Return a text as the profile has it, with the spans of what was replaced."""
        return self.deidentifier.apply(text, self.setting, self.language)


@cache
def _deidentifier(name: str) -> "Deidentifier":
    from deid.text.deidentifier import Deidentifier

    return Deidentifier(_profile(name))


def _profile(name: str) -> "Profile":
    from deid.text.profiles import profile_called

    return profile_called(name)
