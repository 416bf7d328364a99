"""English text: numbers by label, days, names, places, organisations and addresses, by rules and lists that ship.

Its patterns and lists are built when the first text comes that may hold any of it.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from deid.text.kinds import Kind
from deid.text.reading import Reading
from deid.text.spans import Hit

if TYPE_CHECKING:
    from deid.text.english.addresses import EnglishAddressFinder
    from deid.text.english.dates import EnglishDateFinder
    from deid.text.english.finder import EnglishNameFinder
    from deid.text.english.labels import EnglishLabelFinder

_CLUE: Final = re.compile(r"[A-Za-z\u00c0-\u024f\u0370-\u052f]{3}|[0-9][-/.][0-9]{1,2}[-/.][0-9]|[0-9]/[0-9]{2}")
"""Three letters together, or a day in figures."""


class EnglishFinder:
    """All that is found in English text as one finder of several parts."""

    name = "english"
    languages = frozenset(("en",))
    kinds = frozenset(
        (
            Kind.PERSON, Kind.ADDRESS, Kind.PLACE, Kind.ORGANIZATION, Kind.DATE, Kind.AGE, Kind.POSTCODE, Kind.PASSPORT,
            Kind.DRIVER_LICENCE, Kind.ACCOUNT_NUMBER, Kind.PLATE, Kind.RECORD_NUMBER, Kind.VISIT_NUMBER,
            Kind.PRESCRIPTION_NUMBER, Kind.INSURANCE_NUMBER, Kind.EXAMINATION_NUMBER, Kind.DEVICE_ID, Kind.BANK_CARD,
            Kind.US_SSN, Kind.US_NPI, Kind.US_MBI,
        )
    )  # fmt: skip

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the hits of all parts; they may overlap."""
        if reading.has_han and not reading.has_codes:
            return
        if _CLUE.search(reading.text) is not None:
            for part in parts():
                yield from part.find(reading)


@cache
def parts() -> "tuple[EnglishLabelFinder, EnglishAddressFinder, EnglishDateFinder, EnglishNameFinder]":
    """Return the parts, built once."""
    from deid.text.english.addresses import EnglishAddressFinder
    from deid.text.english.dates import EnglishDateFinder
    from deid.text.english.finder import EnglishNameFinder
    from deid.text.english.labels import EnglishLabelFinder

    return (EnglishLabelFinder(), EnglishAddressFinder(), EnglishDateFinder(), EnglishNameFinder())
