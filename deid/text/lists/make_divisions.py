"""Makes ``divisions.txt`` from the tables of modood/Administrative-divisions-of-China; see SOURCES.md.

Run by a maintainer, never at run time: ``python -m deid.text.lists.make_divisions FOLDER``, where the folder holds
``provinces.csv``, ``cities.csv`` and ``areas.csv``.
"""

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent

_NO_CITY: Final = re.compile("市辖区|县|(?:省|自治区)直辖县级行政区划")
"""What stands in the table where a district lies directly under its province."""

_NO_DISTRICT: Final = re.compile("开发区|管理区|园区|示范区|实验区|食品区|名胜区|新城$|管委会|委员会|岛礁")
"""Zones of commerce, which are addressed by their own rules, and what nobody lives in."""

_REMARKS: Final = (
    "# Divisions of China: a province begins a line, its cities follow, each with its districts; - holds those without",
    "# a city. Made by make_divisions.py.",
)


def main(folder: Path, into: Path = _HERE) -> None:
    """Write ``divisions.txt`` into a folder, this package's unless given."""
    (into / "divisions.txt").write_text("\n".join((*_REMARKS, *_lines(folder))) + "\n", "utf-8")


def _lines(folder: Path) -> Iterator[str]:
    cities, areas = _rows(folder / "cities.csv"), _rows(folder / "areas.csv")
    for province in _rows(folder / "provinces.csv"):
        yield province["name"]
        for city in cities:
            if city["provinceCode"] == province["code"]:
                name = "-" if _NO_CITY.fullmatch(city["name"]) else city["name"]
                districts = [area["name"] for area in areas if area["cityCode"] == city["code"]]
                yield " ".join(("", name, *(one for one in districts if not _NO_DISTRICT.search(one))))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
