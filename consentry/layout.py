"""Where derived files lie; always told by ids, so that a data folder can be moved or restored elsewhere."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consentry.settings import Settings
from kernel.errors import IntegrityFailed

VIEW_FILE: Final = "part-00000.parquet"
TAGS_FILE: Final = "tags.parquet"

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,79}")


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one deployment's derived files."""

    views: Path
    exports: Path
    tags: Path

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """Return the layout that the settings name."""
        return cls(settings.views_path, settings.exports_path, settings.home / "tags")

    def view_folder(self, view: str, build_id: str) -> Path:
        """Return the folder of one build."""
        return _below(self.views, view, build_id)

    def view_file(self, view: str, build_id: str) -> Path:
        """Return the rows of one build."""
        return self.view_folder(view, build_id) / VIEW_FILE

    def export_folder(self, definition: str, export_id: str) -> Path:
        """Return the folder of one release."""
        return _below(self.exports, definition, export_id)

    def tags_folder(self, run_id: str) -> Path:
        """Return the folder of one run of tags."""
        return _below(self.tags, run_id)

    def tags_file(self, run_id: str) -> Path:
        """Return the tags of one run: a row a subject and a column a tag."""
        return self.tags_folder(run_id) / TAGS_FILE


def _below(root: Path, *names: str) -> Path:
    """Return a folder below ``root``; a name that would lead elsewhere is refused, wherever it came from."""
    if not all(_NAME.fullmatch(name) for name in names):
        raise IntegrityFailed("A stored name of a view, export or run is none", hint="The data store was edited.")
    return root.joinpath(*names)
