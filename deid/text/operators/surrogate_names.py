"""Realistic names in the place of names: of the same form, the same for the same person within a scope."""

import re
from functools import cache
from typing import Final

from deid.text.kinds import MARKS, Kind
from deid.text.lists.reading import alternation, compound_surnames, sections_of, surname_ranks
from deid.text.operators.draws import Draw
from deid.text.operators.setting import Found, Setting
from deid.text.own.forms import name_value

_HAN: Final = re.compile("[\u3400-\u9fff]")
_LATIN: Final = re.compile("[A-Za-z]+")
_FAMILIAR: Final = "老小阿"


@cache
def _title() -> re.Pattern[str]:
    sections = sections_of("titles.txt")
    return re.compile(f"(?:{alternation((*sections['title'], *sections['short'], '某某', '某'))})\\Z")


def surrogate_name(found: Found, setting: Setting) -> str:
    """Return a name that is written like the value: with its title, as a given name alone, in Latin letters."""
    value = found.folded
    if _HAN.search(value) is None:
        return _latin(value, setting) if _LATIN.search(value) else MARKS[Kind.PERSON]
    plain = name_value(value)
    title = _title().search(plain)
    ending = title.group() if title is not None and title.start() > 0 else ""
    body = plain[: len(plain) - len(ending)]
    identity = found.identity(setting.own)
    person = _Person(setting.token("surrogate name", identity))
    surname = "" if found.is_own and identity.endswith(body) and identity != body else _surname_of(body)
    if not surname:
        return person.given(body) + ending
    if body[0] in _FAMILIAR and body[1:] in surname_ranks():
        return body[0] + person.surname(body[1:]) + ending
    given = body[len(surname) :]
    return person.surname(surname) + (person.given(given) if given else "") + ending


class _Person:
    """The surrogate of one person.

    Args:
        token: of who it is.
    """

    def __init__(self, token: str) -> None:
        draw = Draw(token)
        self._numbers = {slot: draw.number(1 << 32) for slot in ("surname", "two", "one")}

    def surname(self, original: str) -> str:
        """Return the person's surrogate surname, never the original."""
        return self._choice("surname", original)

    def given(self, original: str) -> str:
        """Return the surrogate of a given name, of one or two characters, never the original."""
        return self._choice("one" if len(original) == 1 else "two", original)

    def _choice(self, slot: str, original: str) -> str:
        words = [word for word in sections_of("surrogates.txt")[slot] if set(word).isdisjoint(original)]
        return words[self._numbers[slot] % len(words)]


def _surname_of(body: str) -> str:
    """Return the surname that a name begins with, or what stands before one; empty for a given name alone."""
    if body[:2] in compound_surnames():
        return body[:2]
    if body[:1] in _FAMILIAR and body[1:] in surname_ranks():
        return body[:1]
    return body[:1] if body[:1] in surname_ranks() else ""


def _latin(value: str, setting: Setting) -> str:
    """Return a value with another name for each of its words, capitals as they are; initials stay one letter."""
    words = sections_of("surrogates.txt")["latin"]

    def other(match: re.Match[str]) -> str:
        word = match.group()
        number = Draw(setting.token("surrogate word", word.lower())).number(len(words))
        chosen = words[number] if words[number].lower() != word.lower() else words[number - 1]
        if len(word) == 1:
            chosen = chosen[0]
        return chosen.upper() if word.isupper() else chosen if word[0].isupper() else chosen.lower()

    return _LATIN.sub(other, value)
