"""Masks that keep the shape: 138****5678, 张**, 110***********1234."""

from typing import Final

from deid.text.kinds import MARKS, Kind
from deid.text.lists.reading import compound_surnames, surname_ranks
from deid.text.operators.setting import Found, Setting
from deid.text.own.forms import digit_form, plain_form

_SHOWN: Final = {
    Kind.MOBILE: (11, 3, 4),
    Kind.ID_NUMBER: (15, 3, 4),
    Kind.BANK_CARD: (15, 4, 4),
    Kind.LANDLINE: (10, 3, 2),
    Kind.SERVICE_NUMBER: (10, 3, 2),
    Kind.PLATE: (7, 1, 2),
    Kind.IBAN: (15, 2, 4),
    Kind.EMAIL: (0, 0, 0),
}
"""Characters that the value has at least, and how many of its first and last ones are shown; no others are."""

_OTHERS: Final = (8, 0, 2)
"""For numbers of other kinds."""

_HIDDEN_WHOLE: Final = frozenset(
    (Kind.ADDRESS, Kind.PLACE, Kind.ORGANIZATION, Kind.DATE, Kind.AGE, Kind.URL, Kind.COORDINATES)
)
_SHORTEST_USER: Final = 3


class Mask:
    """Shows the ends of a long number, the surname, the host of an address; the mark where nothing may show."""

    needs: frozenset[str] = frozenset()

    def replace(self, found: Found, setting: Setting) -> str:  # noqa: ARG002 - as every operator
        """Return the value with stars."""
        if found.kind in _HIDDEN_WHOLE or found.kind is Kind.WITHHELD:
            return MARKS[found.kind]
        if found.kind is Kind.PERSON:
            return _masked_name(found.folded)
        if found.kind is Kind.EMAIL and "@" in found.folded:
            return _masked_email(found.folded)
        return _masked_number(found)


def _masked_name(name: str) -> str:
    """Return the surname and stars; stars alone where what is written does not begin with a surname."""
    plain = plain_form(name).strip()
    length = 2 if plain[:2] in compound_surnames() and len(plain) > 2 else 1  # noqa: PLR2004 - a surname and more
    is_surname = length > 1 or (plain[:1] in surname_ranks() and len(plain) > 1)
    shown = plain[:length] if is_surname else ""
    return shown + "*" * max(1, min(2, len(plain) - len(shown)))


def _masked_email(address: str) -> str:
    user, _, host = address.partition("@")
    shown = user.strip()[:1] if len(user.strip()) >= _SHORTEST_USER else ""
    return f"{shown}***@{host.strip()}"


def _masked_number(found: Found) -> str:
    """Return the folded value with stars for what is hidden; separators stay where they are."""
    least, first, last = _SHOWN.get(found.kind, _OTHERS)
    text = digit_form(found.folded)
    if found.kind is Kind.MOBILE:
        text = _without_country(text)
    signs = [place for place, sign in enumerate(text) if sign.isalnum()]
    if len(signs) < least:
        first = last = 0
    shown = {*signs[:first], *(signs[-last:] if last else ())}
    return "".join("*" if sign.isalnum() and place not in shown else sign for place, sign in enumerate(text))


def _without_country(text: str) -> str:
    """Return a mobile number without the country's, so that the shown digits are its own."""
    digits = [place for place, sign in enumerate(text) if sign.isdigit()]
    return text[digits[-11] :] if len(digits) > 11 else text  # noqa: PLR2004 - digits of a mobile
