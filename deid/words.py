"""Words that stay words: closed lists, short names, redacted texts, tokens."""

import unicodedata
from typing import Final

from deid.cells import Cell, Drop, Params, Raw, Setting

LONGEST_NAME: Final = 40
"""Characters of a name from an open list, such as a department or a topic; anything longer is a text."""

_MOST: Final = 2**31 - 1


def keep(raw: Raw, params: Params, setting: Setting) -> Cell | Drop:
    """Return a value of a closed list, a short name without identifiers, a truth value or a count as it is."""
    match raw:
        case bool():
            return raw
        case int():
            return raw if 0 <= raw <= _MOST else Drop.NOT_ALLOWED
        case str() if params.allowed is not None:
            return raw if raw in params.allowed else Drop.NOT_ALLOWED
        case str():
            return _name(raw, setting)
    return Drop.MALFORMED


def department(raw: Raw, params: Params, setting: Setting) -> Cell | Drop:
    """Return a department's name; one that gives a special disease away never passes."""
    name = keep(raw, params, setting)
    special = setting.special
    if isinstance(name, str) and (special.names_department(name) or special.names_disease(name)):
        return Drop.SPECIAL
    return name


def topic(raw: Raw, params: Params, setting: Setting) -> Cell | Drop:
    """Return a topic's name; one that speaks of a special disease never passes."""
    name = keep(raw, params, setting)
    if isinstance(name, str) and setting.special.names_disease(name):
        return Drop.SPECIAL
    return name


def redact(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return a text without identifiers; a text that speaks of a special disease never passes."""
    if not isinstance(raw, str):
        return Drop.MALFORMED
    return Drop.SPECIAL if setting.special.names_disease(raw) else setting.scrub(raw)


def token(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the keyed token of an identifying value, linkable within the view's scope only."""
    if not isinstance(raw, str) or not raw:
        return Drop.MALFORMED
    return setting.tokeniser.token(raw, scope=setting.scope)


def has(_raw: Raw, _params: Params, _setting: Setting) -> Cell | Drop:
    """Return true: the value is there; where none is, the cell stays unknown."""
    return True


def count(_raw: Raw, _params: Params, _setting: Setting) -> Cell | Drop:
    """Return one, to be added up."""
    return 1


def drop(_raw: Raw, _params: Params, _setting: Setting) -> Cell | Drop:
    """Let nothing through."""
    return Drop.NOT_ALLOWED


def _name(text: str, setting: Setting) -> Cell | Drop:
    name = text.strip()
    if not 0 < len(name) <= LONGEST_NAME or any(unicodedata.category(letter).startswith("C") for letter in name):
        return Drop.NOT_ALLOWED
    return name if setting.scrub(name) == name else Drop.IDENTIFIER
