"""In which division an address lies, for who says only that."""

from typing import Final, NamedTuple

from deid.text.addresses.gazetteer import places_in
from deid.text.folding import fold
from deid.text.lists import simplified
from deid.text.lists.divisions import Division, Level, divisions_called

_MOST_PLACES: Final = 4


class Region(NamedTuple):
    """Names in full; empty where the address does not say.

    Attributes:
        province, city, district: from wide to narrow.
    """

    province: str
    city: str
    district: str


def region_of(address: str) -> Region:
    """Return where an address or a place lies, as far as its divisions say without a doubt.

    A district that several cities have, and that stands alone, says nothing; a name of a province and of something
    narrower is the province.

    Args:
        address: as it was written.
    """
    text = simplified(fold(address).text)
    possible: list[Division] = []
    end = 0
    for place in places_in(text)[:_MOST_PLACES]:
        if place.start > end and text[end : place.start].strip(" ,，-/·"):
            break
        narrower = [one for one in divisions_called(text[place.start : place.end]) if _lies_in(one, possible)]
        if not narrower:
            break
        widest = min(one.level for one in narrower)
        possible, end = [one for one in narrower if one.level is widest], place.end
    return _common(possible)


def _lies_in(division: Division, possible: list[Division]) -> bool:
    """Whether a division lies in one of those before it; in the country where there are none."""
    return not possible or any(
        wide.name in (division.province, division.city) and wide.level < division.level for wide in possible
    )


def _common(possible: list[Division]) -> Region:
    """Return what all possible divisions agree on."""
    regions = {_region(division) for division in possible} or {Region("", "", "")}
    columns = [set(column) for column in zip(*regions, strict=True)]
    agreed: list[str] = []
    for column in columns:
        agreed.append(next(iter(column)) if len(column) == 1 and (not agreed or agreed[0]) else "")
    return Region(*agreed)


def _region(division: Division) -> Region:
    if division.level is Level.PROVINCE:
        return Region(division.name, "", "")
    if division.level is Level.CITY:
        return Region(division.province, division.name, "")
    return Region(division.province, division.city, division.name)
