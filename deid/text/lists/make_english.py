"""Makes the English lists of words, names and places from packages whose licences permit it; see SOURCES.md.

Run by a maintainer, never at run time: ``python -m deid.text.lists.make_english FOLDER``, where the folder holds, as
SOURCES.md says, ``american-english`` (SCOWL), ``dist.all.last``, ``dist.female.first``, ``dist.male.first`` (names),
``cities15000.json``, ``countries.json`` (GeoNames) and an unpacked ``faker``.
"""

import importlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from deid.text.lists.reading import sections_of

_HERE: Final = Path(__file__).parent
_PLAIN_WORD: Final = re.compile("[a-z]{2,}")
_NAME: Final = re.compile("[a-zß-öø-ɏ]{2,}(?:['’][a-zß-öø-ɏ]+)?")

_FREQUENT: Final = 0.004
"""Per cent of the people in the census who bear a surname; 2,700 surnames are as frequent."""

_SURNAMES: Final = 15_000
_GIVEN: Final = 0.008
"""Per cent of women or of men in the census who bear a given name that is a word, too."""

_BEGINNING: Final = 3
_PEOPLE: Final = 100_000
_PEOPLE_IN_THE_US: Final = 30_000


def main(folder: Path, into: Path = _HERE) -> None:
    """Write the lists into a folder, this package's unless given."""
    spelled = (folder / "american-english").read_text("utf-8").split()
    words = {word for word in spelled if _PLAIN_WORD.fullmatch(word)}
    ours = sections_of("english_cues.txt")
    shares = {**_shares(folder / "dist.male.first"), **_shares(folder / "dist.female.first")}
    usual = {name for name, share in shares.items() if share >= _GIVEN} - {*ours["words_first"], *ours["words_only"]}
    no_names = set(ours["no_names"])
    packaged = dict(_packaged(folder))
    given = usual | ((shares.keys() | packaged["first"]) - words)
    families = _shares(folder / "dist.all.last")
    last = {name for name, share in families.items() if name not in words or share >= _FREQUENT}
    last = set(sorted(last, key=lambda name: -families[name])[:_SURNAMES]) | (packaged["last"] - words)
    _write(into / "english_words.txt", _uninflected(words - usual))
    _write(into / "english_given.txt", given - no_names)
    _write(into / "english_surnames.txt", last - no_names)
    _write(into / "english_places.txt", (name.replace(" ", "_") for name in _cities(folder)))
    _write(into / "english_countries.txt", (name.replace(" ", "_") for name in _countries(folder)))


def _write(path: Path, words: Iterable[str]) -> None:
    """Write words by what they begin with: the beginning, a tab, the rests; a dot stands for no rest."""
    lines: dict[str, list[str]] = {}
    for word in sorted(set(words)):
        lines.setdefault(word[:_BEGINNING], []).append(word[_BEGINNING:] or ".")
    rows = (f"{beginning}\t{' '.join(rests)}" for beginning, rests in lines.items())
    path.write_text("\n".join(("# Made by make_english.py; see SOURCES.md.", *rows)) + "\n", "utf-8")


def _uninflected(words: set[str]) -> Iterator[str]:
    """Yield the words without those that ``deid.text.lists.english.is_word`` tells from a shorter one."""
    for word in words:
        if word[:-1] not in words or not word.endswith("s"):
            yield word


def _shares(path: Path) -> dict[str, float]:
    rows = (line.split() for line in path.read_text("ascii").splitlines())
    return {row[0].lower(): float(row[1]) for row in rows}


def _packaged(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the given names and the surnames of the providers in Latin letters."""
    sys.path.insert(0, str(folder))
    locales = sorted(
        path.name for path in (folder / "faker/providers/person").iterdir() if (path / "__init__.py").is_file()
    )
    providers = [importlib.import_module(f"faker.providers.person.{locale}").Provider for locale in locales]
    for which in ("first", "last"):
        names: set[str] = set()
        for provider in providers:
            for attribute in dir(provider):
                if which in attribute and "name" in attribute and "format" not in attribute:
                    names.update(_parts(getattr(provider, attribute)))
        yield which, names


def _parts(names: object) -> Iterator[str]:
    if not isinstance(names, dict | list | tuple):
        return
    for name in names:
        said = name[0] if isinstance(name, tuple) else name
        if isinstance(said, str):
            yield from (part for part in re.split("[ -]", said.lower()) if _NAME.fullmatch(part))


def _cities(folder: Path) -> Iterator[str]:
    for city in json.loads((folder / "cities15000.json").read_text("utf-8")).values():
        least = _PEOPLE_IN_THE_US if city["countrycode"] == "US" else _PEOPLE
        if city["population"] >= least and _is_latin(city["name"]):
            yield city["name"].lower().replace("’", "'")


def _countries(folder: Path) -> Iterator[str]:
    for country in json.loads((folder / "countries.json").read_text("utf-8")).values():
        yield country["name"].lower()


def _is_latin(name: str) -> bool:
    return re.fullmatch("[A-Za-zÀ-ɏ'’. -]{3,40}", name) is not None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
