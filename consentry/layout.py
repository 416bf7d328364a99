"""Where derived files lie; always told by ids, so that a data folder can be moved or restored elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consentry.settings import Settings

VIEW_FILE: Final = "part-00000.parquet"


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
        return self.views / view / build_id

    def view_file(self, view: str, build_id: str) -> Path:
        """Return the rows of one build."""
        return self.view_folder(view, build_id) / VIEW_FILE

    def export_folder(self, definition: str, export_id: str) -> Path:
        """Return the folder of one release."""
        return self.exports / definition / export_id

    def tags_file(self, run_id: str) -> Path:
        """Return the tags of one run: a row a subject and a column a tag."""
        return self.tags / f"{run_id}.parquet"
