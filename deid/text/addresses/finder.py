"""Addresses and places as one finder: from divisions on, behind cues and labels, and around numbers of houses."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

from deid.text.addresses.gazetteer import Place, chains_of, is_whole, places_in, products, stands_alone
from deid.text.addresses.grammar import POSTCODE, POSTCODE_BEFORE
from deid.text.addresses.naming import is_word_end, name_begin, reads_as_proper
from deid.text.addresses.reading_on import Reach, read_on
from deid.text.kinds import Kind
from deid.text.lists import simplified, word_costs
from deid.text.lists.divisions import Strength
from deid.text.lists.reading import alternation, sections_of
from deid.text.lists.words import UNKNOWN
from deid.text.marks import without_marks
from deid.text.reading import Reading
from deid.text.spans import Hit

_SCORES: Final = {
    "address.division": 0.85,
    "address.house": 0.75,
    "address.cue": 0.7,
    "address.label": 0.7,
    "address.road": 0.6,
    "address.near": 0.5,
    "place.full": 0.8,
    "place.short": 0.65,
    "place.cue": 0.55,
    "postcode.address": 0.7,
}

_DIGIT: Final = "[0-9一二三四五六七八九十]"
_HOUSE: Final = re.compile(
    "[路街道巷弄同里段庄村]"
    f"(?= ?{_DIGIT}{{1,5}}[甲乙丙]?(?:[-之][0-9]{{1,4}})? ?(?:号|弄|#|段[0-9 ])|(?<=[路街道巷])[A-Za-z] ?座)"
)
"""A suffix of a road before the number of a house."""

_BUILDING: Final = re.compile(f"(?:{_DIGIT}{{1,4}}|(?<![A-Za-z])[A-Za-z]) ?(?:栋|幢|单元|号楼|座|(?<! )#(?! ))")

_FLAT: Final = re.compile("(?<=[\u4e00-\u9fff])[0-9]{1,3}-[0-9]{1,2}-[0-9]{2,5}(?![0-9-])")
"""House, stairs and flat."""

_ABOVE: Final = re.compile("(?:街道办事处|街道|社区|[镇乡村市县区旗州省])\\Z")
"""What the part before a name ends with."""

_TOWN: Final = re.compile("[镇乡](?=[\u4e00-\u9fff]{1,5}?(?:村|屯|庄|组))")

_NEAR: Final = 12
"""Characters behind a cue, or before a number, in which a suffix stands."""

_PARTS_BEFORE: Final = 3

_RARE: Final = 112
"""Short names of districts that are dearer as words are hardly any common word."""

_VALUE: Final = re.compile(r"[^。;；!！?？\n〔〕<>{}\"“”|]{2,80}+")
_VALUE_ENDS: Final = re.compile(
    r"[,， ]{0,2}(?:联系|电话|手机|姓名|邮编|邮政|收件|收货|身份证|年龄|性别|微信|备注|职业)"
    r"|[,，][^0-9]*\Z|[,，] ?(?:[我请谢麻]|您|不|已)"
)
_PARTS: Final = "路街道巷弄村镇乡屯区市县省州旗号栋幢座楼室苑园寓"
_TELLS: Final = re.compile(f"[{_PARTS}]")
_OTHER: Final = re.compile(
    f"[,，] ?(?P<word>[\u4e00-\u9fff])(?![^,，]*?(?:[{_PARTS}厦场城院庄组队层门]|[0-9]{{5}}))(?=[^,，]*?[0-9])"
)
"""Behind a comma, words with a figure that is no part of an address: a value, a complaint, an age."""

_ASKS: Final = re.compile("[吗呢么哪请您你我]|多少|不|填|写")


class _Cues(NamedTuple):
    label: re.Pattern[str]
    cue: re.Pattern[str]
    strong: frozenset[str]
    suffix: re.Pattern[str]
    near: re.Pattern[str]


@cache
def _cues() -> _Cues:
    sections = sections_of("address_words.txt")
    suffix = alternation((*sections["road"], *sections["settled"]))
    return _Cues(
        re.compile(
            f"(?:{alternation(sections['label'])})(?:(?<=址)|(?=[:： 是为在位]))(?:是|为|在|位于)?[:： ]{{0,3}}"
        ),
        re.compile(f"(?:{alternation((*sections['cue'], *sections['strong']))})(?!址)[:： ]{{0,2}}"),
        frozenset(sections["strong"]),
        re.compile(suffix),
        re.compile(f"[\u4e00-\u9fff]{{2,5}}?(?={alternation(sections['near'])})"),
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
    """One text while it is read.

    Attributes:
        labels: where labels of addresses end.
        read: how far addresses were read, by where they begin.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.places = places_in(text)
        self.at: Mapping[int, Place] = {place.start: place for place in self.places}
        self.ends: Mapping[int, Place] = {place.end: place for place in self.places}
        self.cues = {match.end(): match.group().rstrip(": ：") for match in _cues().cue.finditer(text)}
        self.labels = frozenset(match.end() for match in _cues().label.finditer(text))
        self.read: list[tuple[int, int]] = []

    def hits(self) -> Iterator[Hit]:
        """Yield the hits of all rules, and the postcodes behind addresses."""
        for rule in (self._from_places, self._behind_cues, self._labelled, self._around_numbers):
            found = list(rule())
            for hit in found:
                yield hit
                if hit.kind is Kind.ADDRESS:
                    yield from self._postcodes(hit)
            self.read = sorted((*self.read, *((hit.start, hit.end) for hit in found)))

    def _postcodes(self, address: Hit) -> Iterator[Hit]:
        """Yield the postcode directly behind an address, and the one before it."""
        behind = POSTCODE.match(self.text, address.end)
        before = POSTCODE_BEFORE.search(self.text, max(0, address.start - _NEAR), address.start)
        for code in (behind, before):
            if code is not None:
                yield _hit(*code.span("code"), Kind.POSTCODE, "postcode.address")

    def _is_read(self, place: int) -> bool:
        """Whether a place lies in what an earlier rule has read."""
        following = bisect_right(self.read, (place, len(self.text)))
        return following > 0 and place < self.read[following - 1][1]

    def _is_introduced(self, chain: list[Place]) -> bool:
        """Whether what stands before a place says that it is one; less is needed where it is no common word."""
        if chain[0].start in self.labels:
            return True
        cue = self.cues.get(chain[0].start)
        is_rare = chain[0].strength > Strength.WORD and self._cost(chain[0]) >= _RARE
        return cue is not None and (cue in _cues().strong or is_rare)

    def _cost(self, place: Place) -> int:
        return word_costs().get(self.text[place.start : place.end], UNKNOWN)

    def _from_places(self) -> Iterator[Hit]:
        done = 0
        for chain in chains_of(self.places, self.text):
            if chain[0].start < done:
                continue
            for hit in self._of_chain(chain):
                yield hit
                done = hit.end

    def _of_chain(self, chain: list[Place]) -> Iterator[Hit]:
        chain = chain[_first_of(chain) :]
        text, start, end = self.text, chain[0].start, chain[-1].end
        is_sure = any(stands_alone(text, place) for place in chain)
        found = read_on(text, end, self.at, Reach.DIVISION)
        if found.reach is Reach.HOUSE or (found.reach >= Reach.SETTLEMENT and (is_sure or start in self.cues)):
            yield _hit(self._begin_above(start), found.end, Kind.ADDRESS, "address.division")
        elif is_sure and not self._is_product(chain):
            is_full = any(place.strength is Strength.FULL for place in chain)
            yield _hit(start, max(end, found.end), Kind.PLACE, "place.full" if is_full else "place.short")
        elif self._is_introduced(chain) and is_whole(text, start, end):
            yield _hit(start, max(end, found.end), Kind.PLACE, "place.cue")

    def _is_product(self, chain: list[Place]) -> bool:
        is_short = all(place.strength is not Strength.FULL for place in chain)
        return is_short and _product().match(self.text, chain[-1].end) is not None

    def _behind_cues(self) -> Iterator[Hit]:
        for start, cue in self.cues.items():
            if start in self.at or self._is_read(start):
                continue
            if cue in _cues().strong and (near := _cues().near.match(self.text, start)):
                if reads_as_proper(self.text, start, near.end()):
                    yield _hit(start, near.end(), Kind.ADDRESS, "address.near")
                continue
            if _cues().suffix.search(self.text, start, start + _NEAR) is None:
                continue
            found = read_on(self.text, start, self.at)
            if found.reach >= Reach.SETTLEMENT:
                rule = "address.cue" if cue in _cues().strong or found.reach is Reach.HOUSE else "address.road"
                yield _hit(start, found.end, Kind.ADDRESS, rule)

    def _labelled(self) -> Iterator[Hit]:
        for place in sorted(self.labels):
            value = _VALUE.match(self.text, place)
            if value is None:
                continue
            stretch = self.text[value.start() : self._value_end(*value.span())].rstrip(" ,，")
            if _TELLS.search(stretch) and not _ASKS.search(stretch):
                yield _hit(value.start(), value.start() + len(stretch), Kind.ADDRESS, "address.label")

    def _value_end(self, start: int, end: int) -> int:
        """Return where what a label names ends within its line: before the next label, or before something else."""
        stop = _VALUE_ENDS.search(self.text, start, end)
        end = stop.start() if stop else end
        others = _OTHER.finditer(self.text, start, end)
        return next((other.start() for other in others if other.start("word") not in self.at), end)

    def _around_numbers(self) -> Iterator[Hit]:
        for match in _HOUSE.finditer(self.text):
            is_long = self.text[match.start() - 1 : match.end()] in ("胡同", "大道")
            if is_long or not is_word_end(self.text, match.start()):
                yield from self._named(match.start() - is_long, match.end() + 1, Reach.HOUSE)
        for match in _TOWN.finditer(self.text):
            yield from self._named(match.start(), match.end() + 2, Reach.SETTLEMENT)
        for match in _BUILDING.finditer(self.text):
            hits = list(self._in_estate(match.start()))
            found = read_on(self.text, match.start(), self.at)
            if not hits and found.flats > 1 and not self._is_read(match.start()):
                hits = [_hit(match.start(), found.end, Kind.ADDRESS, "address.house")]
            yield from hits
        for match in _FLAT.finditer(self.text):
            yield from self._in_estate(match.start())

    def _in_estate(self, number: int) -> Iterator[Hit]:
        """Yield an address whose last name ends with the suffix of an estate before a number."""
        suffix = _settled().search(self.text, max(0, number - _NEAR), number)
        if suffix is not None:
            yield from self._named(suffix.start(), number + 1, Reach.HOUSE)

    def _named(self, suffix: int, least: int, reach: Reach) -> Iterator[Hit]:
        """Yield an address in which a name ends before a suffix.

        Args:
            least: where it ends at the earliest.
            reach: how fine it is at least.
        """
        if self._is_read(suffix):
            return
        begin = name_begin(self.text, suffix)
        if begin == suffix:
            return
        begin = self._begin_above(begin)
        found = read_on(self.text, begin, self.at)
        if found.reach >= reach and found.end >= least:
            yield _hit(begin, found.end, Kind.ADDRESS, "address.house")

    def _begin_above(self, begin: int) -> int:
        """Return where the parts begin that precede and that no list has: 玉英县, 柳林镇."""
        for _ in range(_PARTS_BEFORE):
            place = self.ends.get(begin)
            left = place.start if place else begin
            above = _ABOVE.search(self.text, max(0, left - _NEAR), left)
            further = name_begin(self.text, above.start()) if above else left
            if above is None or further == above.start():
                break
            begin = further
        return begin


def _first_of(chain: list[Place]) -> int:
    """Return which place an address begins with: none that is a word too and that a wider one follows."""
    for index, (place, following) in enumerate(pairwise(chain)):
        if place.strength > Strength.PART or following.level > place.level:
            return index
    return len(chain) - 1


@cache
def _product() -> re.Pattern[str]:
    return re.compile(products())


@cache
def _settled() -> re.Pattern[str]:
    sections = sections_of("address_words.txt")
    return re.compile(f"(?:{alternation((*sections['settled'], *sections['loose']))})\\Z")


def _hit(start: int, end: int, kind: Kind, rule: str) -> Hit:
    return Hit(start, end, kind, _SCORES[rule], checked=False, source=rule)
