"""Packs parsed once for what their files hold: a server needs them with each access, each wake and each run of tags.

The files are read each time, so that an edited pack counts at once; they are parsed where they hold something new.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.catalogue import Catalogue
from kernel.pack import load_pack

if TYPE_CHECKING:
    from deid.exports import ExportDefinition
    from deid.text.content import ContentChecker
    from deid.views import ViewDefinition
    from tagging.taxonomy import Taxonomy


def read_catalogue(folder: Path) -> Catalogue:
    """Return a pack's catalogue; raises ``PackError`` as ``kernel.pack.load_pack`` does."""
    return _catalogue(folder, _digest(folder))


def read_views(folder: Path, catalogue: Catalogue) -> Mapping[str, "ViewDefinition"]:
    """Return a pack's views by code; raises ``PackError`` as ``deid.views.load_views`` does."""
    return _views(_Pack(folder, _digest(folder), catalogue.hash, catalogue))


def read_exports(folder: Path, catalogue: Catalogue) -> Mapping[str, "ExportDefinition"]:
    """Return a pack's exports by code; raises ``PackError`` as ``deid.exports.load_exports`` does."""
    return _exports(_Pack(folder, _digest(folder), catalogue.hash, catalogue))


def read_taxonomy(folder: Path) -> "Taxonomy":
    """Return a pack's taxonomy; raises ``PackError`` as ``tagging.taxonomy.load_taxonomy`` does."""
    return _taxonomy(folder, _digest(folder))


def read_content_checker(folder: Path) -> "ContentChecker":
    """Return a checker by a pack's content rules; raises ``PackError`` as ``load_content_rules`` does."""
    return _content_checker(folder, _digest(folder))


@dataclass(frozen=True, slots=True)
class _Pack:
    """What views and exports are made of; two are the same where files and catalogue mean the same."""

    folder: Path
    content: bytes
    catalogue_hash: str
    catalogue: Catalogue = field(compare=False)


@lru_cache(maxsize=8)
def _catalogue(folder: Path, _content: bytes) -> Catalogue:
    return load_pack(folder)


@lru_cache(maxsize=8)
def _views(pack: _Pack) -> Mapping[str, "ViewDefinition"]:
    from deid.views import load_views

    return load_views(pack.folder, pack.catalogue)


@lru_cache(maxsize=8)
def _exports(pack: _Pack) -> Mapping[str, "ExportDefinition"]:
    from deid.exports import load_exports

    return load_exports(pack.folder, pack.catalogue, _views(pack))


@lru_cache(maxsize=8)
def _taxonomy(folder: Path, _content: bytes) -> "Taxonomy":
    from tagging.taxonomy import load_taxonomy

    return load_taxonomy(folder / "taxonomy.yaml")


@lru_cache(maxsize=8)
def _content_checker(folder: Path, _content: bytes) -> "ContentChecker":
    from deid.text.content import FILE, ContentChecker, load_content_rules

    return ContentChecker(load_content_rules(folder / FILE))


def _digest(folder: Path) -> bytes:
    hashed = hashlib.sha256()
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*/*.yaml"))):
        if path.is_file():
            content = path.read_bytes()
            hashed.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return hashed.digest()
