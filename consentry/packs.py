"""Where the configured pack lies: a built-in one by name, or an operator's own folder."""

from pathlib import Path

from consentry.settings import Settings
from kernel.catalogue import Catalogue
from kernel.pack import builtin_pack_path, load_pack


def pack_folder(name: str) -> Path:
    """Return the folder of a pack named by settings or command line."""
    folder = Path(name)
    return folder if folder.is_dir() else builtin_pack_path(name)


def load_configured_pack(settings: Settings) -> Catalogue:
    """Load the pack that the settings name."""
    return load_pack(pack_folder(settings.pack))
