"""Makes the list of how characters sound from a package whose licence permits it; see SOURCES.md.

Run by a maintainer, never at run time: ``python -m deid.text.lists.make_pinyin FOLDER``, where the folder holds
``pinyin_dict.json`` (pypinyin).
"""

import json
import sys
import unicodedata
from pathlib import Path
from typing import Final

from deid.text.lists.reading import surname_ranks
from deid.text.lists.words import word_costs

_HERE: Final = Path(__file__).parent

_READINGS: Final = 2
"""Of a character: the usual one and the next; further ones are hardly heard in names."""


def main(folder: Path, into: Path = _HERE) -> None:
    """Write ``pinyin.txt`` into a folder, this package's unless given."""
    told = json.loads((folder / "pinyin_dict.json").read_text("utf-8"))
    used = {word for word in word_costs() if len(word) == 1} | surname_ranks().keys()
    sounds: dict[str, list[str]] = {}
    for character in sorted(used):
        readings = [_plain(one) for one in told.get(str(ord(character)), "").split(",") if one]
        for sound in list(dict.fromkeys(readings))[:_READINGS]:
            sounds.setdefault(sound, []).append(character)
    lines = (f"{sound}\t{''.join(characters)}" for sound, characters in sorted(sounds.items()))
    (into / "pinyin.txt").write_text("\n".join(("# Made by make_pinyin.py; see SOURCES.md.", *lines)) + "\n", "utf-8")


def _plain(sound: str) -> str:
    """Return a syllable without its tone; v stands for ü."""
    return "".join(part for part in unicodedata.normalize("NFD", sound).replace("u\u0308", "v") if part.isascii())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
