"""A pack's tables, parsed once for what the files hold: a server takes records in with each request."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from consentry.sources.codes import CodeMaps, load_code_maps
from consentry.sources.divisions import Divisions, load_divisions
from consentry.sources.quantities import Indicators, load_indicators


@dataclass(frozen=True, slots=True)
class PackTables:
    """Codes, indicators and divisions of one pack; nobody changes them."""

    codes: CodeMaps
    indicators: Indicators
    divisions: Divisions


def load_pack_tables(pack: Path) -> PackTables:
    """Read the tables under ``codes/`` and the list of special diseases of a pack's folder.

    The files are read each time, so that an edited table counts at once; they are parsed where they hold something new.

    Raises:
        ConfigurationError: a table lacks a column or repeats a code; with file and line.
    """
    return _parsed(pack, _digest(pack))


@lru_cache(maxsize=4)
def _parsed(pack: Path, _content: bytes) -> PackTables:
    return PackTables(load_code_maps(pack), load_indicators(pack), load_divisions(pack))


def _digest(pack: Path) -> bytes:
    hashed = hashlib.sha256()
    for path in (*sorted((pack / "codes").glob("*.csv")), pack / "special_diseases.yaml"):
        if path.is_file():
            content = path.read_bytes()
            hashed.update(f"{path.name} {len(content)}\n".encode() + content)
    return hashed.digest()
