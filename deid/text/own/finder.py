"""The subject's own identifiers as one finder, made for one document and thrown away with it."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final, Never

from deid.text.kinds import Kind
from deid.text.own.addresses import OwnAddress
from deid.text.own.birth import BirthDate, birth_date_in
from deid.text.own.chinese_names import ChineseName
from deid.text.own.codes import Account, RecordNumber
from deid.text.own.forms import Page, name_value, number_value
from deid.text.own.identifiers import OwnIdentifiers, OwnNotStored
from deid.text.own.latin_names import LatinName
from deid.text.own.numbers import OwnNumber
from deid.text.own.thing import OwnThing
from deid.text.reading import Reading
from deid.text.spans import OWN, Hit

_HAN: Final = re.compile("[\u3400-\u9fff]")
_NO_NAME: Final = re.compile("[0-9*＊○●×?？_]|某某")
_SHORTEST_NAME: Final = 2
_SHORTEST_NUMBER: Final = 7
_ID: Final = 18
_MOBILE: Final = 11
_AREA: Final = re.compile(r"(?:0|\+?86)?(?:10|2[0-9]|[3-9][0-9]{2})(?=[2-8][0-9]{6,7}$)")

_SCORE: Final = 1.0
"""What the record says needs no judging."""


class OwnFinder:
    """Finds what is known of one subject; a ``Finder`` for ``TextScrubber.scrub(text, own=[…])``.

    Its hits outrank those of all rules. The finder holds plaintext: it is made for a document and kept by nobody.

    Args:
        own: what is known.
    """

    name = "record"
    languages = frozenset(("zh", "en"))

    def __init__(self, own: OwnIdentifiers) -> None:
        self._things = tuple(_things(own))
        self.kinds: frozenset[Kind] = frozenset(thing.kind for thing in self._things)

    def __repr__(self) -> str:
        """Return how many values it looks for, and none of them."""
        return f"OwnFinder({len(self._things)} hidden)"

    def __reduce__(self) -> Never:
        raise OwnNotStored("Own identifiers are not pickled", hint="Read the document in the process that knows them.")

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the places of the subject's own identifiers; they may overlap."""
        page = Page(reading)
        for thing in self._things:
            for start, end in thing.spans(page):
                yield Hit(start, end, thing.kind, _SCORE, checked=False, source=thing.source)


def _things(own: OwnIdentifiers) -> Iterator[OwnThing]:
    for name in own.names:
        yield from _named(name, f"{OWN}name")
    for name in own.kin:
        yield from _named(name, f"{OWN}kin")
    yield from map(_mobile, _long(own.mobiles))
    yield from map(_landline, _long(own.landlines))
    yield from map(_id_number, _long(own.id_numbers))
    yield from (OwnNumber(card, Kind.BANK_CARD, f"{OWN}bank_card") for card in _long(own.bank_cards))
    yield from map(OwnAddress, own.addresses)
    known = {number_value(mobile)[-_MOBILE:] for mobile in own.mobiles}
    yield from (Account(email, Kind.EMAIL, f"{OWN}email", known) for email in own.emails)
    yield from (Account(account, Kind.WECHAT, f"{OWN}account", known) for account in own.accounts)
    record = partial(RecordNumber, kind=Kind.RECORD_NUMBER, source=f"{OWN}record_number")
    yield from (record(number) for number in own.record_numbers)
    for kind, values in own.others.items():
        yield from (RecordNumber(value, kind, f"{OWN}{kind.value.lower()}") for value in values)
    told = (birth_date_in(number_value(number)) for number in own.id_numbers)
    days = {*own.birth_dates, *(day for day in told if day is not None)}
    if days:
        yield BirthDate(days)


def _long(values: Iterable[str]) -> Iterator[str]:
    """Yield the values that are long enough to be a number of their kind."""
    yield from (value for value in values if len(number_value(value)) >= _SHORTEST_NUMBER)


def _named(name: str, source: str) -> Iterator[OwnThing]:
    """Yield a name, and each part of one with a middle dot; what is too short to be one, or masked, is none."""
    if len(name_value(name)) < _SHORTEST_NAME or _NO_NAME.search(name) is not None:
        return
    if _HAN.search(name) is None:
        yield LatinName(name, source)
        return
    parts = [part for part in re.split("[·•・‧]", name) if part]
    is_foreign = len(parts) > 1
    yield ChineseName("".join(parts), source, is_foreign=is_foreign)
    for part in parts if is_foreign else ():
        if len(part) > _SHORTEST_NAME:
            yield ChineseName(part, source, is_foreign=True)


def _mobile(value: str) -> OwnThing:
    return OwnNumber(value, Kind.MOBILE, f"{OWN}mobile", tails=(4, 6, 8), heads=(7,))


def _landline(value: str) -> OwnThing:
    number = number_value(value)
    area = _AREA.match(number)
    return OwnNumber(number, Kind.LANDLINE, f"{OWN}landline", more=(number[area.end() :],) if area else ())


def _id_number(value: str) -> OwnThing:
    number = number_value(value)
    more = (number[:6] + number[8:17], number[:14]) if len(number) == _ID else ()
    return OwnNumber(number, Kind.ID_NUMBER, f"{OWN}id_number", tails=(4, 6, 8), heads=(6, 10), more=more)
