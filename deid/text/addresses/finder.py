"""Addresses and places as one finder: from divisions on, behind cues and labels, and around numbers of houses."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from deid.text.addresses.gazetteer import Place, chains_of, is_whole, places_in, products, stands_alone
from deid.text.addresses.grammar import POSTCODE
from deid.text.addresses.reading_on import Reach, name_begin, read_on
from deid.text.kinds import Kind
from deid.text.lists import simplified
from deid.text.lists.divisions import Strength
from deid.text.lists.reading import alternation, sections_of
from deid.text.marks import without_marks
from deid.text.reading import Reading
from deid.text.spans import Hit

_SCORES: Final = {
    "address.division": 0.85,
    "address.house": 0.75,
    "address.cue": 0.7,
    "address.label": 0.7,
    "address.road": 0.6,
    "place.full": 0.8,
    "place.short": 0.65,
    "place.cue": 0.55,
    "postcode.address": 0.7,
}

_DIGIT: Final = "[0-9一二三四五六七八九十]"
_HOUSE: Final = re.compile(f"[路街道巷弄同里段庄村](?= ?{_DIGIT}{{1,5}}[甲乙丙]?(?:[-之][0-9]{{1,4}})? ?(?:号|弄|#))")
"""A suffix of a road before the number of a house."""

_BUILDING: Final = re.compile(f"(?:{_DIGIT}{{1,4}}|(?<![A-Za-z])[A-Za-z]) ?(?:栋|幢|单元|号楼|座|#)")

_TOWN: Final = re.compile("[镇乡](?=[\u4e00-\u9fff]{1,5}?(?:村|屯|庄|组))")

_NEAR: Final = 12
"""Characters behind a cue in which the suffix of an address stands."""

_VALUE: Final = re.compile(r"[^。;；!！?？\n〔〕<>{}\"“”|]{2,80}+")
_VALUE_ENDS: Final = re.compile(
    r"[,， ]{0,2}(?:联系|电话|手机|姓名|邮编|邮政|收件|收货|身份证|年龄|性别|微信|备注|职业)"
    r"|[,，][^0-9]*\Z|[,，] ?(?:[我请谢麻]|您|不|已)"
)
_TELLS: Final = re.compile("[路街道巷弄村镇乡屯区市县省州旗号栋幢座楼室苑园寓]")
_ASKS: Final = re.compile("[吗呢么哪请您你我]|多少|不|填|写")


class _Cues(NamedTuple):
    label: re.Pattern[str]
    cue: re.Pattern[str]
    strong: frozenset[str]
    suffix: re.Pattern[str]


@cache
def _cues() -> _Cues:
    sections = sections_of("address_words.txt")
    suffix = alternation((*sections["road"], *sections["settled"]))
    return _Cues(
        re.compile(f"(?:{alternation(sections['label'])})(?:是|为|在|位于)?[:： ]{{0,3}}"),
        re.compile(f"(?:{alternation((*sections['cue'], *sections['strong']))})[:： ]{{0,2}}"),
        frozenset(sections["strong"]),
        re.compile(suffix),
    )


class AddressFinder:
    """Addresses and places in Chinese text."""

    name = "addresses"
    kinds = frozenset((Kind.ADDRESS, Kind.PLACE, Kind.POSTCODE))
    languages = frozenset(("zh",))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the hits of all rules; they may overlap."""
        if reading.has_han:
            yield from _Page(without_marks(simplified(reading.text))).hits()


class _Page:
    """One text while it is read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.places = places_in(text)
        self.at: Mapping[int, Place] = {place.start: place for place in self.places}
        self.cues = {match.end(): match.group().rstrip(": ：") for match in _cues().cue.finditer(text)}
        self.done = 0

    def hits(self) -> Iterator[Hit]:
        for hit in (*self._from_places(), *self._behind_cues(), *self._labelled(), *self._around_numbers()):
            yield hit
            if hit.kind is Kind.ADDRESS and (code := POSTCODE.match(self.text, hit.end)):
                yield _hit(*code.span("code"), Kind.POSTCODE, "postcode.address")

    def _is_strong(self, start: int) -> bool:
        return self.cues.get(start) in _cues().strong

    def _from_places(self) -> Iterator[Hit]:
        done = 0
        for chain in chains_of(self.places, self.text):
            if chain[0].start < done:
                continue
            for hit in self._of_chain(chain):
                yield hit
                done = hit.end

    def _of_chain(self, chain: list[Place]) -> Iterator[Hit]:
        while len(chain) > 1 and chain[0].strength is Strength.PART and chain[1].level <= chain[0].level:
            chain = chain[1:]
        text, start, end = self.text, chain[0].start, chain[-1].end
        is_sure = any(stands_alone(text, place) for place in chain)
        found = read_on(text, end, self.at, Reach.DIVISION)
        if found.reach is Reach.HOUSE or (found.reach >= Reach.SETTLEMENT and (is_sure or start in self.cues)):
            yield _hit(start, found.end, Kind.ADDRESS, "address.division")
        elif is_sure and not self._is_product(chain):
            is_full = any(place.strength is Strength.FULL for place in chain)
            yield _hit(start, max(end, found.end), Kind.PLACE, "place.full" if is_full else "place.short")
        elif self._is_strong(start) and is_whole(text, start, end):
            yield _hit(start, max(end, found.end), Kind.PLACE, "place.cue")

    def _is_product(self, chain: list[Place]) -> bool:
        is_short = all(place.strength is not Strength.FULL for place in chain)
        return is_short and _product().match(self.text, chain[-1].end) is not None

    def _behind_cues(self) -> Iterator[Hit]:
        for start, cue in self.cues.items():
            if start in self.at or _cues().suffix.search(self.text, start, start + _NEAR) is None:
                continue
            found = read_on(self.text, start, self.at)
            if found.reach >= Reach.SETTLEMENT:
                rule = "address.cue" if cue in _cues().strong or found.reach is Reach.HOUSE else "address.road"
                yield _hit(start, found.end, Kind.ADDRESS, rule)

    def _labelled(self) -> Iterator[Hit]:
        for label in _cues().label.finditer(self.text):
            value = _VALUE.match(self.text, label.end())
            if value is None:
                continue
            stop = _VALUE_ENDS.search(self.text, value.start(), value.end())
            end = stop.start() if stop else value.end()
            stretch = self.text[value.start() : end].rstrip(" ,，")
            if _TELLS.search(stretch) and not _ASKS.search(stretch):
                yield _hit(value.start(), value.start() + len(stretch), Kind.ADDRESS, "address.label")

    def _around_numbers(self) -> Iterator[Hit]:
        for match in _HOUSE.finditer(self.text):
            begin = name_begin(self.text, match.end())
            if match.end() - begin > 1:
                yield from self._with_house(begin, match.end())
        for match in _TOWN.finditer(self.text):
            begin = name_begin(self.text, match.start())
            if begin < match.start():
                yield from self._with_house(begin, match.end(), Reach.SETTLEMENT, least=match.end() + 2)
        for match in _BUILDING.finditer(self.text):
            yield from self._building(match.start())

    def _with_house(self, begin: int, reach_end: int, reach: Reach = Reach.HOUSE, least: int = 0) -> Iterator[Hit]:
        found = read_on(self.text, begin, self.at)
        if found.reach >= reach and found.end > max(reach_end, least - 1):
            yield _hit(begin, found.end, Kind.ADDRESS, "address.house")

    def _building(self, start: int) -> Iterator[Hit]:
        suffix = _settled().search(self.text, max(0, start - 6), start)
        begin = name_begin(self.text, suffix.start()) if suffix else start
        if suffix and begin < suffix.start() and read_on(self.text, begin, self.at).end > start:
            yield _hit(begin, read_on(self.text, begin, self.at).end, Kind.ADDRESS, "address.house")
            return
        found = read_on(self.text, start, self.at)
        if found.flats > 1:
            yield _hit(start, found.end, Kind.ADDRESS, "address.house")


@cache
def _product() -> re.Pattern[str]:
    return re.compile(products())


@cache
def _settled() -> re.Pattern[str]:
    return re.compile(f"(?:{alternation(sections_of('address_words.txt')['settled'])})\\Z")


def _hit(start: int, end: int, kind: Kind, rule: str) -> Hit:
    return Hit(start, end, kind, _SCORES[rule], checked=False, source=rule)
