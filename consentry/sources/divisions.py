"""The gazetteer: names and codes of Chinese administrative divisions to the six digits of GB/T 2260."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consentry.sources.cleaning import fold
from consentry.sources.codes import rows_of
from consentry.sources.records import RowFault, RowRefused

_CODE: Final = re.compile(r"[1-8][0-9](?:[0-9]{2}(?:[0-9]{2})?)?")
_PEOPLES: Final = "朝鲜|土家|布依|景颇|傈僳|哈尼|哈萨克|柯尔克孜|蒙古|藏|羌|彝|苗|侗|壮|傣|白|回|维吾尔"
_SUFFIXES: Final = re.compile(rf"(?:特别行政区|(?:(?:{_PEOPLES})族?)*自治[区州]|地区|省|市|盟)$")
_FILLERS: Final = re.compile(r"[\s,/·-]+|市辖区")
_SHORTEST: Final = 2
_ANYWHERE: Final = "*"

_SHORT_PROVINCES: Final = {
    "内蒙古": "150000",
    "广西": "450000",
    "西藏": "540000",
    "宁夏": "640000",
    "新疆": "650000",
    "台湾": "710000",
    "香港": "810000",
    "澳门": "820000",
}
"""Short names that cutting a suffix does not give."""


@dataclass(frozen=True, slots=True)
class Divisions:
    """Divisions by code, and by name under each parent.

    Attributes:
        names: code → name. under: code of the parent (``""`` for the country) → name or short name → code.
        lone: names that stand for one division only in the whole country; ``朝阳`` does not, though one city has it,
            because districts elsewhere are called so as well.
    """

    names: Mapping[str, str]
    under: Mapping[str, Mapping[str, str]]
    lone: Mapping[str, str]

    def find(self, text: str) -> str:
        """Return the code of the narrowest division that the text names or encodes.

        ``110105``, ``4403``, ``北京市朝阳区``, ``广东深圳``, ``深圳市南山区…``; a district that several cities have
        needs its city.

        Raises:
            RowRefused: no division, or more than one.
        """
        folded = _FILLERS.sub("", fold(text))
        if _CODE.fullmatch(folded):
            return self._by_code(folded)
        found = self._descend(folded)
        if found is None:
            raise RowRefused(RowFault.UNKNOWN_PLACE)
        return found

    def _by_code(self, digits: str) -> str:
        """Return the code itself, or of a division that is no more, the city or province that it lay in."""
        code = digits.ljust(6, "0")
        for known in (code, f"{code[:4]}00", f"{code[:2]}0000"):
            if known in self.names:
                return known
        raise RowRefused(RowFault.UNKNOWN_PLACE)

    def _descend(self, text: str) -> str | None:
        found, rest = _longest(self.under.get("", {}), text)
        alone, left = _longest(self.lone, text)
        if alone is not None and len(left) < len(rest):
            found, rest = alone, left
        while found is not None and rest:
            narrower, left = _longest(self.under.get(found, {}), rest)
            if narrower is None:
                break
            found, rest = narrower, left
        return found


def load_divisions(pack: Path) -> Divisions:
    """Read ``codes/divisions.csv`` of a pack's folder; an empty gazetteer where the pack has none."""
    names = {row["code"]: row["name"] for _, row in rows_of(pack / "codes" / "divisions.csv")}
    homes: dict[str, dict[str, set[str]]] = {}
    for code, name in names.items():
        for spelling in _spellings(code, name):
            for parent in _parents(code, names):
                homes.setdefault(parent, {}).setdefault(spelling, set()).add(code)
    under = {parent: _only(found) for parent, found in homes.items() if parent != _ANYWHERE}
    counties: dict[str, set[str]] = {}
    for code, name in names.items():
        if not code.endswith("00"):
            counties.setdefault(name[:-1], set()).add(code[:4])
    everywhere = _only(homes.get(_ANYWHERE, {}))
    lone = {name: code for name, code in everywhere.items() if counties.get(name, set()) <= {code[:4]}}
    return Divisions(names, under, lone)


def _only(found: Mapping[str, set[str]]) -> dict[str, str]:
    """Keep the names that stand for one division."""
    return {spelling: next(iter(codes)) for spelling, codes in found.items() if len(codes) == 1}


def _spellings(code: str, name: str) -> Iterator[str]:
    yield name
    if code.endswith("00"):
        short = _SUFFIXES.sub("", name)
        if _SHORTEST <= len(short) < len(name):
            yield short
    yield from (short for short, province in _SHORT_PROVINCES.items() if province == code)


def _parents(code: str, names: Mapping[str, str]) -> Iterator[str]:
    """Yield what a name may follow: nothing at all, the province, the city; only its city where both share the name."""
    province, city = f"{code[:2]}0000", f"{code[:4]}00"
    if code == province:
        yield from ("", _ANYWHERE)
        return
    if code == city or names.get(city) != names[code]:
        yield from (province, _ANYWHERE)
    if code != city and city in names:
        yield city


def _longest(children: Mapping[str, str], text: str) -> tuple[str | None, str]:
    for length in range(min(len(text), 16), _SHORTEST - 1, -1):
        if (code := children.get(text[:length])) is not None:
            return code, text[length:]
    return None, text
