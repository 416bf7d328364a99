"""What every reader is given: the catalogue, the pack's tables, and the moment of reading."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from consentry.sources.codes import CodeMaps
from consentry.sources.divisions import Divisions
from consentry.sources.pack_tables import load_pack_tables
from consentry.sources.quantities import Indicators
from consentry.sources.records import RowFault, RowRefused
from kernel.catalogue import Catalogue
from kernel.ports import Clock

_SKEW: Final = timedelta(minutes=5)
"""How far a source's clock may run ahead of ours."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """Catalogue, tables and time for one pass over a source.

    Attributes:
        now: the moment of reading; nothing observed may lie after it (five minutes of clock skew apart).
        zone: where local times without an offset were written, unless a map says otherwise.
        encoding: of text files; ``utf-8`` takes a byte order mark as well.
    """

    catalogue: Catalogue
    codes: CodeMaps
    indicators: Indicators
    divisions: Divisions
    pack: Path
    now: datetime
    zone: tzinfo
    encoding: str = "utf-8"

    def check_instant(self, instant: datetime) -> datetime:
        """Return the instant; raises ``RowRefused`` for one in the future."""
        if instant > self.now + _SKEW:
            raise RowRefused(RowFault.FUTURE_DATE)
        return instant

    @property
    def today(self) -> date:
        """The day of reading in the source's time zone."""
        return self.now.astimezone(self.zone).date()


def open_context(catalogue: Catalogue, *, pack: Path, clock: Clock, encoding: str = "utf-8") -> SourceContext:
    """Read a pack's tables.

    Args:
        catalogue: as loaded from ``pack``.
        pack: the pack's folder; ``codes/`` and ``special_diseases.yaml`` are read from it where they are.
        clock: gives the moment of reading.
        encoding: of the text files to be read, for example ``gb18030``.
    """
    tables = load_pack_tables(pack)
    return SourceContext(
        catalogue=catalogue,
        codes=tables.codes,
        indicators=tables.indicators,
        divisions=tables.divisions,
        pack=pack,
        now=clock.now(),
        zone=ZoneInfo(catalogue.time_zone),
        encoding=encoding,
    )
