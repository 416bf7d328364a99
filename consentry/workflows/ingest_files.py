"""Ingest source files: what makes a file the same input, and where its bad rows are listed."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final

from consentry.access import check_may_act
from consentry.packs import pack_folder
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.progress import progress
from consentry.settings import Settings
from consentry.sources.context import SourceContext, open_context
from consentry.sources.quarantine import QuarantineWriter, quarantine_path
from consentry.sources.records import Reading, Row
from consentry.workflows.ingest import IngestReport, ingest
from kernel.clock import SystemClock
from kernel.errors import BadInput

MAX_SOURCE_CHARS: Final = 64
"""As wide as the stores' columns."""

_BLOCK: Final = 1024 * 1024


def ingest_fhir(
    platform: Platform,
    caller: Principal,
    paths: Sequence[Path],
    *,
    source: str,
    encoding: str = "utf-8",
    quarantine: Path | None = None,
    again: bool = False,
    show_progress: bool = False,
) -> IngestReport:
    """Ingest FHIR R4 bundles and NDJSON; several paths are one batch. ``again``: see ``consentry.workflows.ingest``."""
    from consentry.sources.fhir import read_fhir

    check_source(source)
    context = _context(platform, encoding)
    return _ingest(
        platform, caller, _expanded(paths), "fhir", [source, encoding],
        lambda: read_fhir(paths, context, source=source),
        quarantine=quarantine or quarantine_path(paths[0]), again=again, show_progress=show_progress,
    )  # fmt: skip


def ingest_table(
    platform: Platform,
    caller: Principal,
    file: Path,
    mapping: Path,
    *,
    encoding: str = "utf-8",
    quarantine: Path | None = None,
    again: bool = False,
    show_progress: bool = False,
) -> IngestReport:
    """Ingest a table by its map. ``again``: see ``consentry.workflows.ingest``."""
    from consentry.sources.maps import load_map
    from consentry.sources.tables import read_table

    context = _context(platform, encoding)
    table_map = load_map(mapping, context)
    check_source(table_map.source)
    return _ingest(
        platform, caller, [file, mapping], "table", [encoding],
        lambda: read_table(file, table_map, context),
        quarantine=quarantine or quarantine_path(file), again=again, show_progress=show_progress,
    )  # fmt: skip


def suggest_table_map(settings: Settings, file: Path, *, encoding: str = "utf-8") -> str:
    """Return a draft of the map for a table, from its header."""
    from consentry.packs import load_configured_pack
    from consentry.sources.suggest import suggest_map_for

    pack = pack_folder(settings.pack)
    context = open_context(load_configured_pack(settings), pack=pack, clock=SystemClock(), encoding=encoding)
    return suggest_map_for(file, context)


def ingest_events(
    platform: Platform,
    caller: Principal,
    file: Path,
    mapping: Path | None,
    *,
    source: str,
    encoding: str = "utf-8",
    quarantine: Path | None = None,
    again: bool = False,
    show_progress: bool = False,
) -> IngestReport:
    """Ingest behaviour events, by a map where the tracker has other names.

    ``again``: see ``consentry.workflows.ingest``.
    """
    from consentry.sources.events import load_event_map, read_events

    check_source(source)
    context = _context(platform, encoding)
    event_map = None if mapping is None else load_event_map(mapping, context)
    return _ingest(
        platform, caller, [file, *([mapping] if mapping else [])], "events", [source, encoding],
        lambda: read_events(file, context, event_map, source=source),
        quarantine=quarantine or quarantine_path(file), again=again, show_progress=show_progress,
    )  # fmt: skip


def _ingest(  # noqa: PLR0917 - one input and how it is read
    platform: Platform,
    caller: Principal,
    files: Sequence[Path],
    kind: str,
    settings: Sequence[str],
    read: Callable[[], Reading],
    *,
    quarantine: Path,
    again: bool,
    show_progress: bool,
) -> IngestReport:
    check_may_act(platform.catalogue, caller, "records.ingest")
    rows = _Begun(read())
    digest = platform.batches.digest(input_pieces(files, [platform.catalogue.hash, *settings]))
    with progress(f"{kind} records", shown=show_progress) as done, QuarantineWriter(quarantine) as bad:
        report = ingest(
            platform, caller, kind=kind, input_digest=digest, read=lambda: rows, on_rows=done, again=again,
            quarantine=bad,
        )  # fmt: skip
    report.quarantine = bad.path if bad.count else None
    platform.log.settle()
    return report


class _Begun(Reading):
    """A reading whose first row is read, so that a file that cannot be read is refused before anything is written."""

    def __init__(self, reading: Reading) -> None:
        first = list(islice(reading, 1))
        super().__init__(chain(first, reading), reading.tally)

    def __next__(self) -> Row:
        """Return the next row, which the inner reading has counted."""
        return next(self._rows)


def check_source(name: str) -> None:
    """Raise ``BadInput`` for a name under which a source's ids could not be known."""
    if not 0 < len(name) <= MAX_SOURCE_CHARS or not name.isprintable() or " " in name:
        raise BadInput(
            f"A source's name has 1 to {MAX_SOURCE_CHARS} printable characters without spaces",
            hint="Give the name under which its ids are known, such as his.",
        )


def _context(platform: Platform, encoding: str) -> SourceContext:
    pack = pack_folder(platform.settings.pack)
    return open_context(platform.catalogue, pack=pack, clock=platform.clock, encoding=encoding)


def _expanded(paths: Sequence[Path]) -> list[Path]:
    """Return the files of files and folders, in the order in which they are read."""
    found: list[Path] = []
    for path in paths:
        inner = (
            sorted(p for p in path.iterdir() if p.suffix.lower() in {".json", ".ndjson"}) if path.is_dir() else [path]
        )
        found += inner
    if not found:
        raise BadInput("There is no file to read", hint="Give .json or .ndjson files, or folders of them.")
    return found


def input_pieces(files: Sequence[Path], settings: Sequence[str]) -> Iterator[bytes]:
    """Yield everything that decides what will be stored: the settings, and each file's name and bytes."""
    yield "\0".join(settings).encode()
    for file in files:
        yield b"\0\0" + os.fsencode(file.name) + b"\0"
        try:
            with file.open("rb") as opened:
                while block := opened.read(_BLOCK):
                    yield block
        except OSError as err:
            raise BadInput(f"{file} cannot be read: {err.strerror}", hint="Check the path.") from None
