"""Where the configured pack lies, and whether it is whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, func, select

from audit.entries import decode_entry
from audit.events import Act
from audit.tables import inbox, leaf
from consentry.parsed_packs import read_catalogue
from consentry.settings import Settings
from kernel.catalogue import Catalogue
from kernel.errors import ConfigurationError, NotFound
from kernel.located_yaml import PackError
from kernel.pack import builtin_pack_path, load_pack

_T = TypeVar("_T")

_LOADED: Final = b'{"act":"pack.loaded",'
"""How the canonical bytes of such an entry begin: its keys are sorted, and none stands before ``act``."""


@dataclass(frozen=True, slots=True)
class Linted:
    """Every mistake of a pack, and one line about it."""

    mistakes: tuple[str, ...]
    summary: str


def pack_folder(name: str) -> Path:
    """Return the folder of a pack named by settings or command line.

    A bare name is a built-in pack, whatever the working folder holds; a path has a separator or is no built-in name.
    """
    if Path(name).name != name:
        return Path(name)
    try:
        return builtin_pack_path(name)
    except NotFound:
        if Path(name).is_dir():
            return Path(name)
        raise


def load_configured_pack(settings: Settings) -> Catalogue:
    """Load the pack that the settings name."""
    return read_catalogue(pack_folder(settings.pack))


def check_pack_loaded(connection: Connection, catalogue: Catalogue) -> None:
    """Raise ``ConfigurationError`` unless this very pack was taken into use last.

    A pack that was changed beside the deployment would decide by rules, notices and recipients that nobody has
    recorded; until it is taken into use, nothing opens.
    """
    loaded = find_loaded_hash(connection)
    if loaded != catalogue.hash:
        raise ConfigurationError(
            f"Pack {catalogue.pack} {catalogue.version} is not the one in use: its hash begins with "
            f"{catalogue.hash[:8]}, that in the log with {(loaded or 'nothing')[:8]}",
            hint="Run `consentry pack load` to take it into use, or restore the pack.",
        )


def find_loaded_hash(connection: Connection) -> str | None:
    """Return the hash of the pack that was taken into use last, or None.

    What waits in the inbox was recorded after everything that is in the log.
    """
    waiting = select(inbox.c.body).where(func.substr(inbox.c.body, 1, len(_LOADED)) == _LOADED)
    logged = select(leaf.c.body).where(leaf.c.act == Act.PACK_LOADED)
    for statement, newest in ((waiting, inbox.c.seq), (logged, leaf.c.leaf_index)):
        body = connection.scalar(statement.order_by(newest.desc()).limit(1))
        if body is not None:
            refs = decode_entry(body).get("refs")
            return str(refs["hash"]) if isinstance(refs, Mapping) and "hash" in refs else None
    return None


def lint_pack(name: str) -> Linted:
    """Check a pack whole: catalogue, views, exports, content rules and taxonomy."""
    from deid.exports import load_exports
    from deid.special import load_special_diseases
    from deid.text.content import FILE, load_content_rules
    from deid.views import load_views
    from tagging.lint import lint
    from tagging.taxonomy import load_taxonomy

    folder = pack_folder(name)
    try:
        catalogue = load_pack(folder)
    except PackError as err:
        found = tuple(map(str, err.mistakes))
        return Linted(found, f"{folder.name}: {len(found)} mistakes in the catalogue; the rest was not read")
    mistakes: list[str] = []
    views = _gathered(lambda: load_views(folder, catalogue), mistakes) or {}
    exports = _gathered(lambda: load_exports(folder, catalogue, views), mistakes) or {}
    special = _gathered(lambda: load_special_diseases(folder / "special_diseases.yaml"), mistakes)
    content = _gathered(lambda: load_content_rules(folder / FILE), mistakes)
    taxonomy = _gathered(lambda: load_taxonomy(folder / "taxonomy.yaml"), mistakes)
    if taxonomy is not None:
        mistakes += map(str, lint(taxonomy, catalogue=catalogue, special=special))
    counts = (
        f"{len(catalogue.fields)} fields, {len(catalogue.purposes)} purposes, "
        f"{len(catalogue.event_types)} event types, {len(catalogue.notices)} notices, "
        f"{len(catalogue.assessments)} assessments, {len(catalogue.recipients)} recipients, "
        f"{len(catalogue.roles)} roles, "
        f"{len(views)} views, {len(exports)} exports, {0 if taxonomy is None else len(taxonomy.tags)} tags, "
        f"{0 if content is None else len(content.rules)} content rules"
    )
    verdict = f"{len(mistakes)} mistakes" if mistakes else "no mistakes"
    return Linted(tuple(mistakes), f"{catalogue.pack} {catalogue.version}: {counts}; {verdict}; hash {catalogue.hash}")


def _gathered(load: Callable[[], _T], mistakes: list[str]) -> _T | None:
    try:
        return load()
    except PackError as err:
        mistakes.extend(map(str, err.mistakes))
        return None
