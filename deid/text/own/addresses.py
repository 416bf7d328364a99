"""An address of the subject's: whole, or the parts that lead to the door."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from deid.text.folding import fold
from deid.text.kinds import Kind
from deid.text.lists.divisions import spellings
from deid.text.lists.reading import alternation, sections_of
from deid.text.own.forms import Form, Page, Place, digit_form, is_digit, number_value, plain_form

_LONGEST_DIVISION: Final = 12
_DIVISION_SUFFIX: Final = re.compile("(?:特别行政区|自治区|自治州|自治县|地区|新区|省|市|盟|州|县|区|旗)$")
_ROADS: Final = ("大道", "大街", "胡同", "路", "街", "巷", "弄", "道")
_GOES_ON: Final = re.compile(f"[东南西北中]?[一二三四五六七八九]?(?:{'|'.join(_ROADS)}|[镇村])")
"""What a division is no division before: 中山北路, 南京路."""

_NUMBER: Final = "[0-9a-z一二三四五六七八九十零〇]{1,6}(?:-[0-9a-z]{1,5}){0,3}"
_UNIT: Final = "号楼|号院|号|栋|幢|座|单元|室|层|楼|房|户|门(?!口)|组|队|#|弄"
_UNITS: Final = re.compile(_UNIT)

_TOWN: Final = "街道|[镇乡]"
_VILLAGE: Final = "村|屯|庄(?!村)|社区"
_STEM: Final = 2
_DOOR: Final = 3
"""Digits of a flat that with its house alone is nobody else's."""

_TEN: Final = 10


_NAMED: Final = frozenset(("town", "road", "estate"))
"""Parts of which an address has one at least; divisions and numbers alone are anybody's."""


class _Part(NamedTuple):
    """One part of the address in the form of ``Page.numbers``.

    Attributes:
        what: division, town, road, house, estate, number or room.
        core: what it is known by.
        unit: what may follow: 路, 号, 室.
        digits: of a number, without what stands around it.
    """

    what: str
    core: str
    unit: str


@cache
def _rest() -> tuple[re.Pattern[str], ...]:
    sections = sections_of("address_words.txt")
    settled = {*sections["settled"], "小区", "花园", "公寓", "家园", "大厦", "苑", "新村", "广场", "府", "宿舍"}
    return (
        re.compile(f"(?P<number>{_NUMBER})(?P<unit>{_UNIT})"),
        re.compile(f"(?P<town>[^0-9]{{1,8}}?)(?P<town_unit>{_TOWN})(?!路|街)"),
        re.compile(f"(?P<road>[^0-9]{{1,10}}?)(?P<road_unit>{alternation(_ROADS)})(?!{_VILLAGE}|{_TOWN}|道)"),
        re.compile(f"(?P<estate>.{{2,12}}?)(?P<estate_unit>{alternation(settled)})"),
        re.compile(f"(?P<village>.{{1,8}}?)(?P<village_unit>{_VILLAGE})"),
        re.compile(f"(?P<name>[^0-9]{{2,12}}?)(?={_NUMBER}(?:{_UNIT}))"),
        re.compile(f"(?P<room>{_NUMBER})$"),
    )


class OwnAddress:
    """One address.

    Args:
        value: as it is written, with or without divisions.
        source: of its hits.
    """

    kind = Kind.ADDRESS

    def __init__(self, value: str, source: str = "record.address") -> None:
        self.source = source
        self._parts = tuple(_parts(plain_form(fold(value).text)))
        is_place = sum(part.what in _NAMED for part in self._parts) > 0 and len(self._parts) > 1
        self._whole = number_value(value) if is_place else ""
        self._anchors = sorted(self._made_anchors(), key=lambda pair: -len(pair[0]))
        self._doors = tuple(self._dashed())

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield where the address or a part that leads to the door stands."""
        form = page.numbers
        for place in form.places(self._whole):
            if not (is_digit(form.text, place.to) and is_digit(form.text, place.to - 1)):
                yield place.start, self._end(form, place.to)
        for text, first, last in self._anchors:
            for place in form.places(text):
                if not (is_digit(form.text, place.to) and is_digit(form.text, place.to - 1)):
                    yield self._begin(form, place.at, first), self._end(form, place.to, last)
        for door in self._doors:
            for place in page.figures.places(door):
                if not _goes_on(page.plain, place):
                    yield place.start, place.end

    def _made_anchors(self) -> Iterator[tuple[str, int, int]]:
        """Yield what names the place closely enough, with the first and last of its parts."""
        parts = self._parts
        for index, part in enumerate(parts):
            if part.what == "estate" and (part.unit or len(part.core) > _STEM) and len(part.core) >= _STEM:
                yield part.core + part.unit, index, index
            for behind in range(index + 1, len(parts)):
                yield from ((joined, index, behind) for joined in _joined(parts, index, behind))
            if part.what == "division":
                for behind in range(index + 1, len(parts)):
                    if parts[behind].what in ("road", "town", "estate") and not _is_wide(parts, index):
                        for division in {part.core, part.core + part.unit}:
                            yield division + parts[behind].core + parts[behind].unit, index, behind
                        break

    def _dashed(self) -> Iterator[str]:
        """Yield house, stairs and flat in figures alone: 3-2-502."""
        numbers = [part.core for part in self._parts if part.what in ("number", "room") and part.core.isascii()]
        inner = [core for core in numbers if core.isdigit()]
        for count in (3, 4):
            if len(inner) >= count:
                yield "-".join(inner[-count:])

    def _begin(self, form: Form, at: int, first: int) -> int:
        """Return where the address begins, with the parts before the first one that stand there."""
        for part in reversed(self._parts[:first]):
            for spelling in (part.core + part.unit, part.core):
                if form.text.endswith(spelling, 0, at) and form.is_near(at):
                    at -= len(spelling)
                    break
        return form.origin(at)

    def _end(self, form: Form, to: int, last: int | None = None) -> int:
        """Return where it ends, with the parts behind the last one that stand there."""
        text = form.text
        unit = _UNITS.match(text, to)
        if unit is not None and is_digit(text, to - 1):
            to = unit.end()
        for part in self._parts[last + 1 :] if last is not None else ():
            if not text.startswith(part.core, to) or not form.is_near(to):
                continue
            end = to + len(part.core)
            if is_digit(text, end) and is_digit(text, end - 1):
                continue
            to = end + len(part.unit) if part.unit and text.startswith(part.unit, end) else end
            unit = _UNITS.match(text, to) if is_digit(text, to - 1) else None
            to = unit.end() if unit else to
        return form.origin(to - 1) + 1


def _joined(parts: Sequence[_Part], first: int, last: int) -> Iterator[str]:
    """Yield the ways to write two parts, or three, that name a place together."""
    one, other = parts[first], parts[last]
    if last == first + 1:
        if one.what in ("road", "estate") and other.what in ("number", "room"):
            for unit in {one.unit, ""} if one.what == "estate" else {one.unit}:
                yield from (one.core + unit + number + other.unit[:1] for number in _numerals(other.core))
        elif one.what == "town" and other.what == "estate":
            yield from (
                one.core + one.unit + other.core + unit for unit in {other.unit, ""} if len(other.core) >= _STEM
            )
        elif one.what == "number" and other.what in ("number", "room") and len(other.core) >= _DOOR:
            yield one.core + one.unit + other.core
    elif last == first + 2 and one.what == parts[first + 1].what == "number" and other.what in ("number", "room"):
        yield one.core + one.unit + parts[first + 1].core + parts[first + 1].unit + other.core


def _numerals(core: str) -> Iterator[str]:
    """Yield a number as it is and, where it is below a thousand, as it is said: 八十八, in the form of the page."""
    yield core
    if core.isdigit() and _TEN <= int(core) < _TEN**3:
        hundreds, rest = divmod(int(core), _TEN**2)
        tens, ones = divmod(rest, _TEN)
        said = f"{hundreds}百" if hundreds else ""
        said += f"{tens}十" if tens else "0" if hundreds and ones else ""
        yield f"{said}{ones or ''}"
        if not hundreds and tens == 1:
            yield f"十{ones or ''}"


def _is_wide(parts: Sequence[_Part], index: int) -> bool:
    """Whether a division holds another one that is told, too."""
    return index + 1 < len(parts) and parts[index + 1].what == "division"


def _parts(value: str) -> Iterator[_Part]:
    """Yield the parts of a plain value, each in the form of ``Page.numbers``."""
    text = "".join(value.split())
    position = 0
    while (end := _division_end(text, position)) > position:
        name = text[position:end]
        core = _DIVISION_SUFFIX.sub("", name)
        core = core if len(core) >= _STEM else name
        yield _Part("division", number_value(core), name[len(core) :])
        position = end
    while position < len(text):
        matches = [match for pattern in _rest() if (match := pattern.match(text, position)) is not None]
        if not matches:
            position += 1
            continue
        shortest = min(matches, key=lambda match: match.end())
        yield _part_of(shortest)
        position = shortest.end()


def _part_of(match: re.Match[str]) -> _Part:
    (what, core), *unit = match.groupdict().items()
    return _Part(
        "estate" if what in ("village", "name") else what, number_value(core), digit_form(unit[0][1]) if unit else ""
    )


def _division_end(text: str, position: int) -> int:
    """Return where the division ends that stands at a place; the place itself where none does."""
    known = spellings()
    for length in range(min(_LONGEST_DIVISION, len(text) - position), 1, -1):
        end = position + length
        if text[position:end] in known and not _GOES_ON.match(text, end):
            return end
    return position


def _goes_on(text: str, place: Place) -> bool:
    before, behind = text[place.start - 1 : place.start], text[place.end : place.end + 1]
    return (
        before in ("-", "/", ".")
        or behind in ("-", "/", ".")
        or is_digit(text, place.start - 1)
        or is_digit(text, place.end)
    )
