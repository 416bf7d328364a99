"""Names of persons in Chinese text, found by rules and by what is likelier: a name or words."""

from deid.text.names.finder import NameFinder

__all__ = ["NameFinder"]
