"""Mechanisms that show no clear affirmative act of the person's own: GDPR article 4(11) and recital 32; R19.

A mechanism is a short ASCII code; words in another script, such as 默认勾选, are no code and are refused as such.
"""

import re
from typing import Final, TypeGuard

_MECHANISM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\- ]{0,63}")

_TOKEN: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
"""What separators, digits and camel case keep apart."""

_NO_ACT: Final = re.compile(
    r"""(?:
      pre(?:tick|check|select|mark)(?:ed|s)?                        # a box that was ticked before the person came
    | default(?:ed|s)?
    | opt(?:ed)?out | softopt(?:ed)?in | negative                   # a yes unless the person says no
    | auto(?:matic(?:ally)?)?(?:accept|agree|enroll?|opt)(?:ed|ment|edin|in)?
    | impl(?:y|ies|ied|icit|icitly) | tacit(?:ly)? | assumed | presumed | deemed
    | silen(?:ce|t|tly) | inaction | inactivity | passive(?:ly)?
    | (?:no|non|not|didnot|without|failureto)(?:object(?:ed|ion|ions)?|oppos(?:ed|ition)|respon(?:ded|se)|reply|action)
    | unopposed | unobjected | absenceof(?:objection|opposition|response|refusal)
    | scroll(?:s|ed|ing)? | brows(?:e|es|ed|ing|ewrap) | dismiss(?:ed|al)?
    | (?:continu(?:e|es|ed|ing)|further|ongoing|keeps?)(?:to)?(?:use|using|usage|visit|visiting)
    | (?:by)?(?:use|using|usage)of(?:the)?(?:app|page|product|service|services|site|website) | byus(?:e|ing)
    )(?:acceptance|agreement|approval|box|checkbox|consent|on|option|permission|switch|toggle)?""",
    re.VERBOSE,
)
"""Stems, each a whole token or some adjacent tokens together, alone or glued to what they describe."""

_DENIES: Final = frozenset({"not", "non", "never"})
"""Words that turn the next one around: ``not_preticked``."""


def is_mechanism(text: object) -> TypeGuard[str]:
    """Say whether a text is the code of a mechanism: 1 to 64 ASCII letters, digits and separators."""
    return isinstance(text, str) and _MECHANISM.fullmatch(text) is not None


def shows_no_act(mechanism: str) -> bool:
    """Say whether a mechanism names what a person has not done, or has done for another end, instead of a clear act.

    Whole words are compared, however they are separated, so that ``unticked_box``, ``browser_dialogue`` and
    ``default_off_switch_turned_on`` pass. What names both, such as ``scrolled_then_ticked``, is refused: its code is
    the act itself.
    """
    tokens = [token.lower() for token in _TOKEN.findall(mechanism)]
    return any(_starts_no_act(tokens, start) for start in range(len(tokens)))


def _starts_no_act(tokens: list[str], start: int) -> bool:
    if start and tokens[start - 1] in _DENIES:
        return False
    if tokens[start : start + 2] == ["default", "off"]:
        return False
    joined = ("".join(tokens[start:end]) for end in range(start + 1, len(tokens) + 1))
    return any(_NO_ACT.fullmatch(word) for word in joined)
